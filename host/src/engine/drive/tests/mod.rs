//! Playbacks at one site on a clock that is only a number: each is looked at when it was told to, or when it is woken, as a body is.
//! `interrupted` has those that faults strike, and replies that are sent whole.

mod interrupted;

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;

use super::*;
use crate::behavior::fault::Verdict;
use crate::builtin::testing::request;
use crate::engine::measure::{Active, Measures};
use crate::engine::playback::{Ending, Head, Moment, Playback, Stage};
use crate::plan::build::testing::generation;
use crate::plan::generation::Generation;
use crate::plan::identity::{Identity, content_of};
use crate::plan::planner::{Facts, plan};
use crate::plan::verdict::resolve;
use crate::plan::work::{Caller, enters, work_of};
use crate::scenario::Scenario;
use crate::station::pipeline::Settings;
use crate::station::pipeline::route::{Route, Stage as StageStep, Step};
use crate::station::{Cause, pool};
use crate::types::api_error::ApiError;
use crate::types::reply::StreamEvent;

const MS: Nanos = 1_000_000;
/// Long after anything that the machine's clock says meanwhile: stays end by that one.
const START: Nanos = 3_600_000 * MS;
const SCENARIO: &str = "
simwright: 1
tokens: exact
defaults:
  latency: { constant: { first: 10ms, between: 10ms } }
  reply: { fixed: { text: one two three four five } }
stations:
  desk: { pool: { size: 2 } }
  gpu: { replicas: { count: 1, preset: llama-3.1-8b-h100 } }
models:
  - match: pooled
    pipeline:
      - route: { takes: { constant: { first: 3ms } } }
      - model: { through: desk }
      - format: { takes: { constant: { first: 2ms } } }
  - match: batched
    reply: { text: { tokens: 20 } }
    pipeline:
      - model: { through: gpu }
";

/// A site of [`SCENARIO`], altered.
struct Stand {
    generation: Arc<Generation>,
    drive: Arc<Drive>,
    /// What strikes all requests.
    verdict: Verdict,
}

impl Stand {
    fn new(alter: impl FnOnce(&mut Scenario)) -> Self {
        Self::with_texts(&[], alter)
    }

    fn with_texts(texts: &[&str], alter: impl FnOnce(&mut Scenario)) -> Self {
        let mut generation = Arc::into_inner(generation(SCENARIO, |_| {})).expect("nobody else has it");
        alter(Arc::make_mut(&mut generation.scenario));
        let tokenizer = Arc::clone(&generation.tokenizer);
        for model in &mut generation.models {
            model.texts = texts.iter().map(|text| (Arc::from(*text), Arc::from(tokenizer.split(text)))).collect();
        }
        let site = generation.site(true).expect("pipelines");
        let names = Names::of(&generation);
        let drive = Drive::new(site, names, RealClock::start(), Arc::new(Net::new()));
        Self { generation: Arc::new(generation), drive, verdict: Verdict::Pass }
    }

    fn player(&self, number: usize, model: &str, arrival: Nanos) -> Player {
        let mut request = request(&format!("question {number}"));
        request.model = model.into();
        let request = Arc::new(request);
        let content = content_of(&request);
        let identity = Identity { content, identity: content, attempt: 0, occurrence: 0 };
        let facts = Facts { now: arrival, input_tokens: 100, ..Facts::first(identity) };
        let entry = self.generation.scenario.find(model).expect("an entry");
        let mut plan = plan(&self.generation, entry, &request, &facts);
        plan.outcome = resolve(self.verdict.clone(), plan.reply.steps()).expect("a verdict that is played");
        assert!(enters(&plan));
        let work = work_of(&plan, Caller::default());
        let tokens = work.output_tokens;
        let active = Active::begin(Measures::default().of_model("drive-test"), arrival);
        let mut playback = Playback::behind(plan, arrival, active, self.drive.enter(arrival, work), tokens);
        assert_eq!(playback.before_head(), None);
        Player { playback, flag: Arc::default(), look: arrival, has_head: false, heard: Heard::default() }
    }

