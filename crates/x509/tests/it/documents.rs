//! Parts of `docs/` that follow from the code. `cargo xtask generate` writes them, and every other run
//! compares them.

use crate::{ca, params, plain};
use rcgen::IsCa;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use tcs_x509::{CertificateProfile, CertificateRequest, End, Lifetimes, Usage, issue, limits};
use x509_cert::der::Decode as _;

/// Compares a part of a page with its text, or writes it if `TCS_GENERATE` is in the environment.
pub fn section(page: &str, name: &str, text: &str) {
    tcs_testkit::generated_docs::section(page, name, text).unwrap();
}

/// B09: the table is made from a certificate with every extension of the profile.
#[test]
fn b09_the_table_of_extensions_is_that_of_the_profile() {
    let (ca, request) = (ca(&rcgen::PKCS_ECDSA_P256_SHA256), plain());
    let usages = [Usage::CertSign, Usage::ServerAuth];
    let fixed = Some(crate::sub_ca::depth(1));
    let params = tcs_x509::IssuanceRequest { is_ca: true, fixed, ..params(&request, &usages, None) };
    let leaf = issue(&params, &ca.chain(), &ca).unwrap();
    let leaf = x509_cert::Certificate::from_der(&leaf.der).unwrap();
    let names = BTreeMap::from([
        ("2.5.29.15", ("key usage", "if at least one usage sets one of its bits")),
        ("2.5.29.37", ("extended key usage", "if at least one usage is an extended one")),
        ("2.5.29.19", ("basic constraints", "always; empty, or CA and path length")),
        ("2.5.29.14", ("subject key identifier", "in CA certificates only")),
        (
            "2.5.29.35",
            ("authority key identifier", "if the CA certificate has a subject key identifier; a copy of it"),
        ),
        (
            "2.5.29.17",
            ("subject alternative name", "if the request has it; critical if the subject is empty"),
        ),
    ]);
    let mut table = String::from("| Extension | Critical | When |\n|---|---|---|\n");
    let extensions = leaf.tbs_certificate().extensions().unwrap();
    assert_eq!(extensions.len(), names.len());
    for extension in extensions {
        let (name, when) = names[extension.extn_id.to_string().as_str()];
        let critical = if extension.critical { "yes" } else { "no" };
        writeln!(table, "| {name} | {critical} | {when} |").unwrap();
    }
    section("signers.md", "extensions", &table);
}

#[test]
fn b09_the_table_of_usages_is_that_of_the_code() {
    let mut known: BTreeMap<Usage, Vec<&str>> = BTreeMap::new();
    for (name, usage) in Usage::names().filter(|(_, usage)| !usage.is_signing()) {
        known.entry(usage).or_default().push(name);
    }
    let mut list = String::new();
    for names in known.values() {
        writeln!(list, "- `{}`", names.join("`, also `")).unwrap();
    }
    list.push_str("\nA request without usages gets `digital signature` and `key encipherment`.\n");
    section("signers.md", "usages", &list);
}

