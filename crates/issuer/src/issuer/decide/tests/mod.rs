//! Decisions for issuers in every state. Each submodule tests one state or one risk.

mod clock;
mod fixture;
mod holding;
mod lost;
mod provisioning;
mod renewal;
mod self_signed;
mod withheld;

use super::*;
use fixture::*;
use kube::ResourceExt as _;
use tcs_api::conditions::ready_condition;
use tcs_api::v1alpha1::{ClusterIssuerSpec, TCSClusterIssuer};

#[test]
fn w_s9_issuers_in_the_services_own_namespace_are_not_served() {
    let mut fixture = Fixture::offering(1);
    fixture.issuer.metadata.namespace = Some("tcs-issuer".into());
    assert_eq!(reason(&fixture.plan()), reasons::UNSUPPORTED);
}

#[test]
fn an_enclave_that_does_not_answer_is_reported() {
    let mut fixture = Fixture::offering(1);
    fixture.offer = None;
    assert_eq!(reason(&fixture.plan()), reasons::ENCLAVE_UNAVAILABLE);
}

#[test]
fn a_simulated_platform_is_marked_everywhere() {
    let mut fixture = Fixture::offering(1);
    fixture.identity = identity(true);
    let plan = fixture.plan();
    assert_eq!(plan.status.simulated, Some(true));
    assert!(ready_condition(&plan.status).unwrap().message.starts_with("SIMULATED PLATFORM"));
    let AttestationStep::Create(made) = plan.attestation else { panic!() };
    assert_eq!(made.labels().get("tcs.intel.com/simulated").map(String::as_str), Some("true"));
}

/// A cluster issuer of this name with the spec of the fixture's issuer.
fn cluster_issuer(name: &str) -> TCSClusterIssuer {
    let mut cluster = TCSClusterIssuer::new(name, ClusterIssuerSpec(issuer().spec));
    cluster.metadata.uid = Some("22222222-2222-2222-2222-222222222222".into());
    cluster
}

#[test]
fn w_r4_w_s6_a_cluster_issuer_has_its_own_names_and_publishes_in_the_services_namespace() {
    let mut fixture = Fixture::offering(1);
    fixture.cluster = Some(cluster_issuer("sandbox.external-ca"));
    let plan = fixture.plan();
    let AttestationStep::Create(made) = plan.attestation else { panic!() };
    assert_eq!(made.name_any(), "sandbox.external-ca.tcsclusterissuer.tcs.intel.com");
    assert_eq!(made.spec.signer_names, ["tcsclusterissuer.tcs.intel.com/sandbox.external-ca"]);
    assert_eq!(made.labels().get("tcs.intel.com/issuer-namespace").map(String::as_str), Some(""));

    // An entry under the name of the namespaced issuer is not used.
    fixture.attestation = Some(patched(*made, "wrapped-key", "KMRA"));
    fixture.secret = Some(secret("1"));
    assert!(fixture.decide().delivery().is_none());
    let status = fixture.attestation.as_mut().unwrap().status.as_mut().unwrap();
    let entry = status.secrets.remove(SIGNER).unwrap();
    status.secrets.insert("tcsclusterissuers.tcs.intel.com/sandbox.external-ca".into(), entry);
    assert!(fixture.decide().delivery().is_some());

    fixture = Fixture { cluster: fixture.cluster, ..Fixture::holding(7) };
    let plan = fixture.plan();
    let published = plan.ca_secret.unwrap();
    assert_eq!(published.namespace().as_deref(), Some("tcs-issuer"));
    let owner = &published.owner_references()[0];
    assert_eq!(
        (owner.kind.as_str(), owner.uid.as_str()),
        ("TCSClusterIssuer", "22222222-2222-2222-2222-222222222222")
    );
}
