//! The service's clock is wrong, alone or together with the API server's, at every step of an issuer's life: the real enclave engine and
//! the controller's real decisions. After the clock is right again everything is as it was, by itself.

use crate::renewal_by_clock::{Owner, Pretence, World};
use rcgen::{CertificateParams, KeyPair};
use tcs_api::conditions::{is_ready, ready_condition};
use tcs_api::v1alpha1::CaSpec;
use tcs_enclave::{Engine, RELEASE_DATE};
use tcs_enclave_rpc::{
    ByteVec, CaInfo, Handler as _, Issue, Refusal, Request, RequestApi, Response, Restore, Seal, Sealed,
};
use tcs_issuer::issuer::Issuer;
use tcs_issuer::issuer::decide::SealedKey;
use tcs_issuer::requests::is_permanent;

const DAY: i64 = 86_400;
const YEAR: i64 = 365 * DAY;
/// How far a clock is wrong: ahead and behind, by less and more than a CA lives, and before anything of this was made.
const WRONG: [i64; 6] = [2 * YEAR, 50 * YEAR, 400, -400, -YEAR, -20 * YEAR];

impl World {
    /// What is sealed is handed back, if the enclave holds nothing; why it was refused.
    pub fn restore(&self) -> Option<Refusal> {
        let (_, blob) = self.sealed.last().filter(|_| self.held().is_none())?;
        let ask = Restore { issuer_uid: "uid".into(), blob: blob.clone(), now: self.now };
        match self.engine.handle(Request::Restore(ask)) {
            Response::Provisioned(_) => None,
            Response::Refused(refusal) => Some(refusal),
            other => panic!("{other:?}"),
        }
    }

    /// Keeps the key that is held, sealed; the last one of a CA counts, and those before stay.
    pub fn seal(&mut self, issuer: &Issuer, ca: &CaInfo) {
        let ask = Request::Seal(Seal { issuer_uid: "uid".into() });
        let Response::Sealed(Sealed { blob, .. }) = self.engine.handle(ask) else { panic!() };
        let key = SealedKey::of(ca, issuer);
        self.sealed.retain(|(before, _)| before.fingerprint != key.fingerprint);
        self.sealed.push((key, blob));
    }

    /// The enclave's program ends, and another starts.
    fn restart(&mut self) {
        self.engine =
            Engine::new(Box::new(Pretence { seals: true }), Box::new(tcs_enclave::keys::SoftwareKeys))
                .unwrap();
    }

    /// A request comes in, whatever the issuer says of itself: the refusal, if there is one.
    fn refusal(&self) -> Option<Refusal> {
        let key = KeyPair::generate().unwrap();
        let parameters = CertificateParams::new(["a.example".to_owned()]).unwrap();
        let ask = Issue {
            issuer_uid: "uid".into(),
            request: ByteVec::from(parameters.serialize_request(&key).unwrap().der().to_vec()),
            request_api: RequestApi::KubernetesCsr,
            usages: vec!["digital signature".into(), "server auth".into()],
            lifetime: Some(3600),
            now: self.now,
            policy: None,
            is_ca: false,
        };
        match self.engine.handle(Request::Issue(ask)) {
            Response::Issued(_) => None,
            Response::Refused(refusal) => Some(refusal),
            other => panic!("{other:?}"),
        }
    }

    fn published(&self) -> Option<String> {
        self.status.ca.as_ref().map(|ca| ca.fingerprint.clone())
    }

    fn reason(&self) -> &str {
        ready_condition(&self.status).map_or("", |ready| ready.reason.as_str())
    }

    /// Passes with a clock that is wrong, and once more when it is right: nothing is made, lost or dropped, and nothing that is said is
    /// dangerous to follow.
    fn survive(&mut self, phase: &str) {
        let right = self.now;
        let (ca, ready) = (self.published(), is_ready(&self.status));
        let bundle: Vec<String> = anchors(&self.bundle);
        let sealed: Vec<_> = self.sealed.iter().map(|(key, _)| key.fingerprint.clone()).collect();
        for restarts in [false, true] {
            // One after the other is a clock that jumps.
            for wrong in WRONG {
                self.server = Some(right);
                self.said.clear();
                for step in 0..3 {
                    self.now = right + wrong + step * 61;
                    if restarts && step == 1 {
                        self.restart();
                    }
                    self.pass();
                    assert_eq!(self.published(), ca, "{phase}, {wrong}: {:?}", self.said);
                    if let Some(refusal) = self.held().and_then(|_| self.refusal()) {
                        assert!(!is_permanent(refusal.code), "{phase}, {wrong}: {refusal}");
                    }
                }
                let before = self.status.clone();
                self.now += 61;
                self.pass();
                assert_eq!(self.status, before, "{phase}, {wrong}: it settles");
                for said in &self.said {
                    for advice in ["NEW CA", "new-ca", "delete"] {
                        assert!(!said.contains(advice), "{phase}, {wrong}: {said}");
                    }
                }
            }
            (self.now, self.server) = (right, None);
            self.pass();
            assert_eq!(
                (self.published(), is_ready(&self.status)),
                (ca.clone(), ready),
                "{phase}: {:?}",
                self.said
            );
            let now = anchors(&self.bundle);
            assert!(bundle.iter().all(|anchor| now.contains(anchor)), "{phase}");
            let kept: Vec<_> = self.sealed.iter().map(|(key, _)| key.fingerprint.clone()).collect();
            assert_eq!(kept, sealed, "{phase}");
            if ready {
                self.issue(false);
            }
        }
    }
}

