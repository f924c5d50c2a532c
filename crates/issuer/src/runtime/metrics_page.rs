//! The table of metrics in `docs/monitoring.md` is that of the program.

use super::metrics::{KindLabel, Metrics};
use super::scrape::tests::complete_state;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use tcs_enclave_rpc::RequestApi;

#[derive(Default)]
struct Row<'a> {
    kind: &'a str,
    help: &'a str,
    labels: BTreeSet<&'a str>,
}

/// The names of the labels in a line of the text format. Values of this test contain no quotation marks.
fn labels(line: &str) -> BTreeSet<&str> {
    let inside =
        line.split_once('{').and_then(|(_, rest)| rest.rsplit_once('}')).map_or("", |(labels, _)| labels);
    let pairs = inside.split("\",").filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, _)| name).filter(|name| *name != "le").collect()
}

fn rows(text: &str) -> BTreeMap<&str, Row<'_>> {
    let mut rows: BTreeMap<&str, Row<'_>> = BTreeMap::new();
    let mut current = "";
    for line in text.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            current = name;
            rows.entry(name).or_default().help = help.trim_end_matches('.');
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            rows.entry(name).or_default().kind = kind;
        } else if !line.starts_with('#') {
            rows.entry(current).or_default().labels.extend(labels(line));
        }
    }
    rows
}

#[test]
fn the_table_of_metrics_is_that_of_the_program() {
    let metrics = Metrics::default();
    metrics.requests.serve(RequestApi::KubernetesCsr);
    drop(metrics.unreadable.get_or_create(&KindLabel { kind: "TCSIssuer".into() }));
    let text = metrics.text_with(&complete_state().registry());
    let mut table = "| Metric | Type | Labels | Meaning |\n|---|---|---|---|\n".to_owned();
    for (name, Row { kind, help, labels }) in rows(&text) {
        // The names of the series, which Prometheus stores.
        let suffix = match kind {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        let labels = labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
        writeln!(table, "| `{name}{suffix}` | {kind} | {labels} | {help} |").unwrap();
    }
    tcs_testkit::generated_docs::section("monitoring.md", "metrics", &table).unwrap();
}
