use super::generations::MAX_REMEMBERED;
use super::offers::{BeginOffer, OfferError, OfferReservation};
use super::*;
use crate::keys::{KeyProvider as _, SoftwareKeys};
use std::sync::mpsc::channel;
use std::time::Duration;
use tcs_evidence::Evidence;

fn offer(id: u8) -> Offer {
    Offer {
        id: [id; 16],
        nonce: [0; 32],
        key: SoftwareKeys.generate_quote_key().unwrap(),
        evidence: Evidence::SgxQuote(vec![]),
    }
}

fn begin<C>(state: &Arc<State<C>>, issuer: &str, renewal: bool) -> BeginOffer<C> {
    state.begin_offer(issuer, renewal, Duration::from_mins(1))
}

fn reserve(state: &Arc<State<()>>, issuer: &str) -> OfferReservation<()> {
    let BeginOffer::Make(reservation) = begin(state, issuer, false) else { panic!("no reservation") };
    reservation
}

fn reserve_renewal(state: &Arc<State<()>>, issuer: &str) -> OfferReservation<()> {
    let BeginOffer::Make(reservation) = begin(state, issuer, true) else { panic!("no reservation") };
    reservation
}

#[test]
fn issuers_are_bounded_and_those_in_the_making_count() {
    let state = State::new();
    let reservations: Vec<_> = (0..MAX_ISSUERS).map(|number| reserve(&state, &number.to_string())).collect();
    assert!(matches!(begin(&state, "one more", false), BeginOffer::Full));
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
        let waiting = scope.spawn(|| matches!(begin(&state, "a", false), BeginOffer::Make(_)));
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
    assert!(matches!(begin(&state, "a", false), BeginOffer::Provisioned));
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
    assert!(matches!(begin(&state, "a", false), BeginOffer::Provisioned));
    let BeginOffer::Make(reservation) = begin(&state, "a", true) else { panic!("no reservation") };
    let open = reservation.fulfil(offer(1)).unwrap().offer;
    assert_eq!(*state.ca("a").unwrap(), 1);
    assert_eq!(state.current_ca("a").unwrap().1, 100);
    assert!(matches!(begin(&state, "a", true), BeginOffer::Open(_)), "the same offer");
    state.close_exhausted("a", &open);
    assert_eq!(state.offer("a", &[1; 16]).err(), Some(OfferError::Provisioned));
    assert_eq!(*state.ca("a").unwrap(), 1, "refused deliveries cost the CA nothing");
    let BeginOffer::Make(reservation) = begin(&state, "a", true) else { panic!("no reservation") };
    let open = reservation.fulfil(offer(2)).unwrap().offer;
    assert_eq!(state.install_delivered("a", &open, Arc::new(2), 50), Ok(101));
    assert_eq!(*state.ca("a").unwrap(), 2);
    assert!(matches!(begin(&state, "a", false), BeginOffer::Provisioned), "the offer has ended");
}

#[test]
fn there_is_room_for_so_many_issuers() {
    let state = State::new();
    for number in 0..MAX_ISSUERS {
        assert_eq!(state.install_generated(&number.to_string(), Arc::new(()), 1), Ok(1));
    }
    assert_eq!(state.install_generated("a", Arc::new(()), 1), Err(InstallError::Full));
    state.destroy("0");
    assert_eq!(state.install_generated("a", Arc::new(()), 1), Ok(1));
}

#[test]
fn a_place_is_taken_while_a_ca_is_made_and_given_back() {
    let state = State::new();
    for number in 1..MAX_ISSUERS {
        assert_eq!(state.install_generated(&number.to_string(), Arc::new(()), 1), Ok(1));
    }
    let (one, other) = (state.take_place("a").unwrap(), state.take_place("a").unwrap());
    assert_eq!(state.take_place("b").err(), Some(InstallError::Full));
    assert_eq!(state.install_restored("b", Arc::new(()), 1), Err(InstallError::Full));
    assert!(matches!(begin(&state, "b", false), BeginOffer::Full));
    drop(one);
    assert_eq!(state.take_place("b").err(), Some(InstallError::Full), "the other caller has it");
    assert_eq!(state.install_generated("a", Arc::new(()), 1), Ok(1), "it has a place");
    assert_eq!(state.take_place("a").err(), Some(InstallError::Provisioned));
    state.destroy("1");
    let offer = reserve_renewal(&state, "a");
    assert!(state.take_place("b").is_ok(), "an issuer takes one place, whatever is made for it");
    drop((other, offer));
    assert_eq!(state.install_generated("1", Arc::new(()), 5), Ok(5));
    state.destroy("a");
    drop(state.take_place("b").unwrap());
    assert_eq!(state.install_generated("c", Arc::new(()), 1), Ok(1));
}

