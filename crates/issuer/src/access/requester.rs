//! Who made a request, and a short name for that together with an issuer. Pure.

use crate::memory::{map, sum, text, texts};
use aws_lc_rs::digest::{Context, SHA256};
use std::collections::BTreeMap;

/// Who made a request, as the API server recorded it. The requester cannot write these fields.
#[derive(Clone, Copy, Debug, Default)]
pub struct Requester<'a> {
    /// Name of the user.
    pub username: &'a str,
    /// UID of the user; empty if there is none.
    pub uid: &'a str,
    /// Groups of the user.
    pub groups: &'a [String],
    /// What else the authenticator said.
    pub extra: Option<&'a BTreeMap<String, Vec<String>>>,
}

/// The name of an issuer of a namespace.
#[derive(Clone, Copy, Debug)]
pub struct NamespacedIssuer<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
}

/// Stands for one requester and one issuer. It has the same size for all of them, because strangers may
/// decide how long groups and extra are.
pub type Key = [u8; 32];

impl Requester<'_> {
    /// How much memory a copy takes, in bytes, rather too much than too little.
    pub fn memory(&self) -> usize {
        let Self { username, uid, groups, extra } = *self;
        let extra = extra.map_or(0, |extra| map(extra, |values| texts(values)));
        sum([text(username), text(uid), texts(groups), extra])
    }

    /// The SHA-256 of an encoding that no two pairs of a requester and an issuer share.
    pub fn key(&self, issuer: NamespacedIssuer<'_>) -> Key {
        let mut encoding = Encoding(Context::new(&SHA256));
        encoding.text(issuer.namespace);
        encoding.text(issuer.name);
        encoding.text(self.username);
        encoding.text(self.uid);
        encoding.texts(self.groups);
        encoding.length(self.extra.map_or(0, BTreeMap::len));
        for (name, values) in self.extra.into_iter().flatten() {
            encoding.text(name);
            encoding.texts(values);
        }
        encoding.digest()
    }
}

/// Hashes texts, each behind its length, and lists, each behind the number of its texts.
struct Encoding(Context);

impl Encoding {
    fn length(&mut self, length: usize) {
        self.0.update(&length.to_be_bytes());
    }

    fn text(&mut self, text: &str) {
        self.length(text.len());
        self.0.update(text.as_bytes());
    }

    fn texts(&mut self, texts: &[String]) {
        self.length(texts.len());
        for text in texts {
            self.text(text);
        }
    }

    fn digest(self) -> Key {
        let mut key = Key::default();
        // Both have 32 bytes.
        key.iter_mut().zip(self.0.finish().as_ref()).for_each(|(to, from)| *to = *from);
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
    struct Owned {
        namespace: &'static str,
        name: &'static str,
        username: &'static str,
        uid: &'static str,
        groups: Vec<String>,
        extra: BTreeMap<String, Vec<String>>,
    }

    impl Owned {
        fn key(&self) -> Key {
            let Self { namespace, name, username, uid, groups, extra } = self;
            Requester { username, uid, groups, extra: Some(extra) }.key(NamespacedIssuer { namespace, name })
        }
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().copied().map(str::to_owned).collect()
    }

    fn extra(entries: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
        entries.iter().map(|(name, values)| ((*name).to_owned(), texts(values))).collect()
    }

    /// Every combination of values that a weak encoding would confuse.
    fn requesters() -> Vec<Owned> {
        const NAMES: [&str; 4] = ["", "a", "ab", "a\0b"];
        let lists = [&[][..], &[""], &["a,b"], &["a", "b"], &["b", "a"], &["ab"], &["a", "", "b"]].map(texts);
        let maps = [
            extra(&[]),
            extra(&[("a", &[])]),
            extra(&[("a", &["b"])]),
            extra(&[("a", &["b", "c"])]),
            extra(&[("a", &["b"]), ("c", &[])]),
            extra(&[("a", &[]), ("b", &[]), ("c", &[])]),
        ];
        let mut all = Vec::new();
        for groups in &lists {
            for extra in &maps {
                for (username, uid) in NAMES.iter().flat_map(|one| NAMES.map(|other| (*one, other))) {
                    for (namespace, name) in [("ns", "a"), ("ns", "b"), ("n", "sa"), ("a", "ns")] {
                        let (groups, extra) = (groups.clone(), extra.clone());
                        all.push(Owned { namespace, name, username, uid, groups, extra });
                    }
                }
            }
        }
        all
    }

    #[test]
    fn b01_no_two_requesters_and_no_two_issuers_share_a_key() {
        let all = requesters();
        let mut keys = HashMap::new();
        for one in &all {
            if let Some(other) = keys.insert(one.key(), one) {
                panic!("{one:?} and {other:?}");
            }
            assert_eq!(one.key(), one.clone().key(), "the same again");
        }
        assert_eq!(keys.len(), 7 * 6 * 16 * 4);
    }

    #[test]
    fn b01_no_extra_is_an_empty_one() {
        let (issuer, nothing) = (NamespacedIssuer { namespace: "a", name: "b" }, BTreeMap::new());
        let without = Requester::default();
        assert_eq!(without.key(issuer), Requester { extra: Some(&nothing), ..without }.key(issuer));
    }
}
