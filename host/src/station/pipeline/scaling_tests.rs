//! Groups that change, and choosers, at a site: every number is worked out by hand.

use std::sync::{Arc, Mutex};

use smallvec::SmallVec;

use super::route::{ReplyBy, Stage, Step};
use super::*;
use crate::station::Unanswered;
use crate::station::autoscaler::{self, Decider, Pace, Rule, Schedule, Target};
use crate::station::balancer;
use crate::station::balancer::chooser::{Asker, Choice, Chooser, Question, Sight};
use crate::types::request::Request;

const MS: Nanos = 1_000_000;
const S: Nanos = 1_000_000_000;

/// A server with a place for `places`, that makes a token each 10 ms.
fn server(places: u32) -> replica::Settings {
    replica::Settings {
        step: replica::StepTime { base_ps: 10_000_000_000, ..replica::StepTime::default() },
        sequences_max: places,
        batch_tokens: 1_024,
        kv_blocks: 1_000,
        block_tokens: 16,
        queue_max: u32::MAX,
        prefix_cache: true,
        ahead: false,
    }
}

fn group(count: u32, places: u32, autoscale: Option<autoscaler::Settings>) -> Replicas {
    let autoscale = autoscale.map(Box::new);
    Replicas { autoscale, ..Replicas::of(count, server(places), balancer::Rule::LeastBusy) }
}

/// One stage that goes through the group.
fn site(group: Replicas) -> Site {
    let stage = Stage { through: Some(0), reply: Some(ReplyBy::Replica), ..Stage::default() };
    let route = Route { steps: vec![Step::Stage(stage), Step::End], stages: vec!["model".to_owned()] };
    let mut site = Site::new(&[Settings::Replicas(group)], vec![route], false);
    site.start(0);
    site
}

fn work(number: u64, output_tokens: u32) -> Work {
    Work {
        route: 0,
        tenant: 0,
        priority: 3,
        content: number,
        affinity: number,
        prompt_tokens: 1,
        output_tokens,
        prefix: replica::Prefix::None,
        bytes: 0,
        reply_ns: 0,
        step: None,
        takes: SmallVec::new(),
        choices: SmallVec::new(),
        is_cut: false,
        draws: Key::of_seed(number),
        asker: None,
    }
}

/// The changes so far, in milliseconds: ready, starting, draining.
fn changes(site: &mut Site, until: Nanos) -> Vec<(Nanos, [u32; 3])> {
    let sizes = site.sizes(until, 0).expect("a group that changes");
    sizes.changes.iter().map(|(at, size)| (at / MS, [size.ready, size.starting, size.draining])).collect()
}

fn settings(least: u32, most: u32, boot_ns: Nanos, rule: Rule) -> autoscaler::Settings {
    autoscaler::Settings { least, most, every_ns: 10 * S, boot_ns, drain_ns: 0, rule, up: Pace::FREE, down: Pace::FREE }
}

#[test]
fn a_step_of_load_is_followed_up_with_the_boot_time_and_down_after_the_calm() {
    // A request keeps its server for 1 s, and 2.5 come in a second for a minute. Two for each server are wished, one more at a time; so at
    // 10, 20 and 30 s (15, 30 and 45 are here) another one starts, each for 20 s. The last 5 are at the first server, until 75 s: at 70 s three
    // servers are wished, from 80 s on one. The four wished at 60 s are out of sight at 100 s, the three of 70 s at 110 s.
    let target = Rule::Target(Target { requests: Some(2.0), ..Target::default() });
    let up = Pace { step: 1, ..Pace::FREE };
    let down = Pace { step: 1, after_ns: 30 * S, pause_ns: 0 };
    let mut site = site(group(1, 1, Some(autoscaler::Settings { up, down, ..settings(1, 4, 20 * S, target) })));
    let mut happened = Vec::new();
    for number in 0..150 {
        site.enter(number * 400 * MS, work(number, 100), &mut happened);
    }
    site.advance(130 * S, &mut happened);
    assert_eq!(happened.iter().filter(|happened| happened.what == What::Done).count(), 150);
    let expected = [
        (0, [1, 0, 0]),
        (10_000, [1, 1, 0]),
        (20_000, [1, 2, 0]),
        (30_000, [2, 2, 0]),
        (40_000, [3, 1, 0]),
        (50_000, [4, 0, 0]),
        (100_000, [3, 0, 0]),
        (110_000, [2, 0, 0]),
        (120_000, [1, 0, 0]),
    ];
    assert_eq!(changes(&mut site, 130 * S), expected);
    let sizes = site.sizes(130 * S, 0).expect("sizes");
    assert_eq!(sizes.areas.map(|area| area / u128::from(S)), [30 + 20 + 30 + 200 + 30 + 20 + 10, 10 + 20 + 20 + 10, 0]);
    assert_eq!((sizes.started, sizes.stopped, sizes.ups, sizes.downs), (3, 3, 3, 3));
}

