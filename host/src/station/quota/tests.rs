use proptest::prelude::*;

use super::*;
use crate::random::{Key, Stream};
use crate::station::Cause;
use crate::types::allowance::Left;

const MS: u64 = 1_000_000;
const S: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * S;
const DAY: u64 = 86_400 * S;

fn requests(windows: &[Window]) -> Settings {
    Settings { requests: windows.to_vec(), ..Settings::default() }
}

fn tokens(windows: &[Window]) -> Settings {
    Settings { tokens: windows.to_vec(), ..Settings::default() }
}

/// A quota of as many parts as servers have for a tier.
fn whole(settings: Settings) -> Quota {
    Quota::sharded(settings, 64)
}

fn refused(cause: Cause, retry_after_ns: u64) -> Refusal {
    Refusal { cause, retry_after_ns }
}

/// Enters and leaves at once; says whether it was let in.
fn ask(quota: &Quota, now: Nanos, key: u64, tokens: u32) -> Result<(), Refusal> {
    quota.enter(now, key, tokens).map(|reservation| quota.settle(now, reservation, tokens))
}

#[test]
fn exactly_the_burst_is_admitted_at_once_and_then_one_at_every_share_of_the_period() {
    // Of these, 7 divides no period: the shares are no whole numbers of nanoseconds.
    for (limit, period, burst) in
        [(60, MINUTE, 60), (7, S, 7), (1_000, MINUTE, 100), (10_000, DAY, 3), (999_983, DAY, 2), (1, S, 1)]
    {
        let quota = whole(requests(&[Window { limit, period_ns: period, burst }]));
        for _ in 0..burst {
            assert_eq!(ask(&quota, S, 5, 0), Ok(()));
        }
        let mut now = S;
        for number in 1..=50_u128 {
            let free_at = S + (number * u128::from(period)).div_ceil(u128::from(limit)) as u64;
            assert_eq!(ask(&quota, now, 5, 0), Err(refused(Cause::Requests, free_at - now)), "{limit} in {period}, {number}");
            assert!(ask(&quota, free_at - 1, 5, 0).is_err());
            assert_eq!(ask(&quota, free_at, 5, 0), Ok(()));
            now = free_at;
        }
    }
}

#[test]
fn all_windows_hold_at_once_and_the_longest_wait_is_told() {
    let windows = [Window::whole(10, S), Window::whole(20, MINUTE), Window::whole(25, DAY)];
    let quota = whole(requests(&windows));
    for _ in 0..10 {
        assert_eq!(ask(&quota, 0, 1, 0), Ok(()));
    }
    assert_eq!(ask(&quota, 0, 1, 0), Err(refused(Cause::Requests, S / 10)));
    // After a second the first window is as new, the second has room for 10, of which a third of one has come back.
    for _ in 0..10 {
        assert_eq!(ask(&quota, S, 1, 0), Ok(()));
    }
    assert_eq!(ask(&quota, S, 1, 0), Err(refused(Cause::Requests, 2 * S)));
    // Another key has limits of its own.
    assert_eq!(ask(&quota, S, 2, 0), Ok(()));
    for number in 0..5 {
        assert_eq!(ask(&quota, 3 * S + number * 3 * S, 1, 0), Ok(()));
    }
    assert_eq!(ask(&quota, MINUTE, 1, 0), Err(refused(Cause::Requests, DAY / 25 - MINUTE)));
}

#[test]
fn tokens_are_reserved_at_the_beginning_and_settled_at_the_end() {
    let quota = whole(tokens(&[Window::whole(1_000, MINUTE)]));
    let first = quota.enter(0, 1, 800).expect("fits");
    assert_eq!(quota.load(), Load { keys: 1, under_way: 1, reserved: 800, bytes: quota.load().bytes });
    assert_eq!(quota.enter(0, 1, 300), Err(refused(Cause::Tokens, 6 * S)));
    // It used 200 of 800, so that as many more can come as if it had asked for 200.
    quota.settle(0, first, 200);
    assert_eq!(quota.left(0, 1).tokens, Some(Left { limit: 1_000, remaining: 800, reset_ns: 12 * S }));
    assert_eq!(ask(&quota, 0, 1, 800), Ok(()));
    assert_eq!(quota.enter(0, 1, 1), Err(refused(Cause::Tokens, 60 * MS)));
    assert_eq!(quota.load().reserved, 0);
    // What was used beyond the reservation is charged too, and must be waited for.
    let more = quota.enter(MINUTE, 1, 10).expect("fits");
    quota.settle(MINUTE, more, 1_500);
    assert_eq!(quota.enter(MINUTE, 1, 1), Err(refused(Cause::Tokens, 30 * S + 60 * MS)));
}

