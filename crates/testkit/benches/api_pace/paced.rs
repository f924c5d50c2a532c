//! How long a request waits for its certificate when there is no queue.

use super::bench::Bench;
use super::contestant::{CaKey, Contestant};
use super::rounds::{Limits, Rounds, quantile};
use super::stage::end;
use anyhow::{Context, Result};
use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};
use tcs_testkit::process::Supervised;
use tcs_testkit::repository;

/// Requests of one contestant in a round.
const REQUESTS: usize = 200;
/// From one approval to the next.
const INTERVAL: Duration = Duration::from_millis(100);
/// Requests before the first that counts: connections are opened, caches are filled.
const WARM_UP: usize = 10;

const CONTESTANTS: [Contestant; 3] =
    [Contestant::BareWriter { workers: 8 }, Contestant::Tcs(CaKey::P256), Contestant::ControllerManager];

/// Prints the figures, and fails if a limit is missed.
pub fn run(programs: &Path, rounds: usize) -> Result<()> {
    let dir = tempfile::tempdir_in(repository().join("target"))?;
    let bench = Bench::new(programs, dir.path())?;
    bench.make_issuers(&[CaKey::P256])?;
    let mut figures = CONTESTANTS.map(|contestant| (contestant, Rounds::default(), Rounds::default()));
    for round in 1..=rounds {
        for (contestant, middle, slow) in &mut figures {
            let processes = contestant.start(&bench.stage)?;
            let waits = bench.waits(*contestant, &processes);
            end(processes)?;
            bench.runtime.block_on(bench.driver.clear())?;
            let waits = waits.with_context(|| contestant.to_string())?;
            let (p50, p99) = (quantile(&waits, 0.5), quantile(&waits, 0.99));
            eprintln!("round {round}, {contestant}: p50 {p50:.2} ms, p99 {p99:.2} ms");
            middle.0.push(p50);
            slow.0.push(p99);
        }
    }
    let [(_, bare, bare_slow), (_, tcs, tcs_slow), (_, manager, manager_slow)] = &figures;
    for (contestant, middle, slow) in &figures {
        println!("{contestant}: p50 {middle} ms, p99 {slow} ms");
    }
    println!("p50, kube-controller-manager / bare writer: {}", manager.ratio_to(bare));
    println!("p99, kube-controller-manager / bare writer: {}", manager_slow.ratio_to(bare_slow));
    let mut limits = Limits::default();
    limits.at_most("p50, P-256 CA / bare writer", &tcs.ratio_to(bare), 1.3);
    limits.at_most("p99, P-256 CA / bare writer", &tcs_slow.ratio_to(bare_slow), 2.0);
    limits.result()
}

impl Bench {
    /// From the answer to each approval until a watch reports the certificate, in milliseconds.
    fn waits(&self, contestant: Contestant, processes: &[Supervised]) -> Result<Vec<f64>> {
        let signer = contestant.signer();
        self.runtime.block_on(async {
            let mut certificates = self.driver.watch().await?;
            self.driver.fill("warm-up", std::iter::repeat_n(signer.clone(), WARM_UP)).await?;
            certificates.all(WARM_UP).await.with_context(|| format!("{} processes", processes.len()))?;
            let mut approved = HashMap::new();
            let mut ticks = tokio::time::interval(INTERVAL);
            for index in 0..REQUESTS {
                let name = format!("paced-{index}");
                let request = self.driver.create(&name, &signer).await?;
                ticks.tick().await;
                self.driver.approve(request).await?;
                approved.insert(name, Instant::now());
            }
            let seen = certificates.all(REQUESTS).await?;
            let wait = |(name, at): (&String, &Instant)| {
                let seen = seen.get(name).context("a certificate of another request")?;
                Ok(seen.saturating_duration_since(*at).as_secs_f64() * 1000.0)
            };
            approved.iter().map(wait).collect()
        })
    }
}
