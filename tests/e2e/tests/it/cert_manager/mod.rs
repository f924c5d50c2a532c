//! The real cert-manager, whose Certificates are signed by the service.

mod approval;
mod chaos;
mod life;
mod page;
mod suite;
