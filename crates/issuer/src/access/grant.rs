//! What somebody is told who may not use an issuer: which right is missing, and the command that grants it.
//! Pure.

use crate::access::requester::{NamespacedIssuer, Requester};
use aws_lc_rs::digest::{SHA256, digest};
use tcs_api::{GROUP, REFERENCE};

/// How many characters of the name of a user a sentence shows.
const MAX_SHOWN: usize = 100;
/// The longest name of a user in a command, in bytes. Shortened it would be somebody else's.
const MAX_QUOTED: usize = 512;

/// Which right is missing: one sentence without its full stop.
pub fn missing(requester: &Requester<'_>, issuer: NamespacedIssuer<'_>) -> String {
    let NamespacedIssuer { namespace, name } = issuer;
    let user: String = requester.username.chars().take(MAX_SHOWN).collect();
    format!(
        "the user {user:?} who made this request may not use TCSIssuer {namespace}/{name}: the right to \
         {REFERENCE} tcsissuers.{GROUP}/{name} in namespace {namespace} is missing"
    )
}

/// What to do about it. If there is a command, it is the end of the text.
pub fn remedy(requester: &Requester<'_>, issuer: NamespacedIssuer<'_>) -> String {
    match command(requester, issuer) {
        Some(command) => format!("To grant it, run this command, and then create a new request: {command}"),
        None => format!(
            "The name of the user is too long for a command or has control characters. To grant the right, \
             create a Role with the verb {REFERENCE} and a RoleBinding for spec.username of this request, and \
             then create a new request"
        ),
    }
}

/// The command that grants the right, for a POSIX shell. `None` if the name of the user cannot be a part of
/// it.
fn command(requester: &Requester<'_>, issuer: NamespacedIssuer<'_>) -> Option<String> {
    // Both consist of letters, digits, dots and hyphens, because they come from `SignerName::parse`.
    let NamespacedIssuer { namespace, name } = issuer;
    let subject = subject(requester.username)?;
    // Each user has a role, so that the command for one succeeds after that for another.
    let role = format!("tcs-{REFERENCE}-{name}-{}", short_hash(requester.username));
    Some(format!(
        "kubectl create role {role} -n {namespace} --verb={REFERENCE} --resource=tcsissuers.{GROUP} \
         --resource-name={name} && \
         kubectl create rolebinding {role} -n {namespace} --role={role} {subject}"
    ))
}

/// The option of `kubectl create rolebinding` that names a user.
fn subject(username: &str) -> Option<String> {
    if let Some((namespace, name)) = service_account(username) {
        return Some(format!("--serviceaccount={namespace}:{name}"));
    }
    // A terminal can act on other control characters in a text that is pasted, even in quotes.
    let is_printable = !username.chars().any(|char| char.is_control() && char != '\n');
    if username.is_empty() || username.len() > MAX_QUOTED || !is_printable {
        return None;
    }
    Some(format!("--user={}", shlex::try_quote(username).ok()?))
}

/// Namespace and name of a ServiceAccount, if that is what the user is.
fn service_account(username: &str) -> Option<(&str, &str)> {
    let (namespace, name) = username.strip_prefix("system:serviceaccount:")?.split_once(':')?;
    let plain = |text: &str| {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
        !text.is_empty() && text.len() <= 253 && text.bytes().all(inner)
    };
    (plain(namespace) && plain(name)).then_some((namespace, name))
}

/// Tells the users of an issuer apart in the names of their roles.
fn short_hash(username: &str) -> String {
    let hash = digest(&SHA256, username.as_bytes());
    hex::encode(hash.as_ref().get(..4).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    const ISSUER: NamespacedIssuer<'_> = NamespacedIssuer { namespace: "b", name: "external-ca" };

    fn requester(username: &str) -> Requester<'_> {
        Requester { username, ..Requester::default() }
    }

    /// Runs a command with a kubectl that writes its arguments, each with a NUL behind it.
    fn arguments(command: &str) -> Vec<Vec<String>> {
        let kubectl = r#"kubectl() { printf '%s\0' "$@"; printf 'end\0'; }"#;
        let output = Command::new("sh").args(["-euc", &format!("{kubectl}\n{command}")]).output().unwrap();
        assert!(output.status.success(), "{command}: {output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let arguments: Vec<String> = text.split_terminator('\0').map(str::to_owned).collect();
        arguments.split(|argument| argument == "end").filter(|a| !a.is_empty()).map(<[_]>::to_vec).collect()
    }

    #[test]
    fn b01_the_command_names_exactly_the_user_whatever_the_name_is() {
        for name in [
            "alice",
            "https://issuer.example#a,b",
            "o'brien",
            "\"quoted\"",
            "two words",
            "a\nb",
            "a\n",
            "$(touch /tmp/owned)",
            "`id`",
            "a; id",
            "a' && id #",
            "a\\",
            "!!",
            "~root",
            "--help",
            "*",
            "j\u{fc}rgen",
            "system:serviceaccount:a",
            "system:serviceaccount:a:b:c",
            "system:serviceaccount:A:b",
            "system:serviceaccount:a:$(id)",
        ] {
            let command = command(&requester(name), ISSUER).unwrap();
            let [role, binding] = &arguments(&command)[..] else { panic!("{command}") };
            let own = binding[2].as_str();
            assert_eq!(
                role[..],
                [
                    "create",
                    "role",
                    own,
                    "-n",
                    "b",
                    "--verb=reference",
                    "--resource=tcsissuers.tcs.intel.com",
                    "--resource-name=external-ca"
                ]
            );
            let (as_role, user) = (format!("--role={own}"), format!("--user={name}"));
            assert_eq!(binding[..], ["create", "rolebinding", own, "-n", "b", &as_role, &user], "{name:?}");
        }
    }

    #[test]
    fn b01_a_service_account_is_bound_as_one() {
        let command = command(&requester("system:serviceaccount:a:web"), ISSUER).unwrap();
        assert!(command.ends_with(" --serviceaccount=a:web"), "{command}");
        let other = super::command(&requester("system:serviceaccount:a:other"), ISSUER).unwrap();
        assert_ne!(command.split(' ').nth(3), other.split(' ').nth(3), "each has a role");
    }

    #[test]
    fn b01_a_name_that_cannot_be_pasted_is_in_no_command() {
        let long = "x".repeat(MAX_QUOTED + 1);
        for name in ["", "a\0b", "a\u{1b}[201~b", "a\rb", "a\tb", "a\u{9b}b", &long] {
            assert_eq!(command(&requester(name), ISSUER), None, "{name:?}");
            assert!(!remedy(&requester(name), ISSUER).contains("kubectl"));
            let missing = missing(&requester(name), ISSUER);
            assert!(missing.len() < 500 && !missing.contains(char::is_control), "{missing}");
        }
        assert!(command(&requester(&"x".repeat(MAX_QUOTED)), ISSUER).is_some());
    }
}
