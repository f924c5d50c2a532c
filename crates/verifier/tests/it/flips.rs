//! Single-bit flips, truncations and garbage. `TCS_FLIPS=full` (`cargo xtask flips`) flips every bit and
//! cuts at every length; otherwise a sample of them is taken.

use crate::read;
use serde_json::Value;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};
use tcs_evidence::{Evidence, MAX_QUOTE};
use tcs_verifier::{
    Collateral, MAX_COLLATERAL, Policy, TcbPolicy, TcbStatus, TrustAnchor, Verdict, inspect, verify,
};

/// Distance of sampled bits. A prime, so that every bit of a byte and every byte of a field has its turn.
const STRIDE: usize = 307;
/// Distance of sampled lengths.
const CUT_STRIDE: usize = 101;
/// More than any hostile input may take, also in a build without optimisation on a loaded machine.
const LIMIT: Duration = Duration::from_secs(10);

const TEXTS: [&str; 2] = ["tcb_info", "qe_identity"];
const HEX: [&str; 4] = ["tcb_info_signature", "qe_identity_signature", "root_ca_crl", "pck_crl"];
const CHAINS: [&str; 3] = ["pck_crl_issuer_chain", "tcb_info_issuer_chain", "qe_identity_issuer_chain"];

fn full() -> bool {
    std::env::var("TCS_FLIPS").is_ok_and(|value| value == "full")
}

/// A genuine quote that is accepted.
struct Subject {
    name: &'static str,
    quote: Vec<u8>,
    json: Vec<u8>,
    now: i64,
    sound: Verdict,
}

impl Subject {
    fn sgx_v3() -> Self {
        Self::new("sgx-v3", "sgx_quote", 1_750_377_600)
    }

    fn tdx_v4() -> Self {
        Self::new("tdx-v4", "tdx_quote", 1_750_377_600)
    }

    fn tdx_v5() -> Self {
        Self::new("tdx-v5", "tdx_quote_td15ex", 1_792_454_400)
    }

    fn new(name: &'static str, file: &str, now: i64) -> Self {
        // Without the zeros behind it, of which any number is accepted, and the line end behind the JSON
        // likewise.
        let quote = Evidence::from_quote(read(&format!("dcap-qvl/{file}"))).unwrap().bytes().to_vec();
        let json = read(&format!("dcap-qvl/{file}_collateral.json")).trim_ascii_end().to_vec();
        let sound = appraise(&quote, &json, now).unwrap();
        crate::assert_accepted(&sound);
        Self { name, quote, json, now, sound }
    }