    /// Plays a request of `model` for each of `arrivals`; those that do not `read` are not looked at once their head has left.
    fn play(&self, model: &str, arrivals: &[Nanos], read: impl Fn(usize) -> bool) -> Vec<Heard> {
        let (mut players, mut now): (Vec<Player>, _) = (Vec::new(), START);
        loop {
            let arrives = arrivals.get(players.len()).copied();
            let reads = |number: usize, player: &Player| player.heard.end.is_none() && (read(number) || !player.has_head);
            let own =
                players.iter().enumerate().filter(|(number, player)| reads(*number, player)).map(|(_, player)| player.due());
            let own = own.min().unwrap_or(Nanos::MAX);
            // The net comes after all others.
            let net = self.drive.lock().site.next_at().map_or(Nanos::MAX, |at| at + net::SLACK_NS);
            let next = own.min(net).min(arrives.unwrap_or(Nanos::MAX));
            if next == Nanos::MAX {
                break;
            }
            now = now.max(next);
            if arrives == Some(next) {
                players.push(self.player(players.len(), model, now));
                continue;
            }
            for (number, player) in players.iter_mut().enumerate() {
                if reads(number, player) && player.due() <= now {
                    player.look(now);
                }
            }
            if net <= now {
                self.drive.advance(now);
            }
        }
        players.into_iter().map(|player| player.heard).collect()
    }
}

#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Player {
    playback: Playback,
    flag: Arc<Flag>,
    look: Nanos,
    has_head: bool,
    heard: Heard,
}

/// What came.
#[derive(Debug, Default)]
struct Heard {
    /// When each token was due, and when it was given.
    dues: Vec<Nanos>,
    given: Vec<Nanos>,
    text: String,
    output_tokens: u32,
    error: Option<String>,
    now: Nanos,
    end: Option<(Nanos, Result<Ending, ApiError>)>,
}

impl Stage for Heard {
    fn due(&mut self, due: Nanos) {
        assert!(due <= self.now, "due at {due}, given at {}", self.now);
        assert!(self.dues.last().is_none_or(|last| *last <= due), "due at {due} after {:?}", self.dues);
        self.dues.push(due);
        self.given.push(self.now);
    }

    fn event(&mut self, event: &StreamEvent<'_>) {
        match event {
            StreamEvent::Text { text, .. } => self.text.push_str(text),
            StreamEvent::Usage(usage) => self.output_tokens = usage.output,
            StreamEvent::Error { message, .. } => self.error = Some((*message).to_owned()),
            _ => {}
        }
    }

    fn strike(&mut self, _step: u32) {}
}

impl Player {
    /// When to look at it: at once if it was woken.
    fn due(&self) -> Nanos {
        if self.flag.0.load(Ordering::Relaxed) { 0 } else { self.look }
    }

    fn look(&mut self, now: Nanos) {
        self.flag.0.store(false, Ordering::Relaxed);
        self.playback.watch(&Waker::from(Arc::clone(&self.flag)));
        self.heard.now = now;
        if !self.has_head {
            match self.playback.head(now) {
                Head::Wait(until) => return self.wait(until),
                Head::Refused(error) => {
                    self.playback.end(error.status, now, false);
                    return self.heard.end = Some((now, Err(error)));
                }
                Head::Leaves => self.has_head = true,
            }
        }
        match self.playback.play(now, &mut self.heard) {
            Moment::Wait(until) => self.wait(until),
            Moment::Done(ending) => self.heard.end = Some((now, Ok(ending))),
        }
    }

    fn wait(&mut self, until: Nanos) {
        assert!(until > self.heard.now, "told at {} to come back at {until}", self.heard.now);
        self.look = until;
    }
}

fn all(_: usize) -> bool {
    true
}

fn at_ms(times: &[Nanos]) -> Vec<Nanos> {
    times.iter().map(|at| (at - START) / MS).collect()
}

fn at_once(count: usize) -> Vec<Nanos> {
    vec![START; count]
}

