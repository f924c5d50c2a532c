//! `tcs-sgx-sim`: makes a simulated SGX and TDX platform, collateral for it and quotes by it.
#![forbid(unsafe_code)]

mod command;

use clap::Parser as _;
use std::time::{SystemTime, UNIX_EPOCH};

fn main() -> anyhow::Result<()> {
    let arguments = command::Arguments::parse();
    #[expect(clippy::disallowed_methods, reason = "the program's one look at the clock")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    arguments.run(i64::try_from(now)?)
}
