//! Connections of clients, and the responses that are being sent.

use super::threads;
use crate::endpoint::Stream;
use crate::{RefusalCode, Response, codec};
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many bytes of responses may wait for a client that does not read.
const MAX_UNREAD: usize = 4 << 20;

/// The connections of a server.
pub(super) struct Connections {
    capacity: usize,
    state: Mutex<State>,
    /// Counts the requests of all connections. It orders the connections by their last activity.
    activity_clock: Arc<AtomicU64>,
}

#[derive(Default)]
struct State {
    open: BTreeMap<u64, Arc<Connection>>,
    next: u64,
    closed: bool,
}

/// One client. It is closed when its reader ends, even if others still hold a reference to it.
pub(super) struct Connection {
    number: u64,
    stream: Stream,
    activity_clock: Arc<AtomicU64>,
    /// The activity clock at its last request; 0 if it never sent a whole frame.
    last_active: AtomicU64,
    /// How many of its requests have not been answered yet.
    in_flight: AtomicUsize,
    outbox: Mutex<Outbox>,
}

#[derive(Default)]
struct Outbox {
    /// Responses that wait to be sent with others.
    held: Vec<u8>,
    /// What the socket did not accept at once.
    unread: Vec<u8>,
    /// Whether a thread is sending `unread` to the client.
    flushing: bool,
    closed: bool,
}

impl Connections {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, state: Mutex::default(), activity_clock: Arc::default() }
    }

    /// Admits a client. If there is no room, it takes the place of the oldest one that never sent a request,
    /// or else of the one that has been silent longest among those without a request in flight.
    pub(super) fn admit(&self, stream: Stream) -> Option<Arc<Connection>> {
        let mut state = lock(&self.state);
        if state.closed {
            return None;
        }
        if state.open.len() >= self.capacity {
            let idle = state.open.values().filter(|other| other.is_idle());
            let idle = idle.min_by_key(|other| other.last_active.load(Ordering::Relaxed)).cloned()?;
            state.open.remove(&idle.number);
            idle.close();
        }
        let number = state.next;
        state.next = number.wrapping_add(1);
        let connection = Connection {
            number,
            stream,
            activity_clock: Arc::clone(&self.activity_clock),
            last_active: AtomicU64::new(0),
            in_flight: AtomicUsize::new(0),
            outbox: Mutex::default(),
        };
        let connection = Arc::new(connection);
        state.open.insert(number, Arc::clone(&connection));
        Some(connection)
    }

    pub(super) fn end(&self, connection: &Connection) {
        connection.close();
        lock(&self.state).open.remove(&connection.number);
    }

    pub(super) fn close_all(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        for connection in std::mem::take(&mut state.open).values() {
            connection.close();
        }
    }
}

impl Connection {
    pub(super) fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Whether none of its requests is in flight and no response is being sent.
    fn is_idle(&self) -> bool {
        let outbox = lock(&self.outbox);
        let owes = !outbox.held.is_empty() || !outbox.unread.is_empty() || outbox.flushing;
        self.in_flight.load(Ordering::Relaxed) == 0 && !owes
    }

    /// Identifies the connection.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Records that the client has sent a request.
    pub(super) fn request_started(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        let number = self.activity_clock.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        self.last_active.store(number, Ordering::Relaxed);
    }

    /// Records that one of its requests was answered.
    pub(super) fn request_finished(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// Sends a response, and those that wait, without ever waiting for the client.
    pub(super) fn respond(self: &Arc<Self>, id: u64, response: &Response) {
        self.hold(id, response);
        self.release();
    }

    /// Keeps a response until [`Self::release`], so that one system call sends several.
    pub(super) fn hold(&self, id: u64, response: &Response) {
        let too_long = || Response::refused(RefusalCode::Internal, "the response is too long");
        let Ok(frame) = codec::encode(id, response).or_else(|_| codec::encode(id, &too_long())) else {
            return;
        };
        let mut outbox = lock(&self.outbox);
        if !outbox.closed {
            outbox.held.extend_from_slice(&frame);
        }
    }

    /// Sends the responses that wait, without ever waiting for the client. What the socket does not accept at
    /// once is left to a thread. A client for which too much is left is dropped.
    pub(super) fn release(self: &Arc<Self>) {
        let mut outbox = lock(&self.outbox);
        let frame = std::mem::take(&mut outbox.held);
        if outbox.closed || frame.is_empty() {
            return;
        }
        let written = if outbox.flushing { 0 } else { self.stream.write_now(&frame).unwrap_or(usize::MAX) };
        let Some(rest) = frame.get(written..) else { return self.give_up(&mut outbox) };
        if rest.is_empty() {
            return;
        }
        if outbox.unread.len().saturating_add(rest.len()) > MAX_UNREAD {
            return self.give_up(&mut outbox);
        }
        outbox.unread.extend_from_slice(rest);
        if !outbox.flushing {
            let flusher = Arc::clone(self);
            outbox.flushing = threads::builder("rpc-flush").spawn(move || flusher.flush()).is_ok();
            if !outbox.flushing {
                self.give_up(&mut outbox);
            }
        }
    }

    fn flush(&self) {
        loop {
            let mut outbox = lock(&self.outbox);
            let bytes = std::mem::take(&mut outbox.unread);
            if bytes.is_empty() {
                outbox.flushing = false;
                return;
            }
            drop(outbox);
            // The stream's write timeout ends this for a client that reads nothing.
            if (&self.stream).write_all(&bytes).is_err() {
                return self.give_up(&mut lock(&self.outbox));
            }
        }
    }

    fn close(&self) {
        self.give_up(&mut lock(&self.outbox));
    }

    fn give_up(&self, outbox: &mut Outbox) {
        outbox.closed = true;
        (outbox.unread, outbox.held) = (Vec::new(), Vec::new());
        self.stream.close();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
