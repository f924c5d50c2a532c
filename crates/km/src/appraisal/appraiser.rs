//! Appraises evidence.

use super::error::Error;
use super::found::{Appraisal, Binding, Refused};
use super::instant::Instant;
use super::settings::Settings;
use crate::collateral::{self, Numbers, Obtain, Obtained, PlatformKey};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tcs_evidence::{Evidence, QuotePublicKey};
use tcs_verifier::{Check, Claims, Outcome, Policy, TrustAnchor, Workload, check_binding, inspect, verify};

/// The policy and the sources of an appraisal.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The policy file. Without one no enclave is accepted.
    pub policy: Option<PathBuf>,
    /// Collateral file, instead of the source that the policy file names. Relative to the working directory.
    pub collateral: Option<PathBuf>,
    /// Address of a PCCS, instead of the source that the policy file names.
    pub pccs_url: Option<String>,
    /// Accept every enclave.
    pub any_identity: bool,
    /// Appraise at this time instead of now.
    pub at: Option<Instant>,
}

/// Time for an appraisal.
#[derive(Clone, Copy)]
pub struct Clock<'a> {
    /// Unix seconds.
    pub now: i64,
    /// Waits between two attempts to reach a service.
    pub wait: &'a dyn Fn(Duration),
}

/// A policy that was read and can appraise evidence.
pub struct Appraiser {
    settings: Settings,
    policy: Policy,
    trust: TrustAnchor,
    /// No enclave is trusted: there is no policy file, and `any_identity` is not set.
    trusts_none: bool,
    at: Option<Instant>,
}

impl Appraiser {
    /// Reads the policy file.
    pub fn new(options: &Options) -> Result<Self, Error> {
        let settings = settings(options)?;
        let trust = settings.trust()?;
        let policy = Policy { any_identity: options.any_identity, ..settings.policy.clone() };
        let trusts_none = options.policy.is_none() && !options.any_identity;
        Ok(Self { settings, policy, trust, trusts_none, at: options.at })
    }

    /// Whether a simulated root is trusted, which protects nothing.
    #[must_use]
    pub fn is_simulated(&self) -> bool {
        self.trust.is_simulated()
    }

    /// What weakens every appraisal by this policy, in whole sentences. `with_key`: a public key is given,
    /// which the quote should bind.
    #[must_use]
    pub fn caveats(&self, with_key: bool) -> Vec<String> {
        let mut caveats = Vec::new();
        if self.is_simulated() {
            caveats.push(
                "SIMULATION: a simulated root is trusted; the quote and the key it binds are NOT protected \
                 by any hardware"
                    .to_owned(),
            );
        }
        if self.policy.any_identity {
            let what = if with_key { "the key can belong to" } else { "the quote can come from" };
            caveats.push(format!("every enclave is accepted (--any-identity): {what} anybody's program"));
        }
        if let Some(at) = self.at {
            caveats.push(format!("appraised at {at}, not now (--at): the result says nothing about today"));
        }
        caveats
    }

    /// The instant for which evidence is appraised if the current time is `now`, Unix seconds.
    #[must_use]
    pub fn appraised_at(&self, now: i64) -> i64 {
        self.at.map_or(now, |at| i64::try_from(at.0).unwrap_or(i64::MAX))
    }

    /// Checks the binding to the key and nonce if they are given, gets the collateral, verifies the evidence,
    /// and records the numbers that later collateral must not fall below.
    ///
    /// A copy of collateral that is older than what was seen before is obtained anew from its service, once.
    /// The numbers are those of the collateral alone: nothing that Intel signs says for which update channel
    /// it was published (`docs/collateral.md`, "Roll-back").
    pub fn appraise(
        &self,
        evidence: &Evidence,
        binding: Option<(&QuotePublicKey, &[u8; 32])>,
        clock: Clock<'_>,
    ) -> Result<Appraisal, Box<Refused>> {
        let mut found = Appraisal::new();
        match self.run(evidence, binding, clock, &mut found) {
            Ok(()) => Ok(found),
            Err(error) => Err(Box::new(Refused { error, found })),
        }
    }

    fn run(
        &self,
        evidence: &Evidence,
        binding: Option<(&QuotePublicKey, &[u8; 32])>,
        clock: Clock<'_>,
        found: &mut Appraisal,
    ) -> Result<(), Error> {
        if let Some((key, nonce)) = binding {
            found.binding = bind(evidence, key, nonce);
            if let Binding::Failed(error) = &found.binding {
                return Err(Error::Refused(error.clone()));
            }
        }
        // Without a policy no enclave is trusted. This is reported before missing collateral.
        if self.trusts_none {
            return Err(Error::Refused(tcs_verifier::Error::NoIdentityConfigured));
        }
        let older = match self.conclude(evidence, clock, true, found) {
            Err(Error::Collateral(error @ collateral::Error::Rollback { .. })) if found.is_copy => error,
            done => return done,
        };
        found.warnings.push(format!("the copy in the cache is not used: {older}"));
        self.conclude(evidence, clock, false, found)
    }

