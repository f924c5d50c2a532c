//! Every form that is read, and every one that is refused.

use crate::block;
use tcs_pem::{MAX_BLOCKS, MAX_LABEL, PrivateKeyEncoding, all, blocks, encode, one, private_key};

const LABEL: &str = "CERTIFICATE REQUEST";

fn read(text: impl AsRef<[u8]>) -> Result<Vec<u8>, &'static str> {
    one(text.as_ref(), LABEL).map(|der| der.to_vec()).map_err(|error| error.code())
}

#[test]
fn lax_forms_are_read() {
    let plain = block(LABEL);
    let long = "A".repeat(4000);
    let outside = |before: &[u8], after: &[u8]| [before, plain.as_bytes(), after].concat();
    for text in [
        outside(b"", b""),
        outside(b"Bag Attributes\n    friendlyName: x\n\n", b"more\n"),
        outside(b"\xe9\xff\0 in whatever encoding\n", b"\xe9"),
        outside(b"\xef\xbb\xbf", b""),
        outside(b"\xef\xbb\xbfafter a mark\n", b""),
        outside(b"---- BEGIN no boundary\n----- neither -----\n", b"\n\n"),
        plain.trim_end().into(),
        plain.replace('\n', "\r\n").into(),
        plain.replace('\n', " \t\r\n").into(),
        plain.replace('\n', "\n\n \n").into(),
        plain.replace("AQI=", " \tA Q\tI\n = ").into(),
    ] {
        assert_eq!(read(&text), Ok(vec![1, 2]), "{}", String::from_utf8_lossy(&text));
    }
    let text = plain.replace("AQI=", &long);
    assert_eq!(read(text), Ok(vec![0; 3000]), "one long line");
}

/// Certificates and requests are read from bytes, like private keys: the text around them is ignored.
#[test]
fn case_p14_text_around_blocks_has_any_encoding() {
    let utf16: Vec<u8> = "ca müller\n".encode_utf16().flat_map(u16::to_le_bytes).chain(*b"\n").collect();
    for text in [&b"m\xfcller\n"[..], b"\xff\xfe\n", &utf16, b"\0\n", b"\xed\xa0\x80\n", b"\x80\r\n"] {
        let around = |label: &str| [text, block(label).as_bytes(), text].concat();
        assert_eq!(one(&around(LABEL), LABEL).unwrap().to_vec(), [1, 2], "{text:?}");
        assert!(private_key(&around("PRIVATE KEY")).is_ok(), "{text:?}");
        let two = [around("CERTIFICATE"), around("CERTIFICATE")].concat();
        assert_eq!(all(&two, "CERTIFICATE").unwrap().len(), 2, "{text:?}");
    }
}

#[test]
fn what_two_readers_could_read_differently_is_refused_by_name() {
    let (plain, other) = (block(LABEL), block("ZZ"));
    let deep = format!("-----BEGIN {LABEL}-----\n{plain}");
    for (text, code) in [
        (String::new(), "NoBlock"),
        ("\u{feff}".into(), "NoBlock"),
        ("AQI=\n".into(), "NoBlock"),
        (plain.replace("-----BEGIN", "----BEGIN").replace("-----END", "----END"), "NoBlock"),
        (plain.to_lowercase(), "NoBlock"),
        (plain.clone() + &plain, "SeveralBlocks"),
        (plain.clone() + &other, "SeveralBlocks"),
        (other.clone() + &plain, "SeveralBlocks"),
        (other, "LabelUnexpected"),
        (format!("x{plain}"), "BoundaryMalformed"),
        (format!(" {plain}"), "BoundaryMalformed"),
        (format!("-{plain}"), "BoundaryMalformed"),
        (format!("text\r{plain}"), "BoundaryMalformed"),
        (format!("text\0{plain}"), "BoundaryMalformed"),
        (format!("\u{b}{plain}"), "BoundaryMalformed"),
        (format!("text\n\u{feff}{plain}"), "BoundaryMalformed"),
        (format!("{}{plain}", "x".repeat(254)), "BoundaryMalformed"),
        (format!("{plain}x-----BEGIN"), "BoundaryMalformed"),
        (plain.replace('\n', "\r"), "BoundaryMalformed"),
        (plain.trim_end().to_owned() + "\r", "BoundaryMalformed"),
        (plain.trim_end().to_owned() + "\r ", "BoundaryMalformed"),
        (plain.replace("-----\n", "-----\r\r\n"), "BoundaryMalformed"),
        (plain.replace("-----\n", "-----\r \n"), "BoundaryMalformed"),
        (plain.replace("AQI=", "AQI=\r\r"), "LineMalformed"),
        (plain.replace("AQI=\n", "AQI="), "BoundaryMalformed"),
        (plain.replacen("-----\n", "-----AQI=\n", 1), "BoundaryMalformed"),
        (plain.replacen("-----\n", "------\n", 1), "BoundaryMalformed"),
        (plain.replacen("-----\n", "----\n", 1), "BoundaryMalformed"),
        (plain.replacen("-----\n", "-----\u{c}\n", 1), "BoundaryMalformed"),
        (plain.replace("BEGIN ", "BEGIN"), "BoundaryMalformed"),
        (plain.replace("BEGIN ", "BEGIN  "), "BoundaryMalformed"),
        (plain.replace(" REQUEST", "  REQUEST"), "BoundaryMalformed"),
        (plain.replace("CERTIFICATE REQUEST", ""), "BoundaryMalformed"),
        (plain.replace("REQUEST", "R\u{e9}QUEST"), "BoundaryMalformed"),
        (plain.replace("REQUEST", &"R".repeat(MAX_LABEL)), "BoundaryMalformed"),
        (plain.replace("-----END", " -----END"), "BoundaryMalformed"),
        (plain.replace("END CERTIFICATE", "END NEW CERTIFICATE"), "BoundaryMismatch"),
        (deep, "BoundaryMismatch"),
        (format!("-----END {LABEL}-----\n{plain}"), "BoundaryMismatch"),
        (format!("{plain}-----END {LABEL}-----\n"), "BoundaryMismatch"),
        (plain.split("-----END").next().unwrap().into(), "Unclosed"),
        (format!("{plain}-----BEGIN {LABEL}-----\n"), "Unclosed"),
        (plain.replace("AQI=", "Comment: x\n\nAQI="), "LineMalformed"),
        (plain.replace("AQI=", "AQ\rI="), "LineMalformed"),
        (plain.replace("AQI=", "AQI=\0"), "LineMalformed"),
        (plain.replace("AQI=", "AQI_"), "LineMalformed"),
        (plain.replace("AQI=", "AQI=\n-----"), "LineMalformed"),
        (plain.replace("AQI=", "AQI"), "Base64Malformed"),
        (plain.replace("AQI=", "AQI=="), "Base64Malformed"),
        (plain.replace("AQI=", "AQI=AQI="), "Base64Malformed"),
        // The last two bits have no meaning and must be zero; otherwise one key would have four texts.
        (plain.replace("AQI=", "AQJ="), "Base64Malformed"),
        (plain.replace("AQI=", ""), "Base64Malformed"),
    ] {
        assert_eq!(read(&text), Err(code), "{text:?}");
    }
}

