//! One controller writes at a time: leader election by a `Lease` of `coordination.k8s.io/v1`, as client-go's
//! package `leaderelection` does it (`docs/ha.md`).
//!
//! [`elector`] acquires the Lease and renews it. [`leadership`] is the deadline that follows from the last
//! renewal. [`fence`] refuses writes to the API server after it, and the connection to the enclave refuses
//! what changes or signs something.

pub mod boot_time;
pub mod elector;
pub mod evaluate;
pub mod fence;
pub mod identity;
pub mod leadership;
pub mod record;
pub mod timings;
