//! Requests for which there is no room, and the room that others leave.

use super::*;

#[tokio::test]
async fn review_m2_approved_requests_of_any_number_and_size_take_a_bounded_memory() {
    let table = Table::default();
    let all = 600;
    for number in 0..all {
        let mut request = request(&format!("r{number}"), "u", "1");
        let size = if number % 3 == 0 { 4 << 20 } else { 1 << 20 };
        request.annotations_mut().insert("large".into(), "x".repeat(size));
        table.apply(request);
    }
    let limits = Limits::default();
    let (used, large, _) = table.budget.used();
    assert!(used == large && large <= limits.large, "{used} {large}");
    let counts = table.counts();
    assert!(counts.open == all && counts.not_held > all - 20, "{counts:?}");

    // They leave room for the others, which are held.
    table.apply(request("small", "s", "1"));
    assert_eq!(table.counts().not_held, counts.not_held);

    // None is lost: each gets its turn, and what is with workers is bounded, too.
    let mut seen = HashSet::new();
    loop {
        let (names, works) = take_all(&table);
        if works.is_empty() {
            break;
        }
        let (used, ..) = table.budget.used();
        assert!(used <= limits.all, "{used}");
        seen.extend(names.iter().map(|name| name.trim_end_matches('*').to_owned()));
        end_all(&table, &works);
    }
    assert_eq!(seen.len(), usize::try_from(all + 1).unwrap());
}

#[tokio::test]
async fn review_m2_what_is_not_held_is_read_one_at_a_time_and_in_its_order_and_delays_no_other() {
    let size = large("x", "u", "1").memory();
    // Large ones may use a little more than one needs, and all together a little more than two do.
    let table = Table::with_limits(Limits { all: size * 2 + 9_000, large: size + 9_000, small: 9_000 });
    for name in ["a", "b", "c", "d"] {
        table.apply(large(name, name, "1"));
    }
    for name in ["e", "f"] {
        table.apply(request(name, name, "1"));
    }
    let (names, mut works) = take_all(&table);
    assert_eq!(names, ["a", "b*", "e", "f"], "one is beyond the limit");
    assert!(table.budget.used().2);
    end_all(&table, &[works.remove(1)]);
    let (names, second) = take_all(&table);
    assert_eq!(names, ["c*"]);
    // The result of the first one makes room, but only when its worker has dropped it.
    let Work::Reconcile(a) = works.remove(0) else { panic!("it is held") };
    table.close(&a);
    assert!(take_all(&table).0.is_empty());
    drop(a);
    let (names, third) = take_all(&table);
    assert_eq!(names, ["d*"], "there is room for it beside the one that is beyond the limit");
    drop((second, third, works));
    assert_eq!(table.budget.used().0, table.lock().entries.values().filter_map(size_held).sum::<usize>());
    table.retain(&HashSet::new());
    assert_eq!(table.budget.used(), (0, 0, false));
}

fn size_held(entry: &Entry<KubernetesCsr>) -> Option<usize> {
    if let Object::Held(request) = &entry.object { Some(request.memory()) } else { None }
}

#[tokio::test]
async fn review_m2_a_request_that_changes_keeps_its_turn_whether_it_is_held_or_not() {
    let size = large("x", "u", "1").memory();
    let table = Table::with_limits(Limits { all: size + 9_000, large: size + 9_000, small: 9_000 });
    table.apply(large("a", "a", "1"));
    table.apply(large("b", "b", "1"));
    table.apply(request("c", "c", "1"));
    // Now the first is small, and there is room for the second, which is ready already.
    table.apply(request("a", "a", "2"));
    table.apply(large("b", "b", "2"));
    assert_eq!(take_all(&table).0, ["a", "b", "c"]);
    // And the other way round.
    let table = Table::with_limits(Limits { all: size + 9_000, large: size + 9_000, small: 9_000 });
    table.apply(request("a", "a", "1"));
    table.apply(large("b", "b", "1"));
    table.apply(request("c", "c", "1"));
    table.apply(large("a", "a", "2"));
    let (mut names, works) = take_all(&table);
    names.sort();
    assert_eq!(names, ["a*", "b", "c"]);
    end_all(&table, &works);
    drop(works);
    // What is not held is found by its signer, too.
    let signer = SignerName::parse("tcsissuer.tcs.intel.com/ns.issuer").unwrap();
    table.enqueue(&|one| *one == signer);
    assert_eq!(take_all(&table).0.len(), 3);
}