fn schedule(steps: &[(Nanos, u32)]) -> Rule {
    Rule::Schedule(Schedule { period_ns: 3_600 * S, steps: steps.to_vec() })
}

#[test]
fn who_drains_gets_nobody_new_and_goes_with_its_last_stream() {
    let mut site = site(group(2, 8, Some(settings(1, 2, 5 * S, schedule(&[(0, 2), (10 * S, 1), (40 * S, 2)])))));
    let mut happened = Vec::new();
    (0..2).for_each(|number| _ = site.enter(S, work(number, 3_000), &mut happened));
    site.advance(10 * S, &mut happened);
    (2..6).for_each(|number| _ = site.enter(11 * S, work(number, 10), &mut happened));
    let there: Vec<u32> = site.replicas(0).map(|load| load.running + load.waiting).collect();
    assert_eq!(there, [5, 1]);
    assert_eq!(changes(&mut site, 30 * S), [(0, [2, 0, 0]), (10_000, [1, 0, 1])]);
    site.advance(35 * S, &mut happened);
    // The last of 3,000 tokens leaves 30 s after its request came, and with it the server.
    assert_eq!(changes(&mut site, 35 * S).last(), Some(&(31_000, [1, 0, 0])));
    assert!(!site.is_there(0, 1));
    let before = site.replicas(0).nth(1).expect("a place");
    site.advance(45 * S, &mut happened);
    assert_eq!(changes(&mut site, 45 * S)[3..], [(40_000, [1, 1, 0]), (45_000, [2, 0, 0])]);
    let after = site.replicas(0).nth(1).expect("a place");
    assert_eq!((before.steps, before.finished, after), (3_000, 1, before), "what was done in this place goes on counting");
    assert_eq!(happened.iter().filter(|happened| happened.what == What::Done).count(), 6);
}

#[test]
fn who_takes_longer_than_the_time_to_drain_is_broken_off() {
    let drained = autoscaler::Settings { drain_ns: 5 * S, ..settings(1, 2, 0, schedule(&[(0, 2), (10 * S, 1)])) };
    let mut site = site(group(2, 8, Some(drained)));
    let mut happened = Vec::new();
    let visits: Vec<_> = (0..2).map(|number| site.enter(S, work(number, 3_000), &mut happened)).collect();
    site.advance(40 * S, &mut happened);
    let refused = Err(Refusal::of(crate::station::Cause::NoReplica));
    let ends: Vec<_> = visits.iter().map(|visit| site.end_of(*visit).expect("an end")).collect();
    assert!(ends.contains(&(31 * S, Ok(()))) && ends.contains(&(15 * S, refused)), "{ends:?}");
    // It came to the boundary of a step, and counts from the next one.
    assert_eq!(changes(&mut site, 40 * S).last(), Some(&(15_010, [1, 0, 0])));
}

#[test]
fn a_start_is_given_up_before_anybody_who_is_ready_goes() {
    let rule = schedule(&[(0, 1), (10 * S, 3), (20 * S, 2), (30 * S, 1)]);
    let mut site = site(group(1, 8, Some(settings(1, 3, 15 * S, rule))));
    site.advance(60 * S, &mut Vec::new());
    let expected = [(0, [1, 0, 0]), (10_000, [1, 2, 0]), (20_000, [1, 1, 0]), (25_000, [2, 0, 0]), (30_000, [1, 0, 0])];
    assert_eq!(changes(&mut site, 60 * S), expected);
}

