//! The connection to the enclave. It is re-established when it ends, and watched, because an enclave that
//! restarts has lost its keys.

use std::sync::Arc;
use std::time::Duration;
use tcs_enclave_rpc::{
    BeginProvisioning, ByteVec, CaInfo, Client, ClientError, CompleteProvisioning, Destroy, Endpoint,
    GenerateCa, Health, Identity, Issue, Issued, IssuerState, Offer, Policy, Refusal, RefusalCode, RenewCa,
    Request, Response, Restore, Seal, Sealed,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Generating an RSA-3072 key takes up to half a second, and calls for offers queue behind each other.
const CALL_TIMEOUT: Duration = Duration::from_mins(1);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How often a connected enclave is asked which calls are overdue.
const PROBE_PAUSE: Duration = Duration::from_secs(5);
/// How long it may take to answer that. If it takes longer, nothing new is known.
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);
/// An issuer of no Kubernetes object. The answer about it is short.
const NO_ISSUER: &str = "-";
const RECONNECT_PAUSE: Duration = Duration::from_millis(200);
/// How long a reconcile waits for an enclave that is starting before it reports that none answers.
const GRACE: Duration = Duration::from_secs(5);

/// A connection to an enclave.
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
    /// The connection failed during the call.
    #[error("the connection to the enclave failed: {0}")]
    Connection(#[from] ClientError),
    /// The enclave refused the request.
    #[error(transparent)]
    Refused(Refusal),
    /// The response does not fit the request.
    #[error("the enclave's response does not fit the request")]
    Unexpected,
}

/// What the enclave waits for: calls of its platform and its key provider that have not returned in time. It
/// goes on signing meanwhile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overdue {
    /// Offers whose key or evidence is not made.
    pub offers: u32,
    /// Keys of CAs that are not made.
    pub ca_keys: u32,
}

impl Overdue {
    /// What hangs, and what to do, for the readiness probe.
    #[must_use]
    pub fn reasons(self) -> Vec<String> {
        let mut reasons = Vec::new();
        if self.offers > 0 {
            reasons.push(format!(
                "{} offers of the enclave are overdue, because the platform makes no evidence in time; issuers whose CA \
                 key is held sign as before; check what makes quotes on the node",
                self.offers
            ));
        }
        if self.ca_keys > 0 {
            reasons.push(format!(
                "{} CA keys are overdue, because what holds the keys makes none in time; issuers whose CA key is held \
                 sign as before; check it, or restart the enclave",
                self.ca_keys
            ));
        }
        reasons
    }
}

/// A handle to the connection. Cheap to clone.
#[derive(Clone)]
pub struct EnclaveLink {
    state: watch::Receiver<Option<Connected>>,
    overdue: watch::Receiver<Overdue>,
}

impl EnclaveLink {
    /// Starts the task that connects, and reconnects when the connection ends, until `stop`.
    #[must_use]
    pub fn start(endpoint: Endpoint, stop: CancellationToken) -> Self {
        let (sender, state) = watch::channel(None);
        let (overdue_sender, overdue) = watch::channel(Overdue::default());
        tokio::spawn(async move {
            stop.run_until_cancelled(keep_connected(endpoint, sender, overdue_sender)).await;
        });
        Self { state, overdue }
    }

    /// What the connected enclave waits for.
    #[must_use]
    pub fn overdue(&self) -> Overdue {
        *self.overdue.borrow()
    }

