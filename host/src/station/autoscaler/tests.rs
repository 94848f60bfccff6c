use super::*;

const S: Nanos = 1_000_000_000;

fn settings(rule: Rule, up: Pace, down: Pace) -> Settings {
    Settings { least: 1, most: 10, every_ns: 15 * S, boot_ns: 0, drain_ns: 0, rule, up, down }
}

/// What is wanted after each of `requests`, 15 s apart, where one replica shall have ten.
fn wanted(up: Pace, down: Pace, count: u32, requests: &[u32]) -> Vec<u32> {
    let target = Target { requests: Some(10.0), ..Target::default() };
    let mut autoscaler = Autoscaler::new(settings(Rule::Target(target), up, down), 0, count);
    let mut wanted = count;
    let decide = |(number, running): (u64, &u32)| {
        let sight = Sight { now: number * 15 * S, wanted, ready: wanted, running: *running, ..Sight::default() };
        wanted = autoscaler.decide(&sight).map_or(wanted, |decision| decision.to);
        wanted
    };
    (1..).zip(requests).map(decide).collect()
}

#[test]
fn without_a_pace_the_load_divided_by_the_target_is_wanted_within_the_bounds() {
    assert_eq!(wanted(Pace::FREE, Pace::FREE, 2, &[20, 21, 95, 200, 10, 0]), [2, 3, 10, 10, 1, 1]);
}

#[test]
fn a_wish_must_have_held_for_its_time_and_the_nearest_counts() {
    let slow = Pace { after_ns: 30 * S, ..Pace::FREE };
    // At 15 s five are wished, and still 30 s later: the two wished at the start are out of sight then.
    assert_eq!(wanted(slow, Pace::FREE, 2, &[50, 50, 40, 50]), [2, 2, 4, 4]);
    // Going down the largest of the last 30 s counts.
    assert_eq!(wanted(Pace::FREE, slow, 5, &[10, 30, 10, 20, 10, 10]), [5, 5, 3, 3, 2, 2]);
}

#[test]
fn steps_bound_a_change_and_pauses_follow_it() {
    let pace = Pace { step: 2, pause_ns: 30 * S, after_ns: 0 };
    assert_eq!(wanted(pace, Pace::FREE, 1, &[90, 90, 90, 90, 90]), [3, 3, 5, 5, 7]);
    // A pause looks at changes in either direction.
    assert_eq!(wanted(Pace::FREE, Pace { step: 1, pause_ns: 30 * S, after_ns: 0 }, 2, &[40, 10, 10, 10, 10]), [4, 4, 3, 3, 2]);
}

#[test]
fn within_the_tolerance_nothing_is_wished() {
    let target = Target { busy: Some(0.7), tolerance: 0.1, ..Target::default() };
    let wish = |busy| target.wish(&Sight { wanted: 4, ready: 4, busy, ..Sight::default() });
    assert_eq!([2.6, 3.05, 3.1, 2.5].map(wish), [4, 4, 5, 4]);
    assert_eq!([2.1, 1.4].map(wish), [3, 2]);
}

#[test]
fn of_several_loads_the_one_that_asks_for_most_counts() {
    let target = Target { busy: Some(0.5), waiting: Some(2.0), kv: Some(0.9), ..Target::default() };
    let sight = Sight { wanted: 2, ready: 2, busy: 0.6, waiting: 9, kv: 1.0, ..Sight::default() };
    assert_eq!(target.wish(&sight), 5);
    assert_eq!(target.wish(&Sight { waiting: 0, ..sight }), 2);
}

#[test]
fn a_schedule_begins_again_and_its_last_step_goes_on() {
    let hour = 3_600 * S;
    let schedule = Schedule { period_ns: 24 * hour, steps: vec![(8 * hour, 6), (20 * hour, 2)] };
    let at = |hours: u64| schedule.wish(hours * hour);
    assert_eq!([0, 7, 8, 19, 20, 31, 32].map(at), [2, 2, 6, 6, 2, 2, 6]);
}

/// Says this, or that it does not know.
struct Says(Option<Wish>);

impl Scaler for Says {
    fn wish(&self, _: &str, _: u64, _: &Settings, _: &Sight) -> Result<Wished, Unanswered> {
        let wish = self.0.ok_or("it does not know")?;
        Ok(Wished { wish, reason: "it knows".to_owned() })
    }
}

#[test]
fn who_is_asked_goes_before_the_rule_and_without_an_answer_the_rule_wishes() {
    let rule = Rule::Schedule(Schedule { period_ns: S, steps: vec![(0, 7)] });
    let decide = |says| {
        let mut autoscaler = Autoscaler::new(settings(rule.clone(), Pace::FREE, Pace::FREE), 0, 2);
        let draws = crate::random::Key::of_seed(0);
        autoscaler.ask(Some(Asked { scaler: Arc::new(Says(says)), station: "gpus".into(), draws }));
        let decision = autoscaler.decide(&Sight { now: 15 * S, wanted: 2, ready: 2, ..Sight::default() });
        (decision, autoscaler.fell_back())
    };
    let decision = |to, by, reason: &str| Some(Decision { at: 15 * S, from: 2, to, wished: to, by, reason: reason.to_owned() });
    assert_eq!(decide(Some(Wish::Replicas(4))), (decision(4, Decider::Plugin, "it knows"), 0));
    assert_eq!(decide(Some(Wish::Keep)), (None, 0));
    assert_eq!(decide(None), (decision(7, Decider::Fallback, "it does not know; the time says so"), 1));
}

#[test]
fn a_target_says_which_load_asked_for_most() {
    let target = Target { busy: Some(0.5), waiting: Some(2.0), kv: Some(0.9), ..Target::default() };
    let mut autoscaler = Autoscaler::new(settings(Rule::Target(target), Pace { step: 1, ..Pace::FREE }, Pace::FREE), 0, 2);
    let sight = Sight { now: 15 * S, wanted: 2, ready: 2, busy: 0.6, waiting: 9, kv: 1.0, ..Sight::default() };
    let decision = autoscaler.decide(&sight).expect("a decision");
    assert_eq!((decision.to, decision.wished, decision.by), (3, 5, Decider::Rule));
    assert_eq!(decision.reason, "`waiting` is 9.00, and one replica shall have 2.00");
}

#[test]
fn a_group_of_nobody_is_woken_once_and_sleeps_after_its_calm() {
    let target = Rule::Target(Target { requests: Some(10.0), ..Target::default() });
    let down = Pace { after_ns: 30 * S, ..Pace::FREE };
    let mut autoscaler = Autoscaler::new(Settings { least: 0, ..settings(target, Pace::FREE, down) }, 0, 0);
    assert_eq!(autoscaler.wake(20 * S, 0).map(|decision| (decision.to, decision.by)), Some((1, Decider::Request)));
    assert_eq!(autoscaler.wake(21 * S, 1), None);
    let mut wanted = 1;
    let mut wanted_at = |at, running| {
        wanted =
            autoscaler.decide(&Sight { now: at, wanted, ready: 1, running, ..Sight::default() }).map_or(wanted, |next| next.to);
        wanted
    };
    assert_eq!([(30 * S, 1), (45 * S, 0), (60 * S, 0), (75 * S, 0)].map(|(at, running)| wanted_at(at, running)), [1, 1, 1, 0]);
}