#[test]
fn decisions_fall_on_multiples_of_the_interval_whenever_the_site_began() {
    let rule = schedule(&[(0, 1), (20 * S, 2)]);
    let mut late = Site::new(&[Settings::Replicas(group(1, 8, Some(settings(1, 2, 0, rule))))], Vec::new(), false);
    late.start(13 * S);
    assert_eq!(late.next_at(), Some(20 * S));
    late.advance(25 * S, &mut Vec::new());
    assert_eq!(changes(&mut late, 25 * S), [(13_000, [1, 0, 0]), (20_000, [2, 0, 0])]);
    late.rest();
    assert_eq!(late.next_at(), None, "time comes to its end");
}

#[test]
fn who_comes_to_a_group_of_nobody_starts_one_and_waits_for_it() {
    // One starts at 3 s and is ready at 8 s. Each takes it for a second. At 20 s the one wished at 3 s is in sight, at 30 s no more.
    let target = Rule::Target(Target { requests: Some(2.0), ..Target::default() });
    let down = Pace { after_ns: 20 * S, ..Pace::FREE };
    let mut site = site(group(0, 1, Some(autoscaler::Settings { down, ..settings(0, 2, 5 * S, target) })));
    let mut happened = Vec::new();
    let visits = [(3 * S, 0), (4 * S, 1)].map(|(at, number)| site.enter(at, work(number, 100), &mut happened));
    assert_eq!(site.load(0), Load { running: 0, waiting: 2 });
    let gone = site.enter(5 * S, work(2, 100), &mut happened);
    site.leave(6 * S, gone, &mut happened);
    site.advance(40 * S, &mut happened);
    assert_eq!(visits.map(|visit| site.end_of(visit)), [Some((9 * S, Ok(()))), Some((10 * S, Ok(())))]);
    let expected = [(0, [0, 0, 0]), (3_000, [0, 1, 0]), (8_000, [1, 0, 0]), (30_000, [0, 0, 0])];
    assert_eq!(changes(&mut site, 40 * S), expected);
    let sizes = site.sizes(40 * S, 0).expect("sizes");
    let decisions: Vec<_> = sizes.decisions.iter().map(|one| (one.at, one.from, one.to, one.by, one.reason.as_str())).collect();
    let expected = [
        (3 * S, 0, 1, Decider::Request, "a request came, and no replica was there"),
        (30 * S, 1, 0, Decider::Rule, "`requests` is 0.00, and one replica shall have 2.00"),
    ];
    assert_eq!(decisions, expected);
    assert_eq!((sizes.started, sizes.stopped, sizes.ups, sizes.downs), (1, 1, 1, 1));
}

#[test]
fn a_start_for_which_somebody_waits_is_not_given_up() {
    let mut site = site(group(0, 1, Some(settings(0, 2, 15 * S, schedule(&[(0, 0)])))));
    let mut happened = Vec::new();
    let visit = site.enter(9 * S, work(0, 10), &mut happened);
    site.advance(40 * S, &mut happened);
    assert_eq!(site.end_of(visit), Some((24 * S + 100 * MS, Ok(()))));
    let expected = [(0, [0, 0, 0]), (9_000, [0, 1, 0]), (24_000, [1, 0, 0]), (30_000, [0, 0, 0])];
    assert_eq!(changes(&mut site, 40 * S), expected);
}

#[test]
fn where_all_places_drain_one_takes_requests_again() {
    let mut site = site(group(1, 8, Some(settings(0, 1, 5 * S, schedule(&[(0, 1), (10 * S, 0)])))));
    let mut happened = Vec::new();
    let visits = [(S, 3_000), (12 * S, 3)].map(|(at, tokens)| site.enter(at, work(at, tokens), &mut happened));
    site.advance(40 * S, &mut happened);
    assert!(visits.iter().all(|visit| matches!(site.end_of(*visit), Some((_, Ok(()))))), "{happened:?}");
    let expected = [(0, [1, 0, 0]), (10_000, [0, 0, 1]), (12_000, [1, 0, 0]), (20_000, [0, 0, 1]), (31_000, [0, 0, 0])];
    assert_eq!(changes(&mut site, 40 * S), expected);
}

/// Says what it was told to, and writes down what it saw.
#[derive(Default)]
struct Recorder {
    says: Mutex<Option<Choice>>,
    seen: Mutex<Vec<Vec<Sight>>>,
}