    /// Resolves when that changes. Never resolves after the task has ended.
    pub async fn overdue_changed(&mut self) {
        if self.overdue.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// The current connection.
    #[must_use]
    pub fn connected(&self) -> Option<Connected> {
        self.state.borrow().clone()
    }

    /// Resolves when the connection changes. Never resolves after the task has ended.
    pub async fn changed(&mut self) {
        if self.state.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// The connection, after waiting a few seconds for an enclave that is starting.
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

    /// What the enclave holds for all issuers.
    pub async fn holdings(&self) -> Result<Vec<IssuerState>, EnclaveError> {
        self.health(Health::default()).await
    }

    async fn health(&self, request: Health) -> Result<Vec<IssuerState>, EnclaveError> {
        match self.call(Request::Health(request)).await? {
            Response::Health(report) => Ok(report.issuers),
            _ => Err(EnclaveError::Unexpected),
        }
    }

    /// Makes the issuer's offer, or repeats the open one. For an issuer whose CA key is held this works only
    /// with `renewal`.
    pub async fn offer(&self, uid: &str, renewal: bool) -> Result<Offer, EnclaveError> {
        let nonce = ByteVec::from(fixed_nonce());
        let begin = BeginProvisioning { issuer_uid: uid.to_owned(), nonce, renewal };
        match self.call(Request::BeginProvisioning(begin)).await? {
            Response::Offer(offer) => Ok(offer),
            _ => Err(EnclaveError::Unexpected),
        }
    }

    /// Delivers a wrapped CA key.
    pub async fn deliver(&self, delivery: CompleteProvisioning) -> Result<CaInfo, EnclaveError> {
        match self.call(Request::CompleteProvisioning(delivery)).await? {
            Response::Provisioned(ca) => Ok(ca),
            _ => Err(EnclaveError::Unexpected),
        }
    }

    /// Makes a self-signed CA.
    pub async fn generate(&self, request: GenerateCa) -> Result<CaInfo, EnclaveError> {
        match self.call(Request::GenerateCa(request)).await? {
            Response::Provisioned(ca) => Ok(ca),
            _ => Err(EnclaveError::Unexpected),
        }
    }

    /// Makes the next certificate of a self-signed CA.
    pub async fn renew(&self, request: RenewCa) -> Result<CaInfo, EnclaveError> {
        match self.call(Request::RenewCa(request)).await? {
            Response::Provisioned(ca) => Ok(ca),
            _ => Err(EnclaveError::Unexpected),
        }
    }

    /// Seals the CA key that is held.
    pub async fn seal(&self, uid: &str) -> Result<Sealed, EnclaveError> {
        match self.call(Request::Seal(Seal { issuer_uid: uid.to_owned() })).await? {
            Response::Sealed(sealed) => Ok(sealed),
            _ => Err(EnclaveError::Unexpected),
        }
    }

    /// Restores a sealed CA key.
    pub async fn restore(&self, request: Restore) -> Result<CaInfo, EnclaveError> {
        match self.call(Request::Restore(request)).await? {
            Response::Provisioned(ca) => Ok(ca),
            _ => Err(EnclaveError::Unexpected),
        }
    }

    /// Asks whether the rules of a policy can be read. Returns the refusal if they cannot.
    pub async fn check_policy(&self, policy: Policy) -> Result<Option<Refusal>, EnclaveError> {
        match self.call(Request::CheckPolicy(policy)).await {
            Ok(Response::PolicyReadable) => Ok(None),
            Ok(_) => Err(EnclaveError::Unexpected),
            Err(EnclaveError::Refused(refusal)) => match refusal.code {
                RefusalCode::PolicyMalformed => Ok(Some(refusal)),
                // An earlier version of the enclave does not know this request. It refuses certificates.
                RefusalCode::MalformedMessage => Ok(None),
                _ => Err(EnclaveError::Refused(refusal)),
            },
            Err(error) => Err(error),
        }
    }

    /// Issues a certificate.
    pub async fn issue(&self, issue: Issue) -> Result<Issued, EnclaveError> {
        match self.call(Request::Issue(issue)).await? {
            Response::Issued(issued) => Ok(issued),
            _ => Err(EnclaveError::Unexpected),
        }
    }

    /// Destroys what the enclave holds for an issuer.
    pub async fn destroy(&self, uid: &str) -> Result<(), EnclaveError> {
        match self.call(Request::Destroy(Destroy { issuer_uid: uid.to_owned() })).await? {
            Response::Destroyed => Ok(()),
            _ => Err(EnclaveError::Unexpected),
        }
    }

    async fn call(&self, request: Request) -> Result<Response, EnclaveError> {
        match blocking(Arc::clone(&self.client), request, CALL_TIMEOUT).await? {
            Response::Refused(refusal) => Err(EnclaveError::Refused(refusal)),
            response => Ok(response),
        }
    }
}

/// The nonce of the `report_data` profile `ctk-v1`: bytes 00 to 1f (`docs/protocol.md`, "`report_data`
/// profiles").
fn fixed_nonce() -> Vec<u8> {
    (0..32).collect()
}

async fn blocking(
    client: Arc<Client>,
    request: Request,
    timeout: Duration,
) -> Result<Response, EnclaveError> {
    tokio::task::spawn_blocking(move || client.call(request, timeout))
        .await
        .map_err(|_| EnclaveError::Unavailable)?
        .map_err(EnclaveError::Connection)
}

async fn keep_connected(
    endpoint: Endpoint,
    sender: watch::Sender<Option<Connected>>,
    overdue: watch::Sender<Overdue>,
) {
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
                    tracing::warn!("the enclave runs on a SIMULATED platform, which protects nothing");
                }
                let client = Arc::clone(&connected.client);
                // Otherwise the task below would wait for the connection to end, and keep the program from
                // ending.
                let _close = CloseOnDrop(Arc::clone(&client));
                sender.send_replace(Some(connected));
                let closed = Arc::clone(&client);
                tokio::select! {
                    _ = tokio::task::spawn_blocking(move || closed.wait_closed()) => {}
                    () = keep_probing(&client, &overdue) => {}
                }
                set(&overdue, Overdue::default());
                tracing::warn!("the connection to the enclave ended");
                sender.send_replace(None);
            }
            Err(error) => tracing::debug!(%error, "the enclave cannot be reached yet"),
        }
        tokio::time::sleep(RECONNECT_PAUSE).await;
    }
}

