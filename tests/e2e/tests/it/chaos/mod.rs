//! Faults in the middle of a burst: every request ends with exactly one certificate, none is lost, and nobody
//! has to do anything.

mod kills;
mod network;
mod reviews;
