//! A queue of approved requests, emptied by a signer that has just been started.

use super::bench::Bench;
use super::contestant::{CaKey, Contestant};
use super::driver::Certificates;
use super::process_usage::{Usage, usage};
use super::rounds::{Limits, Rounds};
use super::stage::{end, signer};
use anyhow::{Context, Result};
use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};
use tcs_testkit::process::Supervised;
use tcs_testkit::repository;

/// Requests in a queue.
const REQUESTS: usize = 2000;
/// Requests over many issuers.
const MANY_REQUESTS: usize = 10_000;
/// Issuers of these.
const MANY_ISSUERS: usize = 100;
const MIB: f64 = 1_048_576.0;

const CONTESTANTS: [Contestant; 5] = [
    Contestant::BareWriter { workers: 8 },
    Contestant::BareWriter { workers: 32 },
    Contestant::Tcs(CaKey::P256),
    Contestant::Tcs(CaKey::Rsa3072),
    Contestant::ControllerManager,
];

/// The figures of one contestant.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Certificates a second, from the first to the last.
    pub rate: Rounds,
    /// CPU time of all its processes since their start, in milliseconds for each certificate.
    pub cpu: Rounds,
    /// Memory of all its processes at the end, in MiB.
    pub memory: Rounds,
    /// From the start of its processes to the first certificate, in seconds.
    pub start: Rounds,
}

impl Figures {
    /// Adds those of a round, and tells them.
    pub fn add(&mut self, round: usize, who: impl fmt::Display, drained: &Drained) {
        eprintln!(
            "round {round}, {who}: {:.0}/s, {:.3} ms CPU each{}, {:.1} MiB, first after {:.1} s",
            drained.rate(),
            drained.cpu(),
            drained.shares(),
            mib(drained.used.memory),
            drained.start.as_secs_f64()
        );
        self.rate.0.push(drained.rate());
        self.cpu.0.push(drained.cpu());
        self.memory.0.push(mib(drained.used.memory));
        self.start.0.push(drained.start.as_secs_f64());
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rate, cpu, memory, start } = self;
        write!(
            f,
            "{rate:.0} certificates/s; {cpu:.3} ms CPU for each; {memory:.1} MiB; first after {start:.1} s"
        )
    }
}

/// A queue that was emptied.
pub struct Drained {
    requests: usize,
    start: Duration,
    /// From the first to the last certificate.
    took: Duration,
    used: Usage,
    /// The CPU time of each process.
    each: Vec<(String, Duration)>,
}

#[expect(clippy::cast_precision_loss)]
impl Drained {
    fn rate(&self) -> f64 {
        self.requests.saturating_sub(1) as f64 / self.took.as_secs_f64()
    }

    fn cpu(&self) -> f64 {
        self.used.cpu.as_secs_f64() * 1000.0 / self.requests as f64
    }

    /// The share of each of several processes in [`Self::cpu`].
    fn shares(&self) -> String {
        if self.each.len() < 2 {
            return String::new();
        }
        let share = |(name, cpu): &(String, Duration)| {
            format!("{name} {:.3}", cpu.as_secs_f64() * 1000.0 / self.requests as f64)
        };
        format!(" ({})", self.each.iter().map(share).collect::<Vec<_>>().join(", "))
    }
}

#[expect(clippy::cast_precision_loss)]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / MIB
}

/// Prints the figures, and fails if a limit is missed.
pub fn run(programs: &Path, rounds: usize) -> Result<()> {
    let dir = tempfile::tempdir_in(repository().join("target"))?;
    let bench = Bench::new(programs, dir.path())?;
    bench.make_issuers(&[CaKey::P256, CaKey::Rsa3072])?;
    let mut figures = CONTESTANTS.map(|contestant| (contestant, Figures::default()));
    for round in 1..=rounds {
        for (contestant, figures) in &mut figures {
            let signer = contestant.signer();
            let drained = bench.drain(*contestant, REQUESTS, |_| signer.clone())?;
            figures.add(round, contestant, &drained);
        }
    }
    let mut limits = Limits::default();
    report(&figures, &mut limits);
    bench.growth(&mut limits)?;
    bench.many_issuers(&mut limits)?;
    limits.result()
}

