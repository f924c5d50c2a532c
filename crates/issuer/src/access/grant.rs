//! What somebody is told who may not use an issuer: which right is missing, and the command that grants it.
//! Pure.

use crate::access::requester::{NamespacedIssuer, Requester};
use aws_lc_rs::digest::{SHA256, digest};
use tcs_api::{GROUP, REFERENCE};

/// How many characters of the name of a user a sentence shows.
const MAX_SHOWN: usize = 100;
/// The longest name of a user in a command, in bytes. Shortened it would be somebody else's.
const MAX_IN_COMMAND: usize = 512;

/// Which right is missing: one sentence without its full stop.
pub fn missing(requester: &Requester<'_>, issuer: NamespacedIssuer<'_>) -> String {
    let NamespacedIssuer { namespace, name } = issuer;
    // Only ASCII is left, because Events lose everything else, and then the name would be somebody else's.
    let mut user: String =
        requester.username.chars().take(MAX_SHOWN).flat_map(char::escape_default).collect();
    if requester.username.chars().nth(MAX_SHOWN).is_some() {
        user.push_str("...");
    }
    format!(
        "the user \"{user}\" who made this request may not use TCSIssuer {namespace}/{name}: the right to \
         {REFERENCE} tcsissuers.{GROUP}/{name} in namespace {namespace} is missing"
    )
}

/// What to do about it. The command is the end of the text.
pub fn remedy(requester: &Requester<'_>, issuer: NamespacedIssuer<'_>) -> String {
    let (command, name_of_request) = match subject(requester.username) {
        Some(subject) => (command(requester, issuer, &subject), ""),
        None => (
            command(requester, issuer, "--user=\"$(kubectl get csr NAME -o jsonpath={.spec.username})\""),
            ", with the name of this request for NAME",
        ),
    };
    format!("To grant it, run this command{name_of_request}, and then create a new request: {command}")
}

/// The command that grants the right, for a POSIX shell.
///
/// kubectl folds long texts in YAML at a blank. The options stand in an order in which no beginning of either
/// command is a whole one: the verb comes last, so that nothing grants more than the whole.
fn command(requester: &Requester<'_>, issuer: NamespacedIssuer<'_>, subject: &str) -> String {
    // Both consist of letters, digits, dots and hyphens, because they come from `SignerName::parse`.
    let NamespacedIssuer { namespace, name } = issuer;
    let role = role(requester.username, name);
    format!(
        "kubectl create role {role} -n {namespace} --resource-name={name} --resource=tcsissuers.{GROUP} \
         --verb={REFERENCE} && \
         kubectl create rolebinding {role} -n {namespace} {subject} --role={role}"
    )
}

