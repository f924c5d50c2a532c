//! Durations as Go writes them: the grammar of [`time.ParseDuration`].
//!
//! [`time.ParseDuration`]: https://pkg.go.dev/time#ParseDuration
//!
//! cert-manager reads its annotation with that function. The crates that claim to read the same differ from
//! it: some accept blanks, an empty text or two signs, others refuse fractions.

use std::time::Duration;

/// The largest number of nanoseconds, without its sign, that Go's type holds: that of the smallest duration.
const MAX: u64 = 1 << 63;

/// Reads a duration, in nanoseconds. `None` if Go refuses the text.
#[must_use]
pub fn parse(text: &str) -> Option<i64> {
    let (is_negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if unsigned == "0" {
        return Some(0);
    }
    if unsigned.is_empty() {
        return None;
    }
    let (mut rest, mut total) = (unsigned, 0_u64);
    while !rest.is_empty() {
        let part;
        (part, rest) = first_part(rest)?;
        total = total.checked_add(part).filter(|total| *total <= MAX)?;
    }
    if is_negative { 0_i64.checked_sub_unsigned(total) } else { i64::try_from(total).ok() }
}

/// Reads a duration that is not negative, for the command line.
///
/// # Errors
///
/// A sentence, if the text is none.
pub fn parse_not_negative(text: &str) -> Result<Duration, String> {
    let nanos = parse(text).and_then(|nanos| u64::try_from(nanos).ok());
    nanos.map(Duration::from_nanos).ok_or_else(|| format!("'{text}' is not a duration such as 15s or 1m30s"))
}

/// Reads a number with its unit at the start of a text. Returns nanoseconds and the rest of the text.
fn first_part(text: &str) -> Option<(u64, &str)> {
    let (whole, rest) = split_digits(text);
    let (fraction, rest) = rest.strip_prefix('.').map_or(("", rest), split_digits);
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let end = rest.find(|char: char| char == '.' || char.is_ascii_digit()).unwrap_or(rest.len());
    let (unit, rest) = rest.split_at_checked(end)?;
    let unit = nanoseconds(unit)?;
    // Leading zeros are the only digits that may be more than the type holds.
    let whole = whole.bytes().try_fold(0_u64, |number, digit| {
        number
            .checked_mul(10)?
            .checked_add(u64::from(digit.wrapping_sub(b'0')))
            .filter(|number| *number <= MAX)
    })?;
    let whole = whole.checked_mul(unit).filter(|whole| *whole <= MAX)?;
    let total = whole.checked_add(fraction_of(fraction, unit)).filter(|total| *total <= MAX)?;
    Some((total, rest))
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

fn nanoseconds(unit: &str) -> Option<u64> {
    Some(match unit {
        "ns" => 1,
        // U+00B5 is the micro sign and U+03BC the Greek letter.
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

/// The digits behind a point times a unit, rounded as Go rounds: with floating-point numbers of 64 bits, and
/// without the digits that do not fit into an integer.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "Go rounds in this way; the product is not negative and less than the unit"
)]
fn fraction_of(digits: &str, unit: u64) -> u64 {
    let (mut number, mut scale) = (0_u64, 1_f64);
    for digit in digits.bytes() {
        let next = number.checked_mul(10).filter(|_| number <= (MAX - 1) / 10);
        let next = next.and_then(|next| next.checked_add(u64::from(digit.wrapping_sub(b'0'))));
        let Some(next) = next.filter(|next| *next <= MAX) else { break };
        (number, scale) = (next, scale * 10.0);
    }
    (number as f64 * (unit as f64 / scale)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use tcs_go_oracle::GoOracle;

    /// Texts that a reader of its own kind would read in another way.
    const TEXTS: &[&str] = &[
        "",
        "0",
        "+0",
        "-0",
        "00",
        "0s",
        "-0s",
        "+",
        "-",
        "++1s",
        "--1s",
        "+-1s",
        "-+1s",
        "1",
        "1.",
        "1.s",
        ".s",
        ".",
        ".5s",
        "-.5s",
        "1.5h",
        "1h30m",
        "1h 30m",
        " 1h",
        "1h ",
        "1H",
        "1hr",
        "1 hour",
        "1hour",
        "1d",
        "1w",
        "1y",
        "P1D",
        "PT1H",
        "1h-30m",
        "1h+30m",
        "2160h0m0s",
        "2160h",
        "87600h",
        "600s",
        "600",
        "1e3s",
        "0x10s",
        "1_000s",
        "1,5s",
        "1us",
        "1\u{b5}s",
        "1\u{3bc}s",
        "1ms1us1ns",
        "1ns",
        "0.5ns",
        "0.9999999999ns",
        "1m1m",
        "1s1h",
        "1.2.3s",
        "1..2s",
        "9223372036854775807ns",
        "9223372036854775808ns",
        "-9223372036854775808ns",
        "-9223372036854775809ns",
        "2562047h47m16.854775807s",
        "2562047h47m16.854775808s",
        "-2562047h47m16.854775808s",
        "9999999999999999999h",
        "0.9223372036854775807h",
        "0.9223372036854775808h",
        "0.99999999999999999999999999999h",
        "00000000000000000000000000000001s",
        "1\u{0}s",
        "1s\n",
        "\u{661}s",
        "1\u{ff53}",
        "infs",
        "nans",
    ];

    /// Pieces of durations, put together by a linear congruential generator with a fixed seed.
    fn composed(count: usize) -> Vec<String> {
        const PIECES: &[&str] = &[
            "0",
            "1",
            "9",
            "00",
            "10",
            "999999999",
            "2562047",
            "16.854775807",
            ".",
            "-",
            "+",
            "h",
            "m",
            "s",
            "ms",
            "us",
            "ns",
            "\u{b5}s",
            "\u{3bc}s",
            " ",
            "d",
            "e",
            "9223372036854775807",
            "0.000000000000000000001",
        ];
        let mut state = 15_u32;
        let mut next = |below: usize| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            usize::try_from(state >> 16).unwrap() % below
        };
        let mut text = || (0..=next(7)).map(|_| PIECES[next(PIECES.len())]).collect();
        (0..count).map(|_| text()).collect()
    }

    #[test]
    fn case_p34_durations_are_read_as_go_reads_them() {
        let mut go = GoOracle::start().unwrap();
        let composed = composed(20_000);
        let mut accepted = 0;
        for text in TEXTS.iter().copied().chain(composed.iter().map(String::as_str)) {
            let expected = go.duration(text).unwrap();
            assert_eq!(parse(text), expected, "{text:?}");
            accepted += usize::from(expected.is_some());
        }
        assert!(accepted > 300, "{accepted} were durations");
    }
}
