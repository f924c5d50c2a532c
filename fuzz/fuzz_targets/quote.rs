//! Quotes: as their header says, and as either kind of evidence.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tcs_evidence::{Evidence, Quote};
use tcs_fuzz::{SGX, TDX, TDX5};

fuzz_target!(|quote: &[u8]| {
    let named = Evidence::from_quote(quote.to_vec());
    if let Ok(evidence) = &named {
        // What was read is a whole quote, and the part that was cut off holds zeros only.
        assert!(Quote::parse(evidence.bytes()).is_ok());
        let (kept, cut) = quote.split_at(evidence.bytes().len());
        assert!(kept == evidence.bytes() && cut.iter().all(|byte| *byte == 0));
    }
    let forms = [Evidence::SgxQuote(quote.to_vec()), Evidence::TdxQuote(quote.to_vec())];
    for evidence in forms.into_iter().chain(named) {
        for genuine in [&SGX, &TDX, &TDX5] {
            genuine.check_evidence(&evidence);
        }
    }
});
