//! The blocking client: one connection, many calls at a time.

use crate::endpoint::Stream;
use crate::{ClientError, Endpoint, Request, Response, codec};
use std::collections::HashMap;
use std::io::{BufReader, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How long the enclave may take to read a request, or to finish a response that it has begun.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection to the enclave. Share it by reference or `Arc`; calls from many threads are in flight
/// together.
///
/// It never reconnects by itself: an enclave that restarted may have lost its keys, and the owner of the
/// client must notice that ([`wait_closed`](Self::wait_closed)).
pub struct Client {
    shared: Arc<Shared>,
    reader: Option<JoinHandle<()>>,
}

/// A response that has not arrived yet. Dropping it discards the response; the enclave may still carry out
/// the request.
pub struct PendingResponse {
    shared: Arc<Shared>,
    id: u64,
    receiver: Receiver<Response>,
}

impl PendingResponse {
    /// The number of the request, which counts up from zero for each connection. The log of the enclave can
    /// show it ([`Answered::id`](crate::Answered::id)).
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Waits for the response. Fails as [`Client::call`] does.
    pub fn wait(self, timeout: Duration) -> Result<Response, ClientError> {
        self.receiver.recv_timeout(timeout).map_err(|error| match error {
            RecvTimeoutError::Disconnected => ClientError::Disconnected,
            RecvTimeoutError::Timeout => ClientError::Timeout,
        })
    }
}

impl Drop for PendingResponse {
    fn drop(&mut self) {
        if let Some(waiting) = self.shared.waiting().as_mut() {
            waiting.remove(&self.id);
        }
    }
}

struct Shared {
    stream: Stream,
    /// Held while a request is written, so that frames do not mix.
    writer: Mutex<()>,
    last_id: AtomicU64,
    /// The callers that wait for responses; `None` once the connection has ended.
    waiting: Mutex<Option<HashMap<u64, SyncSender<Response>>>>,
    closed: Condvar,
}

impl Client {
    /// Connects. `timeout` limits the connecting, not the later calls.
    pub fn connect(endpoint: &Endpoint, timeout: Duration) -> Result<Self, ClientError> {
        let stream = Stream::connect(endpoint, timeout)?;
        stream.set_timeouts(Some(PATIENCE), Some(PATIENCE))?;
        let shared = Arc::new(Shared {
            stream,
            writer: Mutex::new(()),
            last_id: AtomicU64::new(0),
            waiting: Mutex::new(Some(HashMap::new())),
            closed: Condvar::new(),
        });
        let reading = Arc::clone(&shared);
        let reader = thread::Builder::new().name("rpc-client".to_owned()).spawn(move || {
            reading.deliver_responses();
            reading.close();
        })?;
        Ok(Self { shared, reader: Some(reader) })
    }

    /// Sends a request and waits for the response. A refusal is a response, too.
    ///
    /// Fails with [`ClientError::Disconnected`] as soon as the connection ends, and with
    /// [`ClientError::Timeout`] after `timeout`; the enclave may still carry out the request then.
    pub fn call(&self, request: Request, timeout: Duration) -> Result<Response, ClientError> {
        let pending = self.send(&request)?;
        drop(request);
        pending.wait(timeout)
    }

    /// Sends a request without waiting, so that one thread can have many requests in flight.
    pub fn send(&self, request: &Request) -> Result<PendingResponse, ClientError> {
        let (sender, receiver) = sync_channel(1);
        let id = self.shared.send(request, sender)?;
        Ok(PendingResponse { shared: Arc::clone(&self.shared), id, receiver })
    }

    /// Whether the connection has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.waiting().is_none()
    }

    /// Waits until either side ends the connection.
    pub fn wait_closed(&self) {
        let waiting = self.shared.waiting();
        let wait = self.shared.closed.wait_while(waiting, |waiting| waiting.is_some());
        drop(wait.unwrap_or_else(PoisonError::into_inner));
    }

    /// Ends the connection. Calls in flight fail with [`ClientError::Disconnected`].
    pub fn close(&self) {
        self.shared.close();
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.close();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

impl Shared {
    fn send(&self, request: &Request, sender: SyncSender<Response>) -> Result<u64, ClientError> {
        let id = self.last_id.fetch_add(1, Ordering::Relaxed);
        let frame = codec::encode(id, request)?;
        self.waiting().as_mut().ok_or(ClientError::Disconnected)?.insert(id, sender);
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if (&self.stream).write_all(&frame).is_err() {
            // Part of the frame may have been sent, so nothing else can be sent on this connection.
            self.close();
            return Err(ClientError::Disconnected);
        }
        Ok(id)
    }

    fn deliver_responses(&self) {
        let mut stream = BufReader::new(&self.stream);
        while let Ok(Some(frame)) = codec::read(&mut stream, PATIENCE) {
            let Ok(response) = codec::decode(&frame.body) else { return };
            let sender = self.waiting().as_mut().and_then(|waiting| waiting.remove(&frame.id));
            if let Some(sender) = sender {
                // Its caller may have given up just now.
                let _ = sender.try_send(response);
            }
        }
    }

    /// Dropping the senders ends every waiting call.
    fn close(&self) {
        self.stream.close();
        *self.waiting() = None;
        self.closed.notify_all();
    }

    fn waiting(&self) -> MutexGuard<'_, Option<HashMap<u64, SyncSender<Response>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
