//! The public interface of `tcs-evidence` for quotes: names, lengths, refusals, debug mode.

use crate::fixture::{Fixture, production, trust_domain};
use crate::read;
use tcs_evidence::{Error, Evidence, Quote, SgxQuoteV3};
use tcs_sgx_sim::{Enclave, Td};

#[test]
fn kinds_have_their_names() {
    assert_eq!(Evidence::SgxQuote(Vec::new()).kind(), "sgx-quote-v3");
    assert_eq!(Evidence::TdxQuote(Vec::new()).kind(), "tdx-quote");
}

/// The enclave uses it to cut its quote before it passes it on.
#[test]
fn the_true_length_of_an_sgx_quote_is_found_behind_padding() {
    let quote = read("dcap-qvl/sgx_quote");
    let signed = Fixture::new().sgx(&production()).bytes().to_vec();
    for quote in [signed.as_slice(), &quote] {
        let padded = [quote, &[0; 100]].concat();
        assert_eq!(SgxQuoteV3::true_length(&padded), Some(quote.len()));
        assert_eq!(SgxQuoteV3::true_length(&quote[..436]), Some(quote.len()));
        assert_eq!(SgxQuoteV3::true_length(&quote[..435]), None);
    }
    let mut long = signed;
    long[432..436].fill(0xff);
    assert_eq!(SgxQuoteV3::true_length(&long), Some(436 + 0xffff_ffff));
}

#[test]
fn what_cannot_be_appraised_is_named() {
    let error = |version: u8, tee: u8| {
        let mut quote = read("dcap-qvl/sgx_quote");
        (quote[0], quote[4]) = (version, tee);
        Quote::parse(&quote).unwrap_err()
    };
    for (version, tee, cause) in [
        (4, 0, "an SGX quote of version 4 or 5"),
        (5, 0, "an SGX quote of version 4 or 5"),
        (4, 1, "another kind of TEE than SGX or TDX"),
        (5, 0x80, "another kind of TEE than SGX or TDX"),
        (2, 0, "another version"),
        (6, 0x81, "another version"),
        (3, 0x81, "a quote of version 3 that is not for SGX"),
    ] {
        assert_eq!(error(version, tee), Error::QuoteMalformed(cause), "{version} {tee}");
    }
    assert_eq!(Quote::parse(&[0; 47]).unwrap_err(), Error::QuoteMalformed("too short"));
    assert_eq!(Error::QuoteMalformed("").code(), "QuoteMalformed");
}

#[test]
fn debug_mode_is_read_from_the_report() {
    let fixture = Fixture::new();
    for (flags, debug) in [(0x05, false), (0x07, true), (0x02, true), (0xfd, false)] {
        let evidence = fixture.sgx(&Enclave { flags, ..production() });
        let quote = SgxQuoteV3::parse(evidence.bytes()).unwrap();
        assert_eq!((quote.is_debug(), quote.report().is_debug()), (debug, debug), "{flags:#x}");
    }
    for (bits, debug) in [(0, false), (1, true), (1 << 7, true)] {
        let sound = trust_domain();
        let evidence = fixture.td(&Td { td_attributes: sound.td_attributes | bits, ..sound });
        let Quote::Tdx(quote) = evidence.quote().unwrap() else { panic!("not TDX") };
        assert_eq!(quote.report().is_debug(), debug, "{bits:#x}");
    }
}

/// Offsets of `sgx_quote_3.h` and `sgx_quote_4.h`, on genuine quotes.
#[test]
fn signature_data_lie_at_the_published_offsets() {
    for (name, signature, report) in [("sgx_quote", 436, 564), ("tdx_quote", 636, 636 + 128 + 6)] {
        let evidence = Evidence::from_quote(read(&format!("dcap-qvl/{name}"))).unwrap();
        let bytes = evidence.bytes();
        let data = evidence.quote().unwrap().signature_data().unwrap();
        assert_eq!(data.signature(), &bytes[signature..signature + 64], "{name}");
        assert_eq!(data.attestation_key(), &bytes[signature + 64..signature + 128]);
        assert_eq!(data.qe_report().bytes(), &bytes[report..report + 384]);
        assert_eq!(data.qe_report_signature(), &bytes[report + 384..report + 448]);
        assert_eq!(data.auth_data(), &bytes[report + 450..report + 482]);
        assert_eq!(data.pck_chain(), &bytes[report + 488..]);
        assert!(data.pck_chain().starts_with(b"-----BEGIN CERTIFICATE-----"));
    }
}
