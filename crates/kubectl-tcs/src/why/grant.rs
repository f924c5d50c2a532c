//! The command in the message of a refused request that grants its requester the right to use the issuer.
//! Pure.

use crate::command::is_plain;
use tcs_api::signer::SignerName;
use tcs_api::{GROUP, REFERENCE};

/// The user of a request whose name cannot be part of a command: kubectl reads it from the request.
const USER_OF_REQUEST: &str = "--user=\"$(kubectl get csr NAME -o jsonpath={.spec.username})\"";

/// The longest name of a user that the service writes into a command, in bytes.
const LONGEST_USER: usize = 512;

/// The command with which a message ends, as it stands there.
///
/// `None` unless it is what the service writes for this issuer and this requester (`docs/signers.md`, "Who
/// may use an issuer"): a command is shown to be run, and whoever may write the status of requests could have
/// written another one.
pub fn command<'a>(message: &'a str, issuer: &SignerName, username: &str) -> Option<Command<'a>> {
    const BEGINNING: &str = "kubectl create role ";
    let SignerName::Namespaced { namespace, name } = issuer else { return None };
    let text = message.get(message.rfind(BEGINNING)?..)?;
    let role = text.strip_prefix(BEGINNING)?.split(' ').next().filter(|role| is_role(role))?;
    let is_for = |subject: &str| {
        text == format!(
            "{BEGINNING}{role} -n {namespace} --resource-name={name} --resource=tcsissuers.{GROUP} \
             --verb={REFERENCE} && \
             kubectl create rolebinding {role} -n {namespace} {subject} --role={role}"
        )
    };
    if is_for(USER_OF_REQUEST) {
        return Some(Command { text, has_placeholder: true });
    }
    let is_known = subjects(username).iter().any(|subject| is_for(subject));
    is_known.then_some(Command { text, has_placeholder: false })
}

/// A command that grants a right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command<'a> {
    /// As it stands in the message.
    pub text: &'a str,
    /// Whether `NAME` in it stands for the name of the request.
    pub has_placeholder: bool,
}

/// The options that name a user.
fn subjects(username: &str) -> Vec<String> {
    let account = username.strip_prefix("system:serviceaccount:").filter(|account| is_plain(account));
    let account = account.map(|account| format!("--serviceaccount={account}"));
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"-._@:/+=,#".contains(&byte);
    let is_usable = !username.is_empty() && username.len() <= LONGEST_USER && username.bytes().all(is_word);
    account.into_iter().chain(is_usable.then(|| format!("--user={username}"))).collect()
}

fn is_role(role: &str) -> bool {
    let hash = role.strip_prefix("tcs-reference-").unwrap_or_default();
    hash.len() == 32 && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::why::tests_support::{grant_message, id};

    #[test]
    fn the_command_is_that_of_the_message() {
        for (username, subject) in [
            ("alice", "--user=alice"),
            ("https://issuer.example#a,b", "--user=https://issuer.example#a,b"),
            ("system:serviceaccount:a:web", "--serviceaccount=a:web"),
            ("$(id)", USER_OF_REQUEST),
        ] {
            let message = grant_message(subject);
            let found = command(&message, &id(), username).unwrap();
            assert!(message.ends_with(found.text) && found.text.contains(subject), "{username}");
            assert_eq!(found.has_placeholder, subject == USER_OF_REQUEST);
        }
    }

    #[test]
    fn any_other_command_is_none() {
        let good = grant_message("--user=alice");
        for (from, to) in [
            ("--user=alice", "--user=mallory"),
            ("--user=alice", "--group=system:authenticated"),
            ("--user=alice", "--user=alice --user=mallory"),
            ("-n sandbox", "-n kube-system"),
            ("--resource-name=ca", "--resource-name=other"),
            ("--resource-name=ca ", ""),
            ("--verb=reference", "--verb=*"),
            ("tcsissuers.tcs.intel.com", "secrets"),
            (" && ", " ; id && "),
            (" && ", "\n"),
            ("kubectl create role ", "kubectl create role $(id) "),
            ("tcs-reference-0", "tcs-reference-`id`"),
            ("kubectl create role ", "kubectl delete role "),
        ] {
            let changed = good.replace(from, to);
            assert_ne!(changed, good, "{from}");
            assert_eq!(command(&changed, &id(), "alice"), None, "{changed}");
        }
        assert_eq!(command(&format!("{good}; id"), &id(), "alice"), None);
        let long = "a".repeat(LONGEST_USER + 1);
        assert_eq!(command(&grant_message(&format!("--user={long}")), &id(), &long), None);
        let longest = "a".repeat(LONGEST_USER);
        assert!(command(&grant_message(&format!("--user={longest}")), &id(), &longest).is_some());
        assert_eq!(command("", &id(), "alice"), None);
        assert_eq!(command(&grant_message("--user=$(id)"), &id(), "$(id)"), None);
        assert_eq!(command(&grant_message("--user="), &id(), ""), None);
        assert_eq!(command(&good, &SignerName::Cluster { name: "ca".into() }, "alice"), None);
    }
}