#[test]
fn a_reply_begins_when_its_stages_let_it_and_ends_with_the_last_stage() {
    let heard = Stand::new(|_| {}).play("pooled", &at_once(5), all);
    // 3 ms of routing, then 50 ms at one of two desks, then 2 ms of formatting.
    for (number, heard) in heard.iter().enumerate() {
        let begun = 3 + 50 * (number as u64 / 2);
        let dues: Vec<_> = (1..=5).map(|token| begun + 10 * token).collect();
        assert_eq!(at_ms(&heard.dues), dues, "{number}");
        assert_eq!(
            (&*heard.text, heard.end.as_ref().map(|end| (end.0 - START) / MS)),
            ("one two three four five", Some(begun + 52))
        );
        assert_eq!(heard.dues, heard.given, "nobody is late");
    }
}

#[test]
fn streams_of_a_replica_leave_together_as_its_steps_end() {
    let stand = Stand::new(|_| {});
    let heard = stand.play("batched", &at_once(64), all);
    for heard in &heard {
        assert_eq!((heard.dues.len(), &heard.dues), (20, &heard.given));
        assert!(matches!(heard.end, Some((_, Ok(Ending::Complete)))), "{:?}", heard.end);
    }
    let mut steps: Vec<_> = heard.iter().flat_map(|heard| heard.dues.iter().copied()).collect();
    steps.sort_unstable();
    steps.dedup();
    // 64 streams of 20 tokens: a step for each token, and one more for each step that it takes to compute all the prompts.
    let mut firsts: Vec<_> = heard.iter().map(|heard| heard.dues[0]).collect();
    firsts.dedup();
    assert!(firsts.len() < 8, "{} steps of prompts", firsts.len());
    assert_eq!(steps.len(), 20 + firsts.len() - 1);
}

#[test]
fn streams_say_the_times_of_the_site_alone() {
    let arrivals: Vec<_> = (0..40).map(|number| START + number * 7 * MS).collect();
    let stand = Stand::new(|_| {});
    let heard = stand.play("batched", &arrivals, all);
    let (mut site, mut happened) = (stand.generation.site(false).expect("pipelines"), Vec::new());
    let model = stand.generation.scenario.find("batched").expect("an entry");
    let job = Work {
        route: model as u16,
        tenant: 0,
        priority: 0,
        content: 0,
        affinity: 0,
        prompt_tokens: 100,
        output_tokens: 20,
        prefix: replica::Prefix::None,
        step: None,
        bytes: 0,
        reply_ns: 0,
        takes: SmallVec::new(),
        choices: SmallVec::new(),
        is_cut: false,
        draws: crate::random::Key::of_seed(0),
        asker: None,
    };
    arrivals.iter().for_each(|at| _ = site.enter(*at, job.clone(), &mut happened));
    while let Some(at) = site.next_at() {
        site.advance(at, &mut happened);
    }
    let times = |wanted: What, visit: usize| {
        happened.iter().find(|happened| happened.visit == visit as u32 && happened.what == wanted).map(|happened| happened.at)
    };
    for (visit, heard) in heard.iter().enumerate() {
        assert_eq!(times(What::FirstToken, visit), heard.dues.first().copied(), "{visit}");
        assert_eq!(times(What::Written, visit), heard.dues.last().copied(), "{visit}");
    }
}

#[test]
fn throughput_stops_growing_at_the_knee_and_the_first_tokens_come_later_and_later() {
    // The preset takes 256 at a time.
    let measured: Vec<(f64, f64)> = [1, 16, 256, 512, 1_024]
        .into_iter()
        .map(|count| {
            let heard = Stand::new(|_| {}).play("batched", &at_once(count), all);
            let last = heard.iter().filter_map(|heard| heard.dues.last()).max().expect("tokens");
            let firsts: Nanos = heard.iter().map(|heard| heard.dues[0] - START).sum();
            ((count * 20) as f64 / (last - START) as f64, firsts as f64 / count as f64)
        })
        .collect();
    let ratio = |a: usize, b: usize| (measured[b].0 / measured[a].0, measured[b].1 / measured[a].1);
    assert!(ratio(0, 1).0 > 8.0 && ratio(1, 2).0 > 3.0, "below the knee: {measured:?}");
    assert!((0.95..1.1).contains(&ratio(2, 3).0) && (0.95..1.1).contains(&ratio(3, 4).0), "behind it: {measured:?}");
    assert!(ratio(2, 3).1 > 1.5 && ratio(3, 4).1 > 1.5, "first tokens: {measured:?}");
}