fn anchors(bundle: &str) -> Vec<String> {
    bundle.split_inclusive("-----END CERTIFICATE-----\n").map(str::to_owned).collect()
}

fn world(owner: Owner, ca: Option<CaSpec>) -> World {
    let mut world = World::new(ca, owner);
    world.errs = false;
    world.restart();
    let Response::Identity(identity) = world.engine.handle(Request::Identity) else { panic!() };
    world.identity = identity;
    // Two years after the release, so that clocks can be behind and the program still run.
    world.now = RELEASE_DATE + 2 * YEAR;
    world
}

fn ready(owner: Owner) -> World {
    let mut world = world(owner, None);
    world.pass();
    world.deliver();
    world.pass();
    assert_eq!(world.reason(), "Ready");
    world.issue(false);
    world
}

fn owners() -> [fn() -> Owner; 3] {
    [|| Owner::Nobody, || Owner::NewKey, || Owner::BelowRoot(Box::new(KeyPair::generate().unwrap()))]
}

#[test]
fn review_m4_a_first_ca_waits_for_the_clock() {
    let mut world = world(Owner::Nobody, None);
    let right = world.now;
    for wrong in WRONG {
        (world.now, world.server) = (right + wrong, Some(right));
        world.pass();
        assert_eq!((world.reason(), world.published()), ("ClockUnverified", None), "{wrong}");
        assert!(world.held().is_none());
    }
    (world.now, world.server) = (right, None);
    world.pass();
    assert_eq!(world.reason(), "Ready", "made when the clocks agreed");
    world.issue(false);
}

#[test]
fn review_m4_an_offer_and_a_delivery_wait_for_the_clock() {
    for owner in [owners()[1], owners()[2]] {
        let mut world = world(owner(), None);
        world.pass();
        world.survive("offered");
        assert_eq!(world.reason(), "AwaitingKey");
        // Delivered, and first looked at by a clock that is wrong. The same delivery heals.
        for wrong in [2 * YEAR, 50 * YEAR, -3 * YEAR] {
            let (right, offer) = (world.now, world.attestation.clone());
            world.deliver();
            (world.now, world.server) = (right + wrong, Some(right));
            for _ in 0..2 {
                world.pass();
                assert_eq!((world.reason(), world.published()), ("KeyRejected", None), "{wrong}");
                assert!(world.status.refused_delivery.is_none());
            }
            (world.now, world.server) = (right, None);
            assert_eq!(world.attestation.as_ref().unwrap().spec, offer.unwrap().spec);
            world.pass();
            assert_eq!(world.reason(), "Ready", "{wrong}");
            world.issue(false);
            world = self::world(owner(), None);
            world.pass();
        }
    }
}

#[test]
fn review_m4_a_ready_issuer_survives_every_clock_and_restart() {
    for owner in owners() {
        ready(owner()).survive("ready");
    }
}

#[test]
fn review_m4_a_renewal_by_time_waits_for_the_clock() {
    for owner in owners() {
        let mut world = ready(owner());
        let before = world.published();
        let right = world.held().unwrap().not_after - 10 * DAY;
        for wrong in WRONG {
            (world.now, world.server) = (right + wrong, Some(right));
            for restarts in [false, true] {
                if restarts {
                    world.restart();
                }
                world.pass();
                assert_eq!(
                    (world.published(), world.attestation.is_none()),
                    (before.clone(), true),
                    "{wrong}"
                );
            }
        }
        (world.now, world.server) = (right, None);
        world.pass();
        world.deliver();
        world.pass();
        assert_ne!(world.published(), before, "renewed when the clocks agreed");
        world.issue(false);
        world.survive("renewed");
        assert_eq!(world.reason(), "Ready");
    }
}

