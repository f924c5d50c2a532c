//! `km-attest`: the real program on quotes of a simulated platform, in every build.

#[cfg(not(feature = "simulation"))]
use crate::support::attest::SIMULATION;
use crate::support::attest::{BOUND, COLLATERAL, Fixture, KEY, OTHER_KEY, assert_refused};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

#[test]
fn mistakes_have_a_status_and_a_code_of_their_own() {
    let fixture = Fixture::new();
    fixture.configure_with("", "", "");
    assert_refused(&fixture.run(&[]), 5, "CollateralNotConfigured", BOUND);
    // Without settings no enclave is trusted, and nothing is known of the platform either.
    assert_refused(&fixture.command(&[]).output().unwrap(), 4, "NoIdentityConfigured", BOUND);
    let any = fixture.command(&["--any-identity"]).output().unwrap();
    assert_refused(&any, 5, "CollateralNotConfigured", BOUND);
    fixture.configure_with("", "[collateral]\nfile = \"absent.json\"\n", "");
    assert_refused(&fixture.run(&[]), 5, "CollateralUnreadable", BOUND);
    fixture.configure_with("", "[collateral]\nfile = \"attest.toml\"\n", "");
    assert_refused(&fixture.run(&[]), 5, "CollateralMalformed", BOUND);
    fixture.configure_with("", "", "nonsense = 1\n");
    assert_refused(&fixture.run(&[]), 2, "ConfigMalformed", "");
    let absent = fixture.command(&[]).env("KM_ATTEST_CONFIG", fixture.path("absent")).output().unwrap();
    assert_refused(&absent, 1, "ConfigUnreadable", "");
    assert_eq!(fixture.run(&["--nonsense"]).status.code(), Some(2));

    fixture.configure_with("", COLLATERAL, "");
    fixture.write("key.pem", "no key");
    assert_refused(&fixture.run(&[]), 7, "PublicKeyMalformed", "");
    // An Ed25519 key (RFC 8410, section 10.1).
    let ed25519 = "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=";
    fixture.write("key.pem", format!("-----BEGIN PUBLIC KEY-----\n{ed25519}\n-----END PUBLIC KEY-----\n"));
    assert_refused(&fixture.run(&[]), 7, "PublicKeyUnsupported", "");
    std::fs::remove_file(fixture.path("key.pem")).unwrap();
    assert_refused(&fixture.run(&[]), 7, "PublicKeyUnreadable", "");

    fixture.write("key.pem", KEY);
    for wrong in [b"no quote!".to_vec(), b"AAAA".to_vec(), fixture.quote[..4000].to_vec(), Vec::new()] {
        fixture.write("quote", wrong);
        assert_refused(&fixture.run(&[]), 3, "QuoteMalformed", "");
    }
    fixture.write("quote", vec![b'A'; 40_000]);
    assert_refused(&fixture.run(&[]), 1, "QuoteUnreadable", "");
}

#[test]
fn a_simulated_quote_is_refused_where_the_root_is_intels() {
    let fixture = Fixture::new();
    fixture.configure_with(&Fixture::identity(), COLLATERAL, "");
    assert_refused(&fixture.run(&[]), 3, "UntrustedRoot", BOUND);
    assert_refused(&fixture.run(&["--any-identity"]), 3, "UntrustedRoot", BOUND);
}

/// An attacker chooses the text of a quote's certificate chain. It never appears in a message, where it could
/// look like the tool's own words.
#[test]
fn review_c1_a_quote_cannot_put_words_into_a_refusal() {
    let fixture = Fixture::new();
    let chain = fixture.quote.windows(11).position(|window| window == b"-----BEGIN ").unwrap();
    let words = "SHA-256 of the verified public key";
    let pem = format!("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE\n{words}-----\n");
    let mut quote = fixture.quote.clone();
    let room = quote.len() - chain;
    let text: Vec<u8> = pem.bytes().chain(std::iter::repeat(b' ')).take(room).collect();
    quote.truncate(chain);
    quote.extend(text);
    fixture.write("quote", STANDARD.encode(quote));
    fixture.configure_with(&Fixture::identity(), COLLATERAL, "");
    let output = fixture.run(&[]);
    assert_refused(&output, 3, "QuoteMalformed", BOUND);
    assert!(!String::from_utf8(output.stderr).unwrap().contains("verified public key"));
}

#[test]
fn another_public_key_is_refused_before_anything_else() {
    let fixture = Fixture::new();
    fixture.configure_with("", "", "");
    fixture.write("key.pem", OTHER_KEY);
    assert_refused(&fixture.run(&[]), 3, "BindingMismatch", "");
}

#[cfg(not(feature = "simulation"))]
mod without_the_feature {
    use super::*;

    #[test]
    fn settings_for_a_simulated_root_are_refused() {
        let fixture = Fixture::new();
        for simulation in [SIMULATION, "[simulation]\n", "[simulation]\nallow = false\n"] {
            fixture.configure_with(&Fixture::identity(), COLLATERAL, simulation);
            assert_refused(&fixture.run(&[]), 3, "SimulationNotBuiltIn", "");
        }
    }

    #[test]
    fn the_version_does_not_speak_of_simulation() {
        let version = Fixture::new().run(&["--version"]).stdout;
        assert_eq!(version, format!("km-attest {}\n", env!("CARGO_PKG_VERSION")).into_bytes());
    }
}
