//! The threads of a server.

use std::thread;

/// The threads never recurse deeply. Their stacks are small because the memory of an enclave is scarce.
const STACK: usize = 512 << 10;

pub(super) fn builder(name: &str) -> thread::Builder {
    thread::Builder::new().name(name.to_owned()).stack_size(STACK)
}