/// A number of seconds that is a whole number of days.
fn days(seconds: impl Into<i128>) -> String {
    match seconds.into() / 86_400 {
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}

#[test]
fn b09_the_table_of_lifetimes_is_that_of_the_code() {
    let profiles = [
        CertificateProfile::KubernetesCsr,
        CertificateProfile::CertManager,
        CertificateProfile::PodCertificate,
    ]
    .map(CertificateProfile::lifetimes);
    let row = |what: &str, value: &dyn Fn(&Lifetimes) -> String| {
        format!("| {what} | {} |\n", profiles.each_ref().map(value).join(" | "))
    };
    let mut table = String::from(
        "| What | `CertificateSigningRequest` | `CertificateRequest` (cert-manager) | `PodCertificateRequest` |\n|---|---|---|---|\n\
         | requested | the shorter of `spec.expirationSeconds` and the annotation `experimental.cert-manager.io/request-duration` | `spec.duration` | at most `spec.maxExpirationSeconds` |\n",
    );
    table += &row("default", &|profile| days(profile.default));
    table += &row("minimum; a shorter one is refused (`LifetimeInvalid`)", &|profile| {
        format!("{} seconds", profile.shortest)
    });
    table += &row("maximum; a longer one is shortened to it", &|profile| days(profile.longest));
    table += &row("if it would outlive the CA", &|profile| match profile.least {
        1 => "shortened to the end of the CA".to_owned(),
        least => format!("the same; if less than {least} seconds remain, the request waits (`CaEndsSoon`)"),
    });
    table += &row("`notBefore`, never before that of the CA", &|profile| match profile.backdate {
        0 => "now".to_owned(),
        seconds => format!("{seconds} seconds before now"),
    });
    table += &row("`notAfter`", &|profile| match profile.end {
        End::FromStart => "`notBefore` plus the lifetime".to_owned(),
        End::FromNow { long } => {
            format!(
                "now plus the lifetime; for lifetimes of {} hours or more, minus the backdating",
                long / 3600
            )
        }
    });
    section("signers.md", "lifetime", &table);
}

#[test]
fn b09_the_table_of_limits_is_that_of_the_code() {
    let mut table = String::from("| What | At most |\n|---|---|\n");
    for (what, most) in [
        ("alternative names", limits::MAX_NAMES),
        ("bytes of an alternative name", limits::MAX_NAME),
        ("bytes of the subject", limits::MAX_SUBJECT),
        ("attributes of the subject", limits::MAX_ATTRIBUTES),
        ("extensions of the request", limits::MAX_EXTENSIONS),
        ("bytes of the request", tcs_x509::MAX_REQUEST),
        ("bytes of the certificate without its signature", limits::MAX_TBS),
    ] {
        writeln!(table, "| {what} | {most} |").unwrap();
    }
    section("signers.md", "limits", &table);
}

/// B09: the outcome of a request for a CA certificate, as the code decides it.
#[test]
fn b09_the_table_of_the_ca_bit_is_that_of_the_code() {
    let ca = crate::self_signed::root_with(&rcgen::PKCS_ECDSA_P256_SHA256, Some(3));
    let asks =
        |is_ca| CertificateRequest::from_der(&crate::request(|parameters| parameters.is_ca = is_ca)).unwrap();
    let requests = [
        ("nothing", asks(IsCa::NoCa)),
        ("CA:TRUE", asks(IsCa::Ca(rcgen::BasicConstraints::Unconstrained))),
        ("CA:FALSE", asks(IsCa::ExplicitNoCa)),
    ];
    let mut table = String::from(
        "| `spec.ca.policy.caDepth` | `cert sign` in `spec.usages` | annotation | basicConstraints of the request | outcome |\n|---|---|---|---|---|\n",
    );
    for depth in [0u8, 2] {
        for sign in [false, true] {
            for is_ca in [false, true] {
                for (says, request) in &requests {
                    let usages = if sign { &[Usage::CertSign][..] } else { &[Usage::ServerAuth] };
                    let fixed = Some(crate::sub_ca::depth(depth));
                    let params = tcs_x509::IssuanceRequest { is_ca, fixed, ..params(request, usages, None) };
                    let outcome = match issue(&params, &ca.chain(), &ca) {
                        Err(error) => format!("`{}`", error.code()),
                        Ok(_) if !is_ca => "no CA".to_owned(),
                        Ok(made) => format!("CA, path length {}", crate::sub_ca::says(&made.der).1.unwrap()),
                    };
                    let yes = |yes| if yes { "yes" } else { "no" };
                    writeln!(table, "| {depth} | {} | {} | {says} | {outcome} |", yes(sign), yes(is_ca))
                        .unwrap();
                }
            }
        }
    }
    section("signers.md", "ca bit", &table);
}

#[test]
fn b09_every_item_is_there() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/signers.md");
    let page = std::fs::read_to_string(path).unwrap();
    for item in [
        "1. **Trust distribution.**",
        "2. **Permitted subjects.**",
        "3. **Permitted extensions.**",
        "4. **Usages.**",
        "5. **Lifetime.**",
        "6. **CA bit.**",
    ] {
        assert_eq!(page.matches(&format!("\n{item}")).count(), 1, "{item}");
    }
}
