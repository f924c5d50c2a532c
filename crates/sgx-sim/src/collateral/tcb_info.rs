//! TCB info of version 3 (Intel PCS API v4).

use super::levels::{TcbLevel, TdxModule, TdxModuleIdentity};
use super::options::CollateralOptions;
use crate::parts::PlatformParts;
use crate::tee::Tee;
use serde_json::{Value, json};

/// The text that is signed.
pub fn text(
    platform: &PlatformParts,
    tee: Tee,
    options: &CollateralOptions,
    (issued, next): &(String, String),
) -> String {
    let own = || vec![TcbLevel::of(&platform.options)];
    let levels = options.tcb_levels.clone().unwrap_or_else(own);
    let id = match tee {
        Tee::Sgx => "SGX",
        Tee::Tdx => "TDX",
    };
    let mut info = json!({
        "id": options.tcb_info_id.as_deref().unwrap_or(id), "version": options.tcb_info_version,
        "issueDate": issued, "nextUpdate": next,
        "fmspc": hex::encode_upper(options.fmspc.unwrap_or(platform.options.fmspc)),
        "pceId": hex::encode_upper(options.pce_id.unwrap_or(platform.options.pce_id)),
        "tcbType": options.tcb_type, "tcbEvaluationDataNumber": options.tcb_info_evaluation,
        "tcbLevels": levels.iter().map(|level| level.json(tee)).collect::<Vec<_>>(),
    });
    if let (Some(info), Tee::Tdx) = (info.as_object_mut(), tee) {
        if let Some(module) = options.tdx_module.as_ref().map(TdxModule::json) {
            info.insert("tdxModule".into(), module);
        }
        let identities: Vec<Value> =
            options.tdx_module_identities.iter().map(TdxModuleIdentity::json).collect();
        if !identities.is_empty() {
            info.insert("tdxModuleIdentities".into(), json!(identities));
        }
    }
    info.to_string()
}