#[test]
fn a_client_that_does_not_read_holds_nobody_up() {
    let arrivals: Vec<_> = (0..8).map(|number| START + number * MS).collect();
    for model in ["batched", "pooled"] {
        let wanted = Stand::new(|_| {}).play(model, &arrivals, all);
        let heard = Stand::new(|_| {}).play(model, &arrivals, |number| number % 3 != 0);
        for (number, (wanted, heard)) in wanted.iter().zip(&heard).enumerate().filter(|(number, _)| number % 3 != 0) {
            assert_eq!(wanted.dues, heard.dues, "{model}, {number}");
        }
        // Who waited for a place that a silent one gave free was told by the net, a moment later.
        let late = |heard: &Heard| heard.given.iter().zip(&heard.dues).map(|(given, due)| given - due).max().unwrap_or(0);
        assert!(heard.iter().map(late).max() <= Some(net::SLACK_NS), "{model}");
    }
}

#[test]
fn a_client_that_goes_gives_its_place_to_the_next() {
    let stand = Stand::new(|_| {});
    let mut players: Vec<_> = (0..3).map(|number| stand.player(number, "pooled", START)).collect();
    let look = |player: &mut Player, at: Nanos| player.look(START + at * MS);
    players.iter_mut().for_each(|player| look(player, 3));
    assert_eq!(players[2].look, Nanos::MAX, "it is told");
    assert_eq!(stand.drive.crowd(0), (2, 1));
    drop(players.remove(0));
    assert!(players[1].flag.0.load(Ordering::Relaxed), "it was woken");
    assert_eq!(stand.drive.crowd(0), (2, 0));
    drop(players);
    assert_eq!(stand.drive.crowd(0), (0, 0));
    assert!(stand.drive.lock().site.is_empty());
}

/// Takes the stages of the first entry apart.
fn stages(scenario: &mut Scenario) -> Vec<&mut StageStep> {
    let route = &mut scenario.models[0].pipeline.as_mut().expect("a pipeline").route;
    route.steps.iter_mut().filter_map(|step| if let Step::Stage(stage) = step { Some(stage) } else { None }).collect()
}

fn refused(heard: &Heard) -> Option<(Nanos, u16, &str)> {
    let (at, Err(error)) = heard.end.as_ref()? else { return None };
    Some(((at - START) / MS, error.status, error.code.as_deref().unwrap_or("")))
}

#[test]
fn who_finds_the_queue_full_or_waits_too_long_is_refused_when_it_happens() {
    let stand = Stand::new(|scenario| {
        scenario.stations[0].settings =
            Settings::Pool(pool::Settings { queue_max: 1, wait_max_ns: 20 * MS, ..pool::Settings::of(1) });
    });
    let heard = stand.play("pooled", &at_once(3), all);
    assert_eq!(heard[0].text, "one two three four five");
    assert_eq!(refused(&heard[1]), Some((23, 503, Cause::PoolTimeout.name())));
    assert_eq!(refused(&heard[2]), Some((3, 503, Cause::QueueFull.name())));
}

#[test]
fn a_stage_that_fails_is_a_500_and_one_that_takes_too_long_a_504() {
    let failing = Stand::new(|scenario| stages(scenario)[0].fails = 1.0).play("pooled", &at_once(1), all);
    assert_eq!(refused(&failing[0]), Some((3, 500, Cause::StageFailed.name())));
    let slow = Stand::new(|scenario| stages(scenario)[0].within_ns = 2 * MS).play("pooled", &at_once(1), all);
    assert_eq!(refused(&slow[0]), Some((2, 504, Cause::Budget.name())));
}

