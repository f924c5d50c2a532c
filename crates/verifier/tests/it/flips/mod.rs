//! Single-bit flips, truncations and garbage. `TCS_FLIPS=full` (`cargo xtask bit-flips`) flips every bit and
//! cuts at every length; otherwise a sample of them is taken.

mod hostile;
mod subject;

use subject::Subject;

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