#[test]
fn what_has_refilled_since_is_not_given_back_again() {
    let quota = whole(tokens(&[Window::whole(1_000, MINUTE)]));
    let long = quota.enter(0, 1, 1_000).expect("fits");
    quota.settle(10 * MINUTE, long, 0);
    assert_eq!(quota.left(10 * MINUTE, 1).tokens, Some(Left { limit: 1_000, remaining: 1_000, reset_ns: 0 }));
    assert_eq!(ask(&quota, 10 * MINUTE, 1, 1_000), Ok(()));
    assert!(ask(&quota, 10 * MINUTE, 1, 1).is_err());
}

#[test]
fn more_tokens_than_ever_fit_are_refused_without_a_time() {
    let quota = whole(tokens(&[Window { limit: 1_000, period_ns: MINUTE, burst: 500 }]));
    assert_eq!(ask(&quota, 0, 1, 501), Err(Refusal::of(Cause::Tokens)));
    assert_eq!(ask(&quota, 0, 1, 500), Ok(()));
}

#[test]
fn a_refused_request_is_charged_nothing_of_any_limit() {
    let settings =
        Settings { tokens: vec![Window::whole(100, MINUTE)], concurrency: Some(2), ..requests(&[Window::whole(9, S)]) };
    let quota = whole(settings);
    let held = quota.enter(0, 1, 10).expect("fits");
    let before = quota.left(0, 1);
    assert_eq!(quota.enter(0, 1, 95).map_err(|refusal| refusal.cause), Err(Cause::Tokens));
    assert_eq!(quota.left(0, 1), before);
    let second = quota.enter(0, 1, 10).expect("fits");
    assert_eq!(quota.enter(0, 1, 10), Err(Refusal::of(Cause::Concurrency)));
    quota.give_back(0, second);
    assert_eq!(quota.left(0, 1), before);
    quota.settle(0, held, 10);
    assert_eq!(quota.left(0, 1), before);
    // Nothing is remembered of a key that was never let in.
    assert_eq!(quota.enter(0, 2, 101), Err(Refusal::of(Cause::Tokens)));
    assert_eq!(quota.load().keys, 1);
}

#[test]
fn what_is_only_counted_is_never_refused_and_forgotten_beyond_the_burst() {
    let quota = whole(Settings { tokens: vec![Window::whole(60, MINUTE)], ..requests(&[Window::whole(10_000, MINUTE)]) });
    let left = quota.count(0, 1, 50);
    assert_eq!(left.requests, Some(Left { limit: 10_000, remaining: 9_999, reset_ns: 6 * MS }));
    assert_eq!(left.tokens, Some(Left { limit: 60, remaining: 10, reset_ns: 50 * S }));
    assert_eq!(quota.count(0, 1, u32::MAX).tokens, Some(Left { limit: 60, remaining: 0, reset_ns: MINUTE }));
    assert_eq!(quota.count(30 * S, 1, 0).tokens, Some(Left { limit: 60, remaining: 30, reset_ns: 30 * S }));
}

#[test]
fn places_come_free_as_requests_end() {
    let quota = whole(Settings { concurrency: Some(1), ..Settings::default() });
    let held = quota.enter(0, 1, 5).expect("free");
    assert_eq!(quota.enter(0, 1, 5), Err(Refusal::of(Cause::Concurrency)));
    assert!(quota.enter(0, 2, 5).is_ok());
    quota.settle(1, held, 5);
    assert!(quota.enter(1, 1, 5).is_ok());
    assert_eq!(quota.left(1, 1), Allowance::default());
}

