//! Ports for programs that cannot choose one themselves.

use anyhow::{Context, Result};
use std::net::{Ipv4Addr, TcpListener};

/// Ports that the kernel says are free.
pub(crate) fn free_ports<const N: usize>() -> Result<[u16; N]> {
    // All are held before one is released, because two could be the same otherwise.
    let mut held = Vec::new();
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("find a free port")?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}
