//! `request`: a key, a request, its approval and its certificate in one go.

mod approval;
mod csr;
mod files;
mod key;
mod names;
mod wait;

use crate::certificate::Certificate;
use crate::cli::RequestArgs;
use crate::cluster::{Cluster, decode};
use crate::command::is_plain;
use crate::error::Error;
use crate::issuers::{self, Found, described, signer_name};
use crate::output::{Output, one_blank};
use files::Files;
use k8s_openapi::ByteString;
use k8s_openapi::api::certificates::v1::{CertificateSigningRequest, CertificateSigningRequestSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use key::NewKey;
use serde_json::json;
use std::time::Duration;
use tcs_api::signer::SignerName;
use tcs_x509::Usage;

/// Makes a key and a request, has it approved if the user may, waits for the certificate and writes it.
pub async fn run(args: &RequestArgs, cluster: &Cluster, output: &mut Output<'_>) -> Result<(), Error> {
    let issuer = issuer(args, cluster.namespace())?;
    let lifetime = args.duration.map(lifetime).transpose()?;
    check_usages(&args.usage)?;
    check_name(args.name.as_deref())?;
    let files = Files::check(&args.key, &args.certificate, args.force)?;
    let key = NewKey::generate(args.key_algorithm)?;
    let csr = csr::build(&key, args.common_name.as_deref(), &names::all(args)?)?;
    // What can be found out without a cluster was checked before.
    find(&issuer, cluster, output).await?;
    let pending = files.write_key(&key)?;
    output.say(&format!("The private key is in {} until the certificate is there.", pending.display()));

    let request = new_request(args, &issuer, csr, lifetime);
    let created = create(cluster, &request).await;
    let created = created.inspect_err(|_| files.forget_key())?;
    let name = created.metadata.name.clone().unwrap_or_default();
    output.say(&format!("CertificateSigningRequest {name} was created for {}.", described(&issuer)));
    if args.no_approve {
        output.say("It waits for an approval (--no-approve).");
    } else {
        approval::approve(cluster, &created, output).await?;
    }

    let pem = wait::certificate(cluster, &created, args.timeout).await;
    let pem = pem.map_err(|error| with_fate_of_key(error, &files))?;
    let certificate = check(&name, &pem, &key)?;
    files.complete(&pem)?;
    report(&name, &issuer, args, &certificate, output)
}

/// Fails if the issuer does not exist, and says if it does not sign now. A user who may not read it can
/// request a certificate nevertheless.
async fn find(issuer: &SignerName, cluster: &Cluster, output: &mut Output<'_>) -> Result<(), Error> {
    match issuers::get(cluster, issuer).await {
        Ok(None) => Err(Error::NotFound(described(issuer))),
        Ok(Some(Found::Readable(found))) if !found.is_ready() => {
            let reason = one_blank(found.reason());
            output.say(&format!(
                "{} does not sign now ({reason}): the request waits for it.",
                described(issuer)
            ));
            Ok(())
        }
        Ok(Some(_)) | Err(Error::Forbidden { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Removes the key of a request that cannot succeed any more; otherwise says how the key is used later.
fn with_fate_of_key(mut error: Error, files: &Files) -> Error {
    match &mut error {
        Error::RequestRefused { .. } | Error::RequestDeleted(_) => files.forget_key(),
        Error::Deadline { name, next, .. } => next.push(files.later(name)),
        _ => {}
    }
    error
}

/// The issuer that the options name.
fn issuer(args: &RequestArgs, namespace: &str) -> Result<SignerName, Error> {
    let id = match (&args.issuer.issuer, &args.issuer.cluster_issuer) {
        (Some(name), _) => SignerName::Namespaced { namespace: namespace.to_owned(), name: name.clone() },
        (None, Some(name)) => SignerName::Cluster { name: name.clone() },
        (None, None) => return Err(Error::Usage("--issuer or --cluster-issuer is required".to_owned())),
    };
    // Only a name that an object can have becomes part of a signer name.
    let is_name = SignerName::parse(&signer_name(&id)).as_ref() == Some(&id);
    let wrong = || Error::Usage(format!("{} cannot exist: this is not a name of Kubernetes", described(&id)));
    if is_name { Ok(id) } else { Err(wrong()) }
}

/// `spec.expirationSeconds`, which the API server takes from 600 on.
fn lifetime(duration: Duration) -> Result<i32, Error> {
    let seconds = i32::try_from(duration.as_secs()).ok().filter(|seconds| *seconds >= 600);
    seconds.ok_or_else(|| Error::Usage("--duration must be at least 10m, and at most 68 years".to_owned()))
}

/// The API server takes almost any name; those that a shell and kubectl take as they are suffice.
fn check_name(name: Option<&str>) -> Result<(), Error> {
    match name.filter(|name| !is_plain(name)) {
        Some(name) => Err(Error::Usage(format!(
            "--name {name:?} is not accepted; expected at most 253 letters, digits and characters of -._:@, not \
             beginning with a hyphen"
        ))),
        None => Ok(()),
    }
}

fn check_usages(usages: &[String]) -> Result<(), Error> {
    let unknown = usages.iter().find(|usage| Usage::parse(usage).is_err());
    let Some(unknown) = unknown else { return Ok(()) };
    let known: Vec<&str> = Usage::names().map(|(name, _)| name).collect();
    Err(Error::Usage(format!("--usage {unknown:?} is not known; known are: {}", known.join(", "))))
}

fn new_request(
    args: &RequestArgs,
    issuer: &SignerName,
    csr: Vec<u8>,
    lifetime: Option<i32>,
) -> CertificateSigningRequest {
    let generated = args.name.is_none().then(|| format!("{}-", issuers::name(issuer)));
    CertificateSigningRequest {
        metadata: ObjectMeta { name: args.name.clone(), generate_name: generated, ..ObjectMeta::default() },
        spec: CertificateSigningRequestSpec {
            request: ByteString(csr),
            signer_name: signer_name(issuer),
            usages: Some(args.usage.clone()),
            expiration_seconds: lifetime,
            ..CertificateSigningRequestSpec::default()
        },
        status: None,
    }
}

async fn create(
    cluster: &Cluster,
    request: &CertificateSigningRequest,
) -> Result<CertificateSigningRequest, Error> {
    let created = cluster.create::<CertificateSigningRequest>(None, request).await?;
    decode("the CertificateSigningRequest", created)
}

/// The certificate must be for the key that was made.
fn check(name: &str, pem: &[u8], key: &NewKey) -> Result<Certificate, Error> {
    let foreign = |why: String| Error::CertificateForeign { name: name.to_owned(), why };
    let first = Certificate::all(pem).map_err(&foreign)?.into_iter().next();
    let certificate = first.ok_or_else(|| foreign("it contains no certificate".to_owned()))?;
    if certificate.public_key().as_deref() != Some(key.spki()) {
        return Err(foreign("it is for another public key than the one that was requested".to_owned()));
    }
    Ok(certificate)
}

fn report(
    name: &str,
    issuer: &SignerName,
    args: &RequestArgs,
    certificate: &Certificate,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    if output.json {
        return output.document(&json!({
            "version": 1,
            "verb": "request",
            "name": name,
            "issuer": {
                "kind": issuers::kind(issuer),
                "namespace": issuers::namespace(issuer),
                "name": issuers::name(issuer),
            },
            "key": args.key.display().to_string(),
            "certificate": args.certificate.display().to_string(),
            "details": certificate.document(),
        }));
    }
    output.line(&format!("private key: {}", args.key.display()))?;
    output.line(&format!("certificate: {}", args.certificate.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Args, KeyChoice, Verb};
    use clap::Parser as _;

    fn parse(options: &[&str]) -> Box<RequestArgs> {
        let args = [&["kubectl-tcs", "request"], options].concat();
        match Args::try_parse_from(args).unwrap().verb {
            Verb::Request(args) => args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_request_says_what_the_options_say() {
        let args = parse(&["--issuer", "ca", "--dns", "a.example", "--duration", "1h"]);
        let issuer = issuer(&args, "sandbox").unwrap();
        let request = new_request(&args, &issuer, vec![1], Some(3_600));
        assert_eq!(request.spec.signer_name, "tcsissuer.tcs.intel.com/sandbox.ca");
        assert_eq!(request.spec.usages.unwrap(), ["digital signature", "server auth", "client auth"]);
        assert_eq!(request.metadata.generate_name.as_deref(), Some("ca-"));
        let named = parse(&["--cluster-issuer", "ca", "--name", "web"]);
        let request = new_request(&named, &SignerName::Cluster { name: "ca".into() }, vec![1], None);
        assert_eq!((request.metadata.name.as_deref(), request.metadata.generate_name), (Some("web"), None));
    }

    #[test]
    fn what_cannot_be_requested_is_refused_before_anything_is_written() {
        let args = parse(&["--issuer", "Not_A_Name"]);
        assert_eq!(issuer(&args, "sandbox").unwrap_err().code(), "Usage");
        assert!(lifetime(Duration::from_secs(599)).is_err() && lifetime(Duration::from_mins(10)).is_ok());
        assert!(check_name(Some("web-1")).is_ok() && check_name(None).is_ok());
        assert_eq!(check_name(Some("a b")).unwrap_err().code(), "Usage");
        let error = check_usages(&["server auth".into(), "serverAuth".into()]).unwrap_err().to_string();
        assert!(error.contains("\"serverAuth\" is not known") && error.contains("server auth"), "{error}");
        let both = ["kubectl-tcs", "request", "--issuer", "a", "--cluster-issuer", "b"];
        assert!(Args::try_parse_from(both).is_err());
        assert!(Args::try_parse_from(["kubectl-tcs", "request"]).is_err());
    }

    #[test]
    fn a_certificate_for_another_key_is_refused() {
        let key = NewKey::generate(KeyChoice::EcdsaP256).unwrap();
        let error = check("web", include_bytes!("../../tests/data/leaf.pem"), &key).unwrap_err();
        assert!(error.to_string().contains("another public key"), "{error}");
        assert_eq!(check("web", b"nothing", &key).unwrap_err().code(), "CertificateForeign");
    }
}
