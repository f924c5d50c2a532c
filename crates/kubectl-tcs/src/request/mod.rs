//! `request`: a key, a request, its approval and its certificate in one go.

mod approval;
mod csr;
mod fate;
mod files;
mod key;
mod names;
mod submit;
mod wait;

use crate::certificate::{Certificate, shown_names};
use crate::cli::RequestArgs;
use crate::cluster::Cluster;
use crate::command::is_plain;
use crate::error::Error;
use crate::issuers::{self, Found, described, is_name, signer_name};
use crate::output::{Output, one_blank};
use files::Files;
use k8s_openapi::ByteString;
use k8s_openapi::api::certificates::v1::{CertificateSigningRequest, CertificateSigningRequestSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use key::NewKey;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;
use tcs_api::signer::SignerName;
use tcs_x509::Usage;
use x509_cert::ext::pkix::name::GeneralName;

/// How many characters of the name of the issuer the name of a request begins with.
const NAME_OF_ISSUER: usize = 50;

/// Makes a key and a request, has it approved if the user may, waits for the certificate and writes it.
pub async fn run(args: &RequestArgs, cluster: &Cluster, output: &mut Output<'_>) -> Result<(), Error> {
    let issuer = issuer(args, cluster.namespace())?;
    let lifetime = args.duration.map(lifetime).transpose()?;
    check_usages(&args.usage)?;
    let name = name(args.name.as_deref(), &issuer)?;
    let files = Files::check(&args.key, &args.certificate, &name, args.force)?;
    let key = NewKey::generate(args.key_algorithm)?;
    let names = names::all(args)?;
    let csr = csr::build(&key, args.common_name.as_deref(), &names)?;
    // What can be found out without a cluster was checked before.
    find(&issuer, cluster, output).await?;
    let file = files.prepare(&key)?;
    output
        .say(&format!("The private key is in {} until the certificate is there.", files.pending().display()));

    let request = new_request(args, &issuer, &name, csr, lifetime);
    let created = submit::create(cluster, &request).await;
    let created = created.map_err(|error| fate::of_creation(error, &files, &name))?;
    output.say(&format!("CertificateSigningRequest {name} was created for {}.", described(&issuer)));
    let pem = obtain(args, cluster, &request, &created, output).await;
    let placed = pem.and_then(|pem| {
        let certificate = check(&name, &pem, key.spki(), args.common_name.as_deref(), &names)?;
        files.place(file, &pem)?;
        Ok(certificate)
    });
    let certificate = placed.map_err(|error| fate::of_request(error, &files, &name))?;
    report(&name, &issuer, args, &certificate, output)
}

/// Has a request approved and waits for its certificate, PEM.
async fn obtain(
    args: &RequestArgs,
    cluster: &Cluster,
    sent: &CertificateSigningRequest,
    created: &CertificateSigningRequest,
    output: &mut Output<'_>,
) -> Result<Vec<u8>, Error> {
    submit::check_unchanged(sent, created)?;
    if args.no_approve {
        output.say("It waits for an approval (--no-approve).");
    } else {
        approval::approve(cluster, created, output).await?;
    }
    wait::certificate(cluster, created, args.timeout).await
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

/// The issuer that the options name.
fn issuer(args: &RequestArgs, namespace: &str) -> Result<SignerName, Error> {
    let id = match (&args.issuer.issuer, &args.issuer.cluster_issuer) {
        (Some(name), _) => SignerName::Namespaced { namespace: namespace.to_owned(), name: name.clone() },
        (None, Some(name)) => SignerName::Cluster { name: name.clone() },
        (None, None) => return Err(Error::Usage("--issuer or --cluster-issuer is required".to_owned())),
    };
    // Only a name that an object can have becomes part of a signer name.
    let wrong = || Error::Usage(format!("{} cannot exist: this is not a name of Kubernetes", described(&id)));
    if is_name(&id) { Ok(id) } else { Err(wrong()) }
}

/// `spec.expirationSeconds`, which the API server takes from 600 on.
fn lifetime(duration: Duration) -> Result<i32, Error> {
    let seconds = i32::try_from(duration.as_secs()).ok().filter(|seconds| *seconds >= 600);
    seconds.ok_or_else(|| Error::Usage("--duration must be at least 10m, and at most 68 years".to_owned()))
}

/// The name of the request: that of the option, or a new one. The API server could make one, too, but then
/// nobody would know it if its answer is lost.
///
/// The API server takes almost any name; those that a shell and kubectl take as they are suffice.
fn name(option: Option<&str>, issuer: &SignerName) -> Result<String, Error> {
    match option {
        Some(name) if is_plain(name) => Ok(name.to_owned()),
        Some(name) => Err(Error::Usage(format!(
            "--name {name:?} is not accepted; expected at most 253 letters, digits and characters of -._:@, not \
             beginning with a hyphen"
        ))),
        None => {
            let mut random = [0; 6];
            aws_lc_rs::rand::fill(&mut random)
                .map_err(|_| Error::RequestNotMade("there are no random numbers".to_owned()))?;
            let beginning: String = issuers::name(issuer).chars().take(NAME_OF_ISSUER).collect();
            Ok(format!("{beginning}-{}", hex::encode(random)))
        }
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
    name: &str,
    csr: Vec<u8>,
    lifetime: Option<i32>,
) -> CertificateSigningRequest {
    CertificateSigningRequest {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
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

/// The certificate must be for the key that was made, and have the names that were requested.
fn check(
    name: &str,
    pem: &[u8],
    public_key: &[u8],
    common_name: Option<&str>,
    names: &[GeneralName],
) -> Result<Certificate, Error> {
    let foreign = |why: String| Error::CertificateForeign { name: name.to_owned(), why };
    let first = Certificate::all(pem).map_err(&foreign)?.into_iter().next();
    let certificate = first.ok_or_else(|| foreign("it contains no certificate".to_owned()))?;
    if certificate.public_key().as_deref() != Some(public_key) {
        return Err(foreign("it is for another public key than the one that was requested".to_owned()));
    }
    if !has_names(&certificate, common_name, names) {
        return Err(foreign("it has other names than those that were requested".to_owned()));
    }
    Ok(certificate)
}

fn has_names(certificate: &Certificate, common_name: Option<&str>, names: &[GeneralName]) -> bool {
    let set = |names: Vec<String>| BTreeSet::from_iter(names);
    set(certificate.names()) == set(shown_names(names)) && certificate.common_name.as_deref() == common_name
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
        let request = new_request(&args, &issuer, "web", vec![1], Some(3_600));
        assert_eq!(request.spec.signer_name, "tcsissuer.tcs.intel.com/sandbox.ca");
        assert_eq!(request.spec.usages.unwrap(), ["digital signature", "server auth", "client auth"]);
        assert_eq!((request.metadata.name.as_deref(), request.metadata.generate_name), (Some("web"), None));
    }

    #[test]
    fn a_request_without_a_name_gets_a_new_one_that_begins_with_that_of_its_issuer() {
        let new = |issuer: &str| name(None, &SignerName::Cluster { name: issuer.into() }).unwrap();
        let (one, other) = (new("ca"), new("ca"));
        assert!(one.starts_with("ca-") && is_plain(&one), "{one}");
        assert_ne!(one, other);
        assert_eq!(new(&"a".repeat(253)).len(), NAME_OF_ISSUER + 13);
    }

    #[test]
    fn what_cannot_be_requested_is_refused_before_anything_is_written() {
        let args = parse(&["--issuer", "Not_A_Name"]);
        assert_eq!(issuer(&args, "sandbox").unwrap_err().code(), "Usage");
        assert!(lifetime(Duration::from_secs(599)).is_err() && lifetime(Duration::from_mins(10)).is_ok());
        let issuer = SignerName::Cluster { name: "ca".into() };
        assert_eq!(name(Some("web-1"), &issuer).unwrap(), "web-1");
        assert_eq!(name(Some("a b"), &issuer).unwrap_err().code(), "Usage");
        let error = check_usages(&["server auth".into(), "serverAuth".into()]).unwrap_err().to_string();
        assert!(error.contains("\"serverAuth\" is not known") && error.contains("server auth"), "{error}");
        let both = ["kubectl-tcs", "request", "--issuer", "a", "--cluster-issuer", "b"];
        assert!(Args::try_parse_from(both).is_err());
        assert!(Args::try_parse_from(["kubectl-tcs", "request"]).is_err());
    }

    #[test]
    fn a_certificate_for_another_key_is_refused() {
        let key = NewKey::generate(KeyChoice::EcdsaP256).unwrap();
        let check = |pem: &[u8]| check("web", pem, key.spki(), None, &[]).unwrap_err();
        let error = check(include_bytes!("../../tests/data/leaf.pem"));
        assert!(error.to_string().contains("another public key"), "{error}");
        assert_eq!(check(b"nothing").code(), "CertificateForeign");
    }

    #[test]
    fn a_certificate_with_other_names_is_refused() {
        let leaf = Certificate::all(include_bytes!("../../tests/data/leaf.pem")).unwrap().remove(0);
        let args = parse(&[
            "--issuer=ca",
            "--dns=web.example",
            "--ip=10.1.2.3",
            "--ip=2001:db8::1",
            "--uri=spiffe://example.org/web",
            "--email=a@b.example",
        ]);
        let names = names::all(&args).unwrap();
        let pem = include_bytes!("../../tests/data/leaf.pem");
        let check = |names: &[GeneralName]| {
            check("web", pem, &leaf.public_key().unwrap(), Some("web"), names).err().map(|error| error.code())
        };
        assert_eq!((check(&names), check(&[])), (None, Some("CertificateForeign")));
        for common_name in [None, Some("other")] {
            assert!(!has_names(&leaf, common_name, &names), "{common_name:?}");
        }
        assert!(!has_names(&leaf, Some("web"), &names[1..]));
        assert!(!has_names(
            &leaf,
            Some("web"),
            &[&names[..], &[names::all(&parse(&["--issuer=ca", "--dns=x.example"])).unwrap().remove(0)]]
                .concat()
        ));
    }
}
