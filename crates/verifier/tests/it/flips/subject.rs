//! A genuine quote with its collateral, and all changes that are made to it.

use crate::read;
use serde_json::Value;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tcs_evidence::Evidence;
use tcs_verifier::{Collateral, Policy, TcbPolicy, TcbStatus, TrustAnchor, Verdict, inspect, verify};

/// Distance of sampled bits. It is a prime, so that the sample contains every bit of a byte and every byte of
/// a field.
const STRIDE: usize = 307;
/// Distance of sampled lengths.
const CUT_STRIDE: usize = 101;
pub const TEXTS: [&str; 2] = ["tcb_info", "qe_identity"];
pub const HEX: [&str; 4] = ["tcb_info_signature", "qe_identity_signature", "root_ca_crl", "pck_crl"];
pub const CHAINS: [&str; 3] = ["pck_crl_issuer_chain", "tcb_info_issuer_chain", "qe_identity_issuer_chain"];

pub fn full() -> bool {
    std::env::var("TCS_FLIPS").is_ok_and(|value| value == "full")
}

/// A genuine quote that is accepted.
pub struct Subject {
    name: &'static str,
    pub quote: Vec<u8>,
    pub json: Vec<u8>,
    pub now: i64,
    sound: Verdict,
}

impl Subject {
    pub fn sgx_v3() -> Self {
        Self::new("sgx-v3", "sgx_quote", 1_750_377_600)
    }

    pub fn tdx_v4() -> Self {
        Self::new("tdx-v4", "tdx_quote", 1_750_377_600)
    }

    pub fn tdx_v5() -> Self {
        Self::new("tdx-v5", "tdx_quote_td15ex", 1_792_454_400)
    }

    fn new(name: &'static str, file: &str, now: i64) -> Self {
        // Without the zeros after the quote, any number of which is accepted, and likewise the line end after
        // the JSON.
        let quote = Evidence::from_quote(read(&format!("dcap-qvl/{file}"))).unwrap().bytes().to_vec();
        let json = read(&format!("dcap-qvl/{file}_collateral.json")).trim_ascii_end().to_vec();
        let sound = appraise(&quote, &json, now).unwrap();
        crate::assert_accepted(&sound);
        Self { name, quote, json, now, sound }
    }

    /// Flips bits of `bytes`. `appraise` returns `None` for bytes that cannot be read.
    fn sweep(&self, what: &str, bytes: &[u8], appraise: impl Fn(&[u8]) -> Option<Verdict>) {
        let stride = if full() { 1 } else { STRIDE };
        let (mut refused, mut identical, mut wrong) = (0, 0, String::new());
        let mut flipped = bytes.to_vec();
        for bit in (0..bytes.len() * 8).step_by(stride) {
            flipped[bit / 8] ^= 1 << (bit % 8);
            match catch_unwind(AssertUnwindSafe(|| appraise(&flipped))) {
                Ok(verdict) if verdict.as_ref().is_none_or(|verdict| verdict.accepted().is_err()) => {
                    refused += 1;
                }
                Ok(Some(verdict)) if self.is_sound(&verdict) => identical += 1,
                Ok(verdict) => {
                    let claims = verdict.as_ref().map(Verdict::claims);
                    writeln!(wrong, "bit {bit} of {what}: accepted with {claims:#?}").unwrap();
                }
                Err(_) => writeln!(wrong, "bit {bit} of {what}: a panic").unwrap(),
            }
            flipped[bit / 8] ^= 1 << (bit % 8);
        }
        // `cargo xtask bit-flips` reads this line.
        println!("flips: {} {what}: {refused} refused, {identical} identical", self.name);
        assert!(wrong.is_empty(), "{}: expected {:#?}\n{wrong}", self.name, self.sound.claims());
        assert!(refused > 0, "{} {what}: not one flip was refused", self.name);
    }

    fn is_sound(&self, verdict: &Verdict) -> bool {
        verdict.claims() == self.sound.claims() && verdict.checks() == self.sound.checks()
    }

    pub fn flip_quote(&self) {
        let collateral = Collateral::from_json(&self.json).unwrap();
        self.sweep("quote", &self.quote, |quote| {
            let evidence = Evidence::from_quote(quote.to_vec()).ok()?;
            Some(verify(&evidence, &collateral, &TrustAnchor::intel(), &policy(), self.now))
        });
    }

    pub fn flip_json(&self) {
        self.sweep("collateral", &self.json, |json| appraise(&self.quote, json, self.now));
    }

