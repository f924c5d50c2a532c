//! The threads of a server.

use std::thread;

/// Threads do no deep work. Their stacks are small because enclave memory is scarce.
const STACK: usize = 512 << 10;

pub(super) fn builder(name: &str) -> thread::Builder {
    thread::Builder::new().name(name.to_owned()).stack_size(STACK)
}
