//! One thread that starts every child.
//!
//! A child asks the kernel for a signal when its parent ends, and for the kernel the parent is the *thread*
//! that started it. A test's thread ends before the process does, so children are started by a thread that
//! lasts as long as the process.

use anyhow::{Context, Result};
use std::process::{Child, Command};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, PoisonError};

struct Request {
    command: Command,
    answer: Sender<std::io::Result<Child>>,
}

static SPAWNER: Mutex<Option<Sender<Request>>> = Mutex::new(None);

/// Starts `command` on the spawning thread; the inner result is the start's own.
pub(super) fn spawn(command: Command) -> Result<std::io::Result<Child>> {
    let (answer, answered) = channel();
    let request = Request { command, answer };
    requests()?.send(request).ok().context("the thread that starts processes is gone")?;
    answered.recv().context("the thread that starts processes gave no answer")
}

fn requests() -> Result<Sender<Request>> {
    let mut spawner = SPAWNER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(requests) = spawner.as_ref() {
        return Ok(requests.clone());
    }
    let (sender, receiver) = channel::<Request>();
    std::thread::Builder::new()
        .name("spawner".to_owned())
        .spawn(move || {
            // The static sender is never dropped, so this ends with the process.
            for mut request in receiver {
                let _ = request.answer.send(request.command.spawn());
            }
        })
        .context("start the thread that starts processes")?;
    *spawner = Some(sender.clone());
    Ok(sender)
}