    /// Flips bits of `bytes`; `appraise` gives `None` for what cannot be read.
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
        // `cargo xtask flips` reads this line.
        println!("flips: {} {what}: {refused} refused, {identical} identical", self.name);
        assert!(wrong.is_empty(), "{}: expected {:#?}\n{wrong}", self.name, self.sound.claims());
        assert!(refused > 0, "{} {what}: not one flip was refused", self.name);
    }

    fn is_sound(&self, verdict: &Verdict) -> bool {
        verdict.claims() == self.sound.claims() && verdict.checks() == self.sound.checks()
    }

    fn flip_quote(&self) {
        let collateral = Collateral::from_json(&self.json).unwrap();
        self.sweep("quote", &self.quote, |quote| {
            let evidence = Evidence::from_quote(quote.to_vec()).ok()?;
            Some(verify(&evidence, &collateral, &TrustAnchor::intel(), &policy(), self.now))
        });
    }

    fn flip_json(&self) {
        self.sweep("collateral", &self.json, |json| appraise(&self.quote, json, self.now));
    }

    /// Flips in the collateral's parts as they are before they are written as JSON.
    fn flip_parts(&self) {
        let json: Value = serde_json::from_slice(&self.json).unwrap();
        let member = |name: &str| json[name].as_str().unwrap();
        for name in TEXTS.into_iter().chain(CHAINS) {
            let frame = Frame::around(&json, name);
            self.sweep(name, member(name).as_bytes(), |bytes| {
                // JSON cannot carry what is no UTF-8.
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
    fn cut(&self) {
        let collateral = Collateral::from_json(&self.json).unwrap();
        for length in lengths(self.quote.len()) {
            assert!(rejected_with(&self.quote[..length], &collateral, self.now), "quote of {length} bytes");
        }
        for length in lengths(self.json.len()) {
            assert!(Collateral::from_json(&self.json[..length]).is_err(), "JSON of {length} bytes");
        }
        // A shorter part in JSON that is whole. Only line ends may miss, at the end of a chain.
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

fn policy() -> Policy {
    let tcb = TcbPolicy {
        accepted_statuses: vec![TcbStatus::UpToDate, TcbStatus::ConfigurationAndSwHardeningNeeded],
        accepted_advisories: vec!["INTEL-SA-00289".into(), "INTEL-SA-00615".into()],
        ..TcbPolicy::default()
    };
    Policy { any_identity: true, tcb, ..Policy::default() }
}

fn appraise(quote: &[u8], json: &[u8], now: i64) -> Option<Verdict> {
    let evidence = Evidence::from_quote(quote.to_vec()).ok()?;
    let collateral = Collateral::from_json(json).ok()?;
    Some(verify(&evidence, &collateral, &TrustAnchor::intel(), &policy(), now))
}

fn rejected(quote: &[u8], json: &[u8], now: i64) -> bool {
    Collateral::from_json(json).map_or(true, |collateral| rejected_with(quote, &collateral, now))
}

/// Whether nothing accepts it: as what its header says it is, and as either kind of evidence.
fn rejected_with(quote: &[u8], collateral: &Collateral, now: i64) -> bool {
    let forms =
        [Evidence::SgxQuote(quote.to_vec()), Evidence::TdxQuote(quote.to_vec())].map(Some).into_iter();
    forms.chain([Evidence::from_quote(quote.to_vec()).ok()]).flatten().all(|evidence| {
        let _ = inspect(&evidence);
        verify(&evidence, collateral, &TrustAnchor::intel(), &policy(), now).accepted().is_err()
    })
}

/// Lengths below `whole`; the last 40 also in a sample.
fn lengths(whole: usize) -> impl Iterator<Item = usize> {
    let stride = if full() { 1 } else { CUT_STRIDE };
    (0..whole).filter(move |length| length % stride == 0 || length + 40 > whole)
}

/// JSON of a collateral with one member left open.
struct Frame {
    before: Vec<u8>,
    behind: Vec<u8>,
}

impl Frame {
    fn around(json: &Value, member: &str) -> Self {
        const HOLE: &str = "\"@hole@\"";
        let mut json = json.clone();
        json[member] = HOLE.trim_matches('"').into();
        let text = json.to_string();
        let (before, behind) = text.split_once(HOLE).unwrap();
        Self { before: before.into(), behind: behind.into() }
    }

    fn with(&self, member: &str) -> Vec<u8> {
        let member = serde_json::to_vec(member).unwrap();
        [self.before.as_slice(), &member, &self.behind].concat()
    }
}

#[test]
fn flipped_bits_of_an_sgx_quote() {
    Subject::sgx_v3().flip_quote();
}

#[test]
fn flipped_bits_of_a_tdx_quote_of_version_4() {
    Subject::tdx_v4().flip_quote();
}

#[test]
fn flipped_bits_of_a_tdx_quote_of_version_5() {
    Subject::tdx_v5().flip_quote();
}

#[test]
fn flipped_bits_of_the_collateral_of_an_sgx_quote() {
    Subject::sgx_v3().flip_json();
}

#[test]
fn flipped_bits_of_the_collateral_of_a_tdx_quote_of_version_4() {
    Subject::tdx_v4().flip_json();
}

#[test]
fn flipped_bits_of_the_collateral_of_a_tdx_quote_of_version_5() {
    Subject::tdx_v5().flip_json();
}

#[test]
fn flipped_bits_of_the_parts_of_an_sgx_quotes_collateral() {
    Subject::sgx_v3().flip_parts();
}

#[test]
fn flipped_bits_of_the_parts_of_a_tdx_4_quotes_collateral() {
    Subject::tdx_v4().flip_parts();
}

#[test]
fn flipped_bits_of_the_parts_of_a_tdx_5_quotes_collateral() {
    Subject::tdx_v5().flip_parts();
}

#[test]
fn what_was_cut_off_an_sgx_quote_is_missed() {
    Subject::sgx_v3().cut();
}

#[test]
fn what_was_cut_off_a_tdx_quote_of_version_4_is_missed() {
    Subject::tdx_v4().cut();
}

#[test]
fn what_was_cut_off_a_tdx_quote_of_version_5_is_missed() {
    Subject::tdx_v5().cut();
}

/// `SplitMix64`: the same garbage in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        let words = std::iter::repeat_with(|| self.next().to_le_bytes()).take(length.div_ceil(8));
        let mut bytes: Vec<u8> = words.flatten().collect();
        bytes.truncate(length);
        bytes
    }
}

/// Refused, and soon.
#[track_caller]
fn refuse(what: &str, rejected: impl FnOnce() -> bool) {
    let begun = Instant::now();
    assert!(rejected(), "{what}: accepted");
    assert!(begun.elapsed() < LIMIT, "{what}: took {:?}", begun.elapsed());
}

const SIZES: [usize; 12] = [0, 1, 47, 48, 432, 436, 1020, 4600, MAX_QUOTE, MAX_QUOTE + 1, 1 << 18, 1 << 20];

#[test]
fn garbage_is_no_quote() {
    let mut random = Random(1);
    for subject in [Subject::sgx_v3(), Subject::tdx_v4(), Subject::tdx_v5()] {
        let collateral = Collateral::from_json(&subject.json).unwrap();
        let refuse_quote = |what: &str, quote: &[u8]| {
            refuse(what, || rejected_with(quote, &collateral, subject.now));
        };
        for size in SIZES {
            refuse_quote("garbage", &random.bytes(size));
            // Behind a whole quote and behind a part of it.
            if size > 0 {
                refuse_quote("a quote and garbage", &[&*subject.quote, &random.bytes(size)].concat());
            }
            for prefix in [1, 5, 48, 54, 432, 436, 636, 700, 1020, 1046, 2000] {
                let quote = [&subject.quote[..prefix], &random.bytes(size)].concat();
                refuse_quote("half a quote and garbage", &quote);
            }
            // The length field fits.
            for signed in [432_usize, 632, 48 + 6 + 584, 48 + 6 + 648, 48 + 6 + 885] {
                let length = u32::try_from(size).unwrap().to_le_bytes();
                let quote = [&subject.quote[..signed], &length, &random.bytes(size)].concat();
                refuse_quote("signature data of garbage", &quote);
            }
        }
        // A stretch of a good quote overwritten.
        for _ in 0..if full() { 5_000 } else { 200 } {
            let mut quote = subject.quote.clone();
            let at = usize::try_from(random.next()).unwrap() % 1500;
            let length = 1 + usize::try_from(random.next()).unwrap() % 64;
            let end = (at + length).min(quote.len());
            let garbage = random.bytes(end - at);
            quote[at..end].copy_from_slice(&garbage);
            if quote != subject.quote && quote[1020..] == subject.quote[1020..] {
                refuse_quote("a stretch of garbage", &quote);
            }
        }
    }
}

#[test]
fn garbage_is_no_collateral() {
    let mut random = Random(2);
    let subject = Subject::sgx_v3();
    let refuse_json = |what: &str, json: &[u8]| {
        refuse(what, || rejected(&subject.quote, json, subject.now));
    };
    for size in SIZES {
        let garbage = random.bytes(size);
        let text: String = garbage.iter().map(|byte| char::from(b' ' + byte % 95)).collect();
        refuse_json("garbage", &garbage);
        refuse_json("text", text.as_bytes());
        if !text.trim().is_empty() {
            refuse_json("JSON and text", &[&*subject.json, text.as_bytes()].concat());
        }
        for prefix in [1, 2, 30, 3000, 10_000] {
            refuse_json("half of it and garbage", &[&subject.json[..prefix], &garbage].concat());
            refuse_json("half of it and text", &[&subject.json[..prefix], text.as_bytes()].concat());
        }
        let json: Value = serde_json::from_slice(&subject.json).unwrap();
        for name in TEXTS.into_iter().chain(HEX).chain(CHAINS) {
            let frame = Frame::around(&json, name);
            refuse_json(name, &frame.with(&text));
            refuse_json(name, &frame.with(&hex::encode(&garbage)));
        }
    }
    let spaces = [&*subject.json, &b" ".repeat(MAX_COLLATERAL)].concat();
    refuse_json("longer than allowed", &spaces);
}

/// Inputs made to cost much: nesting, many certificates, many levels, many revoked certificates.
#[test]
fn bombs_do_not_go_off() {
    const SIZE: usize = MAX_COLLATERAL - 64 * 1024;
    let subject = Subject::sgx_v3();
    let json: Value = serde_json::from_slice(&subject.json).unwrap();
    let refuse_json = |what: &str, json: &[u8]| {
        refuse(what, || rejected(&subject.quote, json, subject.now));
    };
    for open in ["[", "{\"a\":", "{\"tcb_info\":", "[{\"a\":[", "\"", "\"\\u0000", "1e", "-", "9"] {
        refuse_json(open, open.repeat(SIZE / open.len()).as_bytes());
    }
    let nested = format!("{}{}", "[".repeat(SIZE / 2), "]".repeat(SIZE / 2));
    refuse_json("nested", nested.as_bytes());
    for name in TEXTS {
        let frame = Frame::around(&json, name);
        refuse_json("nested text", &frame.with(&nested));
        let levels = json[name].as_str().unwrap();
        let at = levels.find("\"tcbLevels\":[").unwrap() + "\"tcbLevels\":[".len();
        let deep = format!("{}{}{}", &levels[..at], "[".repeat(SIZE), &levels[at..]);
        refuse_json("nested levels", &frame.with(&deep));
        // Well-formed: the first level again and again.
        let end = at + levels[at..].find("},{\"tcb\"").map_or(0, |end| end + 2);
        if end > at + 2 {
            let level = &levels[at..end];
            let many = format!("{}{}{}", &levels[..at], level.repeat(SIZE / level.len() / 2), &levels[at..]);
            refuse_json("many levels", &frame.with(&many));
        }
    }
    for name in CHAINS {
        let (frame, chain) = (Frame::around(&json, name), json[name].as_str().unwrap());
        let one = &chain[..chain.rfind("-----BEGIN").unwrap()];
        for block in [
            one,
            "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
            "-----BEGIN A-----\n-----END A-----\n",
            "-----BEGIN CERTIFICATE-----\n",
            "-----END CERTIFICATE-----\n",
            "-----BEGIN -----",
            "-----",
            "A\n\n",
            "-----BEGIN A-----\nb: c\n\n\n",
        ] {
            // Line ends are two bytes in JSON.
            let many = block.repeat(SIZE / (block.len() + 24));
            refuse_json(block, &frame.with(&many));
            refuse_json(block, &frame.with(&format!("{chain}{many}{chain}")));
        }
    }
    // DER whose outer length is right and whose content never ends: SEQUENCE in SEQUENCE, and many empty
    // ones.
    for name in ["root_ca_crl", "pck_crl"] {
        let frame = Frame::around(&json, name);
        let deep: Vec<u8> = b"\x30\x80".repeat(SIZE / 4);
        refuse_json("indefinite lengths", &frame.with(&hex::encode(deep)));
        for filling in [&b"\x30\x00"[..], b"\x30\x82\xff\xff", b"\x02\x01\x01"] {
            let body = filling.repeat(SIZE / 2 / filling.len() - 8);
            let length = u32::try_from(body.len()).unwrap().to_be_bytes();
            let der = [&[0x30, 0x84], &length[..], &body].concat();
            refuse_json("a long sequence", &frame.with(&hex::encode(der)));
        }
    }
    // As many certificates as a quote can carry.
    let shape = tcs_sgx_sim::QuoteShape {
        certification_data: Some(b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n".repeat(220)),
        ..tcs_sgx_sim::QuoteShape::default()
    };
    let bench = crate::bench::Bench::new();
    let evidence = bench.shaped(&crate::bench::production(), &shape);
    assert!(evidence.bytes().len() < MAX_QUOTE);
    refuse("a quote of certificates", || {
        bench.with_policy(&evidence, &crate::any_identity()).accepted().is_err()
    });
}
