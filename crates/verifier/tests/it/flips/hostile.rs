//! Input that is neither a quote nor collateral: garbage, and input that is made to be expensive.

use super::subject::{CHAINS, Frame, HEX, Subject, TEXTS, full, rejected, rejected_with};
use serde_json::Value;
use std::time::{Duration, Instant};
use tcs_evidence::MAX_QUOTE;
use tcs_verifier::{Collateral, MAX_COLLATERAL};

/// More time than any hostile input may take, even in a build without optimisation on a loaded machine.
const LIMIT: Duration = Duration::from_secs(10);

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

/// It is refused, and soon.
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
            // After a whole quote, and after a part of one.
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
        // A range of a genuine quote is overwritten.
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

/// Input that is made to be expensive: nesting, many certificates, many levels, many revoked certificates.
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
        // Well-formed: the first level, repeated many times.
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
    let fixture = crate::fixture::Fixture::new();
    let evidence = fixture.shaped(&crate::fixture::production(), &shape);
    assert!(evidence.bytes().len() < MAX_QUOTE);
    refuse("a quote of certificates", || {
        fixture.with_policy(&evidence, &crate::any_identity()).accepted().is_err()
    });
}
