//! Requests that are almost right: trees of DER with changed, doubled, dropped and swapped members, corrected
//! lengths, and a signature by a key of our own.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use rcgen::{KeyPair, PublicKeyData as _};

/// `SplitMix64`: the same mutants for the same seed.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).unwrap()
    }
}

/// DER, parsed as deep as possible. What cannot be parsed is a leaf.
#[derive(Clone)]
struct Node {
    tag: u8,
    contents: Contents,
}

#[derive(Clone)]
enum Contents {
    Bytes(Vec<u8>),
    Nodes(Vec<Node>),
}

impl Node {
    /// Reads all of `bytes` as a sequence of values; `None` if they are not.
    fn read_all(bytes: &[u8], depth: usize) -> Option<Vec<Self>> {
        let (mut rest, mut nodes) = (bytes, Vec::new());
        while !rest.is_empty() {
            let (tag, first) = (rest[0], *rest.get(1)?);
            let (length, header) = match first {
                0..=0x7f => (usize::from(first), 2),
                0x81 => (usize::from(*rest.get(2)?), 3),
                0x82 => (usize::from(*rest.get(2)?) << 8 | usize::from(*rest.get(3)?), 4),
                _ => return None,
            };
            let value = rest.get(header..header + length)?;
            let may_hold = tag & 0x20 != 0 || tag == 0x04;
            let inner = if may_hold && depth < 12 { Self::read_all(value, depth + 1) } else { None };
            let contents = inner.map_or_else(|| Contents::Bytes(value.to_vec()), Contents::Nodes);
            nodes.push(Self { tag, contents });
            rest = &rest[header + length..];
        }
        Some(nodes)
    }

    fn encode(&self) -> Vec<u8> {
        let value = match &self.contents {
            Contents::Bytes(bytes) => bytes.clone(),
            Contents::Nodes(nodes) => nodes.iter().flat_map(Self::encode).collect(),
        };
        tlv(self.tag, &value)
    }

    /// Number of nodes in this tree.
    fn count(&self) -> usize {
        match &self.contents {
            Contents::Bytes(_) => 1,
            Contents::Nodes(nodes) => 1 + nodes.iter().map(Self::count).sum::<usize>(),
        }
    }

    /// The node with this number, counted depth first.
    fn at(&mut self, number: usize) -> Option<&mut Self> {
        if number == 0 {
            return Some(self);
        }
        let mut left = number - 1;
        let Contents::Nodes(nodes) = &mut self.contents else { return None };
        for node in nodes {
            let count = node.count();
            if left < count {
                return node.at(left);
            }
            left -= count;
        }
        None
    }
}

pub fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = u32::try_from(value.len()).unwrap();
    let header = match length.to_be_bytes() {
        [0, 0, 0, length @ 0..=0x7f] => vec![tag, length],
        [0, 0, 0, length] => vec![tag, 0x81, length],
        [0, 0, high, low] => vec![tag, 0x82, high, low],
        [_, top, high, low] => vec![tag, 0x83, top, high, low],
    };
    [header.as_slice(), value].concat()
}

pub struct Mutator<'r>(&'r mut Random);

impl<'r> Mutator<'r> {
    pub fn new(random: &'r mut Random) -> Self {
        Self(random)
    }

    pub fn one_in(&mut self, many: usize) -> bool {
        self.0.below(many) == 0
    }

    fn byte(&mut self) -> u8 {
        // Tags of strings, of context and of structures reach more code than any byte.
        const TELLING: [u8; 20] = [
            0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0c, 0x13, 0x14, 0x16, 0x1e, 0x30, 0x31, 0x80, 0x82,
            0x86, 0x87, 0xa0, 0xff,
        ];
        if self.one_in(2) {
            TELLING[self.0.below(TELLING.len())]
        } else {
            u8::try_from(self.0.below(256)).unwrap()
        }
    }

