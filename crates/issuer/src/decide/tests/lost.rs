//! The key of a published CA is gone: what is said, and what has to happen before there is another.

use super::*;

/// With letters, so that upper and lower case differ.
const LOST: u8 = 0xab;

/// An issuer that signed, and of which the enclave holds nothing any more.
fn lost(self_sign: bool) -> Scene {
    let mut scene = Scene::holding(LOST);
    scene.issuer.spec.self_sign = self_sign;
    scene.status = scene.decide().status;
    assert_eq!(reason(&scene.decide()), reasons::READY);
    scene.ca = None;
    scene.vacant = self_sign;
    scene.offer = (!self_sign).then(|| offer(1));
    scene
}

/// `allowEphemeral` accepts that the key may be lost; that another takes its place it does not.
#[test]
fn w_d2_an_ephemeral_ca_that_is_lost_is_not_made_anew_without_its_own_fingerprint() {
    let mut scene = lost(true);
    scene.identity.sealing = false;
    scene.issuer.spec.ca = Some(CaSpec { allow_ephemeral: true, ..CaSpec::default() });
    let old = "ab".repeat(32);
    let (upper, part) = (old.to_uppercase(), &old[..32]);
    let spaced = format!("{old} ");
    for allowed in [None, Some("true"), Some(""), Some(&*upper), Some(part), Some(&*spaced)] {
        scene.issuer.metadata.annotations =
            allowed.map(|value| [("tcs.intel.com/new-ca".to_owned(), value.to_owned())].into());
        let plan = scene.decide();
        assert_eq!(reason(&plan), reasons::KEY_LOST, "{allowed:?}");
        assert!(plan.generate.is_none() && plan.next.is_none() && plan.deliver.is_none(), "{allowed:?}");
        assert_eq!(plan.status.ca.as_ref().unwrap().fingerprint, old);
        assert!(ready_condition(&plan.status).unwrap().message.contains(&format!("new-ca={old}")));
    }
    scene.issuer.metadata.annotations = Some([("tcs.intel.com/new-ca".to_owned(), old)].into());
    assert!(scene.decide().generate.is_some());
}

#[test]
fn a_lost_key_says_why_what_was_sealed_of_it_did_not_come_back() {
    // As the enclave says them.
    let refusals = [
        (RefusalCode::SealedBlobForeign, "the sealed CA key is another issuer's"),
        (RefusalCode::SealedBlobForeign, "the CA key was sealed on another machine"),
        (
            RefusalCode::SealedBlobForeign,
            "the CA key was sealed by another enclave; another version of it is one",
        ),
        (
            RefusalCode::SealedBlobOld,
            "the sealed CA key is older than one that the issuer had since; restore the newest",
        ),
    ];
    for self_sign in [true, false] {
        for (code, text) in refusals {
            let mut scene = lost(self_sign);
            scene.restore_refusal = Some(Refusal { code, message: text.to_owned() });
            let plan = scene.decide();
            assert_eq!(reason(&plan), reasons::KEY_LOST, "{text}");
            let said = [&ready_condition(&plan.status).unwrap().message, &plan.notes[0].message];
            for message in said {
                assert!(message.contains(code.as_str()) && message.contains(text), "{message}");
            }
            assert!(plan.requeue.is_none(), "time alone does not heal it");
            assert!(plan.generate.is_none() && plan.deliver.is_none() && plan.ca_secret.is_none());
        }
    }
}
