//! The blocking server: one reader thread for each connection, one worker for each core, and one thread each
//! for offers and for keys of CAs.
//!
//! No client can delay another. Workers never wait for a socket. Queues are limited in number and bytes and
//! serve connections in turn. Instead of growing, they answer [`RefusalCode::Busy`](crate::RefusalCode::Busy)
//! to the connection that has most in them. A connection that breaks the protocol is dropped, and one without
//! requests in flight makes room for a new one.

mod connection;
mod queue;
mod reader;
mod threads;
mod worker;

pub use worker::{Answered, Handler};

use crate::endpoint::Listener;
use crate::{Endpoint, Error};
use connection::Connections;
use reader::{PATIENCE, run_reader};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Scope};
use std::time::Duration;
use worker::{Queues, start_workers};

/// Pause after a failed `accept` (no descriptors left), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The limits of a server.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Threads that answer requests; one per core by default.
    pub workers: usize,
    /// How many requests may wait for a worker. Further ones are answered `Busy`.
    pub queue: usize,
    /// The same for each of the other lanes ([`Request::lane`](crate::Request::lane)), which have one thread
    /// of their own.
    pub slow_queue: usize,
    /// Maximum number of connections. One more takes the place of the oldest that never sent a whole frame,
    /// or else of the one that has been silent longest without a request in flight. If all have requests in
    /// flight, the new one is closed.
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

    /// The endpoint to which clients connect, with the real port if port 0 was given.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// A handle that can end [`run`](Self::run).
    #[must_use]
    pub fn handle(&self) -> ServerHandle {
        ServerHandle { listener: Arc::clone(&self.listener), stopped: Arc::clone(&self.stopped) }
    }

    /// Serves until [`ServerHandle::stop`]; then closes every connection and waits for the requests in
    /// flight.
    ///
    /// Fails if threads cannot be started.
    pub fn run(self, handler: &Arc<dyn Handler>, options: &ServerOptions) -> Result<(), Error> {
        let queues = Queues::new(options.queue, options.slow_queue);
        let connections = Connections::new(options.connections);
        let served = thread::scope(|scope| {
            let started = start_workers(scope, handler, options.workers, &queues);
            if started.is_ok() {
                self.accept_all(scope, &connections, &queues);
            }
            connections.close_all();
            queues.close();
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
        queues: &'env Queues,
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
            let spawned = threads::builder("rpc-reader").spawn_scoped(scope, move || {
                run_reader(&reader, connections, queues);
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

#[cfg(test)]
mod tests;
