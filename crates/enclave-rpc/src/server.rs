//! The blocking server: one reader thread a connection, one worker a core, one thread for slow work.
//!
//! No client can hold up another: workers never wait for a socket, queues are bounded in number and bytes, serve connections in turn and
//! answer [`RefusalCode::Busy`] to whoever has most in them instead of growing; a connection that breaks the protocol is dropped, and one
//! that has nothing in work makes room for a new one.

mod connection;
mod queue;

use crate::codec::{self, BadFrame, Frame};
use crate::endpoint::Listener;
use crate::{Endpoint, Error, Refusal, RefusalCode, Request, Response};
use connection::{Connection, Connections};
use queue::Queue;
use std::io::{self, BufReader};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

/// A client that has begun a frame must finish it, and one that is owed answers must read, within this time.
const PATIENCE: Duration = Duration::from_secs(10);
/// Threads do no deep work; stacks are small because enclave memory is dear.
const STACK: usize = 512 << 10;
/// Answers that a worker holds while further requests wait, to send them together; none after a request that took so long.
const MAX_HELD: usize = 4;
const SLOW: Duration = Duration::from_millis(1);
/// Rest after a failed `accept` (no descriptors left), so that it does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Answers requests. Called from many threads at once; a panic answers that one request with
/// [`RefusalCode::Internal`].
pub trait Handler: Send + Sync {
    /// Answers one request.
    fn handle(&self, request: Request) -> Response;
}

/// How much a server takes on.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Threads that answer requests; one a core by default.
    pub workers: usize,
    /// Requests that wait for a worker before further ones are answered `Busy`.
    pub queue: usize,
    /// The same for [`Request::BeginProvisioning`], [`Request::GenerateCa`] and [`Request::RenewCa`], which generate keys and have
    /// one thread of their own.
    pub slow_queue: usize,
    /// Connections at a time. One more takes the place of the oldest that never sent a whole frame, else of the one that has been silent
    /// longest with nothing in work; where all have, it is closed.
    pub connections: usize,
}

impl Default for ServerOptions {
    fn default() -> Self {
        let workers = thread::available_parallelism().map_or(1, usize::from);
        Self { workers, queue: 256, slow_queue: 64, connections: 32 }
    }
}

/// A bound server.
pub struct Server {
    endpoint: Endpoint,
    listener: Arc<Listener>,
    stopped: Arc<AtomicBool>,
}

/// Ends a running [`Server`] from another thread.
#[derive(Clone)]
pub struct ServerHandle {
    listener: Arc<Listener>,
    stopped: Arc<AtomicBool>,
}

impl Server {
    /// Binds the endpoint. A Unix socket gets mode 0600; the socket file of a dead process is replaced.
    pub fn bind(endpoint: &Endpoint) -> Result<Self, Error> {
        let listener = Listener::bind(endpoint)?;
        let endpoint = listener.reachable_at(endpoint)?;
        Ok(Self { endpoint, listener: Arc::new(listener), stopped: Arc::default() })
    }

    /// Where clients connect to: with the real port if port 0 was asked for.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// A handle that can end [`run`](Self::run).
    #[must_use]
    pub fn handle(&self) -> ServerHandle {
        ServerHandle { listener: Arc::clone(&self.listener), stopped: Arc::clone(&self.stopped) }
    }

    /// Serves until [`ServerHandle::stop`]; then closes every connection and waits for the requests in work.
    ///
    /// Fails if threads cannot be started.
    pub fn run(self, handler: &Arc<dyn Handler>, options: &ServerOptions) -> Result<(), Error> {
        let quick = Queue::new(options.queue);
        let slow = Queue::new(options.slow_queue);
        let connections = Connections::new(options.connections);
        let served = thread::scope(|scope| {
            let started = start_workers(scope, handler, options, &quick, &slow);
            if started.is_ok() {
                self.accept_all(scope, &connections, &quick, &slow);
            }
            connections.close_all();
            quick.close();
            slow.close();
            started
        });
        if let Endpoint::Unix(path) = &self.endpoint {
            let _ = std::fs::remove_file(path);
        }
        Ok(served?)
    }

    fn accept_all<'scope, 'env: 'scope>(
        &self,
        scope: &'scope Scope<'scope, 'env>,
        connections: &'env Connections,
        quick: &'env Queue<Job>,
        slow: &'env Queue<Job>,
    ) {
        while !self.stopped.load(Ordering::Acquire) {
            let Ok(stream) = self.listener.accept() else {
                if !self.stopped.load(Ordering::Acquire) {
                    thread::sleep(ACCEPT_PAUSE);
                }
                continue;
            };
            if stream.set_timeouts(Some(PATIENCE), Some(PATIENCE)).is_err() {
                continue;
            }
            let Some(connection) = connections.admit(stream) else { continue };
            let reader = Arc::clone(&connection);
            let spawned = builder("rpc-reader").spawn_scoped(scope, move || {
                attend(&reader, connections, quick, slow);
            });
            if spawned.is_err() {
                connections.end(&connection);
            }
        }
    }
}

