//! `/etc/sgx_default_qcnl.conf`, the settings of Intel's quote provider library: JSON with comments, or
//! `KEY=value` in the form of releases before DCAP 1.12. Only the addresses of the services, the number of
//! attempts and whether the server's certificate is checked are read, as the library reads them: it takes
//! every file that is not JSON for the older form, and ignores what it does not know.

use super::error::Error;
use crate::files::read_limited;
use jsonc_parser::ast::{Object, Value};
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};
use std::path::Path;

/// Longest file, in bytes.
const MAX_FILE: u64 = 64 * 1024;
/// The service that the library asks if the file names none.
const DEFAULT_URL: &str = "https://localhost:8081/sgx/certification/v4/";

/// Keys of the older form that have no meaning here.
const UNUSED: [&str; 7] = [
    "PCCS_API_VERSION",
    "RETRY_DELAY",
    "LOCAL_PCK_URL",
    "LOCAL_PCK_RETRY_DELAY",
    "PCK_CACHE_EXPIRE_HOURS",
    "VERIFY_COLLATERAL_CACHE_EXPIRE_HOURS",
    "LOCAL_CACHE_ONLY",
];

/// What the file says.
#[derive(Debug)]
pub struct Qcnl {
    pub url: String,
    pub attempts: Option<u32>,
}

/// Intel's settings that have a meaning here.
#[derive(Default)]
struct File {
    pccs_url: Option<String>,
    collateral_service: Option<String>,
    retry_times: Option<u32>,
    /// The server's certificate is not checked.
    insecure: bool,
    /// Members of the JSON form whose values the library ignores.
    ignored: Vec<&'static str>,
    /// Numbers of the lines of the older form that the library skips.
    skipped: Vec<usize>,
}

/// Reads the file. `has_ca`: the settings name a CA file, so that the server's certificate is checked against
/// it. `warnings` gets what was ignored, in a whole sentence each.
pub fn read(path: &Path, has_ca: bool, warnings: &mut Vec<String>) -> Result<Qcnl, Error> {
    let bytes = read_limited(path, MAX_FILE)
        .map_err(|cause| Error::Unreadable { path: path.to_owned(), cause: cause.to_string() })?;
    // The library does not look at the encoding, and old files have comments in others than UTF-8.
    let file = parse(&String::from_utf8_lossy(&bytes))
        .map_err(|cause| Error::QcnlMalformed { path: path.to_owned(), cause })?;
    let named = path.display();
    for key in &file.ignored {
        warnings.push(format!(
            "{key} in {named} is ignored, as the quote provider library does: its value is of another type"
        ));
    }
    warnings.extend(skipped(&file.skipped, &format!(" of {named}")));
    if file.insecure && !has_ca {
        return Err(Error::QcnlInsecure { path: path.to_owned() });
    }
    let url = file.collateral_service.or(file.pccs_url).unwrap_or_else(|| {
        warnings.push(format!(
            "{named} names no service: the default of the quote provider library is asked, {DEFAULT_URL}"
        ));
        DEFAULT_URL.to_owned()
    });
    // Intel counts repetitions. This module allows 10 attempts at most.
    let attempts = file.retry_times.map(|times| times.saturating_add(1).min(10));
    Ok(Qcnl { url, attempts })
}

/// Which lines are skipped, and why. A file can have thousands of them, so only the first three are named.
fn skipped(lines: &[usize], of: &str) -> Option<String> {
    let first: Vec<String> = lines.iter().take(3).map(ToString::to_string).collect();
    let first = first.join(", ");
    let why = "neither a comment nor KEY=value with a known key and a value of its kind";
    match lines.len() {
        0 => None,
        1 => Some(format!("line {first}{of} is skipped, because it is {why}")),
        2 | 3 => Some(format!("lines {first}{of} are skipped, because each is {why}")),
        all => Some(format!("{all} lines{of} are skipped, first {first}, because each is {why}")),
    }
}

/// The error says why the text is of neither form.
fn parse(text: &str) -> Result<File, String> {
    let options = ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
    };
    let no_json = match parse_to_ast(text, &CollectOptions::default(), &options) {
        Ok(parsed) => match parsed.value {
            Some(Value::Object(members)) => return Ok(of_members(&members)),
            // It is empty, or a comment.
            None => return Ok(File::default()),
            Some(_) => "it is JSON, but not an object".to_owned(),
        },
        Err(error) => error.to_string().replace('\n', " "),
    };
    let (file, known) = of_lines(text);
    match skipped(&file.skipped, "") {
        Some(lines) if known == 0 => Err(format!("as JSON: {no_json}; as KEY=value: {lines}")),
        _ => Ok(file),
    }
}

/// The JSON form. Of members with the same name, the first one counts.
fn of_members(members: &Object<'_>) -> File {
    let mut ignored = Vec::new();
    let mut text = |key: &'static str| {
        let value = &members.get(key)?.value;
        let text = value.as_string_lit().map(|text| text.value.clone().into_owned());
        if text.is_none() {
            ignored.push(key);
        }
        text
    };
    let (pccs_url, collateral_service) = (text("pccs_url"), text("collateral_service"));
    let secure = members.get("use_secure_cert").map(|found| found.value.as_boolean_lit());
    if secure == Some(None) {
        ignored.push("use_secure_cert");
    }
    let times = members.get("retry_times").map(|found| {
        found.value.as_number_lit().and_then(|number| number.value.parse().ok()).map(i32::cast_unsigned)
    });
    if times == Some(None) {
        ignored.push("retry_times");
    }
    File {
        pccs_url,
        collateral_service,
        retry_times: times.flatten(),
        insecure: secure.flatten().is_some_and(|secure| !secure.value),
        ignored,
        skipped: Vec::new(),
    }
}

/// `KEY=value` as the library reads it: without any white space, keys in capital letters, and a line without
/// `=` is its own value. Also returns the number of lines with a known key.
fn of_lines(text: &str) -> (File, usize) {
    let (mut file, mut known) = (File::default(), 0usize);
    for (number, line) in (1usize..).zip(text.split('\n')) {
        let line: String =
            line.chars().filter(|c| !matches!(c, ' ' | '\t' | '\r' | '\u{b}' | '\u{c}')).collect();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = line.split_once('=').unwrap_or((&line, &line));
        match key {
            "PCCS_URL" => file.pccs_url = Some(value.to_owned()),
            "COLLATERAL_SERVICE" => file.collateral_service = Some(value.to_owned()),
            // No later line turns the verification on again.
            "USE_SECURE_CERT" => file.insecure |= matches!(value, "FALSE" | "false"),
            "RETRY_TIMES" => match leading_integer(value) {
                Some(times) => file.retry_times = Some(times),
                None => file.skipped.push(number),
            },
            _ if UNUSED.contains(&key) => {}
            _ => {
                file.skipped.push(number);
                continue;
            }
        }
        known = known.saturating_add(1);
    }
    (file, known)
}

/// The integer at the beginning of a text, whatever follows it; a negative one is a very large number to the
/// library.
fn leading_integer(text: &str) -> Option<u32> {
    let sign = usize::from(text.starts_with(['+', '-']));
    let digits = text.bytes().skip(sign).take_while(u8::is_ascii_digit).count();
    text.get(..sign.saturating_add(digits))?.parse().ok().map(i32::cast_unsigned)
}

#[cfg(test)]
mod tests;