    /// Changes a few bytes, whatever they mean.
    pub fn bytes(&mut self, from: &[u8]) -> Vec<u8> {
        let mut bytes = from.to_vec();
        for _ in 0..=self.0.below(2) {
            if bytes.is_empty() {
                break;
            }
            let at = self.0.below(bytes.len());
            match self.0.below(6) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, self.byte()),
                2 => drop(bytes.remove(at)),
                3 => bytes[at] ^= 1 << self.0.below(8),
                4 => bytes.push(self.byte()),
                _ => bytes[at] = self.byte(),
            }
        }
        bytes
    }

    /// Changes a member's tag or contents, doubles it, drops it, or moves it.
    fn tree(&mut self, root: &mut Node) {
        for _ in 0..=self.0.below(4) / 3 {
            let number = self.0.below(root.count());
            let choice = self.0.below(8);
            let Some(node) = root.at(number) else { continue };
            match (&mut node.contents, choice) {
                (_, 0) => node.tag = self.byte(),
                (Contents::Bytes(bytes), _) => *bytes = self.bytes(bytes),
                (Contents::Nodes(nodes), 1 | 2) if !nodes.is_empty() => {
                    let at = self.0.below(nodes.len());
                    let doubled = nodes[at].clone();
                    nodes.insert(at, doubled);
                }
                (Contents::Nodes(nodes), 3 | 4) if !nodes.is_empty() => {
                    nodes.remove(self.0.below(nodes.len()));
                }
                (Contents::Nodes(nodes), 5 | 6) if nodes.len() > 1 => {
                    let (one, other) = (self.0.below(nodes.len()), self.0.below(nodes.len()));
                    nodes.swap(one, other);
                }
                (Contents::Nodes(nodes), _) => {
                    nodes.push(Node { tag: self.byte(), contents: Contents::Bytes(vec![]) });
                }
            }
        }
    }
}

/// Signs what was changed, so that all of it is checked.
pub struct Resigned {
    key: EcdsaKeyPair,
    spki: Node,
}

impl Resigned {
    pub fn new() -> Self {
        let pair = KeyPair::generate().unwrap();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pair.serialized_der()).unwrap();
        let spki = Node::read_all(&pair.subject_public_key_info(), 0).unwrap().remove(0);
        Self { key, spki }
    }

    /// The request with subject and attributes changed, our key in it, and our signature.
    pub fn mutated(&self, request: &[u8], mutator: &mut Mutator<'_>) -> Vec<u8> {
        let read = Node::read_all(request, 0).unwrap_or_default();
        let [Node { contents: Contents::Nodes(whole), .. }] = read.as_slice() else {
            return mutator.bytes(request);
        };
        let Some(Node { contents: Contents::Nodes(info), .. }) = whole.first() else {
            return mutator.bytes(request);
        };
        let mut info = info.clone();
        if info.len() < 3 {
            return mutator.bytes(request);
        }
        for (at, member) in info.iter_mut().enumerate() {
            if at == 2 {
                *member = self.spki.clone();
            } else if mutator.one_in(if at == 0 { 20 } else { 2 }) {
                mutator.tree(member);
            }
        }
        self.sign(&info.iter().flat_map(Node::encode).collect::<Vec<_>>())
    }

    /// A request with this subject and these attributes (the contents of the set), our key in it, and our
    /// signature.
    pub fn request(&self, subject: &[u8], attributes: &[u8]) -> Vec<u8> {
        self.sign(&[b"\x02\x01\x00", subject, &self.spki.encode(), &tlv(0xa0, attributes)].concat())
    }

    fn sign(&self, info: &[u8]) -> Vec<u8> {
        const ALGORITHM: [u8; 12] = [0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
        let info = tlv(0x30, info);
        let signature = self.key.sign(&SystemRandom::new(), &info).unwrap();
        let signature = tlv(0x03, &[&[0], signature.as_ref()].concat());
        tlv(0x30, &[info.as_slice(), &ALGORITHM, &signature].concat())
    }
}