#[test]
fn who_comes_again_exactly_when_told_is_always_let_in() {
    let settings = Settings {
        tokens: vec![Window { limit: 12_347, period_ns: MINUTE, burst: 4_000 }, Window::whole(999_983, DAY)],
        ..requests(&[Window::whole(7, S), Window { limit: 301, period_ns: MINUTE, burst: 13 }])
    };
    let quota = whole(settings);
    let mut draws = Key::of_seed(1).stream();
    let (mut now, mut waits) = (0, 0);
    while waits < 10_000 {
        let wanted = (draws.bits() % 4_000) as u32 + 1;
        let reservation = match quota.enter(now, 9, wanted) {
            Ok(reservation) => reservation,
            Err(refusal) => {
                assert!(refusal.retry_after_ns > 0);
                assert!(quota.enter(now + refusal.retry_after_ns - 1, 9, wanted).is_err(), "told to wait too long");
                now += refusal.retry_after_ns;
                waits += 1;
                quota.enter(now, 9, wanted).expect("as told")
            }
        };
        quota.settle(now, reservation, (draws.bits() % u64::from(wanted + 1)) as u32);
    }
}

#[test]
fn what_is_said_to_be_left_is_what_is_left() {
    let settings = Settings {
        tokens: vec![Window { limit: 12_347, period_ns: MINUTE, burst: 4_000 }],
        ..requests(&[Window::whole(7, S), Window { limit: 301, period_ns: MINUTE, burst: 13 }])
    };
    let quota = whole(settings);
    let mut draws = Key::of_seed(2).stream();
    let mut now = 0;
    for _ in 0..5_000 {
        now += draws.bits() % (2 * S);
        let left = quota.left(now, 3);
        let (requests, tokens) = (left.requests.expect("limited"), left.tokens.expect("limited"));
        assert!(requests.reset_ns <= MINUTE && tokens.reset_ns <= MINUTE);
        if requests.remaining == 0 {
            assert!(quota.enter(now, 3, 0).is_err());
            continue;
        }
        if tokens.remaining < 4_000 {
            assert_eq!(quota.enter(now, 3, tokens.remaining + 1).map_err(|refusal| refusal.cause), Err(Cause::Tokens));
        }
        let held = quota.enter(now, 3, tokens.remaining).expect("said to be left");
        let after = quota.left(now, 3);
        assert_eq!(after.tokens.map(|left| left.remaining), Some(0));
        assert!(after.requests.is_some_and(|left| left.remaining == requests.remaining - 1));
        quota.settle(now, held, (draws.bits() % u64::from(tokens.remaining + 1)) as u32);
    }
}

#[test]
fn after_a_reload_a_key_gets_at_most_one_burst_more_and_is_never_without_limit() {
    let of = |limit, burst| requests(&[Window { limit, period_ns: MINUTE, burst }]);
    let quota = whole(of(1_000, 100));
    let used = |now: Nanos| std::iter::from_fn(|| ask(&quota, now, 1, 0).ok()).take(1_000_000).count();
    assert_eq!(used(0), 100);
    // The same limits again: nothing is granted.
    quota.carry(0, &of(1_000, 100));
    assert_eq!(used(0), 0);
    // Raised: what was used stays used. Lowered: used up, but not for longer than its own burst takes.
    quota.carry(0, &of(2_000, 150));
    assert_eq!(used(0), 50);
    quota.carry(0, &of(60, 10));
    assert_eq!((used(0), quota.left(0, 1).requests.map(|left| left.reset_ns)), (0, Some(10 * S)));
    // Of another period: one burst.
    quota.carry(0, &requests(&[Window { limit: 10, period_ns: S, burst: 5 }]));
    assert_eq!((used(0), used(0)), (5, 0));
}

#[test]
fn what_was_reserved_before_a_reload_settles_after_it() {
    let quota = whole(tokens(&[Window::whole(1_000, MINUTE)]));
    let held = quota.enter(0, 1, 900).expect("fits");
    quota.carry(0, &Settings { concurrency: Some(1), ..tokens(&[Window::whole(2_000, MINUTE), Window::whole(5_000, DAY)]) });
    assert_eq!(quota.enter(0, 1, 10), Err(Refusal::of(Cause::Concurrency)));
    quota.settle(0, held, 100);
    // 1,900 are left of the minute. The day's window has not been charged and gets nothing back.
    assert_eq!(quota.left(0, 1).tokens.map(|left| left.remaining), Some(1_900));
    assert_eq!(quota.load(), Load { keys: 1, under_way: 0, reserved: 0, bytes: quota.load().bytes });
}

