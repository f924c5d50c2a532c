//! The custom resources on a real API server.

mod attestations;
mod columns;
mod issuers;
mod uninstall;
