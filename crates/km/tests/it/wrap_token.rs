//! `km-wrap` with tokens of a real SoftHSM2.

use crate::support::wrap::{Fixture, PIN, WRONG_PIN, blob, ca_keys, refused, stored_objects, with_token};
use std::path::PathBuf;
use tcs_keywrap::WrapFormat;

#[test]
fn blobs_of_a_token_open_for_every_ca_key_and_nothing_is_left_in_it() {
    let test = "wrap_token::blobs_of_a_token_open_for_every_ca_key_and_nothing_is_left_in_it";
    with_token(test, |library, tokens| {
        let fixture = Fixture::new();
        for key in ca_keys(&fixture) {
            // The order of options in the original walk-through.
            let args = format!("--privkey {key} --pin {PIN} --token SgxOperator --module {library}");
            fixture.assert_opens(&fixture.wrap(&args), WrapFormat::KmraV1, &key);
            let args = format!(
                "--privkey {key} --pin {PIN} --token SgxOperator --module {library} --format kmra-v1"
            );
            fixture.assert_opens(&fixture.wrap(&args), WrapFormat::KmraV1, &key);
        }
        assert_eq!(stored_objects(tokens), Vec::<PathBuf>::new());
    });
}

#[test]
fn refusals_of_the_token_have_codes_of_their_own() {
    with_token("wrap_token::refusals_of_the_token_have_codes_of_their_own", |library, tokens| {
        let fixture = Fixture::new();
        fixture.openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ca.key");
        fixture.openssl("genpkey -algorithm ED25519 -out ed25519.key");
        let with = |key: &str, pin: &str, token: &str, module: &str| {
            format!("--pubkey quote.pem --privkey {key} {pin} --token {token} --module {module}")
        };
        let pin = &format!("--pin {PIN}");
        let args = with("ca.key", &format!("--pin {WRONG_PIN}"), "SgxOperator", library);
        fixture.assert_refused(&args, 6, "PinIncorrect");
        let text = fixture.assert_refused(&with("ca.key", pin, "Other", library), 6, "TokenNotFound");
        assert!(text.contains("\"Other\"") && text.contains("\"SgxOperator\""), "{text}");
        fixture.assert_refused(&with("ca.key", "", "SgxOperator", library), 6, "PinMissing");
        let missing = with("ca.key", "--pin-file missing.txt", "SgxOperator", library);
        fixture.assert_refused(&missing, 6, "PinUnreadable");
        fixture.assert_refused(
            &with("ca.key", pin, "SgxOperator", "/nonexistent.so"),
            6,
            "ModuleUnavailable",
        );
        // With a wrong PIN and a faulty key, the key is checked first, so that no attempt is used up.
        let args = with("ed25519.key", &format!("--pin {WRONG_PIN}"), "SgxOperator", library);
        let text = fixture.assert_refused(&args, 7, "PrivateKeyUnsupported");
        assert!(text.contains("Ed25519"), "{text}");
        fixture.openssl("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.key");
        fixture.openssl("pkey -in rsa.key -pubout -out rsa2048.pem");
        let args = args.replace("quote.pem", "rsa2048.pem").replace("ed25519.key", "ca.key");
        fixture.assert_refused(&args, 7, "PublicKeyTooSmall");
        let mut no_conf = fixture.command(&with("ca.key", pin, "SgxOperator", library));
        no_conf.env("SOFTHSM2_CONF", "/nonexistent/softhsm2.conf");
        refused(&no_conf.output().unwrap(), 6, "ModuleUnavailable");
        assert_eq!(stored_objects(tokens), Vec::<PathBuf>::new());
    });
}

/// The original put PINs on command lines and into logs.
#[test]
fn w_s8_the_pin_needs_no_argument_and_is_never_printed() {
    with_token("wrap_token::w_s8_the_pin_needs_no_argument_and_is_never_printed", |library, _| {
        let fixture = Fixture::new();
        fixture.openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ca.key");
        let args = format!("--pubkey quote.pem --privkey ca.key --token SgxOperator --module {library}");
        for (name, content) in
            [("plain", PIN.to_owned()), ("line", format!("{PIN}\n")), ("dos", format!("{PIN}\r\n"))]
        {
            fixture.write(name, &content);
            let output = fixture.run(&format!("{args} --pin-file {name}"));
            fixture.assert_opens(&blob(&output), WrapFormat::KmraV1, "ca.key");
        }
        let output = fixture.command(&args).env("KM_WRAP_PIN", PIN).output().unwrap();
        fixture.assert_opens(&blob(&output), WrapFormat::KmraV1, "ca.key");
        // The source that is closer to the user takes precedence.
        let output =
            fixture.command(&format!("{args} --pin-file line")).env("KM_WRAP_PIN", WRONG_PIN).output();
        fixture.assert_opens(&blob(&output.unwrap()), WrapFormat::KmraV1, "ca.key");

        fixture.write("wrong", WRONG_PIN);
        let by_file = fixture.run(&format!("{args} --pin-file wrong"));
        let by_env = fixture.command(&args).env("KM_WRAP_PIN", WRONG_PIN).output().unwrap();
        let by_option = fixture.run(&format!("{args} --pin {WRONG_PIN}"));
        for output in [&by_file, &by_env, &by_option] {
            let text = refused(output, 6, "PinIncorrect");
            assert!(!text.contains(WRONG_PIN), "{text}");
        }
        let help = fixture.command("--help").env("KM_WRAP_PIN", WRONG_PIN).output().unwrap();
        assert!(help.status.success() && !String::from_utf8(help.stdout).unwrap().contains(WRONG_PIN));
        refused(&fixture.command(&args).env("KM_WRAP_PIN", "").output().unwrap(), 6, "PinMissing");
    });
}
