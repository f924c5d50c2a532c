//! What the fuzz targets share: genuine evidence, and the rule that a verdict is a refusal or the verdict on
//! the genuine evidence.
#![forbid(unsafe_code)]

use serde_json::Value;
use std::sync::LazyLock;
use tcs_evidence::Evidence;
use tcs_verifier::{Claims, Collateral, Policy, TcbPolicy, TcbStatus, TrustAnchor, inspect, verify};

/// A genuine quote with its collateral.
pub struct Genuine {
    pub evidence: Evidence,
    pub json: Value,
    pub collateral: Collateral,
    /// A time within the validity of the collateral.
    pub now: i64,
}

macro_rules! genuine {
    ($name:literal, $now:expr) => {
        LazyLock::new(|| {
            Genuine::new(
                include_bytes!(concat!("../../crates/verifier/tests/data/dcap-qvl/", $name)),
                include_bytes!(concat!(
                    "../../crates/verifier/tests/data/dcap-qvl/",
                    $name,
                    "_collateral.json"
                )),
                $now,
            )
        })
    };
}

/// SGX, version 3.
pub static SGX: LazyLock<Genuine> = genuine!("sgx_quote", 1_750_377_600);
/// TDX, version 4.
pub static TDX: LazyLock<Genuine> = genuine!("tdx_quote", 1_750_377_600);
/// TDX, version 5.
pub static TDX5: LazyLock<Genuine> = genuine!("tdx_quote_td15ex", 1_792_454_400);

impl Genuine {
    fn new(quote: &[u8], json: &[u8], now: i64) -> Self {
        Self {
            evidence: Evidence::from_quote(quote.to_vec()).unwrap(),
            json: serde_json::from_slice(json).unwrap(),
            collateral: Collateral::from_json(json).unwrap(),
            now,
        }
    }

    pub fn claims(&self, evidence: &Evidence, collateral: &Collateral) -> Option<Claims> {
        let tcb = TcbPolicy { accepted_statuses: TcbStatus::ALL.to_vec(), ..TcbPolicy::default() };
        let policy = Policy { any_identity: true, tcb, ..Policy::default() };
        // Genuine evidence is enough: the policy sees nothing but its claims.
        verify(evidence, collateral, &TrustAnchor::intel(), &policy, self.now).claims().cloned()
    }

    /// Whatever the collateral is, the genuine quote is refused or has the claims that it has.
    pub fn check_collateral(&self, json: &[u8]) {
        self.check_collateral_like(json, |_, _| {});
    }

    /// As [`Self::check_collateral`], but another genuine CRL of Intel's has its own number and dates.
    pub fn check_crl(&self, json: &[u8]) {
        self.check_collateral_like(json, |expected, found| {
            expected.root_ca_crl_number = found.root_ca_crl_number;
            expected.pck_crl_number = found.pck_crl_number;
            expected.window = found.window;
        });
    }

    fn check_collateral_like(&self, json: &[u8], adapt: impl FnOnce(&mut Claims, &Claims)) {
        let Ok(collateral) = Collateral::from_json(json) else { return };
        if let Some(found) = self.claims(&self.evidence, &collateral) {
            let mut expected = self.claims(&self.evidence, &self.collateral).unwrap();
            adapt(&mut expected, &found);
            assert_eq!(found, expected);
        }
    }

    /// Whatever the evidence is, it is refused or has the claims of a genuine quote.
    pub fn check_evidence(&self, evidence: &Evidence) {
        let _ = inspect(evidence);
        if let Some(claims) = self.claims(evidence, &self.collateral) {
            let mut genuine = [&SGX, &TDX, &TDX5].into_iter();
            let known = genuine.any(|known| {
                self.claims(&known.evidence, &self.collateral).is_some_and(|known| known == claims)
            });
            assert!(known, "{claims:#?}");
        }
    }

    /// The collateral with one member replaced.
    #[must_use]
    pub fn json_with(&self, member: &str, value: String) -> Vec<u8> {
        let mut json = self.json.clone();
        json[member] = value.into();
        json.to_string().into_bytes()
    }
}

/// A time at which the enclave accepts requests.
pub const NOW: i64 = tcs_enclave::RELEASE_DATE + 86_400;

