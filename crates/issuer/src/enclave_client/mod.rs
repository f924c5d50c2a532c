//! The connection to the enclave. It is re-established when it ends, and watched, because an enclave that
//! restarts has lost its keys.

use crate::runtime::lease::leadership::{Leadership, NotLeading};
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
/// A connected enclave is asked this often which calls are overdue.
const PROBES: Probes = Probes { pause: Duration::from_secs(5), timeout: Duration::from_secs(10) };
/// An enclave that has not answered so many times in a row does not answer.
const SILENT_AFTER: u32 = 2;
/// An issuer of no Kubernetes object. The answer about it is short.
const NO_ISSUER: &str = "-";
const RECONNECT_PAUSE: Duration = Duration::from_millis(200);
/// How long a reconcile waits for an enclave that is starting before it reports that none answers.
const GRACE: Duration = Duration::from_secs(5);

/// How a connected enclave is asked what it waits for.
#[derive(Clone, Copy)]
struct Probes {
    /// Between an answer and the next question.
    pause: Duration,
    /// For an answer.
    timeout: Duration,
}

/// A connection to an enclave.
#[derive(Clone)]
pub struct Connected {
    client: Arc<Client>,
    leadership: Leadership,
    /// The enclave that answered.
    pub identity: Identity,
}

/// Why an enclave call gave no result.
#[derive(Debug, thiserror::Error)]
pub enum EnclaveError {
    /// No enclave is connected.
    #[error("no enclave answers")]
    Unavailable,
    /// The call would have the enclave change or sign something, and this controller does not lead.
    #[error(transparent)]
    NotLeading(#[from] NotLeading),
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

/// What a connected enclave answers to the question what it waits for. It goes on signing while calls of its
/// platform and its key provider have not returned in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EnclaveHealth {
    /// It has not answered several times in a row.
    pub is_silent: bool,
    /// Offers whose key or evidence is not made in time.
    pub overdue_offers: u32,
    /// Keys of CAs that are not made in time.
    pub overdue_ca_keys: u32,
}

impl EnclaveHealth {
    /// What hangs, and what to do, for the readiness probe.
    #[must_use]
    pub fn reasons(self) -> Vec<String> {
        let mut reasons = Vec::new();
        if self.is_silent {
            reasons.push("the enclave does not answer; see the logs of container tcs-enclave".to_owned());
        }
        if self.overdue_offers > 0 {
            reasons.push(format!(
                "overdue offers: {}; the platform has not made their keys and evidence in time; issuers whose CA key is \
                 held go on signing; check the service that makes quotes on the node",
                self.overdue_offers
            ));
        }
        if self.overdue_ca_keys > 0 {
            reasons.push(format!(
                "overdue CA keys: {}; the key provider has not made them in time; issuers whose CA key is held go on \
                 signing; check what the key provider uses; a restart of the enclave loses the keys that it cannot seal",
                self.overdue_ca_keys
            ));
        }
        reasons
    }
}

/// A handle to the connection. Cheap to clone.
#[derive(Clone)]
pub struct EnclaveLink {
    state: watch::Receiver<Option<Connected>>,
    health: watch::Receiver<EnclaveHealth>,
}

impl EnclaveLink {
    /// Starts the task that connects, and reconnects when the connection ends, until `stop`. Without
    /// `leadership` the enclave is asked only what it holds.
    #[must_use]
    pub fn start(endpoint: Endpoint, leadership: Leadership, stop: CancellationToken) -> Self {
        let (sender, state) = watch::channel(None);
        let (health_sender, health) = watch::channel(EnclaveHealth::default());
        tokio::spawn(async move {
            stop.run_until_cancelled(keep_connected(endpoint, leadership, sender, health_sender)).await;
        });
        Self { state, health }
    }

    /// What the connected enclave answered last.
    #[must_use]
    pub fn health(&self) -> EnclaveHealth {
        *self.health.borrow()
    }

    /// Resolves when that changes. Never resolves after the task has ended.
    pub async fn health_changed(&mut self) {
        if self.health.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Whether an enclave is connected and answers.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.state.borrow().is_some() && !self.health().is_silent
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
            Err(EnclaveError::Refused(refusal)) if refusal.code == RefusalCode::PolicyMalformed => {
                Ok(Some(refusal))
            }
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
        let (client, leadership) = (Arc::clone(&self.client), self.leadership.clone());
        let called = tokio::task::spawn_blocking(move || {
            // The thread may have had to wait for its turn, so this comes immediately before the call.
            if needs_leadership(&request) {
                leadership.check()?;
            }
            client.call(request, CALL_TIMEOUT).map_err(EnclaveError::Connection)
        });
        match called.await.map_err(|_| EnclaveError::Unavailable)?? {
            Response::Refused(refusal) => Err(EnclaveError::Refused(refusal)),
            response => Ok(response),
        }
    }
}

/// Whether the enclave changes or signs something for a request. The controller that leads is the only one
/// that may ask for that.
fn needs_leadership(request: &Request) -> bool {
    !matches!(request, Request::Identity | Request::Health(_) | Request::CheckPolicy(_) | Request::Seal(_))
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
    leadership: Leadership,
    sender: watch::Sender<Option<Connected>>,
    health: watch::Sender<EnclaveHealth>,
) {
    loop {
        match connect(&endpoint, &leadership).await {
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
                    () = keep_probing(&client, &health, PROBES) => {}
                }
                health.send_replace(EnclaveHealth::default());
                tracing::warn!("the connection to the enclave ended");
                sender.send_replace(None);
            }
            Err(error) => tracing::debug!(%error, "the enclave cannot be reached yet"),
        }
        tokio::time::sleep(RECONNECT_PAUSE).await;
    }
}

/// Asks again and again what the enclave waits for.
async fn keep_probing(client: &Arc<Client>, health: &watch::Sender<EnclaveHealth>, probes: Probes) {
    let mut unanswered = 0_u32;
    loop {
        let request = Request::Health(Health { issuer_uid: Some(NO_ISSUER.to_owned()) });
        let answer = blocking(Arc::clone(client), request, probes.timeout).await;
        unanswered = if answer.is_ok() { 0 } else { unanswered.saturating_add(1) };
        let before = *health.borrow();
        let now = match answer {
            Ok(Response::Health(report)) => EnclaveHealth {
                is_silent: false,
                overdue_offers: report.overdue_offers,
                overdue_ca_keys: report.overdue_ca_keys,
            },
            // A refusal, for example because it is busy, is an answer that says nothing else.
            Ok(_) => EnclaveHealth { is_silent: false, ..before },
            Err(_) => EnclaveHealth { is_silent: unanswered >= SILENT_AFTER, ..before },
        };
        health.send_if_modified(|before| std::mem::replace(before, now) != now);
        tokio::time::sleep(probes.pause).await;
    }
}

struct CloseOnDrop(Arc<Client>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}

async fn connect(endpoint: &Endpoint, leadership: &Leadership) -> Result<Connected, EnclaveError> {
    let endpoint = endpoint.clone();
    let client = tokio::task::spawn_blocking(move || Client::connect(&endpoint, CONNECT_TIMEOUT))
        .await
        .map_err(|_| EnclaveError::Unavailable)??;
    let client = Arc::new(client);
    match blocking(Arc::clone(&client), Request::Identity, CALL_TIMEOUT).await? {
        Response::Identity(identity) => Ok(Connected { client, leadership: leadership.clone(), identity }),
        _ => Err(EnclaveError::Unexpected),
    }
}

#[cfg(test)]
mod tests;