    /// Flips bits in the parts of the collateral before they are written as JSON.
    pub fn flip_parts(&self) {
        let json: Value = serde_json::from_slice(&self.json).unwrap();
        let member = |name: &str| json[name].as_str().unwrap();
        for name in TEXTS.into_iter().chain(CHAINS) {
            let frame = Frame::around(&json, name);
            self.sweep(name, member(name).as_bytes(), |bytes| {
                // JSON cannot contain bytes that are not UTF-8.
                let text = std::str::from_utf8(bytes).ok()?;
                appraise(&self.quote, &frame.with(text), self.now)
            });
        }
        for name in HEX {
            let frame = Frame::around(&json, name);
            self.sweep(name, &hex::decode(member(name)).unwrap(), |bytes| {
                appraise(&self.quote, &frame.with(&hex::encode(bytes)), self.now)
            });
        }
        for name in CHAINS {
            let frame = Frame::around(&json, name);
            let chain = pem::parse_many(member(name)).unwrap();
            for (at, certificate) in chain.iter().enumerate() {
                let what = format!("{name}, certificate {at}");
                self.sweep(&what, certificate.contents(), |der| {
                    let mut chain = chain.clone();
                    chain[at] = pem::Pem::new("CERTIFICATE", der);
                    appraise(&self.quote, &frame.with(&pem::encode_many(&chain)), self.now)
                });
            }
        }
    }

    /// Every shorter quote and every shorter JSON is refused.
    pub fn cut(&self) {
        let collateral = Collateral::from_json(&self.json).unwrap();
        for length in lengths(self.quote.len()) {
            assert!(rejected_with(&self.quote[..length], &collateral, self.now), "quote of {length} bytes");
        }
        for length in lengths(self.json.len()) {
            assert!(Collateral::from_json(&self.json[..length]).is_err(), "JSON of {length} bytes");
        }
        // A shorter part in complete JSON. Only line ends at the end of a chain may be missing.
        let json: Value = serde_json::from_slice(&self.json).unwrap();
        for name in TEXTS.into_iter().chain(HEX).chain(CHAINS) {
            let (frame, text) = (Frame::around(&json, name), json[name].as_str().unwrap());
            for length in lengths(text.trim_ascii_end().len()) {
                let json = frame.with(&text[..length]);
                assert!(rejected(&self.quote, &json, self.now), "{name} of {length} bytes");
            }
        }
    }
}

pub fn policy() -> Policy {
    let tcb = TcbPolicy {
        accepted_statuses: vec![TcbStatus::UpToDate, TcbStatus::ConfigurationAndSwHardeningNeeded],
        accepted_advisories: vec!["INTEL-SA-00289".into(), "INTEL-SA-00615".into()],
        ..TcbPolicy::default()
    };
    Policy { any_identity: true, tcb, ..Policy::default() }
}

pub fn appraise(quote: &[u8], json: &[u8], now: i64) -> Option<Verdict> {
    let evidence = Evidence::from_quote(quote.to_vec()).ok()?;
    let collateral = Collateral::from_json(json).ok()?;
    Some(verify(&evidence, &collateral, &TrustAnchor::intel(), &policy(), now))
}

pub fn rejected(quote: &[u8], json: &[u8], now: i64) -> bool {
    Collateral::from_json(json).map_or(true, |collateral| rejected_with(quote, &collateral, now))
}

/// Whether it is refused in every form: as its header says, and as either kind of evidence.
pub fn rejected_with(quote: &[u8], collateral: &Collateral, now: i64) -> bool {
    let forms =
        [Evidence::SgxQuote(quote.to_vec()), Evidence::TdxQuote(quote.to_vec())].map(Some).into_iter();
    forms.chain([Evidence::from_quote(quote.to_vec()).ok()]).flatten().all(|evidence| {
        let _ = inspect(&evidence);
        verify(&evidence, collateral, &TrustAnchor::intel(), &policy(), now).accepted().is_err()
    })
}

/// Lengths below `whole`. The last 40 are also in a sample.
pub fn lengths(whole: usize) -> impl Iterator<Item = usize> {
    let stride = if full() { 1 } else { CUT_STRIDE };
    (0..whole).filter(move |length| length % stride == 0 || length + 40 > whole)
}

/// JSON of a collateral with one member left open.
pub struct Frame {
    before: Vec<u8>,
    behind: Vec<u8>,
}

impl Frame {
    pub fn around(json: &Value, member: &str) -> Self {
        const HOLE: &str = "\"@hole@\"";
        let mut json = json.clone();
        json[member] = HOLE.trim_matches('"').into();
        let text = json.to_string();
        let (before, behind) = text.split_once(HOLE).unwrap();
        Self { before: before.into(), behind: behind.into() }
    }

    pub fn with(&self, member: &str) -> Vec<u8> {
        let member = serde_json::to_vec(member).unwrap();
        [self.before.as_slice(), &member, &self.behind].concat()
    }
}
