//! Rights and admission policies with real `ServiceAccounts`.

mod foreign_secrets;
mod leases;
mod own_secrets;
mod requests;
mod roles;
mod secrets;
mod tokens;