/// Asks again and again what the enclave waits for.
async fn keep_probing(client: &Arc<Client>, overdue: &watch::Sender<Overdue>) {
    loop {
        let request = Request::Health(Health { issuer_uid: Some(NO_ISSUER.to_owned()) });
        if let Ok(Response::Health(report)) = blocking(Arc::clone(client), request, PROBE_TIMEOUT).await {
            set(overdue, Overdue { offers: report.overdue_offers, ca_keys: report.overdue_ca_keys });
        }
        tokio::time::sleep(PROBE_PAUSE).await;
    }
}

fn set(overdue: &watch::Sender<Overdue>, now: Overdue) {
    overdue.send_if_modified(|before| std::mem::replace(before, now) != now);
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
    match blocking(Arc::clone(&client), Request::Identity, CALL_TIMEOUT).await? {
        Response::Identity(identity) => Ok(Connected { client, identity }),
        _ => Err(EnclaveError::Unexpected),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_fixed_nonce_counts_from_00_to_1f() {
        let counted: [u8; 32] = std::array::from_fn(|index| u8::try_from(index).unwrap());
        assert_eq!(super::fixed_nonce().as_slice(), counted);
    }

    #[test]
    fn review_l8_readiness_tells_what_is_overdue() {
        use super::Overdue;
        let reasons = |offers, ca_keys| Overdue { offers, ca_keys }.reasons().join("\n");
        assert_eq!(reasons(0, 0), "");
        let (offers, keys) = (reasons(3, 0), reasons(0, 2));
        assert!(offers.starts_with("3 offers") && offers.contains("quotes on the node"), "{offers}");
        assert!(keys.starts_with("2 CA keys") && !keys.contains("quotes"), "{keys}");
        assert_eq!(reasons(3, 2), format!("{offers}\n{keys}"));
    }
}
