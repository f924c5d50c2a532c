//! `why`: the whole story of one request. Each kind of request has a file with its facts.

mod after_failure;
mod cert_manager;
mod certificate;
mod certificate_request;
mod csr;
mod events;
mod facts;
mod grant;
mod render;
#[cfg(test)]
pub mod tests_support;
mod verdict;

pub use csr::{facts_of, gather};
pub use facts::{Facts, IssuerFact};
pub use verdict::{State, Verdict, verdict};

use crate::cli::{RequestWord, WhyArgs};
use crate::cluster::Cluster;
use crate::error::Error;
use crate::output::Output;
use jiff::Timestamp;

/// Tells the story of one request.
pub async fn run(
    args: &WhyArgs,
    cluster: &Cluster,
    now: Timestamp,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let facts = match args.kind {
        RequestWord::Csr => gather(cluster, &args.name).await?,
        RequestWord::CertificateRequest => certificate_request::gather(cluster, &args.name).await?,
        RequestWord::Certificate => return certificate::run(cluster, &args.name, now, output).await,
    };
    let verdict = verdict(&facts);
    if output.json {
        output.document(&render::document(&facts, &verdict))
    } else {
        render::write(&facts, &verdict, now, output)
    }
}
