//! E-mail addresses.

use crate::host::is_host;

/// Whether a text is a mailbox: a dot-atom at a host (RFC 5321, section 4.1.2). Quoted local parts are none,
/// because programs disagree about them.
pub fn is_mailbox(text: &str) -> bool {
    let atom = |atom: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
        !atom.is_empty() && atom.bytes().all(fits)
    };
    text.split_once('@').is_some_and(|(user, host)| user.split('.').all(atom) && is_host(host))
}
