//! Years of an issuer's life by a simulated clock, with the real enclave engine and the controller's real
//! decisions.

mod enclave;
mod fixture;
mod key_owner;
mod near_clocks;
mod published;
mod renewal;
mod time;
mod wrong_clock;
