//! The rules for issuers of cert-manager's `CertificateRequest`, on the real API server with cert-manager's
//! CRD (`docs/conformance.md`, A01 to A21).

mod absent;
mod approval;
mod certificates;
mod errors;
mod results;
mod same_verdict;
mod waiting;
