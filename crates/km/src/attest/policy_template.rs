//! `policy new`: a policy file that pins the identity and the platform of an existing quote.

use super::error::Error;
use crate::appraisal;
use crate::files::write_new;
use crate::io::Io;
use std::fmt::Write as _;
use std::path::Path;
use tcs_evidence::Evidence;
use tcs_verifier::{Enclave, Inspection, TrustDomain, Workload, inspect};

/// Writes the policy to a new file, or to standard output.
pub fn run(evidence: &Evidence, out: Option<&Path>, io: &mut Io<'_>) -> Result<(), Error> {
    let inspection = inspect(evidence).map_err(appraisal::Error::Refused)?;
    let text = policy(&inspection);
    if inspection.workload.is_debug() {
        io.warn(
            "the quote is from an enclave in debug mode: no policy accepts it, except under a simulated root",
        );
    }
    for fault in inspection.workload.never_accepted() {
        io.warn(&format!("no policy accepts this quote: {fault}"));
    }
    match out {
        None => io.out.write_all(text.as_bytes())?,
        Some(path) => {
            write_new(path, text.as_bytes()).map_err(|cause| Error::FileUnwritable {
                what: "policy",
                path: path.to_owned(),
                cause: cause.to_string(),
            })?;
        }
    }
    io.warn("the quote was not verified: compare every value with the published values of the release first");
    Ok(())
}

fn policy(inspection: &Inspection) -> String {
    let mut text = String::from(
        "# Policy of km-attest, taken from a quote that was NOT verified.\n\
         #\n\
         # Whoever made the quote chose these values. Before you rely on them, compare the identity with the values\n\
         # published with the release, and the platform with what you know of your machine from another source.\n\
         # All keys: docs/policy.md.\n\n",
    );
    // Writing into a String cannot fail.
    let _ = match &inspection.workload {
        Workload::Enclave(found) => enclave(&mut text, found),
        Workload::TrustDomain(found) => trust_domain(&mut text, found),
    };
    let platform = &inspection.platform;
    let _ = writeln!(text, "\n[platform]\nppids = [\"{}\"]", hex::encode(platform.ppid));
    if let Some(instance) = platform.platform_instance {
        let _ = writeln!(
            text,
            "# The platform instance changes when the machine is registered anew; a machine in either list is accepted.\n\
             # instance_ids = [\"{}\"]",
            hex::encode(instance)
        );
    }
    let _ = writeln!(text, "fmspcs = [\"{}\"]", hex::encode(platform.fmspc));
    text.push_str(
        "\n# Where collateral comes from: Intel's service, your own PCCS, or a file for a machine without a\n\
         # network (km-attest collateral fetch --quote QUOTE --out collateral.json). More: docs/collateral.md.\n\
         [collateral]\n\
         pcs_url = \"https://api.trustedservices.intel.com\"\n\
         # pccs_url = \"https://localhost:8081\"\n\
         # file = \"collateral.json\"\n",
    );
    text
}

fn enclave(text: &mut String, found: &Enclave) -> std::fmt::Result {
    writeln!(text, "[[identity]]\nmrenclave = \"{}\"", hex::encode(found.mrenclave))?;
    // Without ATTRIBUTES.KSS the fields have no meaning.
    if found.attributes.first().is_some_and(|flags| flags & 0x80 != 0) {
        writeln!(text, "config_id = \"{}\"", hex::encode(found.config_id))?;
        writeln!(text, "min_config_svn = {}", found.config_svn)?;
        writeln!(text, "isv_ext_prod_id = \"{}\"", hex::encode(found.isv_ext_prod_id))?;
        writeln!(text, "isv_family_id = \"{}\"", hex::encode(found.isv_family_id))?;
    }
    writeln!(
        text,
        "# Instead, every build of this product by this signer from this version on:\n\
         # mrsigner = \"{}\"\n# isv_prod_id = {}\n# min_isv_svn = {}",
        hex::encode(found.mrsigner),
        found.isv_prod_id,
        found.isv_svn
    )
}

fn trust_domain(text: &mut String, found: &TrustDomain) -> std::fmt::Result {
    writeln!(text, "[[identity]]\nmr_td = \"{}\"", hex::encode(found.mr_td))?;
    for (number, rtmr) in found.rtmrs.iter().enumerate() {
        writeln!(text, "rtmr{number} = \"{}\"", hex::encode(rtmr))?;
    }
    writeln!(text, "mr_config_id = \"{}\"", hex::encode(found.mr_config_id))?;
    writeln!(text, "mr_owner = \"{}\"", hex::encode(found.mr_owner))?;
    writeln!(text, "mr_owner_config = \"{}\"", hex::encode(found.mr_owner_config))?;
    writeln!(text, "\n[tdx]\nmr_seams = [\"{}\"]", hex::encode(found.mr_seam))?;
    let all = "ff".repeat(8);
    writeln!(
        text,
        "td_attributes = \"{}\"\ntd_attributes_mask = \"{all}\"",
        hex::encode(found.td_attributes)
    )?;
    writeln!(text, "xfam = \"{}\"\nxfam_mask = \"{all}\"", hex::encode(found.xfam))
}
