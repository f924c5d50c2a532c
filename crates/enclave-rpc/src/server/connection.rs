use crate::endpoint::Stream;
use crate::{RefusalCode, Response, codec};
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes of answers that may wait for a client that does not read.
const MAX_UNREAD: usize = 4 << 20;

/// The connections of a server.
pub(super) struct Connections {
    capacity: usize,
    state: Mutex<State>,
    /// Numbers the frames of all, so that it can be told who spoke last.
    spoken: Arc<AtomicU64>,
}

#[derive(Default)]
struct State {
    open: BTreeMap<u64, Arc<Connection>>,
    next: u64,
    closed: bool,
}

/// One client. Closed when its reader ends, whoever still holds it.
pub(super) struct Connection {
    number: u64,
    stream: Stream,
    spoken: Arc<AtomicU64>,
    /// The number of its last frame; 0: it never sent a whole one.
    last: AtomicU64,
    /// Requests that are not answered yet.
    in_work: AtomicUsize,
    outbox: Mutex<Outbox>,
}

#[derive(Default)]
struct Outbox {
    /// Answers that wait for others to be sent with.
    held: Vec<u8>,
    /// What the socket did not take at once.
    unread: Vec<u8>,
    /// A thread is bringing `unread` to the client.
    flushing: bool,
    closed: bool,
}

impl Connections {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, state: Mutex::default(), spoken: Arc::default() }
    }

    /// Takes a client in, if need be for the oldest one that never said anything, or the one that has been silent longest with nothing
    /// in work.
    pub(super) fn admit(&self, stream: Stream) -> Option<Arc<Connection>> {
        let mut state = lock(&self.state);
        if state.closed {
            return None;
        }
        if state.open.len() >= self.capacity {
            let idle = state.open.values().filter(|other| other.is_idle());
            let idle = idle.min_by_key(|other| other.last.load(Ordering::Relaxed)).cloned()?;
            state.open.remove(&idle.number);
            idle.close();
        }
        let number = state.next;
        state.next = number.wrapping_add(1);
        let connection = Connection {
            number,
            stream,
            spoken: Arc::clone(&self.spoken),
            last: AtomicU64::new(0),
            in_work: AtomicUsize::new(0),
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

    /// Whether nothing of it is in work, and no answer is on its way.
    fn is_idle(&self) -> bool {
        let outbox = lock(&self.outbox);
        let owes = !outbox.held.is_empty() || !outbox.unread.is_empty() || outbox.flushing;
        self.in_work.load(Ordering::Relaxed) == 0 && !owes
    }

    /// Tells connections apart.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The client has sent a request.
    pub(super) fn begun(&self) {
        self.in_work.fetch_add(1, Ordering::Relaxed);
        let number = self.spoken.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        self.last.store(number, Ordering::Relaxed);
    }

    /// One of its requests is answered.
    pub(super) fn finished(&self) {
        self.in_work.fetch_sub(1, Ordering::Relaxed);
    }

    /// Sends an answer, and what is held, without ever waiting for the client.
    pub(super) fn answer(self: &Arc<Self>, id: u64, response: &Response) {
        self.hold(id, response);
        self.release();
    }

    /// Keeps an answer for [`Self::release`], so that one system call sends several.
    pub(super) fn hold(&self, id: u64, response: &Response) {
        let too_long = || super::refused(RefusalCode::Internal, "the answer is too long");
        let Ok(frame) = codec::encode(id, response).or_else(|_| codec::encode(id, &too_long())) else {
            return;
        };
        let mut outbox = lock(&self.outbox);
        if !outbox.closed {
            outbox.held.extend_from_slice(&frame);
        }
    }

    /// Sends what is held without ever waiting for the client: what its socket does not take at once is left to a
    /// thread, and a client for which too much is left is dropped.
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
            outbox.flushing = super::builder("rpc-flush").spawn(move || flusher.flush()).is_ok();
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
