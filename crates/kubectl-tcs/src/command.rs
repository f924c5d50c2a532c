//! Names that others chose, as words of commands that users copy. Nothing else puts such a name into a
//! command.

/// What stands for a name that cannot be part of a command.
const PLACEHOLDER: &str = "NAME";

/// Whether a shell, kubectl, YAML and JSON take a text as it is: as one word, and as no option.
///
/// The API server accepts almost any name for a `CertificateSigningRequest`, and everybody who may create one
/// chooses its name.
#[must_use]
pub fn is_plain(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:@".contains(&byte);
    !text.is_empty() && text.len() <= 253 && !text.starts_with('-') && text.bytes().all(is_plain)
}

/// A command with a name in it. No character of a name that is not plain is part of it.
pub fn with_name(name: &str, command: impl FnOnce(&str) -> String) -> String {
    if is_plain(name) {
        command(name)
    } else {
        format!("{}   # {PLACEHOLDER} stands for the name, quoted for your shell", command(PLACEHOLDER))
    }
}

/// A name as one word of a command, or what stands for it if it is not plain.
#[must_use]
pub fn word(name: &str) -> &str {
    if is_plain(name) { name } else { PLACEHOLDER }
}

/// SHA-256 fingerprint of a certificate as one word of a command: 64 lower-case hexadecimal digits, or what
/// stands for it.
#[must_use]
pub fn fingerprint(text: &str) -> &str {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if text.len() == 64 && text.bytes().all(is_digit) { text } else { "FINGERPRINT" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_character_of_a_strange_name_is_part_of_a_command() {
        let command = |name: &str| with_name(name, |name| format!("kubectl get csr {name}"));
        assert_eq!(command("web-1.example"), "kubectl get csr web-1.example");
        let strange =
            ["", "a b", "a;id", "$(id)", "`id`", "a\nb", "--all", "a'b", "a#b", "j\u{fc}rgen", "a|b"];
        for name in strange {
            assert!(command(name).starts_with("kubectl get csr NAME   # "), "{name:?}");
            assert!(!command(name).contains(name) || name.is_empty(), "{name:?}");
        }
    }
}