/// An enclave that can seal and holds one CA, of issuer `held`.
pub fn enclave() -> tcs_enclave::Engine {
    use tcs_enclave_rpc::{Handler as _, Request, Response};
    let engine =
        tcs_enclave::Engine::new(Box::new(Sealing), Box::new(tcs_enclave::keys::SoftwareKeys)).unwrap();
    assert!(matches!(engine.handle(Request::GenerateCa(ca())), Response::Provisioned(_)));
    engine
}

fn ca() -> tcs_enclave_rpc::GenerateCa {
    use tcs_enclave_rpc::{CaSubject, GenerateCa};
    GenerateCa {
        issuer_uid: "held".into(),
        subject: CaSubject { common_name: "CA".into(), ..CaSubject::default() },
        key_algorithm: "ECDSA-P256".into(),
        lifetime: 365 * 86_400,
        path_length: Some(0),
        now: NOW,
        policy: None,
    }
}

/// A CA that may have CAs below it, and the policy that allows them.
pub static CA: LazyLock<(tcs_x509::CaChain, tcs_x509::Policy)> = LazyLock::new(|| {
    use tcs_enclave_rpc::{GenerateCa, Handler as _, Request, Response};
    let generate = GenerateCa { issuer_uid: "deep".into(), path_length: None, ..ca() };
    let Response::Provisioned(ca) = enclave().handle(Request::GenerateCa(generate)) else { panic!("no CA") };
    let chain = tcs_x509::CaChain::from_delivered(&[ca.chain[0].to_vec()], NOW).unwrap();
    let rules = tcs_x509::PolicyRules { ca_depth: Some(2), ..tcs_x509::PolicyRules::default() };
    (chain, tcs_x509::Policy::new(&rules).unwrap())
});

/// The parameters of an issuance by [`CA`], with defaults for everything else.
pub fn params(request: &tcs_x509::CertificateRequest) -> tcs_x509::IssuanceRequest<'_> {
    tcs_x509::IssuanceRequest {
        profile: tcs_x509::CertificateProfile::KubernetesCsr,
        request,
        usages: &[],
        lifetime: None,
        now: NOW,
        serial: [1; 16],
        earliest: 0,
        fixed: None,
        narrowing: None,
        is_ca: false,
    }
}

/// Builds and checks a certificate. It may be refused, but never because something else was built than was
/// requested.
pub fn build_and_check(params: &tcs_x509::IssuanceRequest<'_>) {
    let (ca, _) = &*CA;
    let checked = tcs_x509::Tbs::build(params, ca).and_then(|tbs| tcs_x509::check_tbs(&tbs, params, ca));
    assert!(!matches!(checked, Err(tcs_x509::Error::CheckFailed(_))), "{checked:?}");
}

/// Requests with every kind of name.
pub static REQUESTS: LazyLock<Vec<tcs_x509::CertificateRequest>> = LazyLock::new(|| {
    let all: [&[u8]; 3] = [
        include_bytes!("../corpus/request/19-san-all-kinds"),
        include_bytes!("../corpus/request/33-ext-two-extreq-attrs"),
        include_bytes!("../corpus/request/45-subj-strings"),
    ];
    all.iter().map(|der| tcs_x509::CertificateRequest::from_der(der).unwrap()).collect()
});

/// A platform that can only seal.
struct Sealing;

impl tcs_enclave::platform::TeePlatform for Sealing {
    fn name(&self) -> &'static str {
        "fuzz"
    }
    fn evidence_kind(&self) -> &'static str {
        "none"
    }
    fn assurance(&self) -> tcs_enclave::platform::Assurance {
        tcs_enclave::platform::Assurance::Simulated
    }
    fn evidence(&self, _: &[u8; 64]) -> Result<Evidence, tcs_enclave::Error> {
        Err(tcs_enclave::Error::EvidenceUnusable("there is none"))
    }
    fn sealing_key(&self) -> Result<Option<tcs_enclave::platform::SealingKey>, tcs_enclave::Error> {
        let key = zeroize::Zeroizing::new([7; 32]);
        Ok(Some(tcs_enclave::platform::SealingKey { key, measurement: [9; 32] }))
    }
}
