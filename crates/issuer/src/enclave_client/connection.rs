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

/// The number of the next call of any connection, so that a number in the log means one call of this process,
/// also after the connection was made anew.
static NEXT_CALL: AtomicU64 = AtomicU64::new(0);

/// A connection to the enclave. Dropping it ends it.
pub struct Connection {
    outgoing: mpsc::UnboundedSender<Outgoing>,
    calls: Arc<Calls>,
    closed: CancellationToken,
}

/// A request that is not sent yet.
struct Outgoing {
    id: u64,
    frame: Vec<u8>,
    /// It is sent only while this controller leads.
    while_leading: Option<Leadership>,
}

type Outcome = Result<Response, EnclaveError>;

/// The calls of a connection.
struct Calls {
    /// Those that wait for their responses; `None` once the connection has ended.
    waiting: Mutex<Option<HashMap<u64, oneshot::Sender<Outcome>>>>,
    /// How many responses have arrived, also of calls that no longer wait.
    answered: AtomicU64,
}

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
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn with<T>(&self, f: impl FnOnce(&mut HashMap<u64, oneshot::Sender<Outcome>>) -> T) -> Option<T> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).as_mut().map(f)
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

    /// Over a stream that is connected.
    pub(super) fn over(
        read: impl AsyncRead + Send + Unpin + 'static,
        write: impl AsyncWrite + Send + Unpin + 'static,
    ) -> Self {
        let (outgoing, queued) = mpsc::unbounded_channel();
        let calls =
            Arc::new(Calls { waiting: Mutex::new(Some(HashMap::new())), answered: AtomicU64::new(0) });
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
        Self { outgoing, calls, closed }
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
        let id = NEXT_CALL.fetch_add(1, Ordering::Relaxed);
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

    /// How many responses have arrived. A response counts even if its call no longer waits for it.
    pub fn answered(&self) -> u64 {
        self.calls.answered.load(Ordering::Relaxed)
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
        // A write that waits for the enclave to read goes on only while this controller leads.
        let mut depends_on = None;
        for Outgoing { id, frame, while_leading } in batch.drain(..) {
            match while_leading.as_ref().map_or(Ok(()), Leadership::check) {
                Ok(()) => {
                    bytes.extend_from_slice(&frame);
                    depends_on = while_leading.or(depends_on);
                }
                Err(ended) => calls.end(id, Err(ended.into())),
            }
        }
        // If a frame was sent only in part, nothing else can be sent on this connection.
        let writing = timeout(PATIENCE, stream.write_all(&bytes));
        let written = match &depends_on {
            Some(leadership) => leadership.only_while_leading(writing).await,
            None => Ok(writing.await),
        };
        let Ok(Ok(Ok(()))) = written else { return };
        bytes.clear();
        bytes.shrink_to(KEPT);
    }
}

