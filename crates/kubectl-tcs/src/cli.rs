//! The command line.

use crate::time::parse_duration;
use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Shows, explains and requests what the Trusted Certificate Service (TCS) does. `kubectl tcs` finds this
/// program as `kubectl-tcs` on the PATH.
#[derive(Debug, Parser)]
#[command(name = "kubectl-tcs", bin_name = "kubectl tcs", version, max_term_width = 110)]
pub struct Args {
    /// Options of all commands.
    #[command(flatten)]
    pub options: Options,
    /// The command.
    #[command(subcommand)]
    pub verb: Verb,
}

/// Options of all commands.
#[derive(Clone, Debug, ClapArgs)]
#[command(next_help_heading = "Options of all commands")]
pub struct Options {
    /// The kubeconfig file. Default: the files that the environment variable KUBECONFIG names, or
    /// ~/.kube/config, or inside of a pod its ServiceAccount
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,
    /// The namespace. Default: that of the context
    #[arg(short, long, global = true, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// How long one request to the API server may take, for example 30s; 0 for any time
    #[arg(long, global = true, value_name = "DURATION", default_value = "30s", value_parser = parse_duration)]
    pub request_timeout: Duration,
    /// The format of the result. The structure of the JSON document is stable
    #[arg(short, long, global = true, value_name = "FORMAT", default_value = "table")]
    pub output: Format,
}

/// The format of results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Text for people
    Table,
    /// One JSON document
    Json,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Shows issuers: whether they sign, their CA and its end, evidence, what they wait for and what to do
    Status(StatusArgs),
    /// Tells the whole story of one request or of one Certificate of cert-manager: who asked, who approved,
    /// what refused it, what it waits for
    Why(WhyArgs),
    /// Makes a key and a request, approves the request if you may, and fetches the certificate
    Request(Box<RequestArgs>),
    /// Requests the next CA of an issuer before it is due (annotation tcs.intel.com/renew)
    Renew(RenewArgs),
    /// Shows a certificate, which issuer of the cluster signed it, and which policies apply
    Inspect(InspectArgs),
    /// Checks the installation: definitions, admission policies, rights, versions, pods
    Doctor,
    /// Prints the completions for a shell
    Completion {
        /// The shell
        shell: Shell,
    },
    /// Prints the manual page
    Man,
}

/// Arguments of `status`.
#[derive(Debug, ClapArgs)]
pub struct StatusArgs {
    /// An issuer: NAME, tcsissuer/NAME or tcsclusterissuer/NAME. Without it all issuers of the namespace and
    /// all cluster issuers are shown
    pub name: Option<String>,
    /// Shows the issuers of all namespaces
    #[arg(short = 'A', long, conflicts_with = "name")]
    pub all_namespaces: bool,
}

/// Arguments of `why`.
#[derive(Debug, ClapArgs)]
pub struct WhyArgs {
    /// The kind of the request
    pub kind: RequestWord,
    /// The name of the request
    pub name: String,
}

/// The kinds of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RequestWord {
    /// A CertificateSigningRequest of Kubernetes
    #[value(aliases = [
        "certificatesigningrequest",
        "certificatesigningrequest.certificates.k8s.io",
        "certificatesigningrequests",
        "certificatesigningrequests.certificates.k8s.io",
    ])]
    Csr,
    /// A CertificateRequest of cert-manager
    #[value(name = "certificaterequest", aliases = [
        "cr",
        "certificaterequest.cert-manager.io",
        "certificaterequests",
        "certificaterequests.cert-manager.io",
    ])]
    CertificateRequest,
    /// A Certificate of cert-manager, with its request
    #[value(aliases = [
        "cert",
        "certificate.cert-manager.io",
        "certificates",
        "certificates.cert-manager.io",
    ])]
    Certificate,
}

/// Arguments of `request`.
#[derive(Debug, ClapArgs)]
pub struct RequestArgs {
    /// Which issuer.
    #[command(flatten)]
    pub issuer: IssuerArgs,
    /// A DNS name of the certificate; can be repeated
    #[arg(long, value_name = "NAME")]
    pub dns: Vec<String>,
    /// A URI of the certificate, for example `spiffe://example.org/ns/a/sa/b`; can be repeated
    #[arg(long, value_name = "URI")]
    pub uri: Vec<String>,
    /// An IP address of the certificate; can be repeated
    #[arg(long, value_name = "ADDRESS")]
    pub ip: Vec<IpAddr>,
    /// An e-mail address of the certificate; can be repeated
    #[arg(long, value_name = "ADDRESS")]
    pub email: Vec<String>,
    /// The common name (CN) of the subject
    #[arg(long, value_name = "NAME")]
    pub common_name: Option<String>,
    /// A usage by its Kubernetes name; can be repeated
    #[arg(
        long,
        value_name = "USAGE",
        default_values = ["digital signature", "server auth", "client auth"]
    )]
    pub usage: Vec<String>,
    /// The lifetime of the certificate, for example 24h. Default: that of the signer, 90 days
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub duration: Option<Duration>,
    /// The algorithm of the key
    #[arg(long, value_name = "ALGORITHM", default_value = "ecdsa-p256")]
    pub key_algorithm: KeyChoice,
    /// The name of the CertificateSigningRequest. Default: a new name that begins with that of the issuer
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Where the private key is written, readable by you alone (mode 0600)
    #[arg(long, value_name = "FILE", default_value = "tls.key")]
    pub key: PathBuf,
    /// Where the certificate with its intermediates is written
    #[arg(long, value_name = "FILE", default_value = "tls.crt")]
    pub certificate: PathBuf,
    /// Replaces existing files, once the certificate is there
    #[arg(long)]
    pub force: bool,
    /// Does not approve the request, even if you may: it waits for somebody else's approval
    #[arg(long)]
    pub no_approve: bool,
    /// How long to wait for the certificate
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = parse_duration)]
    pub timeout: Duration,
}

/// Which issuer signs.
#[derive(Debug, ClapArgs)]
#[group(required = true, multiple = false)]
pub struct IssuerArgs {
    /// The TCSIssuer of the namespace that signs
    #[arg(long, value_name = "NAME")]
    pub issuer: Option<String>,
    /// The TCSClusterIssuer that signs
    #[arg(long, value_name = "NAME")]
    pub cluster_issuer: Option<String>,
}

/// Algorithms of keys that can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KeyChoice {
    /// ECDSA with the curve P-256
    EcdsaP256,
    /// ECDSA with the curve P-384
    EcdsaP384,
    /// RSA with 3072 bits
    #[value(name = "rsa-3072")]
    Rsa3072,
    /// Ed25519
    Ed25519,
}

/// Arguments of `renew`.
#[derive(Debug, ClapArgs)]
pub struct RenewArgs {
    /// An issuer: NAME, tcsissuer/NAME or tcsclusterissuer/NAME
    pub name: String,
}

/// Arguments of `inspect`.
#[derive(Debug, ClapArgs)]
pub struct InspectArgs {
    /// A file with the certificate and its intermediates, PEM; - for standard input
    pub file: PathBuf,
    /// Only shows what the file contains; asks no cluster
    #[arg(long)]
    pub offline: bool,
}