/// The option of `kubectl create rolebinding` that names a user.
///
/// `None` if the name has a character that a shell, YAML or JSON treats in its own way. Requesters choose
/// their names, at an identity provider for example, and kubectl shows this text as YAML or JSON, which
/// change quotation marks: a name that is quoted for a shell would be run as a command when it is copied from
/// there.
fn subject(username: &str) -> Option<String> {
    if let Some((namespace, name)) = service_account(username) {
        return Some(format!("--serviceaccount={namespace}:{name}"));
    }
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._@:/+=,#".contains(&byte);
    let is_usable =
        !username.is_empty() && username.len() <= MAX_IN_COMMAND && username.bytes().all(is_plain);
    is_usable.then(|| format!("--user={username}"))
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

/// The name of the role for a user of an issuer. Each user has one, so that the command for one succeeds
/// after that for another.
fn role(username: &str, issuer: &str) -> String {
    // The name of an issuer has no NUL.
    let hash = digest(&SHA256, &[issuer.as_bytes(), &[0], username.as_bytes()].concat());
    format!("tcs-{REFERENCE}-{}", hex::encode(hash.as_ref().get(..16).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    const ISSUER: NamespacedIssuer<'_> = NamespacedIssuer { namespace: "b", name: "external-ca" };

    fn requester(username: &str) -> Requester<'_> {
        Requester { username, ..Requester::default() }
    }

    fn printed(username: &str) -> String {
        let remedy = remedy(&requester(username), ISSUER);
        remedy.split_once("create a new request: ").unwrap().1.to_owned()
    }

    /// Runs a command with a kubectl that writes its arguments, each with a NUL behind it, and that answers
    /// what a request contains.
    fn arguments(command: &str, username: &str) -> Vec<Vec<String>> {
        let kubectl = r#"kubectl() { if [ "$1" = get ]; then printf '%s' "$USERNAME"; return; fi
            printf '%s\0' "$@"; printf 'end\0'; }"#;
        let mut sh = Command::new("sh");
        let output = sh.args(["-euc", &format!("{kubectl}\n{command}")]).env("USERNAME", username);
        let output = output.output().unwrap();
        assert!(output.status.success(), "{command}: {output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let arguments: Vec<String> = text.split_terminator('\0').map(str::to_owned).collect();
        arguments.split(|argument| argument == "end").filter(|a| !a.is_empty()).map(<[_]>::to_vec).collect()
    }

    const PLAIN: [&str; 5] =
        ["alice", "https://issuer.example#a,b", "a+b@example.com", "system:serviceaccount:a:b:c", "--help"];
    const STRANGE: [&str; 20] = [
        "o'brien",
        "\"quoted\"",
        "two words",
        "a\nb",
        "$(touch /tmp/owned)",
        "`id`",
        "a; id",
        "a' && id #",
        "a\\",
        "!!",
        "~root",
        "*",
        "auth0|1",
        "j\u{fc}rgen",
        "a\u{202e}b",
        "a\u{1b}[201~b",
        "a\rb",
        "a\tb",
        "system:serviceaccount:a:$(id)",
        "{a,b}",
    ];

    #[test]
    fn b01_the_command_names_exactly_the_user_whatever_the_name_is() {
        for name in PLAIN.iter().chain(&STRANGE) {
            let command = printed(name);
            let [role, binding] = &arguments(&command, name)[..] else { panic!("{command}") };
            let own = binding[2].as_str();
            let (resource, verb) = ("--resource=tcsissuers.tcs.intel.com", "--verb=reference");
            assert_eq!(
                role[..],
                ["create", "role", own, "-n", "b", "--resource-name=external-ca", resource, verb]
            );
            let (as_role, user) = (format!("--role={own}"), format!("--user={name}"));
            assert_eq!(binding[..], ["create", "rolebinding", own, "-n", "b", &user, &as_role], "{name:?}");
        }
    }

    #[test]
    fn b01_no_character_of_a_strange_name_is_in_the_command() {
        let long = "x".repeat(MAX_IN_COMMAND + 1);
        let fixed = |command: &str| command.replace(&role_of(command), "ROLE");
        let expected = fixed(&printed(""));
        assert!(expected.contains("$(kubectl get csr NAME -o jsonpath={.spec.username})"), "{expected}");
        for name in STRANGE.into_iter().chain([long.as_str(), "a\0b"]) {
            assert_eq!(fixed(&printed(name)), expected, "{name:?}");
            let missing = missing(&requester(name), ISSUER);
            assert!(missing.len() < 1000 && missing.is_ascii(), "{missing}");
            assert!(!missing.contains(char::is_control), "{missing}");
        }
    }

    fn role_of(command: &str) -> String {
        command.split(' ').nth(3).unwrap().to_owned()
    }

    /// What stands before a blank at which kubectl may fold the text.
    #[test]
    fn b01_no_part_of_the_command_grants_more_than_the_whole() {
        let command = printed("alice");
        for (at, _) in command.match_indices(' ') {
            for part in command[..at].split(" && ") {
                let grants_all = part.contains("--verb=") && !part.contains("--resource-name=");
                let binds_nobody = part.contains("--role=") && !part.contains("--user=alice");
                assert!(!grants_all && !binds_nobody, "{part}");
            }
        }
    }

    #[test]
    fn b01_a_service_account_is_bound_as_one() {
        let command = printed("system:serviceaccount:a:web");
        assert!(command.contains(" --serviceaccount=a:web "), "{command}");
        assert_ne!(role_of(&command), role_of(&printed("system:serviceaccount:a:other")), "each has a role");
    }

    #[test]
    fn b01_a_name_that_is_cut_is_not_shown_as_another() {
        let long = "x".repeat(MAX_SHOWN + 1);
        assert!(missing(&requester(&long), ISSUER).contains("x...\" who"));
        assert!(missing(&requester(&long[1..]), ISSUER).contains("x\" who"));
        assert!(missing(&requester("j\u{fc}rgen"), ISSUER).contains(r"j\u{fc}rgen"));
    }
}