impl ServerHandle {
    /// Makes [`Server::run`] return. Connected clients see their connection end.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.listener.close();
    }
}

struct Job {
    connection: Arc<Connection>,
    id: u64,
    request: Request,
}

fn builder(name: &str) -> thread::Builder {
    thread::Builder::new().name(name.to_owned()).stack_size(STACK)
}

fn start_workers<'scope, 'env: 'scope>(
    scope: &'scope Scope<'scope, 'env>,
    handler: &'env Arc<dyn Handler>,
    options: &ServerOptions,
    quick: &'env Queue<Job>,
    slow: &'env Queue<Job>,
) -> io::Result<()> {
    for _ in 0..options.workers.max(1) {
        builder("rpc-worker").spawn_scoped(scope, || work(handler.as_ref(), quick))?;
    }
    builder("rpc-slow").spawn_scoped(scope, || work(handler.as_ref(), slow))?;
    Ok(())
}

/// Under load answers leave together: every system call and every wake of a client takes time from the cores that sign.
fn work(handler: &dyn Handler, queue: &Queue<Job>) {
    let mut held: Vec<Arc<Connection>> = Vec::new();
    let mut was_slow = false;
    loop {
        let next = queue.try_pop();
        // After slow work comes slow work: an answer does not wait for that.
        if next.is_none() || held.len() >= MAX_HELD || was_slow {
            held.drain(..).for_each(|connection| connection.release());
        }
        let Some(Job { connection, id, request }) = next.or_else(|| queue.pop()) else { return };
        let begun = Instant::now();
        // Nothing of the handler's is touched again by this thread but through its own locks.
        let answer = catch_unwind(AssertUnwindSafe(|| handler.handle(request)))
            .unwrap_or_else(|_| refused(RefusalCode::Internal, "a fault inside the enclave"));
        was_slow = begun.elapsed() >= SLOW;
        connection.hold(id, &answer);
        connection.finished();
        held.push(connection);
    }
}

/// From a connection's beginning to its end.
fn attend(connection: &Arc<Connection>, connections: &Connections, quick: &Queue<Job>, slow: &Queue<Job>) {
    serve(connection, quick, slow);
    // Nobody waits for what is left of it, and it would have its turns.
    quick.forget(connection.number());
    slow.forget(connection.number());
    connections.end(connection);
}

/// Reads frames until the client ends or breaks the protocol.
fn serve(connection: &Arc<Connection>, quick: &Queue<Job>, slow: &Queue<Job>) {
    let mut stream = BufReader::new(connection.stream());
    loop {
        let (id, error) = match codec::read(&mut stream, PATIENCE) {
            Ok(None) => return,
            Ok(Some(frame)) => match take(connection, &frame, quick, slow) {
                Ok(()) => continue,
                Err(error) => (Some(frame.id), error),
            },
            Err(BadFrame { id, error }) => (id, error),
        };
        if let Some(id) = id {
            connection.answer(id, &refused(RefusalCode::MalformedMessage, &error.to_string()));
        }
        return;
    }
}

fn take(
    connection: &Arc<Connection>,
    frame: &Frame,
    quick: &Queue<Job>,
    slow: &Queue<Job>,
) -> Result<(), Error> {
    let request = match codec::decode_known(&frame.body) {
        Ok(request) => request,
        // The frame is whole, so the client is not out of step: it loses this request only. One connection serves all issuers, and a
        // request of one of them must not end it for the others.
        Err(error @ (Error::MessageNotKnown | Error::MessageMalformed)) => {
            connection.answer(frame.id, &refused(RefusalCode::MalformedMessage, &error.to_string()));
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    // What generates RSA keys takes up to half a second.
    let is_slow =
        matches!(request, Request::BeginProvisioning(_) | Request::GenerateCa(_) | Request::RenewCa(_));
    let queue = if is_slow { slow } else { quick };
    connection.begun();
    let job = Job { connection: Arc::clone(connection), id: frame.id, request };
    for Job { connection, id, .. } in queue.push(connection.number(), job, frame.body.len()) {
        connection.finished();
        connection.answer(id, &refused(RefusalCode::Busy, "the enclave has too much work; ask again later"));
    }
    Ok(())
}

fn refused(code: RefusalCode, message: &str) -> Response {
    Response::Refused(Refusal::new(code, message))
}

#[cfg(test)]
mod tests;
