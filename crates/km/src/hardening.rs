//! Protects a process that holds a private key from other programs of its user, as far as the system allows.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Makes the process not dumpable, so that neither a debugger nor a core file can read its memory.
///
/// If the system refuses this, the program continues: the key is in a file of the same user anyway.
pub fn harden() {
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}
