//! The rules for issuers of cert-manager's `CertificateRequest`, on the real API server with cert-manager's
//! CRD (`docs/conformance.md`, A01 to A21).

mod results;