/// There is one place for requests that find no room, and a review may take long.
#[tokio::test]
async fn review_m2_a_request_that_was_set_aside_takes_no_memory_and_is_read_again() {
    let table = Table::without_room();
    for name in ["a", "b"] {
        table.apply(large(name, name, "1"));
    }
    let Some(Work::Read(unread)) = table.next().now_or_never() else { panic!("it is held") };
    assert!(table.next().now_or_never().is_none(), "the place is taken");
    let turn = unread.into_job(large("a", "a", "1")).into_turn();
    let (names, works) = take_all(&table);
    assert_eq!(names, ["b*"], "while the first one waits for its review");
    end_all(&table, &works);
    drop(works);
    table.resume(&turn, allowed());
    let Some(Work::Read(unread)) = table.next().now_or_never() else { panic!("it is held") };
    assert!(unread.name.name() == "a" && unread.decided.is_some());
}

#[tokio::test]
async fn review_m2_small_requests_that_are_not_held_go_past_large_ones() {
    let size = request("x", "x", "1").memory();
    let table = Table::with_limits(Limits { all: size, large: 0, small: 9_000 });
    for name in ["a", "b"] {
        table.apply(large(name, name, "1"));
    }
    for name in ["s", "t"] {
        table.apply(request(name, name, "1"));
    }
    let (names, mut works) = take_all(&table);
    assert_eq!(names, ["a*", "s"], "one large one is beyond the limit");
    let Some(Work::Reconcile(s)) = works.pop() else { panic!("it is held") };
    table.close(&s);
    drop(s);
    assert_eq!(take_all(&table).0, ["t*"], "there is room for it, and none for b");
}

/// A worker that found no room sleeps.
#[tokio::test(start_paused = true)]
async fn review_m2_a_worker_that_sleeps_learns_of_room() {
    let size = request("x", "x", "1").memory();
    // There is no room for it beside what is held.
    let mut medium = request("b", "b", "1");
    medium.annotations_mut().insert("medium".into(), "x".repeat(size * 3 / 2));
    let becomes_small: fn(&Table) = |table| table.apply(request("b", "b", "2"));
    let vanishes: fn(&Table) = |table| table.remove(&name("held"));
    for (mut second, change, expected) in
        [(large("b", "b", "1"), becomes_small, "b"), (medium, vanishes, "b*")]
    {
        let table = Table::with_limits(Limits { all: size * 3, large: 0, small: 9_000 });
        table.apply(request("held", "h", "1"));
        table.finish(&take(&table).unwrap(), Next::OnChange);
        table.apply(large("a", "a", "1"));
        let (_, _beyond) = take_all(&table);
        let working = table.next();
        let changing = async {
            tokio::task::yield_now().await;
            table.apply(std::mem::take(&mut second));
            // The worker looks, and finds no room.
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
            change(&table);
        };
        let both = async { tokio::join!(working, changing) };
        let (work, ()) = timeout(Duration::from_mins(1), both).await.expect("it is told");
        let taken = match work {
            Work::Reconcile(job) => job.request.name_any(),
            Work::Read(unread) => format!("{}*", unread.name.name()),
        };
        assert_eq!(taken, expected);
    }
}

/// Whoever makes requests that wait for ever must not leave the others without room.
#[tokio::test]
async fn review_m2_requests_that_wait_give_way_to_others() {
    let size = request("x", "x", "1").memory();
    let table = Table::with_limits(Limits { all: size * 10, large: 0, small: 9_000 });
    for number in 0..100 {
        table.apply(request(&number.to_string(), "x", "1"));
        let (_, works) = take_all(&table);
        end_all(&table, &works);
    }
    assert!(table.budget.used().0 <= size * 6, "{:?}", table.budget.used());
    for name in ["a", "b", "c"] {
        table.apply(request(name, name, "1"));
    }
    assert_eq!(take_all(&table).0, ["a", "b", "c"], "they are held");
    table.enqueue(&|_| true);
    let mut seen = 0;
    loop {
        let (names, works) = take_all(&table);
        if names.is_empty() {
            break;
        }
        seen += names.len();
        end_all(&table, &works);
    }
    assert_eq!(seen, 100, "none is lost");
}
