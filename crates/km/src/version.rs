//! The version that the tools print.

/// The version of the workspace. A build that can trust a simulated root says so.
pub const VERSION: &str = if cfg!(feature = "simulation") {
    concat!(env!("CARGO_PKG_VERSION"), "+simulation")
} else {
    env!("CARGO_PKG_VERSION")
};
