//! The Lease by which one controller leads.

use crate::support::api_server::{can_i, key_owner, service};

#[test]
fn the_service_may_hold_its_own_lease_and_no_other() {
    let leases = "leases.coordination.k8s.io";
    for allowed in [
        format!("create {leases} -n tcs-issuer"),
        format!("get {leases}/tcs-issuer -n tcs-issuer"),
        format!("update {leases}/tcs-issuer -n tcs-issuer"),
    ] {
        assert!(can_i(&service(), &allowed), "{allowed}");
    }
    for refused in [
        format!("get {leases}/other -n tcs-issuer"),
        format!("update {leases}/other -n tcs-issuer"),
        format!("list {leases} -n tcs-issuer"),
        format!("patch {leases}/tcs-issuer -n tcs-issuer"),
        format!("delete {leases}/tcs-issuer -n tcs-issuer"),
        format!("create {leases} -n kube-system"),
        format!("update {leases}/tcs-issuer -n kube-system"),
    ] {
        assert!(!can_i(&service(), &refused), "{refused}");
    }
    let owner = key_owner("lease-owner");
    for verb in ["create", "update", "delete"] {
        assert!(!can_i(&owner, &format!("{verb} {leases} -n tcs-issuer")), "{verb}");
    }
}