    /// Gets the collateral, if `copies` is set also from the cache, and verifies the evidence with it.
    fn conclude(
        &self,
        evidence: &Evidence,
        clock: Clock<'_>,
        copies: bool,
        found: &mut Appraisal,
    ) -> Result<(), Error> {
        let (obtained, key) = obtain(&self.settings, evidence, clock, copies)?;
        (found.collateral, found.is_copy) = (Some(obtained.source.clone()), obtained.is_copy);
        for warning in &obtained.warnings {
            if !found.warnings.contains(warning) {
                found.warnings.push(warning.clone());
            }
        }
        let appraised_at = self.appraised_at(clock.now);
        let verdict = verify(evidence, &obtained.collateral, &self.trust, &self.policy, appraised_at);
        let refusal = verdict.accepted().err().cloned();
        let verdict = found.verdict.insert(verdict);
        if let Some(claims) = verdict.claims() {
            found.rollback = Appraisal::rollback_not_checked();
            self.advance(claims, key, &mut found.rollback).map_err(Error::Collateral)?;
            let too_old = matches!(refusal, Some(tcs_verifier::Error::EvaluationNumberTooLow { .. }));
            if self.at.is_none() && !too_old {
                // The verdict does not depend on the copy.
                if let Err(error) = obtained.keep() {
                    found.warnings.push(format!("the collateral could not be stored in the cache: {error}"));
                }
            }
            if self.policy.any_identity && refusal.is_none() {
                found.warnings.push(describe(&claims.workload));
            }
        }
        refusal.map_or(Ok(()), |error| Err(Error::Refused(error)))
    }

    /// Compares the numbers of verified collateral with the state file, if the settings name one, and records
    /// them. An appraisal at another time than now may use older collateral.
    fn advance(&self, claims: &Claims, key: PlatformKey, check: &mut Check) -> Result<(), collateral::Error> {
        let Some(settings) = self.settings.collateral.as_ref().filter(|_| self.at.is_none()) else {
            return Ok(());
        };
        let Some(path) = settings.state(&self.settings.folder) else { return Ok(()) };
        let numbers = Numbers::of(claims);
        let advanced = collateral::advance(&path, key, settings.update(), &claims.root_key_id, numbers);
        (check.outcome, check.found) = match &advanced {
            Ok(()) => (Outcome::Passed, "they are not".into()),
            Err(error) => (Outcome::Failed, error.to_string().into()),
        };
        advanced
    }
}

/// Fetches collateral for the platform of the quote into a file, and returns where it came from and warnings
/// in whole sentences. Nothing is verified.
pub fn fetch_collateral(
    evidence: &Evidence,
    options: &Options,
    out: &Path,
    clock: Clock<'_>,
) -> Result<(String, Vec<String>), Error> {
    let (obtained, _) = obtain(&settings(options)?, evidence, clock, false)?;
    collateral::write_bundle(out, &obtained.json).map_err(Error::Collateral)?;
    Ok((obtained.source, obtained.warnings))
}

fn bind(evidence: &Evidence, key: &QuotePublicKey, nonce: &[u8; 32]) -> Binding {
    let quote = evidence.quote().map_err(|error| tcs_verifier::Error::QuoteMalformed(error.to_string()));
    match quote.and_then(|quote| check_binding(&quote.report_data(), key, nonce)) {
        Ok(()) => Binding::Passed,
        Err(error) => Binding::Failed(error),
    }
}

fn obtain(
    settings: &Settings,
    evidence: &Evidence,
    clock: Clock<'_>,
    copies: bool,
) -> Result<(Obtained, PlatformKey), Error> {
    let named = settings.collateral.as_ref().ok_or(Error::CollateralNotConfigured)?;
    let key = PlatformKey::of(&inspect(evidence).map_err(Error::Refused)?);
    let obtain = Obtain { folder: &settings.folder, now: clock.now, copies, wait: clock.wait };
    Ok((obtain.get(named, key).map_err(Error::Collateral)?, key))
}

fn settings(options: &Options) -> Result<Settings, Error> {
    let mut settings = options.policy.as_deref().map_or_else(|| Ok(Settings::none()), Settings::load)?;
    if let Some(file) = &options.collateral {
        // Names of files in options are relative to the working directory, and those in the policy file to
        // the directory of that file.
        let file = std::path::absolute(file).unwrap_or_else(|_| file.clone());
        settings.collateral = Some(settings.collateral.unwrap_or_default().with_file(file));
    }
    if let Some(url) = &options.pccs_url {
        settings.collateral = Some(settings.collateral.unwrap_or_default().with_pccs_url(url.clone()));
    }
    Ok(settings)
}

fn describe(workload: &Workload) -> String {
    match workload {
        Workload::Enclave(found) => format!(
            "accepted enclave: MRENCLAVE {}, MRSIGNER {}, ISVPRODID {}, ISVSVN {}",
            hex::encode(found.mrenclave),
            hex::encode(found.mrsigner),
            found.isv_prod_id,
            found.isv_svn
        ),
        Workload::TrustDomain(found) => {
            let [rtmr0, rtmr1, rtmr2, rtmr3] = found.rtmrs.map(hex::encode);
            format!(
                "accepted trust domain: MRTD {}, RTMR0 {rtmr0}, RTMR1 {rtmr1}, RTMR2 {rtmr2}, RTMR3 {rtmr3}",
                hex::encode(found.mr_td)
            )
        }
    }
}
