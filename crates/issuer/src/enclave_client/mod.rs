//! The connection to the enclave. It is re-established when it ends, and watched, because an enclave that
//! restarts has lost its keys.

mod connection;
mod error;

use crate::runtime::lease::leadership::Leadership;
use connection::Connection;
pub use error::EnclaveError;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;
use tcs_enclave_rpc::{
    BeginProvisioning, ByteVec, CaInfo, ClientError, CompleteProvisioning, Destroy, Endpoint, GenerateCa,
    Health, Identity, Issue, Issued, IssuerState, Offer, Policy, Refusal, RefusalCode, RenewCa, Request,
    Response, Restore, Seal, Sealed,
};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Generating an RSA-3072 key takes up to half a second, and calls for offers queue behind each other.
const CALL_TIMEOUT: Duration = Duration::from_mins(1);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// A connected enclave is asked this often which calls are overdue. One that hangs is silent within 16
/// seconds, so that the pod is not ready within 30 (`docs/monitoring.md`, "Probes").
const PROBES: Probes = Probes {
    identity: Duration::from_secs(10),
    pause: Duration::from_secs(3),
    timeout: Duration::from_secs(5),
};
/// An enclave that has not answered so many times in a row does not answer.
const SILENT_AFTER: u32 = 2;
/// An issuer of no Kubernetes object. The answer about it is short.
const NO_ISSUER: &str = "-";
/// The pause before an attempt to connect again. It is doubled up to the longest as soon as nobody waits for
/// an enclave that is starting any more ([`GRACE`]). One that starts again is found at once, and one that is
/// absent for hours costs little.
const RECONNECT_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);
/// How long a reconcile waits for an enclave that is starting before it reports that none answers.
const GRACE: Duration = Duration::from_secs(5);

/// How a connected enclave is asked what it waits for.
#[derive(Clone, Copy)]
struct Probes {
    /// For the first answer, which says what enclave it is. One that accepts a connection and says nothing
    /// hangs.
    identity: Duration,
    /// Between an answer and the next question.
    pause: Duration,
    /// For an answer.
    timeout: Duration,
}

/// A connection to an enclave.
#[derive(Clone)]
pub struct Connected {
    connection: Arc<Connection>,
    leadership: Leadership,
    /// The enclave that answered.
    pub identity: Identity,
}

/// What a connected enclave answers to the question what it waits for. It goes on signing while calls of its
/// platform and its key provider have not returned in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EnclaveHealth {
    /// It hangs: it has not answered several times in a row, or it accepts connections and says nothing.
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
            reasons.push(SILENT.to_owned());
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

/// What the readiness probe says about an enclave that hangs.
const SILENT: &str = "the enclave does not answer; see the logs of container tcs-enclave";

/// A handle to the connection. Cheap to clone.
#[derive(Clone)]
pub struct EnclaveLink {
    address: Arc<str>,
    state: watch::Receiver<Option<Connected>>,
    health: watch::Receiver<EnclaveHealth>,
}

impl EnclaveLink {
    /// Starts the task that connects, and reconnects when the connection ends, until `stop`. Without
    /// `leadership` the enclave is asked only what it holds.
    #[must_use]
    pub fn start(endpoint: Endpoint, leadership: Leadership, stop: CancellationToken) -> Self {
        Self::start_with(endpoint, leadership, stop, PROBES)
    }

    fn start_with(
        endpoint: Endpoint,
        leadership: Leadership,
        stop: CancellationToken,
        probes: Probes,
    ) -> Self {
        let address: Arc<str> = endpoint.to_string().into();
        let (sender, state) = watch::channel(None);
        let (health_sender, health) = watch::channel(EnclaveHealth::default());
        tokio::spawn(async move {
            let connecting = keep_connected(endpoint, leadership, sender, health_sender, probes);
            stop.run_until_cancelled(connecting).await;
        });
        Self { address, state, health }
    }