/// Every other issuer is created and deleted while some are held, with a CA or with an offer.
#[test]
fn review_m3_the_issuers_destroyed_longest_ago_are_forgotten_and_held_ones_never() {
    let state = State::new();
    for issuer in ["held", "offering", "first", "second"] {
        assert_eq!(state.install_generated(issuer, Arc::new(()), 100), Ok(100));
    }
    state.destroy("offering");
    let open = reserve(&state, "offering").fulfil(offer(1)).unwrap().offer;
    state.destroy("first");
    state.destroy("second");
    // Destroying an issuer again does not make it a recent one.
    state.destroy("first");
    for number in 1..MAX_REMEMBERED {
        let issuer = number.to_string();
        assert_eq!(state.install_generated(&issuer, Arc::new(()), 1), Ok(1));
        state.destroy(&issuer);
    }
    assert_eq!(state.install_restored("second", Arc::new(()), 99), Err(InstallError::Old), "remembered");
    assert_eq!(state.install_restored("first", Arc::new(()), 99), Ok(99), "forgotten");
    assert_eq!(state.install_delivered("offering", &open, Arc::new(()), 1), Ok(101), "held by its offer");
    state.destroy("held");
    assert_eq!(state.install_restored("held", Arc::new(()), 99), Err(InstallError::Old), "held until now");
    assert_eq!(state.install_restored("held", Arc::new(()), 100), Ok(100));
}

fn places(state: &State<()>) -> Vec<(String, bool)> {
    let mut places = Vec::new();
    state.visit(None, |issuer, held| places.push((issuer.to_owned(), held.is_some())));
    places
}

#[test]
fn review_l2_every_place_that_is_taken_is_shown() {
    let state = State::new();
    let making = reserve(&state, "making");
    let open = reserve(&state, "exhausted").fulfil(offer(1)).unwrap().offer;
    state.close_exhausted("exhausted", &open);
    assert_eq!(places(&state), [("exhausted".to_owned(), true), ("making".to_owned(), false)]);
    for issuer in ["making", "exhausted"] {
        let mut shown = 0;
        state.visit(Some(issuer), |_, _| shown += 1);
        assert_eq!(shown, 1, "{issuer}");
        state.destroy(issuer);
    }
    assert_eq!(places(&state), []);
    drop(making);
}

#[test]
fn review_l8_nobody_waits_for_an_offer_that_is_overdue_and_it_can_still_be_handed_in() {
    let state = State::new();
    let making = reserve(&state, "a");
    let other = reserve(&state, "b");
    state.set_overdue("a", other.number());
    assert!(
        matches!(state.begin_offer("a", false, Duration::ZERO), BeginOffer::Overdue),
        "no longer than asked"
    );
    let (sender, waited) = channel();
    let waiting = Arc::clone(&state);
    std::thread::spawn(move || {
        let begun = waiting.begin_offer("a", false, Duration::from_hours(1));
        sender.send(matches!(begun, BeginOffer::Overdue)).unwrap();
    });
    state.set_overdue("a", making.number());
    assert_eq!(waited.recv_timeout(Duration::from_mins(1)), Ok(true));
    assert!(matches!(begin(&state, "a", false), BeginOffer::Overdue));
    let open = making.fulfil(offer(1)).unwrap();
    assert!(matches!(begin(&state, "a", false), BeginOffer::Open(found) if found.offer.id == open.offer.id));
}
