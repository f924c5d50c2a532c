//! Names and values of what a quote contains. JSON and text use the same list.

use crate::appraisal::Instant;
use crate::io::printable;
use serde_json::{Value, json};
use std::io::{self, Write};
use tcs_verifier::{Claims, Enclave, Platform, Workload};

/// Names and values in the order of reading.
pub struct Fields(Vec<(&'static str, Field)>);

enum Field {
    Value(Value),
    Group(Fields),
}

impl Fields {
    pub fn new() -> Self {
        Self(Vec::new())
    }

    #[must_use]
    pub fn value(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.0.push((name, Field::Value(value.into())));
        self
    }

    #[must_use]
    pub fn hex(self, name: &'static str, bytes: impl AsRef<[u8]>) -> Self {
        self.value(name, hex::encode(bytes))
    }

    #[must_use]
    pub fn time(self, name: &'static str, seconds: u64) -> Self {
        self.value(name, Instant(seconds).to_string())
    }

    #[must_use]
    pub fn group(mut self, name: &'static str, fields: Self) -> Self {
        self.0.push((name, Field::Group(fields)));
        self
    }

    pub fn json(&self) -> Value {
        let member = |(name, field): &(&'static str, Field)| {
            let value = match field {
                Field::Value(value) => value.clone(),
                Field::Group(fields) => fields.json(),
            };
            ((*name).to_owned(), value)
        };
        Value::Object(self.0.iter().map(member).collect())
    }

    /// `name: value`, groups indented. Unknown values are left out.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        self.write_at(0, out)
    }

    fn write_at(&self, depth: usize, out: &mut dyn Write) -> io::Result<()> {
        let indent = "  ".repeat(depth);
        for (name, field) in &self.0 {
            let text = match field {
                Field::Group(fields) => {
                    writeln!(out, "{indent}{name}:")?;
                    fields.write_at(depth.saturating_add(1), out)?;
                    continue;
                }
                Field::Value(Value::Null) => continue,
                Field::Value(Value::String(text)) => text.clone(),
                Field::Value(Value::Array(list)) if list.is_empty() => "none".into(),
                Field::Value(Value::Array(list)) => {
                    list.iter().map(|item| item.as_str().unwrap_or_default()).collect::<Vec<_>>().join(", ")
                }
                Field::Value(other) => other.to_string(),
            };
            writeln!(out, "{indent}{name}: {}", printable(&text))?;
        }
        Ok(())
    }
}

/// Claims of a genuine quote.
pub fn claims(claims: &Claims) -> Fields {
    Fields::new()
        .value("status", claims.status.intel_name())
        .value("advisories", claims.advisory_ids.clone())
        .time("tcbDate", claims.tcb_date)
        .value("evaluationNumber", claims.evaluation_number)
        .group(
            "quotingEnclave",
            Fields::new()
                .value("status", claims.qe_status.intel_name())
                .value("advisories", claims.qe_advisory_ids.clone())
                .time("tcbDate", claims.qe_tcb_date)
                .value("evaluationNumber", claims.qe_evaluation_number),
        )
        .hex("reportData", claims.report_data)
        .group("workload", workload(&claims.workload))
        .group("platform", platform(&claims.platform))
        .group(
            "collateral",
            Fields::new()
                .value("rootCaCrlNumber", claims.root_ca_crl_number)
                .value("pckCrlNumber", claims.pck_crl_number)
                .hex("rootKeyId", claims.root_key_id)
                .time("earliestIssue", claims.window.earliest_issue)
                .time("latestIssue", claims.window.latest_issue)
                .time("earliestExpiration", claims.window.earliest_expiration),
        )
        .value("simulated", claims.simulated)
}

/// What made a quote.
pub fn workload(workload: &Workload) -> Fields {
    match workload {
        Workload::Enclave(found) => enclave(found),
        Workload::TrustDomain(found) => {
            let [rtmr0, rtmr1, rtmr2, rtmr3] = found.rtmrs;
            Fields::new()
                .value("tee", "TDX")
                .value("debug", workload.is_debug())
                .hex("mrTd", found.mr_td)
                .hex("rtmr0", rtmr0)
                .hex("rtmr1", rtmr1)
                .hex("rtmr2", rtmr2)
                .hex("rtmr3", rtmr3)
                .hex("mrConfigId", found.mr_config_id)
                .hex("mrOwner", found.mr_owner)
                .hex("mrOwnerConfig", found.mr_owner_config)
                .hex("mrSeam", found.mr_seam)
                .hex("tdAttributes", found.td_attributes)
                .value("tdAttributesNames", found.td_attribute_names())
                .hex("xfam", found.xfam)
                .value("xfamNames", found.xfam_names())
                .hex("teeTcbSvn", found.tee_tcb_svn)
                .value("teeTcbSvn2", found.tee_tcb_svn_2.map(hex::encode))
                .value("mrServiceTd", found.mr_service_td.map(hex::encode))
        }
    }
}

/// An SGX enclave.
pub fn enclave(found: &Enclave) -> Fields {
    Fields::new()
        .value("tee", "SGX")
        .value("debug", found.is_debug())
        .hex("mrenclave", found.mrenclave)
        .hex("mrsigner", found.mrsigner)
        .value("isvProdId", found.isv_prod_id)
        .value("isvSvn", found.isv_svn)
        .hex("attributes", found.attributes)
        .value("attributesNames", found.attribute_names())
        .hex("miscSelect", found.misc_select)
        .value("miscSelectNames", found.misc_select_names())
        .hex("configId", found.config_id)
        .value("configSvn", found.config_svn)
        .hex("isvExtProdId", found.isv_ext_prod_id)
        .hex("isvFamilyId", found.isv_family_id)
}

/// The machine.
pub fn platform(found: &Platform) -> Fields {
    Fields::new()
        .value("ca", found.ca.name())
        .hex("fmspc", found.fmspc)
        .hex("ppid", found.ppid)
        .value("platformInstance", found.platform_instance.map(hex::encode))
        .hex("pceId", found.pce_id)
        .hex("cpuSvn", found.cpu_svn)
        .value("pceSvn", found.pce_svn)
        .value("sgxType", json!(found.sgx_type))
        .value("dynamicPlatform", found.dynamic_platform)
        .value("cachedKeys", found.cached_keys)
        .value("smtEnabled", found.smt_enabled)
}
