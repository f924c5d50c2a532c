//! Certificates. The first byte says where: `0` to `2` the DER of a certificate of the quote's chain, `3` to
//! `8` of the collateral's chains, `p` the quote's chain as PEM, `q` to `s` the collateral's.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pem::Pem;
use tcs_evidence::Evidence;
use tcs_fuzz::SGX;

const CHAINS: [&str; 3] = ["tcb_info_issuer_chain", "pck_crl_issuer_chain", "qe_identity_issuer_chain"];

fuzz_target!(|data: &[u8]| {
    let Some((place, data)) = data.split_first() else { return };
    match place {
        b'0'..=b'2' => {
            let quote = SGX.evidence.quote().unwrap();
            let chain = quote.signature_data().unwrap().pck_chain();
            check_quote(replaced(chain, usize::from(place - b'0'), data).as_bytes());
        }
        b'3'..=b'8' => {
            let place = usize::from(place - b'3');
            let chain = CHAINS[place / 2];
            let text = replaced(SGX.json[chain].as_str().unwrap().as_bytes(), place % 2, data);
            SGX.check_collateral(&SGX.json_with(chain, text));
        }
        b'p' => check_quote(data),
        b'q'..=b's' => {
            if let Ok(text) = std::str::from_utf8(data) {
                SGX.check_collateral(&SGX.json_with(CHAINS[usize::from(place - b'q')], text.into()));
            }
        }
        _ => {}
    }
});

/// The chain with one of its certificates replaced.
fn replaced(chain: &[u8], at: usize, der: &[u8]) -> String {
    let mut chain = pem::parse_many(chain).unwrap();
    chain[at] = Pem::new("CERTIFICATE", der);
    pem::encode_many(&chain)
}

/// The genuine quote with another chain, its lengths adapted.
fn check_quote(chain: &[u8]) {
    let bytes = SGX.evidence.bytes();
    let quote = SGX.evidence.quote().unwrap();
    let own = quote.signature_data().unwrap().pck_chain();
    let mut quote = bytes[..bytes.len() - own.len()].to_vec();
    let at = quote.len() - 4;
    quote[at..].copy_from_slice(&u32::try_from(chain.len()).unwrap().to_le_bytes());
    quote.extend_from_slice(chain);
    let signature = u32::try_from(quote.len() - 436).unwrap();
    quote[432..436].copy_from_slice(&signature.to_le_bytes());
    SGX.check_evidence(&Evidence::SgxQuote(quote));
}
