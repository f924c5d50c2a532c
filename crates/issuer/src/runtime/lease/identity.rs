//! The name under which this process holds the Lease.

use rustls::crypto::aws_lc_rs::default_provider;

/// Bytes of the random suffix.
const SUFFIX: usize = 16;

/// `<pod or host>_<32 hexadecimal digits>`. The digits are random, so that a container that is started again
/// in the same pod is another holder: what the earlier process sent may still be on its way.
///
/// # Errors
///
/// If the operating system gives no random numbers.
pub fn identity() -> anyhow::Result<String> {
    let host = rustix::system::uname();
    let pod = std::env::var("POD_NAME").ok().filter(|name| !name.is_empty());
    let name = pod.unwrap_or_else(|| host.nodename().to_string_lossy().into_owned());
    Ok(format!("{name}_{}", hex::encode(random::<SUFFIX>()?)))
}

/// Random bytes.
///
/// # Errors
///
/// As [`identity`].
pub fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    let filled = default_provider().secure_random.fill(&mut bytes);
    filled.map_err(|_| anyhow::anyhow!("the operating system gives no random numbers"))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_processes_are_the_same_holder() {
        let (one, other) = (identity().unwrap(), identity().unwrap());
        assert_ne!(one, other);
        let (name, suffix) = one.rsplit_once('_').unwrap();
        assert!(!name.is_empty() && suffix.len() == 2 * SUFFIX, "{one}");
    }
}
