//! A cluster whose service reaches the API server through a proxy that makes faults.

use crate::support::test_cluster::TestCluster;
use std::ops::Deref;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use tcs_testkit::fault_proxy::FaultProxy;

/// The cluster of these tests, for one of them at a time.
pub struct Proxied(MutexGuard<'static, Shared>);

/// Proxy and cluster.
pub struct Shared {
    pub proxy: FaultProxy,
    pub cluster: TestCluster,
}

impl Proxied {
    pub fn lock() -> Self {
        static SHARED: LazyLock<Mutex<Shared>> = LazyLock::new(|| {
            let (proxy, cluster) = TestCluster::through_proxy();
            Mutex::new(Shared { proxy, cluster })
        });
        let shared = Self(SHARED.lock().unwrap_or_else(PoisonError::into_inner));
        shared.cluster.await_controller();
        shared
    }
}

impl Deref for Proxied {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}
