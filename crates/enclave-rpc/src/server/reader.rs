//! Reads requests from a connection into the queues.

use super::connection::{Connection, Connections};
use super::worker::{Job, Queues};
use crate::codec::{self, BadFrame, Frame};
use crate::{Error, RefusalCode, Response};
use std::io::BufReader;
use std::sync::Arc;
use std::time::Duration;

/// Time limit for a client to finish a frame that it has begun, and to read the responses for it.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Reads a connection from its beginning to its end.
pub(super) fn run_reader(connection: &Arc<Connection>, connections: &Connections, queues: &Queues) {
    read_frames(connection, queues);
    // Nobody waits for the rest of its requests, and they would still take their turns.
    queues.forget(connection);
    connections.end(connection);
}

/// Reads frames until the client ends the connection or breaks the protocol.
fn read_frames(connection: &Arc<Connection>, queues: &Queues) {
    let mut stream = BufReader::new(connection.stream());
    loop {
        let (id, error) = match codec::read(&mut stream, PATIENCE) {
            Ok(None) => return,
            Ok(Some(frame)) => match dispatch(connection, &frame, queues) {
                Ok(()) => continue,
                Err(error) => (Some(frame.id), error),
            },
            Err(BadFrame { id, error }) => (id, error),
        };
        if let Some(id) = id {
            connection.respond(id, &malformed(&error));
        }
        return;
    }
}

fn dispatch(connection: &Arc<Connection>, frame: &Frame, queues: &Queues) -> Result<(), Error> {
    let request: crate::Request = match codec::decode_known(&frame.body) {
        Ok(request) => request,
        // The frame is whole, so client and server still agree on where the next one begins, and the client
        // loses only this request. One connection serves all issuers: a request for one of them must not end
        // it for the others.
        Err(error @ (Error::MessageNotKnown | Error::MessageMalformed)) => {
            connection.respond(frame.id, &malformed(&error));
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let queue = queues.of(request.lane());
    connection.request_started();
    let job = Job { connection: Arc::clone(connection), id: frame.id, request };
    for Job { connection, id, .. } in queue.push(connection.number(), job, frame.body.len()) {
        connection.request_finished();
        let busy = Response::refused(RefusalCode::Busy, "the enclave is busy; send the request again later");
        connection.respond(id, &busy);
    }
    Ok(())
}

fn malformed(error: &Error) -> Response {
    Response::refused(RefusalCode::MalformedMessage, &error.to_string())
}
