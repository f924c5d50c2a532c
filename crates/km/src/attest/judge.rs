//! From options to a verdict: policy, collateral, verification, roll-back.

use super::cli::{Judging, Sources};
use super::report::Report;
use super::{Error, Settings, Shell};
use crate::collateral::{self, Numbers, Obtain, Obtained, PlatformKey};
use std::path::Path;
use tcs_evidence::Evidence;
use tcs_verifier::{Outcome, Policy, TrustRoot, Workload, check_binding, inspect, verify};

/// Whether the quote binds the public key.
pub enum Binding {
    /// There was no public key, or nothing got so far.
    NotChecked,
    /// It does.
    Passed,
    /// It does not.
    Failed(tcs_verifier::Error),
}

/// Judges what `report_data` of the evidence binds. All of it is public.
pub fn binding(evidence: &Evidence, spki: &[u8], nonce: &[u8; 32]) -> Binding {
    let quote = evidence.quote().map_err(|error| tcs_verifier::Error::QuoteMalformed(error.to_string()));
    match quote.and_then(|quote| check_binding(&quote.report_data(), spki, nonce)) {
        Ok(()) => Binding::Passed,
        Err(error) => Binding::Failed(error),
    }
}

/// What a quote is judged by.
pub struct Judgement {
    settings: Settings,
    policy: Policy,
    trust: TrustRoot,
    /// Nobody is trusted yet: neither policy file nor `--any-identity`.
    nobody: bool,
    another_time: bool,
}

impl Judgement {
    /// Reads the policy and says what weakens it.
    pub fn prepare(judging: &Judging, shell: &mut Shell<'_>, report: &mut Report) -> Result<Self, Error> {
        let settings = settings(&judging.sources)?;
        let trust = settings.trust()?;
        report.simulated = trust.is_simulated();
        if trust.is_simulated() {
            shell.warn(
                "SIMULATION: a simulated root is trusted; the quote and the key it binds are NOT protected by any hardware",
            );
        }
        if judging.any_identity {
            shell.warn("every enclave is accepted (--any-identity): the key can belong to anybody's program");
        }
        if judging.at.is_some() {
            shell.warn(&format!("judged at {}, not now (--at): says nothing about today", report.time()));
        }
        let policy = Policy { any_identity: judging.any_identity, ..settings.policy.clone() };
        let nobody = judging.sources.policy.is_none() && !judging.any_identity;
        Ok(Self { settings, policy, trust, nobody, another_time: judging.at.is_some() })
    }

    /// Gets the collateral, verifies the evidence and remembers what must not go back.
    pub fn judge(
        &self,
        evidence: &Evidence,
        shell: &mut Shell<'_>,
        report: &mut Report,
    ) -> Result<(), Error> {
        // Without a policy nobody is trusted, which is the first thing to tell; collateral would be the second.
        if self.nobody {
            return Err(Error::Refused(tcs_verifier::Error::NoIdentityConfigured));
        }
        let (obtained, key) = obtain(&self.settings, evidence, shell, true)?;
        report.collateral = Some(obtained.source.clone());
        let verdict = verify(evidence, &obtained.collateral, &self.trust, &self.policy, report.judged_at());
        let refusal = verdict.accepted().err().cloned();
        let verdict = report.verdict.insert(verdict);
        if let Some(claims) = verdict.claims() {
            let state = self.settings.collateral.as_ref().and_then(|settings| {
                settings.state(&self.settings.folder).map(|path| (path, settings.update()))
            });
            // At another time than now, older collateral is what one asks for.
            if let (Some((path, update)), false) = (state, self.another_time) {
                let numbers = Numbers::of(claims);
                let advanced = collateral::advance(&path, key, update, &claims.root_key_id, numbers);
                report.rollback.outcome = if advanced.is_ok() { Outcome::Passed } else { Outcome::Failed };
                report.rollback.found = match &advanced {
                    Ok(()) => "they are not".into(),
                    Err(error) => error.to_string().into(),
                };
                advanced.map_err(Error::Collateral)?;
            }
            let too_old = matches!(refusal, Some(tcs_verifier::Error::EvaluationNumberTooLow { .. }));
            if !self.another_time && !too_old {
                // What was judged stands without a copy, too.
                let kept = obtained.keep();
                kept.unwrap_or_else(|error| {
                    shell.warn(&format!("no copy of the collateral is kept: {error}"));
                });
            }
            if self.policy.any_identity && refusal.is_none() {
                shell.warn(&describe(&claims.workload));
            }
        }
        refusal.map_or(Ok(()), |error| Err(Error::Refused(error)))
    }
}

/// Fetches collateral for the quote's platform into a file.
pub fn fetch(evidence: &Evidence, sources: &Sources, out: &Path, shell: &mut Shell<'_>) -> Result<(), Error> {
    let (obtained, _) = obtain(&settings(sources)?, evidence, shell, false)?;
    collateral::write_bundle(out, &obtained.json).map_err(Error::Collateral)?;
    writeln!(shell.out, "{}: collateral from {}, not verified", out.display(), obtained.source)?;
    Ok(())
}

fn obtain(
    settings: &Settings,
    evidence: &Evidence,
    shell: &Shell<'_>,
    copies: bool,
) -> Result<(Obtained, PlatformKey), Error> {
    let named = settings.collateral.as_ref().ok_or(Error::CollateralNotConfigured)?;
    let key = PlatformKey::of(&inspect(evidence).map_err(Error::Refused)?);
    let obtain = Obtain { folder: &settings.folder, now: shell.now, copies, wait: shell.wait };
    Ok((obtain.get(named, key).map_err(Error::Collateral)?, key))
}

fn settings(sources: &Sources) -> Result<Settings, Error> {
    let mut settings = sources.policy.as_deref().map_or_else(|| Ok(Settings::none()), Settings::load)?;
    if let Some(file) = &sources.collateral {
        // Options name files from the working folder, the policy file from its own.
        let file = std::path::absolute(file).unwrap_or_else(|_| file.clone());
        settings.collateral = Some(settings.collateral.unwrap_or_default().with_file(file));
    }
    if let Some(url) = &sources.pccs_url {
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