impl Chooser for Recorder {
    fn pick(&self, question: &Question<'_>) -> Result<Choice, Unanswered> {
        assert_eq!(
            (question.stage, question.priority, question.input_tokens),
            (7, 3, question.asker.request.messages.len() as u32)
        );
        self.seen.lock().expect("whole").push(question.backends.to_vec());
        Ok(self.says.lock().expect("whole").ok_or("it does not know")?)
    }
}

/// A request of `tokens` tokens, of which `group` has the first 64, that lets `chooser` choose.
fn chosen(chooser: &Arc<Recorder>, number: u64, group: u64, tokens: u32) -> Work {
    let message = || crate::types::request::Message::new(crate::types::request::Role::User, "");
    let asker = Asker {
        choosers: Arc::new([Some(Arc::clone(chooser) as Arc<dyn Chooser>)]),
        model: 0,
        tenant: 0,
        attempt: 0,
        occurrence: 0,
        max_output_tokens: 100,
        stages: [7].into(),
        request: Arc::new(Request::chat("m", (0..tokens).map(|_| message()).collect())),
    };
    let prefix = replica::Prefix::Group { group, tokens: 64 };
    Work { prompt_tokens: tokens, prefix, asker: Some(Box::new(asker)), ..work(number, 3) }
}

#[test]
fn a_chooser_sees_load_prompts_caches_and_times_and_its_choice_is_followed() {
    let mut site = site(Replicas { has_chooser: true, ..group(3, 8, None) });
    let recorder = Arc::new(Recorder { says: Mutex::new(Some(Choice::Backend(2))), seen: Mutex::default() });
    let mut happened = Vec::new();
    site.enter(0, chosen(&recorder, 0, 5, 100), &mut happened);
    site.enter(0, chosen(&recorder, 1, 5, 200), &mut happened);
    site.advance(S, &mut happened);
    site.enter(S, chosen(&recorder, 2, 5, 100), &mut happened);
    site.enter(S, chosen(&recorder, 3, 6, 100), &mut happened);
    let seen = recorder.seen.lock().expect("whole");
    let idle = Sight { open: true, weight: 1, ..Sight::default() };
    assert_eq!(seen[0], [idle; 3]);
    // The first one is in the batch at once: its 100 tokens are computed, with 4 blocks of its group and 3 of its own.
    let (running, pending_tokens) = (1, 100);
    assert_eq!(seen[1][2], Sight { running, pending_tokens, cached_tokens: 64, kv_used: 0.007, ..idle });
    // Both had their first tokens after a step or two, and the two others 10 ms apart.
    let times = Sight { first_token_ns: 10 * MS - 10 * MS / 8 + 20 * MS / 8, gap_ns: 10 * MS, ..idle };
    assert_eq!(seen[2][2], Sight { cached_tokens: 64, ..times });
    assert_eq!(seen[2][..2], [idle; 2]);
    assert_eq!(seen[3][2].cached_tokens, 0, "another beginning");
    assert_eq!(site.choices(0), Choices { asked: 4, fell_back: 0 });
}

#[test]
fn without_an_answer_or_a_wish_the_rule_of_the_station_chooses_and_a_refusal_is_one() {
    let mut site = site(Replicas { has_chooser: true, ..group(2, 8, None) });
    let recorder = Arc::new(Recorder::default());
    let mut happened = Vec::new();
    for (number, says) in (0..).zip([None, Some(Choice::Any), Some(Choice::Backend(9)), Some(Choice::Refuse(2 * S))]) {
        *recorder.says.lock().expect("whole") = says;
        site.enter(0, chosen(&recorder, number, 5, 10), &mut happened);
    }
    let running: Vec<u32> = site.replicas(0).map(|load| load.running + load.waiting).collect();
    assert_eq!(running.iter().sum::<u32>(), 3, "{running:?}");
    let refusal = Refusal { cause: crate::station::Cause::NoReplica, retry_after_ns: 2 * S };
    assert_eq!(happened.last().map(|happened| happened.what), Some(What::Refused(refusal)));
    assert_eq!(site.choices(0), Choices { asked: 4, fell_back: 2 });
}
