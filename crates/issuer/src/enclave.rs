//! The connection to the enclave: kept up, and watched, because an enclave that restarts has lost its keys.

use std::sync::Arc;
use std::time::Duration;
use tcs_enclave_rpc::{
    BeginProvisioning, ByteVec, CaInfo, Client, ClientError, CompleteProvisioning, Destroy, Endpoint,
    GenerateCa, Health, Identity, Issue, Issued, IssuerState, Offer, Refusal, RenewCa, Request, Response,
    Restore, Seal, Sealed,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// RSA-3072 key generation takes up to half a second, and offers queue behind each other.
const CALL_TIMEOUT: Duration = Duration::from_mins(1);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const RECONNECT_PAUSE: Duration = Duration::from_millis(200);
/// How long a reconcile waits for an enclave that is just (re)starting before it says that there is none.
const GRACE: Duration = Duration::from_secs(5);

/// The nonce of profile `ctk-v1` is fixed: bytes 00 to 1f (provisioning-protocol reference, section 1).
const FIXED_NONCE: [u8; 32] = {
    let mut nonce = [0u8; 32];
    let mut value = 0u8;
    let mut rest: &mut [u8] = &mut nonce;
    while let [first, tail @ ..] = rest {
        *first = value;
        value += 1;
        rest = tail;
    }
    nonce
};

/// A connection and who is at its other end.
#[derive(Clone)]
pub struct Connected {
    client: Arc<Client>,
    /// The enclave that answered.
    pub identity: Identity,
}

/// Why an enclave call gave no result.
#[derive(Debug, thiserror::Error)]
pub enum EnclaveError {
    /// No enclave is connected.
    #[error("no enclave answers")]
    Unavailable,
    /// The connection failed under the call.
    #[error("the enclave's connection failed: {0}")]
    Connection(#[from] ClientError),
    /// The enclave said no.
    #[error(transparent)]
    Refused(Refusal),
    /// The answer does not fit the request.
    #[error("the enclave answered something else than was asked")]
    Unexpected,
}

/// A handle on the connection; cheap to clone.
#[derive(Clone)]
pub struct EnclaveLink {
    state: watch::Receiver<Option<Connected>>,
}

impl EnclaveLink {
    /// Starts the task that connects, and connects again, until `stop`.
    #[must_use]
    pub fn start(endpoint: Endpoint, stop: CancellationToken) -> Self {
        let (sender, state) = watch::channel(None);
        tokio::spawn(async move {
            stop.run_until_cancelled(keep_connected(endpoint, sender)).await;
        });
        Self { state }
    }

    /// Who is connected right now.
    #[must_use]
    pub fn connected(&self) -> Option<Connected> {
        self.state.borrow().clone()
    }

    /// Resolves at the next change of the connection; never if the link has ended.
    pub async fn changed(&mut self) {
        if self.state.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Who is connected, after waiting a little for an enclave that is just starting.
    pub async fn settled(&self) -> Option<Connected> {
        let mut state = self.state.clone();
        let wait = state.wait_for(Option::is_some);
        match tokio::time::timeout(GRACE, wait).await {
            Ok(Ok(connected)) => connected.clone(),
            _ => None,
        }
    }
}

impl Connected {
    /// What the enclave holds for one issuer.
    pub async fn holdings_of(&self, uid: &str) -> Result<Option<IssuerState>, EnclaveError> {
        let states = self.health(Health { issuer_uid: Some(uid.to_owned()) }).await?;
        Ok(states.into_iter().find(|state| state.issuer_uid == uid))
    }

    /// Everything the enclave holds.
    pub async fn holdings(&self) -> Result<Vec<IssuerState>, EnclaveError> {
        self.health(Health::default()).await
    }

    async fn health(&self, ask: Health) -> Result<Vec<IssuerState>, EnclaveError> {
        match self.call(Request::Health(ask)).await? {
            Response::Health(report) => Ok(report.issuers),
            _ => Err(EnclaveError::Unexpected),
        }
    }

    /// Makes or repeats the issuer's offer; beside a CA that is held, only for its renewal.
    pub async fn offer(&self, uid: &str, renewal: bool) -> Result<Offer, EnclaveError> {
        let nonce = ByteVec::from(FIXED_NONCE.to_vec());
        let begin = BeginProvisioning { issuer_uid: uid.to_owned(), nonce, renewal };
        match self.call(Request::BeginProvisioning(begin)).await? {
            Response::Offer(offer) => Ok(offer),
            _ => Err(EnclaveError::Unexpected),
        }
    }

    /// Hands a wrapped key over.
    pub async fn deliver(&self, delivery: CompleteProvisioning) -> Result<CaInfo, EnclaveError> {
        match self.call(Request::CompleteProvisioning(delivery)).await? {
            Response::Provisioned(ca) => Ok(ca),
            _ => Err(EnclaveError::Unexpected),
        }
    }

    /// Has a self-signed CA made.
    pub async fn generate(&self, request: GenerateCa) -> Result<CaInfo, EnclaveError> {
        match self.call(Request::GenerateCa(request)).await? {
            Response::Provisioned(ca) => Ok(ca),
            _ => Err(EnclaveError::Unexpected),
        }
    }

    /// Lets the next certificate of a self-signed CA follow.
    pub async fn renew(&self, request: RenewCa) -> Result<CaInfo, EnclaveError> {
        match self.call(Request::RenewCa(request)).await? {
            Response::Provisioned(ca) => Ok(ca),
            _ => Err(EnclaveError::Unexpected),
        }
    }

    /// The CA key that is held, sealed.
    pub async fn seal(&self, uid: &str) -> Result<Sealed, EnclaveError> {
        match self.call(Request::Seal(Seal { issuer_uid: uid.to_owned() })).await? {
            Response::Sealed(sealed) => Ok(sealed),
            _ => Err(EnclaveError::Unexpected),
        }
    }

    /// Takes a sealed CA key back.
    pub async fn restore(&self, request: Restore) -> Result<CaInfo, EnclaveError> {
        match self.call(Request::Restore(request)).await? {
            Response::Provisioned(ca) => Ok(ca),
            _ => Err(EnclaveError::Unexpected),
        }
    }

    /// Asks for a certificate.
    pub async fn issue(&self, issue: Issue) -> Result<Issued, EnclaveError> {
        match self.call(Request::Issue(issue)).await? {
            Response::Issued(issued) => Ok(issued),
            _ => Err(EnclaveError::Unexpected),
        }
    }

    /// Forgets an issuer.
    pub async fn destroy(&self, uid: &str) -> Result<(), EnclaveError> {
        match self.call(Request::Destroy(Destroy { issuer_uid: uid.to_owned() })).await? {
            Response::Destroyed => Ok(()),
            _ => Err(EnclaveError::Unexpected),
        }
    }

    async fn call(&self, request: Request) -> Result<Response, EnclaveError> {
        match blocking(Arc::clone(&self.client), request).await? {
            Response::Refused(refusal) => Err(EnclaveError::Refused(refusal)),
            response => Ok(response),
        }
    }
}

async fn blocking(client: Arc<Client>, request: Request) -> Result<Response, EnclaveError> {
    tokio::task::spawn_blocking(move || client.call(request, CALL_TIMEOUT))
        .await
        .map_err(|_| EnclaveError::Unavailable)?
        .map_err(EnclaveError::Connection)
}

async fn keep_connected(endpoint: Endpoint, sender: watch::Sender<Option<Connected>>) {
    loop {
        match connect(&endpoint).await {
            Ok(connected) => {
                let identity = &connected.identity;
                tracing::info!(
                    platform = identity.platform,
                    simulated = identity.simulated,
                    version = identity.version,
                    "connected to the enclave"
                );
                if identity.simulated {
                    tracing::warn!("the enclave runs on a SIMULATED platform: it protects nothing");
                }
                let client = Arc::clone(&connected.client);
                // Waiting for the end of a connection that nobody ends would keep the program from ending.
                let _close = CloseOnDrop(Arc::clone(&client));
                sender.send_replace(Some(connected));
                let _ = tokio::task::spawn_blocking(move || client.wait_closed()).await;
                tracing::warn!("the connection to the enclave ended");
                sender.send_replace(None);
            }
            Err(error) => tracing::debug!(%error, "cannot reach the enclave yet"),
        }
        tokio::time::sleep(RECONNECT_PAUSE).await;
    }
}

struct CloseOnDrop(Arc<Client>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}

async fn connect(endpoint: &Endpoint) -> Result<Connected, EnclaveError> {
    let endpoint = endpoint.clone();
    let client = tokio::task::spawn_blocking(move || Client::connect(&endpoint, CONNECT_TIMEOUT))
        .await
        .map_err(|_| EnclaveError::Unavailable)??;
    let client = Arc::new(client);
    match blocking(Arc::clone(&client), Request::Identity).await? {
        Response::Identity(identity) => Ok(Connected { client, identity }),
        _ => Err(EnclaveError::Unexpected),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_fixed_nonce_counts_from_00_to_1f() {
        let counted: Vec<u8> = (0..32).collect();
        assert_eq!(super::FIXED_NONCE.as_slice(), counted);
    }
}