#[test]
fn many_keys_stay_bounded_and_a_hot_one_stays_limited() {
    let full = std::env::var_os("SIMWRIGHT_FULL").is_some_and(|value| value == "1");
    let keys_max: u32 = if full { 1_000_000 } else { 20_000 };
    let windows = [Window::whole(10, S), Window::whole(600, MINUTE), Window::whole(10_000, DAY)];
    let settings = Settings { requests: windows.to_vec(), tokens: windows.to_vec(), concurrency: Some(9), keys_max };
    let quota = whole(settings);
    let mut draws = Stream::of(3);
    let (mut hot, held) = (0, quota.enter(0, 78, 1).expect("free"));
    // Four times as many keys as are remembered, at 100,000 a second; every tenth request is of the hot key.
    for number in 0..u64::from(keys_max) * 4 {
        let now = number * 10_000;
        _ = ask(&quota, now, draws.bits(), 1);
        hot += u64::from(number % 10 == 0 && ask(&quota, now, 77, 1).is_ok());
    }
    let load = quota.load();
    assert!(load.keys <= u64::from(keys_max) + 64 && load.keys * 10 > u64::from(keys_max) * 9, "{load:?}");
    assert!(load.bytes <= 128 * load.keys, "{} bytes a key", load.bytes as f64 / load.keys as f64);
    let seconds = u64::from(keys_max) * 4 / 100_000;
    assert!(hot <= 10 + 10 * seconds + 9 && hot >= 10, "the hot key got {hot} in {seconds} s");
    // The key that was under way all the time was not forgotten.
    assert_eq!(load.under_way, 1);
    quota.settle(0, held, 1);
    assert_eq!(quota.load().under_way, 0);
}

#[test]
fn threads_together_get_the_burst_and_the_rate_and_not_one_more() {
    let quota = whole(requests(&[Window { limit: 1_000, period_ns: MINUTE, burst: 100 }]));
    let rounds = 60 * 50_u64;
    let admitted: u64 = std::thread::scope(|scope| {
        let hammer = |_| scope.spawn(|| (0..rounds).map(|n| u64::from(ask(&quota, n * 20 * MS, 1, 0).is_ok())).sum::<u64>());
        let threads: Vec<_> = (0..4).map(hammer).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
    });
    // In the time up to the last question: 100 + floor(1000 × 59.98 / 60).
    assert_eq!(admitted, 100 + 999);
}

impl Lock for shuttle::sync::Mutex<Shard> {
    fn of(shard: Shard) -> Self {
        Self::new(shard)
    }

    fn with<T>(&self, look: impl FnOnce(&mut Shard) -> T) -> T {
        look(&mut self.lock().expect("no panic"))
    }
}

type Modelled = Quota<shuttle::sync::Mutex<Shard>>;

/// Three threads ask for 60, 60 and 40 of 100 tokens, and `meanwhile` something else happens; then looks at what is left.
fn three_threads(settings: &Settings, meanwhile: impl FnOnce(&Modelled)) {
    let quota: Arc<Modelled> = Arc::new(Quota::sharded(settings.clone(), 1));
    let ask = |tokens: u32| {
        let quota = Arc::clone(&quota);
        move || quota.enter(0, 1, tokens).map_or(0, |held| (quota.settle(0, held, tokens), tokens).1)
    };
    let threads = [shuttle::thread::spawn(ask(60)), shuttle::thread::spawn(ask(60))];
    let third = ask(40);
    meanwhile(&quota);
    let admitted = third() + threads.map(|thread| thread.join().expect("no panic")).iter().sum::<u32>();
    // One of 60 and that of 40, whatever the order.
    assert_eq!(admitted, 100);
    let (load, left) = (quota.load(), quota.left(0, 1).tokens.expect("limited"));
    assert_eq!((load.under_way, load.reserved, left.remaining), (0, 0, 0));
}

