//! The levels in TCB info and QE identity, the quoting enclave and the TDX module.

use crate::options::{CPU_SVN, Options, PCE_SVN};
use crate::quote::{Enclave, TEE_TCB_SVN, module_signer};
use crate::tee::Tee;
use serde_json::{Value, json};

/// `tcbDate` wherever none is given.
const TCB_DATE: &str = "2024-03-13T00:00:00Z";

/// A TCB level of TCB info. `Default`: that of a default platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcbLevel {
    /// `sgxtcbcomponents`: the SVN that each of the 16 components must have.
    pub components: [u8; 16],
    /// `pcesvn`.
    pub pce_svn: u16,
    /// `tdxtcbcomponents`, in TCB info for TDX only: the SVNs that `TEE_TCB_SVN` must have.
    pub tdx_components: [u8; 16],
    /// `tcbDate`, RFC 3339: `2024-03-13T00:00:00Z`.
    pub date: String,
    /// `tcbStatus`: `UpToDate`. Any text, also a wrong one.
    pub status: String,
    /// `advisoryIDs`, for example `INTEL-SA-00334`; an empty list is left out.
    pub advisories: Vec<String>,
}

impl Default for TcbLevel {
    fn default() -> Self {
        Self {
            components: CPU_SVN,
            pce_svn: PCE_SVN,
            tdx_components: TEE_TCB_SVN,
            date: TCB_DATE.into(),
            status: "UpToDate".into(),
            advisories: Vec::new(),
        }
    }
}

impl TcbLevel {
    /// The one level that a platform with these options meets exactly, with their status and advisories. The
    /// TDX components are those of a default trust domain.
    pub(crate) fn of(options: &Options) -> Self {
        Self {
            components: options.cpu_svn,
            pce_svn: options.pce_svn,
            status: options.tcb_status.clone(),
            advisories: options.advisories.clone(),
            ..Self::default()
        }
    }

    pub(super) fn json(&self, tee: Tee) -> Value {
        let components = |svns: &[u8; 16]| svns.iter().map(|svn| json!({ "svn": svn })).collect::<Vec<_>>();
        let mut tcb = json!({ "sgxtcbcomponents": components(&self.components), "pcesvn": self.pce_svn });
        if let (Some(tcb), Tee::Tdx) = (tcb.as_object_mut(), tee) {
            tcb.insert("tdxtcbcomponents".into(), json!(components(&self.tdx_components)));
        }
        level(&tcb, &self.date, &self.status, &self.advisories)
    }
}

/// A TCB level of a QE identity or of a TDX module identity. `Default`: that of the simulated SGX quoting
/// enclave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IsvTcbLevel {
    /// `isvsvn`: at least this. Verifiers take one byte for a TDX module.
    pub isv_svn: u16,
    /// `tcbDate`, RFC 3339: `2024-03-13T00:00:00Z`.
    pub date: String,
    /// `tcbStatus`: `UpToDate`. Any text, also a wrong one.
    pub status: String,
    /// `advisoryIDs`; an empty list is left out.
    pub advisories: Vec<String>,
}

impl Default for IsvTcbLevel {
    fn default() -> Self {
        Self {
            isv_svn: Enclave::quoting(Tee::Sgx).isv_svn,
            date: TCB_DATE.into(),
            status: "UpToDate".into(),
            advisories: Vec::new(),
        }
    }
}

impl IsvTcbLevel {
    fn json(&self) -> Value {
        level(&json!({ "isvsvn": self.isv_svn }), &self.date, &self.status, &self.advisories)
    }
}

/// A QE identity, except for its validity and evaluation number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QeIdentity {
    /// `id`: `QE` or `TD_QE`.
    pub id: String,
    /// `version`: 2.
    pub version: u8,
    /// `mrsigner`, 32 bytes: SHA-256 of `tcs-simulated-quoting-enclave`, never Intel's.
    pub mrsigner: [u8; 32],
    /// `isvprodid`: 1 for SGX, 2 for TDX.
    pub isv_prod_id: u16,
    /// `miscselect`: 0; in JSON the four bytes as they stand in a report, little-endian.
    pub miscselect: u32,
    /// `miscselectMask`: all bits.
    pub miscselect_mask: u32,
    /// `attributes` as they stand in a report: flags 0x11 (INIT and `PROVISION_KEY`), XFRM 0.
    pub attributes: [u8; 16],
    /// `attributesMask`: all flags but MODE64BIT, no bit of XFRM.
    pub attributes_mask: [u8; 16],
    /// `tcbLevels`: one, of the simulated quoting enclave's own ISVSVN (8 for SGX, 4 for TDX).
    pub levels: Vec<IsvTcbLevel>,
}

