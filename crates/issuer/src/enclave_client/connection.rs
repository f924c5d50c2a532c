//! One connection to the enclave, with many calls at a time.
//!
//! Two tasks of the runtime write and read. So a call wakes no thread of its own, and calls that are made at
//! the same time are written at once. The connection never reconnects by itself: an enclave that restarted
//! may have lost its keys, and the owner must notice that ([`Connection::closed`]).

use super::error::EnclaveError;
use crate::runtime::lease::leadership::Leadership;
use futures::StreamExt as _;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tcs_enclave_rpc::{ClientError, Endpoint, Request, Response, codec};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::codec::{FramedRead, LengthDelimitedCodec};
use tokio_util::sync::CancellationToken;

/// How long the enclave may take to read what is written.
const PATIENCE: Duration = Duration::from_secs(10);
/// Requests that are written at once.
const BATCH: usize = 32;
/// Memory that is kept for the next batch, in bytes.
const KEPT: usize = 64 << 10;

/// A connection to the enclave. Dropping it ends it.
pub struct Connection {
    outgoing: mpsc::UnboundedSender<Outgoing>,
    calls: Arc<Calls>,
    last_id: AtomicU64,
    closed: CancellationToken,
}

/// A request that is not sent yet. There are no more of them than calls that wait.
struct Outgoing {
    id: u64,
    frame: Vec<u8>,
    /// It is sent only while this controller leads.
    while_leading: Option<Leadership>,
}

type Outcome = Result<Response, EnclaveError>;

/// The calls that wait for their responses; `None` once the connection has ended.
struct Calls(Mutex<Option<HashMap<u64, oneshot::Sender<Outcome>>>>);

impl Calls {
    /// Adds a call.
    fn begin(&self, id: u64) -> Result<oneshot::Receiver<Outcome>, ClientError> {
        let (sender, receiver) = oneshot::channel();
        self.with(|calls| calls.insert(id, sender)).ok_or(ClientError::Disconnected)?;
        Ok(receiver)
    }

    /// Ends a call. Its caller may have given up.
    fn end(&self, id: u64, outcome: Outcome) {
        if let Some(Some(caller)) = self.with(|calls| calls.remove(&id)) {
            let _ = caller.send(outcome);
        }
    }

    /// Ends all calls, and those that come later, with [`ClientError::Disconnected`].
    fn close(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn with<T>(&self, f: impl FnOnce(&mut HashMap<u64, oneshot::Sender<Outcome>>) -> T) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_mut().map(f)
    }
}

/// Forgets a call whose caller gives up.
struct Waiting<'a> {
    calls: &'a Calls,
    id: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.calls.with(|calls| calls.remove(&self.id));
    }
}

impl Connection {
    /// Connects. `limit` applies to connecting, not to the later calls.
    ///
    /// # Errors
    ///
    /// If the address is not one of this machine, or nobody accepts the connection in time.
    pub async fn open(endpoint: &Endpoint, limit: Duration) -> Result<Self, ClientError> {
        endpoint.require_local()?;
        let opened = timeout(limit, async {
            match endpoint {
                Endpoint::Unix(path) => {
                    let (read, write) = UnixStream::connect(path).await?.into_split();
                    Ok(Self::over(read, write))
                }
                Endpoint::Tcp(address) => {
                    let stream = TcpStream::connect(address).await?;
                    stream.set_nodelay(true)?;
                    let (read, write) = stream.into_split();
                    Ok(Self::over(read, write))
                }
            }
        });
        opened.await.map_err(|_| ClientError::Timeout)?
    }

    fn over(
        read: impl AsyncRead + Send + Unpin + 'static,
        write: impl AsyncWrite + Send + Unpin + 'static,
    ) -> Self {
        let (outgoing, queued) = mpsc::unbounded_channel();
        let calls = Arc::new(Calls(Mutex::new(Some(HashMap::new()))));
        let closed = CancellationToken::new();
        let (served, ended) = (Arc::clone(&calls), closed.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = write_requests(write, queued, &served) => {}
                () = read_responses(read, &served) => {}
                () = ended.cancelled() => {}
            }
            served.close();
            ended.cancel();
        });
        Self { outgoing, calls, last_id: AtomicU64::new(0), closed }
    }

    /// Sends a request and waits for the response. The log has the number of the call, which the log of the
    /// enclave can show as well. With `while_leading` it is sent only if this controller
    /// leads at that moment. A refusal is a response, too.
    ///
    /// # Errors
    ///
    /// [`ClientError::Disconnected`] as soon as the connection ends, and [`ClientError::Timeout`] after
    /// `limit`: the enclave may still carry out the request then.
    pub async fn call(
        &self,
        request: Request,
        while_leading: Option<Leadership>,
        limit: Duration,
    ) -> Outcome {
        let id = self.last_id.fetch_add(1, Ordering::Relaxed);
        let (name, frame) = (request.name(), codec::encode(id, &request)?);
        drop(request);
        tracing::debug!(call = id, request = name, "the enclave is asked");
        let response = self.calls.begin(id)?;
        let _waiting = Waiting { calls: &self.calls, id };
        let queued = self.outgoing.send(Outgoing { id, frame, while_leading });
        queued.map_err(|_| ClientError::Disconnected)?;
        match timeout(limit, response).await {
            Ok(Ok(outcome)) => {
                let response = outcome.as_ref().ok().map(Response::name);
                tracing::debug!(call = id, request = name, response, "the enclave answered");
                outcome
            }
            Ok(Err(_)) => Err(ClientError::Disconnected.into()),
            Err(_) => Err(ClientError::Timeout.into()),
        }
    }

    /// Resolves when either side has ended the connection.
    pub async fn closed(&self) {
        self.closed.cancelled().await;
    }

    /// Ends the connection.
    pub fn close(&self) {
        self.closed.cancel();
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.close();
    }
}

/// Writes requests until the enclave does not read them.
async fn write_requests(
    mut stream: impl AsyncWrite + Unpin,
    mut queued: mpsc::UnboundedReceiver<Outgoing>,
    calls: &Calls,
) {
    let (mut batch, mut bytes) = (Vec::with_capacity(BATCH), Vec::new());
    while queued.recv_many(&mut batch, BATCH).await > 0 {
        for Outgoing { id, frame, while_leading } in batch.drain(..) {
            match while_leading.map_or(Ok(()), |leadership| leadership.check()) {
                Ok(()) => bytes.extend_from_slice(&frame),
                Err(ended) => calls.end(id, Err(ended.into())),
            }
        }
        // If a frame was sent only in part, nothing else can be sent on this connection.
        let Ok(Ok(())) = timeout(PATIENCE, stream.write_all(&bytes)).await else { return };
        bytes.clear();
        bytes.shrink_to(KEPT);
    }
}

/// Reads responses until one is malformed or the stream ends.
async fn read_responses(stream: impl AsyncRead + Unpin, calls: &Calls) {
    let frames = LengthDelimitedCodec::builder().max_frame_length(codec::MAX_FRAME).new_codec();
    let mut frames = FramedRead::new(stream, frames);
    while let Some(Ok(frame)) = frames.next().await {
        let Ok((id, message)) = codec::split(&frame) else { return };
        let Ok(response) = codec::decode(message) else { return };
        calls.end(id, Ok(response));
    }
}