#[test]
fn in_every_order_of_three_threads_the_limit_holds_and_nothing_stays_reserved() {
    let settings = tokens(&[Window::whole(100, MINUTE)]);
    let scheduler = shuttle::scheduler::DfsScheduler::new(Some(ORDERS_MAX), false);
    let orders = shuttle::Runner::new(scheduler, shuttle::Config::new()).run(move || three_threads(&settings, |_| {}));
    assert!((1_000..ORDERS_MAX).contains(&orders), "{orders}");
}

#[test]
fn a_reload_between_three_threads_lets_nothing_more_in() {
    let settings = tokens(&[Window::whole(100, MINUTE)]);
    shuttle::check_random(move || three_threads(&settings, |quota| quota.carry(0, &settings)), 2_000);
}

/// More than there are.
const ORDERS_MAX: usize = 300_000;

#[derive(Debug, Clone, Copy)]
enum Step {
    Enter { key: u64, tokens: u32 },
    Settle { which: usize, share: u32 },
    GiveBack { which: usize },
    Wait { ns: u64 },
    Carry { limit: u32 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..4_u64, 0..400_u32).prop_map(|(key, tokens)| Step::Enter { key, tokens }),
        5 => (any::<usize>(), 0..120_u32).prop_map(|(which, share)| Step::Settle { which, share }),
        1 => any::<usize>().prop_map(|which| Step::GiveBack { which }),
        3 => (0..20 * S).prop_map(|ns| Step::Wait { ns }),
        1 => (50..2_000_u32).prop_map(|limit| Step::Carry { limit }),
    ]
}

fn cases() -> u32 {
    // 1,000 interleavings of up to 1,000 steps are the million of the catalogue.
    if std::env::var_os("SIMWRIGHT_FULL").is_some_and(|value| value == "1") { 10_000 } else { 256 }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn whatever_the_order_nothing_is_over_admitted_and_all_is_settled_at_rest(steps in prop::collection::vec(step(), 1..200)) {
        let of = |limit| Settings { keys_max: 2, concurrency: Some(3), ..tokens(&[Window { limit, period_ns: MINUTE, burst: 1_000 }]) };
        let quota: Quota = Quota::sharded(of(600), 2);
        let (mut now, mut reserved) = (0, 0_u64);
        let mut held: Vec<(u64, u32, Reservation)> = Vec::new();
        for step in steps {
            match step {
                Step::Enter { key, tokens } => {
                    let before = quota.left(now, key).tokens.expect("limited").remaining;
                    let under_way = held.iter().filter(|(other, ..)| *other == key).count();
                    match quota.enter(now, key, tokens) {
                        Ok(reservation) => {
                            prop_assert!(tokens <= before && under_way < 3);
                            held.push((key, tokens, reservation));
                            reserved += u64::from(tokens);
                        }
                        Err(refusal) => {
                            prop_assert!(tokens > before || under_way == 3, "{refusal:?}, {before} left");
                            prop_assert!((refusal.cause == Cause::Concurrency) == (tokens <= before));
                        }
                    }
                }
                Step::Settle { which, share } if !held.is_empty() => {
                    let (_, tokens, reservation) = held.swap_remove(which % held.len());
                    quota.settle(now, reservation, tokens * share / 100);
                    reserved -= u64::from(tokens);
                }
                Step::GiveBack { which } if !held.is_empty() => {
                    let (_, tokens, reservation) = held.swap_remove(which % held.len());
                    quota.give_back(now, reservation);
                    reserved -= u64::from(tokens);
                }
                Step::Settle { .. } | Step::GiveBack { .. } => {}
                Step::Wait { ns } => now += ns,
                Step::Carry { limit } => quota.carry(now, &of(limit)),
            }
            let load = quota.load();
            prop_assert_eq!((load.under_way, load.reserved), (held.len() as u64, reserved));
        }
        for (_, tokens, reservation) in held {
            quota.settle(now, reservation, tokens);
        }
        let load = quota.load();
        prop_assert_eq!((load.under_way, load.reserved), (0, 0));
    }
}
