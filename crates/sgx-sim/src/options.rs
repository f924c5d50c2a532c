//! The properties of a platform, which are also in its certificates.

use serde::{Deserialize, Serialize};

/// Which names certificates and CRLs carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Names {
    /// Every name that no verifier looks for says that this is a simulation; the default.
    #[default]
    Honest,
    /// Exactly Intel's distinguished names and CRL distribution points. **For oracle tests only**, where
    /// Intel's own verification library reads the same bytes. Even then the root's key is not Intel's, and
    /// quotes keep their marks.
    IntelShaped,
}

/// Which kind of CA issued the PCK certificate (Intel SGX PCK Certificate and CRL Profile Specification).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PckCa {
    /// For platforms of several packages: the PCK certificate names a platform instance and the platform's
    /// flags.
    #[default]
    Platform,
    /// For platforms of one package: neither platform instance nor flags.
    Processor,
}

/// The properties of a platform, fixed when it is made. `Default`: a valid and honest platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Which names certificates and CRLs carry: honest ones.
    pub names: Names,
    /// The kind of CA that issues the PCK certificate: `Platform`.
    pub ca: PckCa,
    /// FMSPC, the platform's family: `00606A000000`.
    pub fmspc: [u8; 6],
    /// PCEID, the provisioning certification enclave's identity: `0000`.
    pub pce_id: [u8; 2],
    /// PPID: ASCII `SIMULATED-PPID`, two zero bytes.
    pub ppid: [u8; 16],
    /// Platform instance id, with [`PckCa::Platform`] only: ASCII `SIMULATED-PIID`, two zero bytes.
    pub platform_instance: [u8; 16],
    /// Packages may be added, with [`PckCa::Platform`] only: false.
    pub dynamic_platform: bool,
    /// Intel's registration service keeps the platform's root keys, with [`PckCa::Platform`] only: false.
    pub cached_keys: bool,
    /// Simultaneous multithreading is on, with [`PckCa::Platform`] only: false.
    pub smt_enabled: bool,
    /// SGX type: 0 Standard, 1 Scalable (the default), 2 Scalable with integrity. Below 128.
    pub sgx_type: u8,
    /// CPUSVN, in the PCK certificate (OID suffix 2.18) and in every report: `07 09 03 03 FF 01`, ten zero
    /// bytes.
    pub cpu_svn: [u8; 16],
    /// The SVNs of the 16 TCB components in the PCK certificate (OID suffixes 2.1 to 2.16): those of the
    /// default CPUSVN. A genuine platform has the same bytes here and in `cpu_svn`, so change both.
    pub components: [u8; 16],
    /// PCESVN: 13.
    pub pce_svn: u16,
    /// Days that the PCK CA's, the PCK and the TCB signer's certificates are valid after `now`: 3650. All
    /// certificates begin a day before `now`.
    pub certificate_days: i64,
    /// Days that the root certificate is valid after `now`: 3650.
    pub root_days: i64,
    /// Common name of the PCK certificate: `Intel SGX PCK Certificate`, which verifiers demand.
    pub pck_name: String,
    /// Common name of the TCB signer: `Intel SGX TCB Signing`, which verifiers demand.
    pub tcb_signer_name: String,
    /// Days that `public/collateral.json` is valid after `now`: 30, as Intel's is after its issue.
    pub collateral_days: i64,
    /// TCB status of the platform's own level wherever no levels are given: `UpToDate`. Any text, also a
    /// wrong one.
    pub tcb_status: String,
    /// Advisories of the platform's own level wherever no levels are given, for example `INTEL-SA-00334`:
    /// none.
    pub advisories: Vec<String>,
}

/// The default platform's CPUSVN.
pub const CPU_SVN: [u8; 16] = [7, 9, 3, 3, 255, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// The default platform's PCESVN.
pub const PCE_SVN: u16 = 13;

impl Default for Options {
    fn default() -> Self {
        Self {
            names: Names::Honest,
            ca: PckCa::Platform,
            fmspc: [0x00, 0x60, 0x6a, 0x00, 0x00, 0x00],
            pce_id: [0, 0],
            ppid: *b"SIMULATED-PPID\0\0",
            platform_instance: *b"SIMULATED-PIID\0\0",
            dynamic_platform: false,
            cached_keys: false,
            smt_enabled: false,
            sgx_type: 1,
            cpu_svn: CPU_SVN,
            components: CPU_SVN,
            pce_svn: PCE_SVN,
            certificate_days: 3650,
            root_days: 3650,
            pck_name: "Intel SGX PCK Certificate".into(),
            tcb_signer_name: "Intel SGX TCB Signing".into(),
            collateral_days: 30,
            tcb_status: "UpToDate".into(),
            advisories: Vec::new(),
        }
    }
}
