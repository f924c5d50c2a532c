//! A cluster for tests that disturb others: they restart programs, count calls, or stop the enclave.

use crate::support::test_cluster::TestCluster;
use std::ops::Deref;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// The cluster of these tests, for one of them at a time.
pub struct Disturbed(MutexGuard<'static, TestCluster>);

impl Disturbed {
    pub fn lock() -> Self {
        static CLUSTER: LazyLock<Mutex<TestCluster>> = LazyLock::new(|| Mutex::new(TestCluster::new()));
        let cluster = Self(CLUSTER.lock().unwrap_or_else(PoisonError::into_inner));
        cluster.await_controller();
        cluster
    }
}

impl Deref for Disturbed {
    type Target = TestCluster;

    fn deref(&self) -> &TestCluster {
        &self.0
    }
}
