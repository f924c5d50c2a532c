use super::offers::{BeginOffer, OfferError, OfferReservation};
use super::*;
use crate::keys::{KeyProvider as _, SoftwareKeys};
use tcs_evidence::Evidence;

fn offer(id: u8) -> Offer {
    Offer {
        id: [id; 16],
        nonce: [0; 32],
        key: SoftwareKeys.generate_quote_key().unwrap(),
        evidence: Evidence::SgxQuote(vec![]),
    }
}

fn reserve<'s>(state: &'s State<()>, issuer: &str) -> OfferReservation<'s, ()> {
    let BeginOffer::Make(reservation) = state.begin_offer(issuer, false) else { panic!("no reservation") };
    reservation
}

#[test]
fn issuers_are_bounded_and_those_in_the_making_count() {
    let state = State::new();
    let reservations: Vec<_> = (0..MAX_ISSUERS).map(|number| reserve(&state, &number.to_string())).collect();
    assert!(matches!(state.begin_offer("one more", false), BeginOffer::Full));
    drop(reservations);
    drop(reserve(&state, "one more"));
}

#[test]
fn an_issuer_destroyed_while_its_offer_is_made_gets_none() {
    let state = State::new();
    let making = reserve(&state, "a");
    state.destroy("a");
    let again = reserve(&state, "a");
    assert!(making.fulfil(offer(1)).is_none());
    let open = again.fulfil(offer(2)).unwrap();
    assert_eq!(state.offer("a", &[2; 16]).unwrap().id, open.offer.id);
    assert_eq!(state.offer("a", &[1; 16]).err(), Some(OfferError::Unknown));
}

#[test]
fn a_failed_reservation_lets_the_next_caller_try() {
    let state = State::<()>::new();
    let making = reserve(&state, "a");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| matches!(state.begin_offer("a", false), BeginOffer::Make(_)));
        drop(making);
        assert!(waiting.join().unwrap());
    });
}

#[test]
fn only_an_open_offer_can_be_accepted_and_only_once() {
    let state = State::new();
    let open = reserve(&state, "a").fulfil(offer(1)).unwrap().offer;
    let other = reserve(&state, "b").fulfil(offer(2)).unwrap().offer;
    assert_eq!(state.install_delivered("a", &other, Arc::new(()), 1), Err(OfferError::Unknown));
    assert_eq!(state.install_delivered("a", &open, Arc::new(()), 1), Ok(1));
    assert_eq!(state.install_delivered("a", &open, Arc::new(()), 1), Err(OfferError::Provisioned));
    assert!(matches!(state.begin_offer("a", false), BeginOffer::Provisioned));
    state.destroy("a");
    assert_eq!(state.install_delivered("a", &open, Arc::new(()), 1), Err(OfferError::Unknown));
}

#[test]
fn a_ca_is_installed_once_and_an_older_one_never_comes_back() {
    let state = State::new();
    assert_eq!(state.install_generated("a", Arc::new(1), 100), Ok(100));
    assert_eq!(state.install_generated("a", Arc::new(2), 100), Err(InstallError::Provisioned));
    assert_eq!(state.install_restored("a", Arc::new(2), 200), Err(InstallError::Provisioned));
    assert_eq!(state.current_ca("a").map(|(ca, generation)| (*ca, generation)), Some((1, 100)));
    state.destroy("a");
    assert_eq!(
        state.install_generated("a", Arc::new(2), 50),
        Ok(101),
        "a clock that goes back changes nothing"
    );
    assert_eq!(state.current_ca("a").unwrap().1, 101);
    state.destroy("a");
    assert_eq!(state.install_restored("a", Arc::new(1), 100), Err(InstallError::Old));
    assert_eq!(state.install_restored("a", Arc::new(2), 101), Ok(101));
    assert_eq!(*state.ca("a").unwrap(), 2);
}

#[test]
fn an_offer_in_the_making_does_not_end_a_ca_that_came_meanwhile() {
    let state = State::new();
    let making = reserve(&state, "a");
    assert_eq!(state.install_generated("a", Arc::new(()), 1), Ok(1));
    assert!(making.fulfil(offer(1)).is_none());
    assert!(state.ca("a").is_some());
}

#[test]
fn the_next_ca_follows_exactly_the_one_that_it_was_made_for() {
    let state = State::new();
    assert_eq!(state.replace("a", 0, Arc::new(1), 1), Err(InstallError::Changed), "there is none");
    assert_eq!(state.install_generated("a", Arc::new(1), 100), Ok(100));
    assert_eq!(state.replace("a", 99, Arc::new(2), 100), Err(InstallError::Changed));
    assert_eq!(state.replace("a", 100, Arc::new(2), 100), Ok(101));
    assert_eq!(state.replace("a", 100, Arc::new(3), 100), Err(InstallError::Changed), "only once");
    assert_eq!(*state.ca("a").unwrap(), 2);
    state.destroy("a");
    assert_eq!(
        state.install_restored("a", Arc::new(1), 100),
        Err(InstallError::Old),
        "the one before does not come back"
    );
}

#[test]
fn a_ca_goes_on_signing_while_the_next_one_is_offered() {
    let state = State::new();
    assert_eq!(state.install_generated("a", Arc::new(1), 100), Ok(100));
    assert!(matches!(state.begin_offer("a", false), BeginOffer::Provisioned));
    let BeginOffer::Make(reservation) = state.begin_offer("a", true) else { panic!("no reservation") };
    let open = reservation.fulfil(offer(1)).unwrap().offer;
    assert_eq!(*state.ca("a").unwrap(), 1);
    assert_eq!(state.current_ca("a").unwrap().1, 100);
    assert!(matches!(state.begin_offer("a", true), BeginOffer::Open(_)), "the same offer");
    state.close_exhausted("a", &open);
    assert_eq!(state.offer("a", &[1; 16]).err(), Some(OfferError::Provisioned));
    assert_eq!(*state.ca("a").unwrap(), 1, "refused deliveries cost the CA nothing");
    let BeginOffer::Make(reservation) = state.begin_offer("a", true) else { panic!("no reservation") };
    let open = reservation.fulfil(offer(2)).unwrap().offer;
    assert_eq!(state.install_delivered("a", &open, Arc::new(2), 50), Ok(101));
    assert_eq!(*state.ca("a").unwrap(), 2);
    assert!(matches!(state.begin_offer("a", false), BeginOffer::Provisioned), "the offer has ended");
}

#[test]
fn there_is_room_for_so_many_issuers_and_so_many_memories() {
    let state = State::new();
    for number in 0..MAX_ISSUERS {
        assert_eq!(state.install_generated(&number.to_string(), Arc::new(()), 1), Ok(1));
    }
    assert_eq!(state.install_generated("a", Arc::new(()), 1), Err(InstallError::Full));
    for number in MAX_ISSUERS..MAX_REMEMBERED {
        state.destroy(&(number - 1).to_string());
        assert_eq!(state.install_generated(&number.to_string(), Arc::new(()), 1), Ok(1));
    }
    state.destroy("0");
    assert_eq!(state.install_restored("a", Arc::new(()), 9), Err(InstallError::Full));
    assert_eq!(state.install_restored("0", Arc::new(()), 1), Ok(1), "who was seen is still known");
}
