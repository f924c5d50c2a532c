//! A line of the log for each request.

use tcs_enclave_rpc::{Answered, Handler, Request, Response};

/// Answers as another handler does, and writes a line to the log for each request: its numbers, its name, and
/// the name or the refusal code of the response. Nothing that the client sent as text or bytes is in it, and
/// no secret. The controller's log at level debug has the same numbers.
pub struct RequestLog<H>(pub H);

impl<H: Handler> Handler for RequestLog<H> {
    fn handle(&self, request: Request) -> Response {
        self.0.handle(request)
    }

    fn answered(&self, answered: Answered) {
        crate::log(line(answered));
    }
}

fn line(answered: Answered) -> String {
    let Answered { connection, id, request, response, took } = answered;
    format!("connection={connection} call={id} {request} -> {response} in {} us", took.as_micros())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_line_has_the_numbers_and_names_of_a_request() {
        let answered = Answered {
            connection: 2,
            id: u64::MAX,
            request: "Issue",
            response: "UsageForbidden",
            took: Duration::from_millis(3),
        };
        assert_eq!(
            line(answered),
            format!("connection=2 call={} Issue -> UsageForbidden in 3000 us", u64::MAX)
        );
    }
}
