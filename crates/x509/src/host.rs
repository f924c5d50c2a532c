//! DNS names and hosts.

use core::net::{IpAddr, Ipv4Addr};

/// Maximum length of a DNS name, in bytes (RFC 1035, section 2.3.4, without the root label).
const MAX_DNS_NAME: usize = 253;
/// Maximum length of a label, in bytes (RFC 1035, section 2.3.4).
const MAX_LABEL: usize = 63;

/// Checks a DNS name: the preferred name syntax (RFC 5280, section 4.2.1.6; RFC 1123, section 2.1), and what
/// is common in addition, which is a wildcard as the whole leftmost label, and underscores. The error says
/// what is wrong.
pub fn check_dns_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("it is empty");
    }
    if name.parse::<IpAddr>().is_ok() {
        return Err("it is an IP address; request it as an IP address");
    }
    if name.contains("://") {
        return Err("it is a URI; request the host alone, or request it as a URI");
    }
    if name.contains([',', ';', ' ']) {
        return Err("it holds several names or a blank; request each name as one of its own");
    }
    if name.len() > MAX_DNS_NAME {
        return Err("it is longer than 253 bytes");
    }
    if name == "*" {
        return Err("a wildcard alone stands for no name; request it with a domain, such as *.a.example");
    }
    if name.ends_with('.') {
        return Err("it ends with a dot; request it without");
    }
    let host = name.strip_prefix("*.").unwrap_or(name);
    host.split('.').try_for_each(check_label)?;
    if host.rsplit('.').next().is_some_and(is_number) {
        return Err("its last label is a number, so that programs take it for an IP address");
    }
    Ok(())
}

fn check_label(label: &str) -> Result<(), &'static str> {
    if label.is_empty() {
        return Err("it has an empty label");
    }
    if label.contains('*') {
        return Err("a wildcard must be the whole leftmost label, and there is only one");
    }
    if label.len() > MAX_LABEL {
        return Err("it has a label of more than 63 bytes");
    }
    if !is_of_host_characters(label) {
        return Err(
            "only letters, digits, hyphens and underscores are allowed in a label; others need punycode (xn--)",
        );
    }
    if label.starts_with('-') || label.ends_with('-') {
        return Err("a label begins or ends with a hyphen");
    }
    Ok(())
}

/// Whether programs that read addresses as the C library does take a last label for part of an address.
fn is_number(label: &str) -> bool {
    let hexadecimal = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    label.bytes().all(|byte| byte.is_ascii_digit())
        || hexadecimal.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn is_of_host_characters(label: &str) -> bool {
    label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// Whether a text is labels of letters, digits, hyphens and underscores, separated by dots. This is what Go
/// reads in URIs and mailboxes.
pub fn is_host(host: &str) -> bool {
    host.split('.').all(|label| !label.is_empty() && is_of_host_characters(label))
}

/// Whether a host is an IPv4 address in its usual form.
pub fn is_ipv4(host: &str) -> bool {
    host.parse::<Ipv4Addr>().is_ok()
}

/// The host that a program could see in a common name, without dots at its end. `None` if no program takes
/// the common name for a host: it holds a blank, or a character that occurs in no host.
pub fn in_common_name(text: &str) -> Option<String> {
    // These are dots in names that are not ASCII (RFC 3490, section 3.1).
    let text = text.trim().replace(['\u{3002}', '\u{ff0e}', '\u{ff61}'], ".");
    let host = text.trim_end_matches('.');
    let fits = |letter: char| {
        if letter.is_ascii() {
            letter.is_ascii_alphanumeric() || "-_.*".contains(letter)
        } else {
            !letter.is_whitespace() && !letter.is_control()
        }
    };
    (!host.is_empty() && host.chars().all(fits)).then(|| host.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_names_with_blanks_or_other_characters_are_no_hosts() {
        for none in [
            "J. Smith",
            "",
            " ",
            "...",
            "a@b.example",
            "a/b.example",
            "https://a.example",
            "a:1",
            "O'Neill.X",
        ] {
            assert_eq!(in_common_name(none), None, "{none}");
        }
        for (text, host) in [
            ("a.example", "a.example"),
            (" a.example.. ", "a.example"),
            ("*.a.example", "*.a.example"),
            ("_a-b.example", "_a-b.example"),
            ("admin", "admin"),
            ("b\u{fc}cher\u{3002}example", "b\u{fc}cher.example"),
        ] {
            assert_eq!(in_common_name(text).as_deref(), Some(host), "{text}");
        }
    }
}