impl QeIdentity {
    /// That of the simulated quoting enclave of this kind.
    #[must_use]
    pub fn of(tee: Tee) -> Self {
        let enclave = Enclave::quoting(tee);
        Self {
            id: if tee == Tee::Sgx { "QE" } else { "TD_QE" }.into(),
            version: 2,
            mrsigner: enclave.mrsigner,
            isv_prod_id: enclave.isv_prod_id,
            miscselect: 0,
            miscselect_mask: u32::MAX,
            attributes: [0x11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            attributes_mask: [0xfb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0],
            levels: vec![IsvTcbLevel { isv_svn: enclave.isv_svn, ..IsvTcbLevel::default() }],
        }
    }

    pub(super) fn text(&self, evaluation: u32, (issued, next): &(String, String)) -> String {
        let upper = |bytes: &[u8]| hex::encode_upper(bytes);
        json!({
            "id": self.id, "version": self.version, "issueDate": issued, "nextUpdate": next,
            "tcbEvaluationDataNumber": evaluation,
            "miscselect": upper(&self.miscselect.to_le_bytes()),
            "miscselectMask": upper(&self.miscselect_mask.to_le_bytes()),
            "attributes": upper(&self.attributes), "attributesMask": upper(&self.attributes_mask),
            "mrsigner": upper(&self.mrsigner), "isvprodid": self.isv_prod_id,
            "tcbLevels": self.levels.iter().map(IsvTcbLevel::json).collect::<Vec<_>>(),
        })
        .to_string()
    }
}

/// `tdxModule` of TCB info: the TDX module of version 0. `Default`: the simulated one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TdxModule {
    /// `mrsigner`, 48 bytes: SHA-384 of `tcs-simulated-tdx-module`, never Intel's (48 zero bytes).
    pub mrsigner: [u8; 48],
    /// `attributes`: SEAMATTRIBUTES as they stand in a report, 8 bytes: zeros.
    pub attributes: [u8; 8],
    /// `attributesMask`, 8 bytes: all bits.
    pub attributes_mask: [u8; 8],
}

impl Default for TdxModule {
    fn default() -> Self {
        Self { mrsigner: module_signer(), attributes: [0; 8], attributes_mask: [0xff; 8] }
    }
}

impl TdxModule {
    pub(super) fn json(&self) -> Value {
        json!({
            "mrsigner": hex::encode_upper(self.mrsigner),
            "attributes": hex::encode_upper(self.attributes),
            "attributesMask": hex::encode_upper(self.attributes_mask),
        })
    }
}

/// An entry of `tdxModuleIdentities` of TCB info: the TDX module of one later version. `Default`: the
/// simulated one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TdxModuleIdentity {
    /// `id`: `TDX_` and the module's version (byte 1 of `TEE_TCB_SVN`) in two hex digits: `TDX_01`.
    pub id: String,
    /// Signer and attributes.
    pub module: TdxModule,
    /// `tcbLevels`: one, of ISVSVN 4 (byte 0 of the default `TEE_TCB_SVN`).
    pub levels: Vec<IsvTcbLevel>,
}

impl Default for TdxModuleIdentity {
    fn default() -> Self {
        let [isv_svn, version, ..] = TEE_TCB_SVN;
        Self {
            id: format!("TDX_{version:02X}"),
            module: TdxModule::default(),
            levels: vec![IsvTcbLevel { isv_svn: isv_svn.into(), ..IsvTcbLevel::default() }],
        }
    }
}

impl TdxModuleIdentity {
    pub(super) fn json(&self) -> Value {
        let mut identity = self.module.json();
        if let Some(identity) = identity.as_object_mut() {
            identity.insert("id".into(), json!(self.id));
            let levels: Vec<Value> = self.levels.iter().map(IsvTcbLevel::json).collect();
            identity.insert("tcbLevels".into(), json!(levels));
        }
        identity
    }
}

fn level(tcb: &Value, date: &str, status: &str, advisories: &[String]) -> Value {
    let mut level = json!({ "tcb": tcb, "tcbDate": date, "tcbStatus": status });
    if let (Some(level), false) = (level.as_object_mut(), advisories.is_empty()) {
        level.insert("advisoryIDs".into(), json!(advisories));
    }
    level
}
