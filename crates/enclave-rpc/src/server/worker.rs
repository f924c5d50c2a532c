//! Takes requests from a queue to the handler, and its responses to the connections.

use super::connection::Connection;
use super::queue::Queue;
use super::threads;
use crate::{Lane, RefusalCode, Request, Response};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::Scope;
use std::time::{Duration, Instant};

/// How many responses a worker keeps while further requests wait, in order to send them together.
const MAX_HELD: usize = 4;
/// After a request that took this long, responses are sent at once.
const SLOW: Duration = Duration::from_millis(1);

/// Answers requests. It is called from many threads at once. If it panics, that request is answered with
/// [`RefusalCode::Internal`].
pub trait Handler: Send + Sync {
    /// Answers one request.
    fn handle(&self, request: Request) -> Response;

    /// Is told what was answered, for example for a log.
    fn answered(&self, _: Answered) {}
}

/// A request that was answered. It holds numbers and names of this program only, nothing that the client sent
/// as text or bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The number of the connection, which counts up since the start of the server.
    pub connection: u64,
    /// The number that the client gave the request. It is different from those of other requests of the
    /// connection.
    pub id: u64,
    /// The name of the request.
    pub request: &'static str,
    /// The name of the response, or the code of the refusal.
    pub response: &'static str,
    /// How long it took, without the time in the queue.
    pub took: Duration,
}

/// A request that waits for a worker.
pub(super) struct Job {
    pub(super) connection: Arc<Connection>,
    /// As in its frame.
    pub(super) id: u64,
    pub(super) request: Request,
}

/// The queues of a server, one for each lane.
pub(super) struct Queues {
    pub(super) quick: Queue<Job>,
    pub(super) offers: Queue<Job>,
    pub(super) ca_keys: Queue<Job>,
}

impl Queues {
    /// `quick`: how many requests may wait in the quick lane; `slow`: in each of the others.
    pub(super) fn new(quick: usize, slow: usize) -> Self {
        Self { quick: Queue::new(quick), offers: Queue::new(slow), ca_keys: Queue::new(slow) }
    }

    pub(super) fn of(&self, lane: Lane) -> &Queue<Job> {
        match lane {
            Lane::Quick => &self.quick,
            Lane::Offers => &self.offers,
            Lane::CaKeys => &self.ca_keys,
        }
    }

    pub(super) fn close(&self) {
        self.all().into_iter().for_each(Queue::close);
    }

    /// Drops the waiting requests of a connection that has ended.
    pub(super) fn forget(&self, connection: &Connection) {
        self.all().into_iter().for_each(|queue| queue.forget(connection.number()));
    }

    fn all(&self) -> [&Queue<Job>; 3] {
        [&self.quick, &self.offers, &self.ca_keys]
    }
}

pub(super) fn start_workers<'scope, 'env: 'scope>(
    scope: &'scope Scope<'scope, 'env>,
    handler: &'env Arc<dyn Handler>,
    workers: usize,
    queues: &'env Queues,
) -> io::Result<()> {
    for _ in 0..workers.max(1) {
        threads::builder("rpc-worker").spawn_scoped(scope, || work(handler.as_ref(), &queues.quick))?;
    }
    threads::builder("rpc-offers").spawn_scoped(scope, || work(handler.as_ref(), &queues.offers))?;
    threads::builder("rpc-ca-keys").spawn_scoped(scope, || work(handler.as_ref(), &queues.ca_keys))?;
    Ok(())
}

/// Under load responses are sent together: every system call and every wake-up of a client takes time from
/// the cores that sign.
fn work(handler: &dyn Handler, queue: &Queue<Job>) {
    let mut held: Vec<Arc<Connection>> = Vec::new();
    let mut was_slow = false;
    loop {
        let next = queue.try_pop();
        // After a slow request others are likely to be slow, and a response should not wait for them.
        if next.is_none() || held.len() >= MAX_HELD || was_slow {
            held.drain(..).for_each(|connection| connection.release());
        }
        let Some(Job { connection, id, request }) = next.or_else(|| queue.pop()) else { return };
        let (started, name) = (Instant::now(), request.name());
        // This thread changes the handler's state only under the handler's own locks, so a panic leaves
        // nothing half done here.
        let response = catch_unwind(AssertUnwindSafe(|| handler.handle(request)))
            .unwrap_or_else(|_| Response::refused(RefusalCode::Internal, "a fault inside the enclave"));
        let took = started.elapsed();
        was_slow = took >= SLOW;
        connection.hold(id, &response);
        connection.request_finished();
        handler.answered(Answered {
            connection: connection.number(),
            id,
            request: name,
            response: response.name(),
            took,
        });
        held.push(connection);
    }
}