#[test]
fn a_failure_behind_the_reply_is_an_error_event() {
    let heard = Stand::new(|scenario| stages(scenario)[2].fails = 1.0).play("pooled", &at_once(1), all);
    assert_eq!(heard[0].text, "one two three four five");
    assert!(heard[0].error.as_deref().is_some_and(|message| message.contains("error")), "{heard:?}");
    assert_eq!(heard[0].end, Some((START + 55 * MS, Ok(Ending::Complete))));
}

#[test]
fn a_stage_may_answer_with_a_text_of_its_own_or_at_once() {
    let heard = Stand::with_texts(&["so sorry"], |scenario| {
        stages(scenario)[1].reply = Some(ReplyBy::Prepared(0));
    })
    .play("pooled", &at_once(1), all);
    assert_eq!((&*heard[0].text, heard[0].output_tokens), ("so sorry", 2));
    assert_eq!(at_ms(&heard[0].dues), [3, 3]);
    let heard = Stand::new(|scenario| stages(scenario)[1].reply = Some(ReplyBy::Instant)).play("pooled", &at_once(1), all);
    assert_eq!((&*heard[0].text, at_ms(&heard[0].dues)), ("one two three four five", vec![3; 5]));
}

#[test]
fn a_way_on_which_nobody_writes_answers_at_its_end() {
    let heard = Stand::new(|scenario| stages(scenario)[1].reply = None).play("pooled", &at_once(1), all);
    assert_eq!((&*heard[0].text, at_ms(&heard[0].dues)), ("one two three four five", vec![5; 5]));
}

#[test]
fn a_branch_may_write_the_reply_token_by_token() {
    let stand = Stand::new(|scenario| {
        // Moderation beside the model: both must be done.
        let moderate = Step::Stage(StageStep { index: 1, ..StageStep::default() });
        let pipeline = scenario.models[1].pipeline.as_mut().expect("a pipeline");
        let fork = Step::Fork { branches: [1, 3].into(), join: 5, need: 2, on_failure: None };
        let model = pipeline.route.steps[0].clone();
        let steps = vec![fork, model, Step::Jump(5), moderate, Step::Jump(5), Step::Join, Step::End];
        pipeline.route = Route { steps, stages: vec!["model".to_owned(), "moderate".to_owned()] };
    });
    let forked = stand.play("batched", &at_once(3), all);
    let straight = Stand::new(|_| {}).play("batched", &at_once(3), all);
    for (forked, straight) in forked.iter().zip(&straight) {
        assert_eq!((&forked.dues, &forked.given), (&straight.dues, &straight.given));
    }
}

/// Sends a word when it is woken.
struct Bell(std::sync::mpsc::Sender<()>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        // Nobody may listen any more.
        let _ = self.0.send(());
    }
}

#[test]
fn the_net_tells_those_whom_nobody_polls_and_is_idle_without_them() {
    let generation = generation(SCENARIO, |_| {});
    let clock = RealClock::start();
    let sites = net::Sites::new(clock);
    let drive = sites.drive(&generation).expect("pipelines");
    let stand = Stand { generation, drive: Arc::clone(&drive), verdict: Verdict::Pass };
    let mut player = stand.player(0, "pooled", clock.now());
    let (bell, rung) = std::sync::mpsc::channel();
    player.playback.watch(&Waker::from(Arc::new(Bell(bell))));
    assert!(matches!(player.playback.head(0), Head::Wait(_)));
    // Routing ends after 3 ms: nobody looks, but the reply begins.
    rung.recv_timeout(std::time::Duration::from_secs(20)).expect("told");
    assert_eq!(drive.lock().guests[0].begun.map(|(_, by)| by), Some(ReplyBy::Timing));
    drop(player);
    let start = clock.now();
    while !drive.net.is_idle() {
        assert!(clock.now() - start < 20_000 * MS, "it never comes to rest");
        std::thread::yield_now();
    }
}