#[test]
fn review_m4_a_renewal_that_was_asked_for_waits_and_goes_on() {
    for owner in owners() {
        let mut world = ready(owner());
        let (before, right) = (world.published(), world.now);
        let annotation = ("tcs.intel.com/renew".to_owned(), "now".to_owned());
        world.issuer.metadata.annotations = Some([annotation].into());
        for wrong in WRONG {
            (world.now, world.server) = (right + wrong, Some(right));
            world.pass();
            assert_eq!(world.published(), before, "{wrong}");
        }
        (world.now, world.server) = (right, None);
        world.pass();
        if !world.issuer.spec.self_sign {
            assert_eq!(world.reason(), "Renewing");
            world.survive("renewing");
            assert_eq!(world.reason(), "Renewing");
            // The key owner answered the offer that stands, while the clock is wrong.
            world.deliver();
            (world.now, world.server) = (right + 50 * YEAR, Some(right));
            world.pass();
            assert_eq!(world.published(), before);
            (world.now, world.server) = (right, None);
            world.pass();
        }
        assert_ne!(world.published(), before);
        assert_eq!(world.reason(), "Ready");
        world.issue(false);
    }
}

/// An outage beyond the CA's end: the sealed key comes back and signs the next certificate.
#[test]
fn review_m4_a_ca_that_ended_during_an_outage_is_renewed_with_the_same_key() {
    let mut world = ready(Owner::Nobody);
    let before = world.published();
    let held = world.held().unwrap();
    world.now = held.not_after + 40 * DAY;
    world.restart();
    world.pass();
    assert_eq!(world.reason(), "Ready");
    assert_ne!(world.published(), before);
    assert!(!world.said.iter().any(|said| said.contains("NEW CA")), "{:?}", world.said);
    let sealed: Vec<_> = world.sealed.iter().map(|(key, _)| key.fingerprint.clone()).collect();
    assert_eq!((sealed.len(), Some(&sealed[0])), (2, before.as_ref()));
    world.issue(false);
    world.survive("after an outage");

    let mut delivered = ready(Owner::NewKey);
    let before = delivered.published();
    delivered.now = delivered.held().unwrap().not_after + 40 * DAY;
    delivered.restart();
    delivered.pass();
    assert_eq!((delivered.reason(), delivered.published()), ("CAExpired", before.clone()));
    delivered.survive("ended");
    delivered.deliver();
    delivered.pass();
    assert_eq!(delivered.reason(), "Ready");
    assert_ne!(delivered.published(), before);
}

/// Both clocks are wrong and agree: a renewal cannot be told from one that is due. What was before stays, and comes back.
#[test]
fn review_m4_clocks_that_are_wrong_together_lose_nothing() {
    let mut world = ready(Owner::Nobody);
    let (right, before, bundle) = (world.now, world.published().unwrap(), anchors(&world.bundle));
    let leaves = std::mem::take(&mut world.leaves);
    world.now = right + 2 * YEAR;
    world.pass();
    let early = world.published().unwrap();
    assert_ne!(early, before);
    assert!(anchors(&world.bundle).contains(&bundle[0]), "its certificates are valid for everybody else");

    world.now = right;
    world.pass();
    assert_eq!(world.reason(), "CANotYetValid");
    world.leaves = leaves;
    world.check();
    assert_eq!((world.sealed.len(), world.sealed[0].0.fingerprint.as_str()), (2, before.as_str()));
    assert!(!is_permanent(world.refusal().unwrap().code));
    // Put back, as docs/renewal.md says.
    let kept = world.sealed.clone();
    world.sealed.truncate(1);
    world.restart();
    world.pass();
    assert_eq!((world.reason(), world.published()), ("Ready", Some(before)));
    world.issue(false);
    // Or asked for anew: the same key, by the right time.
    world.sealed = kept;
    world.restart();
    world.pass();
    assert_eq!((world.reason(), world.published()), ("CANotYetValid", Some(early)));
    world.issuer.metadata.annotations = Some([("tcs.intel.com/renew".to_owned(), "again".to_owned())].into());
    world.pass();
    assert_eq!(world.reason(), "Ready");
    world.issue(false);

    let mut delivered = ready(Owner::NewKey);
    let (right, before) = (delivered.now, delivered.published());
    delivered.now = right + 2 * YEAR;
    delivered.pass();
    assert_eq!(delivered.reason(), "CAExpired");
    delivered.restart();
    delivered.pass();
    delivered.now = right;
    delivered.pass();
    assert_eq!((delivered.reason(), delivered.published()), ("Ready", before));
    delivered.issue(false);
}