/// Reads responses until the stream ends or is no stream of frames. A response that cannot be decoded ends
/// only its call, because the next frame begins where it should.
async fn read_responses(stream: impl AsyncRead + Unpin, calls: &Calls) {
    let frames = LengthDelimitedCodec::builder().max_frame_length(codec::MAX_FRAME).new_codec();
    let mut frames = FramedRead::new(stream, frames);
    while let Some(Ok(frame)) = frames.next().await {
        let Ok((id, message)) = codec::split(&frame) else { return };
        calls.answered.fetch_add(1, Ordering::Relaxed);
        calls.end(id, codec::decode(message).map_err(|_| EnclaveError::Unexpected));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::lease::boot_time::BootTime;
    use tcs_enclave_rpc::{Destroy, Health};
    use tokio::io::{AsyncReadExt as _, DuplexStream, duplex, split};

    /// By the paused clock: it passes as soon as nothing else happens.
    const LIMIT: Duration = Duration::from_mins(1);

    /// A connection, and the enclave's end of it, whose buffers have `room` bytes.
    fn connection(room: usize) -> (Connection, DuplexStream) {
        let (ours, enclave) = duplex(room);
        let (read, write) = split(ours);
        (Connection::over(read, write), enclave)
    }

    fn question() -> Request {
        Request::Health(Health { issuer_uid: Some("u".into()) })
    }

    fn frame(id: u64, response: &Response) -> Vec<u8> {
        codec::encode(id, response).unwrap()
    }

    /// Reads one frame as the enclave; its id.
    async fn read_one(enclave: &mut DuplexStream) -> u64 {
        let length = enclave.read_u32().await.unwrap();
        let mut frame = vec![0; usize::try_from(length).unwrap()];
        enclave.read_exact(&mut frame).await.unwrap();
        codec::split(&frame).unwrap().0
    }

    /// Otherwise a number in the log would mean two calls after the connection was made anew.
    #[tokio::test(start_paused = true)]
    async fn calls_of_two_connections_have_different_numbers() {
        let mut numbers = std::collections::BTreeSet::new();
        for _ in 0..2 {
            let (connection, mut enclave) = connection(4096);
            let asking = connection.call(question(), None, Duration::from_secs(1));
            let (_, number) = tokio::join!(asking, read_one(&mut enclave));
            numbers.insert(number);
        }
        assert_eq!(numbers.len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_response_that_cannot_be_decoded_ends_only_its_call() {
        let (connection, mut enclave) = connection(4096);
        let asking = async {
            let first = connection.call(question(), None, LIMIT);
            let second = connection.call(question(), None, LIMIT);
            tokio::join!(first, second)
        };
        let answering = async {
            let (first, second) = (read_one(&mut enclave).await, read_one(&mut enclave).await);
            let mut bad = frame(first, &Response::Destroyed);
            // The first byte of the message, which follows length, version and id: no CBOR begins so.
            bad[4 + 1 + 8] = 0xff;
            enclave.write_all(&bad).await.unwrap();
            enclave.write_all(&frame(second, &Response::PolicyReadable)).await.unwrap();
        };
        let ((first, second), ()) = tokio::join!(asking, answering);
        assert!(matches!(first, Err(EnclaveError::Unexpected)), "{first:?}");
        assert!(matches!(second, Ok(Response::PolicyReadable)), "{second:?}");
        assert_eq!(connection.answered(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_no_stream_of_frames_ends_the_connection_and_all_calls() {
        let mut longer = u32::try_from(codec::MAX_FRAME).unwrap().saturating_add(1).to_be_bytes().to_vec();
        longer.push(codec::VERSION);
        for garbage in
            [longer, vec![0, 0, 0, 1, codec::VERSION], vec![0, 0, 0, 9, 99, 0, 0, 0, 0, 0, 0, 0, 0]]
        {
            let (connection, mut enclave) = connection(4096);
            let answering = async {
                read_one(&mut enclave).await;
                enclave.write_all(&garbage).await.unwrap();
            };
            let (answer, ()) = tokio::join!(connection.call(question(), None, LIMIT), answering);
            let disconnected = EnclaveError::Connection(ClientError::Disconnected);
            assert_eq!(answer.unwrap_err().to_string(), disconnected.to_string());
            connection.closed().await;
            let later = connection.call(question(), None, LIMIT).await;
            assert_eq!(later.unwrap_err().to_string(), disconnected.to_string());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_given_up_leaves_nothing_and_its_late_response_harms_nobody() {
        let (connection, mut enclave) = connection(4096);
        let late = connection.call(question(), None, Duration::from_secs(1)).await;
        assert!(matches!(late, Err(EnclaveError::Connection(ClientError::Timeout))), "{late:?}");
        assert_eq!(connection.calls.with(|calls| calls.len()), Some(0));
        let first = read_one(&mut enclave).await;
        enclave.write_all(&frame(first, &Response::Destroyed)).await.unwrap();
        let answering = async {
            let second = read_one(&mut enclave).await;
            enclave.write_all(&frame(second, &Response::PolicyReadable)).await.unwrap();
        };
        let (answer, ()) = tokio::join!(connection.call(question(), None, LIMIT), answering);
        assert!(matches!(answer, Ok(Response::PolicyReadable)), "{answer:?}");
    }

    /// The enclave reads so slowly that the leadership ends while a request is being written.
    #[tokio::test(start_paused = true)]
    async fn what_waits_to_be_written_is_not_written_after_the_leadership_has_ended() {
        let (connection, mut enclave) = connection(8);
        let leadership = Leadership::default();
        leadership.extend(BootTime::now().after(Duration::from_hours(1)));
        let destroy = Request::Destroy(Destroy { issuer_uid: "u".repeat(1000) });
        let reading = async {
            let mut first = [0; 8];
            enclave.read_exact(&mut first).await.unwrap();
            leadership.end();
            let mut rest = Vec::new();
            enclave.read_to_end(&mut rest).await.unwrap();
            rest.len()
        };
        let calling = connection.call(destroy, Some(leadership.clone()), LIMIT);
        let both = async { tokio::join!(calling, reading) };
        let (answer, read) = timeout(LIMIT * 2, both).await.expect("the connection ends");
        assert!(answer.is_err());
        assert!(read < 100, "{read} bytes were written after the leadership had ended");
        // Without leadership nothing is sent at all, and the connection goes on.
        let (connection, _enclave) = super::tests::connection(4096);
        let refused = connection.call(question(), Some(leadership.clone()), LIMIT).await;
        assert!(matches!(refused, Err(EnclaveError::NotLeading(_))), "{refused:?}");
    }
}