#[test]
fn errors_name_line_and_label() {
    let said = |text: &str| one(text.as_bytes(), LABEL).err().unwrap().to_string();
    assert!(said(&format!("a\nb\nx{}", block(LABEL))).contains("line 3"));
    assert!(said(&block("PUBLIC KEY")).contains("\"PUBLIC KEY\", but \"CERTIFICATE REQUEST\" is expected"));
    assert!(said(&format!("\n-----BEGIN {LABEL}-----\nAQI=\n")).contains("line 2"));
}

#[test]
fn bundles_keep_their_order_and_hold_nothing_else() {
    let second = block("CERTIFICATE").replace("AQI=", "AwQ=");
    let bundle = format!("# issuing\n{}# root\n{second}", block("CERTIFICATE"));
    let read = |text: &str| all(text.as_bytes(), "CERTIFICATE").map_err(|error| error.code());
    let ders: Vec<Vec<u8>> = read(&bundle).unwrap().iter().map(|der| der.to_vec()).collect();
    assert_eq!(ders, [[1, 2], [3, 4]]);
    assert_eq!(read("").err(), Some("NoBlock"));
    assert_eq!(read(&(bundle + &block("PRIVATE KEY"))).err(), Some("LabelUnexpected"));
    assert!(read(&block("CERTIFICATE").repeat(MAX_BLOCKS)).is_ok());
    assert_eq!(read(&block("CERTIFICATE").repeat(MAX_BLOCKS + 1)).err(), Some("TooManyBlocks"));
}

#[test]
fn a_private_key_may_have_company_but_no_second_one() {
    let read =
        |text: &str| private_key(text.as_bytes()).map(|key| key.encoding).map_err(|error| error.code());
    for (label, encoding) in [
        ("PRIVATE KEY", PrivateKeyEncoding::Pkcs8),
        ("RSA PRIVATE KEY", PrivateKeyEncoding::Pkcs1),
        ("EC PRIVATE KEY", PrivateKeyEncoding::Sec1),
    ] {
        assert_eq!(read(&block(label)), Ok(encoding));
        let company = block("EC PARAMETERS") + &block(label) + &block("CERTIFICATE");
        assert_eq!(read(&company), Ok(encoding));
        assert_eq!(read(&(block(label) + &block("PRIVATE KEY"))), Err("SeveralBlocks"));
    }
    assert_eq!(read(&block("CERTIFICATE")), Err("LabelUnexpected"));
    assert_eq!(read(&block("OPENSSH PRIVATE KEY")), Err("LabelUnexpected"));
    assert_eq!(read("text"), Err("NoBlock"));
    assert_eq!(read(&block("ENCRYPTED PRIVATE KEY")), Err("Encrypted"));
    let headers = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAQI=";
    assert_eq!(read(&block("RSA PRIVATE KEY").replace("AQI=", headers)), Err("Encrypted"));
}

#[test]
fn what_is_written_is_read_again() {
    for length in [1, 47, 48, 49, 400] {
        let der = vec![7; length];
        let text = encode("CERTIFICATE", &der);
        assert!(text.ends_with("-----END CERTIFICATE-----\n") && text.lines().all(|line| line.len() <= 64));
        assert_eq!(one(text.as_bytes(), "CERTIFICATE").unwrap().to_vec(), der);
    }
    assert_eq!(blocks(b"").unwrap().len(), 0);
}
