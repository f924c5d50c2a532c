//! Rights and admission policies with real `ServiceAccounts`.

mod foreign_secrets;
mod own_secrets;
mod requests;
mod roles;
mod secrets;
mod tokens;