    /// Why the service is not ready, as far as the enclave is concerned.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let health = self.health();
        if self.state.borrow().is_none() && !health.is_silent {
            return vec![format!(
                "no enclave answers at {}; see the logs of container tcs-enclave",
                self.address
            )];
        }
        health.reasons()
    }

    /// For the liveness probe of the enclave: what is wrong with it if it hangs. `None` if it answers, and if
    /// no enclave accepts connections: one that starts does not do so yet, and one that has ended is started
    /// again in any case.
    #[must_use]
    pub fn hangs(&self) -> Option<&'static str> {
        self.health().is_silent.then_some(SILENT)
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
            Response::Issued(issued) if !issued.chain.is_empty() => Ok(issued),
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
        let while_leading = needs_leadership(&request).then(|| self.leadership.clone());
        match self.connection.call(request, while_leading, CALL_TIMEOUT).await? {
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

async fn keep_connected(
    endpoint: Endpoint,
    leadership: Leadership,
    sender: watch::Sender<Option<Connected>>,
    health: watch::Sender<EnclaveHealth>,
    probes: Probes,
) {
    let (mut absence, mut pause) = (Absence::default(), RECONNECT_PAUSE);
    loop {
        match connect(&endpoint, &leadership, probes.identity).await {
            Ok(connected) => {
                (absence, pause) = (Absence::default(), RECONNECT_PAUSE);
                health.send_if_modified(|health| std::mem::take(health) != EnclaveHealth::default());
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
                let connection = Arc::clone(&connected.connection);
                // Others may hold it longer, and are not to wait for an enclave that is gone.
                let _close = CloseOnDrop(Arc::clone(&connection));
                sender.send_replace(Some(connected));
                tokio::select! {
                    () = connection.closed() => {}
                    () = keep_probing(&connection, &health, probes) => {}
                }
                health.send_replace(EnclaveHealth::default());
                tracing::warn!("the connection to the enclave ended");
                sender.send_replace(None);
            }
            Err(error) => {
                let now = EnclaveHealth { is_silent: is_silence(&error), ..EnclaveHealth::default() };
                health.send_if_modified(|before| std::mem::replace(before, now) != now);
                absence.note(&endpoint, &error);
            }
        }
        pause = absence.pause_after(pause);
        tokio::time::sleep(pause).await;
    }
}

/// Whether somebody listens and says nothing. A stopped process accepts connections until its queue is full.
fn is_silence(error: &EnclaveError) -> bool {
    match error {
        EnclaveError::Connection(ClientError::Timeout) => true,
        EnclaveError::Connection(ClientError::Io(error)) => {
            matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock)
        }
        _ => false,
    }
}

/// Since when no enclave answers.
#[derive(Default)]
struct Absence {
    since: Option<Instant>,
    is_logged: bool,
}

impl Absence {
    /// The pause before the next attempt.
    fn pause_after(&self, pause: Duration) -> Duration {
        if self.since.is_none_or(|since| since.elapsed() < GRACE) {
            return RECONNECT_PAUSE;
        }
        pause.saturating_mul(2).min(LONGEST_PAUSE)
    }

    /// Another try has failed. After a few seconds, in which an enclave may start, one line says so.
    fn note(&mut self, endpoint: &Endpoint, error: &EnclaveError) {
        let since = *self.since.get_or_insert_with(Instant::now);
        tracing::debug!(%error, "the enclave cannot be reached");
        if !self.is_logged && since.elapsed() >= GRACE {
            self.is_logged = true;
            tracing::warn!(
                "no enclave answers at {endpoint} ({error}); nothing is signed; see the logs of container tcs-enclave"
            );
        }
    }
}

/// Asks again and again what the enclave waits for.
async fn keep_probing(connection: &Connection, health: &watch::Sender<EnclaveHealth>, probes: Probes) {
    let mut unanswered = 0_u32;
    let mut answered = connection.answered();
    loop {
        let request = Request::Health(Health { issuer_uid: Some(NO_ISSUER.to_owned()) });
        let answer = connection.call(request, None, probes.timeout).await;
        // An enclave that is slow, but has answered anything since the last time, does not hang.
        let before = std::mem::replace(&mut answered, connection.answered());
        let is_answered = answer.is_ok() || answered != before;
        unanswered = if is_answered { 0 } else { unanswered.saturating_add(1) };
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

struct CloseOnDrop(Arc<Connection>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}

async fn connect(
    endpoint: &Endpoint,
    leadership: &Leadership,
    limit: Duration,
) -> Result<Connected, EnclaveError> {
    let connection = Arc::new(Connection::open(endpoint, CONNECT_TIMEOUT).await?);
    match connection.call(Request::Identity, None, limit).await? {
        Response::Identity(identity) => {
            Ok(Connected { connection, leadership: leadership.clone(), identity })
        }
        _ => Err(EnclaveError::Unexpected),
    }
}

#[cfg(test)]
mod tests;