fn report(figures: &[(Contestant, Figures); 5], limits: &mut Limits) {
    for (contestant, figures) in figures {
        println!("{contestant}: {figures}");
    }
    let [(_, bare_8), (_, bare_32), (_, p256), (_, rsa), (_, manager)] = figures;
    let bare = bare_8.rate.larger_of(&bare_32.rate);
    // The CPU time of the bare writer that is faster.
    let bare_cpu = if bare_8.rate.median() >= bare_32.rate.median() { &bare_8.cpu } else { &bare_32.cpu };
    limits.at_least("P-256 CA / bare writer", &p256.rate.ratio_to(&bare), 0.85);
    limits.at_least("P-256 CA / kube-controller-manager", &p256.rate.ratio_to(&manager.rate), 1.1);
    limits.at_least("RSA-3072 CA / bare writer", &rsa.rate.ratio_to(&bare), 0.65);
    limits.at_most("CPU time, P-256 CA / bare writer", &p256.cpu.ratio_to(bare_cpu), 1.5);
    limits.at_most("MiB of controller and enclave, P-256 CA", &p256.memory, 40.0);
    limits.at_most("MiB of controller and enclave, RSA-3072 CA", &rsa.memory, 40.0);
}

impl Bench {
    /// Has a contestant empty a queue, and empties the API server.
    fn drain(
        &self,
        contestant: Contestant,
        requests: usize,
        signer: impl Fn(usize) -> String,
    ) -> Result<Drained> {
        let signers = (0..requests).map(signer);
        self.runtime.block_on(self.driver.fill("queued", signers))?;
        let mut certificates = self.runtime.block_on(self.driver.watch())?;
        let started = Instant::now();
        let processes = contestant.start(&self.stage)?;
        let drained = self.emptied(&mut certificates, requests, started, &processes);
        end(processes)?;
        self.runtime.block_on(self.driver.clear())?;
        drained.with_context(|| contestant.to_string())
    }

    /// Waits until all requests have their certificates.
    pub fn emptied(
        &self,
        certificates: &mut Certificates,
        requests: usize,
        started: Instant,
        processes: &[Supervised],
    ) -> Result<Drained> {
        let seen = self.runtime.block_on(certificates.all(requests))?;
        let used = usage(processes)?;
        let each =
            processes.iter().map(|one| Ok((one.name().to_owned(), usage(std::slice::from_ref(one))?.cpu)));
        let each = each.collect::<Result<_>>()?;
        let first = seen.values().min().copied().unwrap_or(started);
        let last = seen.values().max().copied().unwrap_or(started);
        Ok(Drained {
            requests,
            start: first.saturating_duration_since(started),
            took: last.saturating_duration_since(first),
            used,
            each,
        })
    }

    /// How much memory each finished request costs that is still in the API.
    fn growth(&self, limits: &mut Limits) -> Result<()> {
        let contestant = Contestant::Tcs(CaKey::P256);
        let processes = contestant.start(&self.stage)?;
        let (few, many) = self.memory_after(&processes, &contestant.signer())?;
        end(processes)?;
        self.runtime.block_on(self.driver.clear())?;
        #[expect(clippy::cast_precision_loss)]
        let each = many.saturating_sub(few) as f64 / 1024.0 / MANY_REQUESTS.saturating_sub(REQUESTS) as f64;
        println!("memory after {REQUESTS}: {:.1} MiB, after {MANY_REQUESTS}: {:.1} MiB", mib(few), mib(many));
        limits.at_most("KiB for each finished request", &Rounds(vec![each]), 1.0);
        Ok(())
    }

    fn memory_after(&self, processes: &[Supervised], signer: &str) -> Result<(u64, u64)> {
        let mut certificates = self.runtime.block_on(self.driver.watch())?;
        let mut memory = |prefix, count| -> Result<u64> {
            let signers = std::iter::repeat_n(signer.to_owned(), count);
            self.runtime.block_on(async {
                self.driver.fill(prefix, signers).await?;
                certificates.all(count).await
            })?;
            Ok(usage(processes)?.memory)
        };
        Ok((memory("few", REQUESTS)?, memory("many", MANY_REQUESTS.saturating_sub(REQUESTS))?))
    }

    /// The CPU time of a request does not depend on the number of issuers.
    fn many_issuers(&self, limits: &mut Limits) -> Result<()> {
        let one = signer(CaKey::P256.issuer());
        let of_one = self.drain(Contestant::Tcs(CaKey::P256), MANY_REQUESTS, |_| one.clone())?;
        let names: Vec<_> = (0..MANY_ISSUERS).map(|index| format!("many-{index}")).collect();
        let contestant = Contestant::Tcs(CaKey::P256);
        let processes = contestant.start(&self.stage)?;
        self.stage.make_issuers(&names, CaKey::P256)?;
        end(processes)?;
        let of = |index: usize| names.get(index % MANY_ISSUERS).map(|name| signer(name)).unwrap_or_default();
        let drained = self.drain(contestant, MANY_REQUESTS, of)?;
        println!("{MANY_REQUESTS} requests over {MANY_ISSUERS} issuers: {:.0}/s", drained.rate());
        let ratio = Rounds(vec![drained.cpu() / of_one.cpu()]);
        limits.at_most("CPU time of a request, many issuers / one", &ratio, 1.2);
        Ok(())
    }
}
