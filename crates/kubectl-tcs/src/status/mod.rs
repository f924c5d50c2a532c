//! `status`: issuers, their CAs, and what they wait for.

mod row;

pub use row::pending_renewal;

use crate::cli::StatusArgs;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::issuers::{Found, IssuerArgument, all, find};
use crate::output::Output;
use jiff::Timestamp;
use row::Row;
use serde_json::json;

/// Shows one issuer or all of them.
pub async fn run(
    args: &StatusArgs,
    cluster: &Cluster,
    now: Timestamp,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let (found, incomplete) = if let Some(name) = &args.name {
        find(cluster, &IssuerArgument::parse(name)?).await?
    } else {
        let namespace = (!args.all_namespaces).then(|| cluster.namespace());
        all(cluster, namespace).await?
    };
    let rows: Vec<Row> = found.iter().map(|found| Row::of(found, now)).collect();
    if let Some(error) = &incomplete {
        let what = if args.name.is_some() { "Issuers of the other kind" } else { "TCSClusterIssuers" };
        output.say(&format!("{what} are not shown: {error}"));
    }
    if output.json {
        let items: Vec<_> = rows.iter().map(Row::document).collect();
        let missing = incomplete.map(|error| error.to_string());
        let of_cluster = missing.as_ref().filter(|_| args.name.is_none());
        return output.document(&json!({
            "version": 1, "verb": "status", "issuers": items, "clusterIssuersNotShown": of_cluster,
            "notShown": missing,
        }));
    }
    if rows.is_empty() {
        let place = if args.all_namespaces {
            "the cluster".to_owned()
        } else {
            format!("namespace {}", cluster.namespace())
        };
        output.say(&format!("There are no issuers in {place}."));
        return Ok(());
    }
    write_table(&rows, output)?;
    let details = args.name.is_some();
    rows.iter().try_for_each(|row| row.write_notes(details, output))
}

fn write_table(rows: &[Row], output: &mut Output<'_>) -> Result<(), Error> {
    const TITLES: [&str; 9] =
        ["NAMESPACE", "NAME", "READY", "REASON", "CA", "CA ENDS", "DAYS", "EVIDENCE", "ASSURANCE"];
    let mut table = vec![TITLES.map(str::to_owned)];
    table.extend(rows.iter().map(Row::cells));
    output.table(&table)
}

/// An issuer that was found, for other commands.
pub fn readable(found: Found) -> Result<crate::issuers::Issuer, Error> {
    match found {
        Found::Readable(issuer) => Ok(*issuer),
        Found::Unreadable { id, cause } => {
            Err(Error::ObjectUnreadable { object: crate::issuers::described(&id), cause })
        }
    }
}
