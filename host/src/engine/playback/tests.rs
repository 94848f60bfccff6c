//! Playback on a clock that is only a number: no sockets, no waiting. The scenario gives ten tokens, the first after 10 ms, the
//! others 10 ms apart; what is due when can be counted on the fingers.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::behavior::fault::{Damage, Position, Verdict};
use crate::builtin::testing;
use crate::engine::measure::Measures;
use crate::plan::build::testing::generation;
use crate::plan::identity::{Identity, content_of};
use crate::plan::planner::{Facts, plan};
use crate::plan::verdict::resolve;

const MS: Nanos = 1_000_000;
const ARRIVAL: Nanos = 5 * MS;
const TOKENS: [&str; 10] = ["one", " two", " three", " four", " five", " six", " seven", " eight", " nine", " ten"];
const SCENARIO: &str = "
simwright: 1
tokens: exact
models:
  - match: test
    latency: { constant: { first: 10ms, between: 10ms } }
    reply: { fixed: { text: one two three four five six seven eight nine ten } }
";

/// A playback of the ten tokens under `verdict`.
fn playback(verdict: Verdict) -> Playback {
    let generation = generation(SCENARIO, |_| {});
    let request = Arc::new(testing::request("hi"));
    let content = content_of(&request);
    let identity = Identity { content, identity: content, attempt: 0, occurrence: 0 };
    let facts = Facts { now: ARRIVAL, input_tokens: 10, ..Facts::first(identity) };
    let mut plan = plan(&generation, 0, &request, &facts);
    plan.outcome = resolve(verdict, plan.reply.steps()).expect("a verdict that is played");
    Playback::of(plan, ARRIVAL, Active::begin(Measures::default().of_model("playback-test"), ARRIVAL))
}

/// Writes down what comes, and when it was due.
#[derive(Default)]
struct Notes {
    due: Nanos,
    now: Nanos,
    lines: Vec<(Nanos, String)>,
    /// The line after which it is over.
    over_after: Option<&'static str>,
}

impl Stage for Notes {
    fn due(&mut self, due: Nanos) {
        assert!(due <= self.now, "due at {due}, given at {}", self.now);
        assert!(due >= self.due, "due at {due} after {}", self.due);
        self.due = due;
    }

    fn event(&mut self, event: &StreamEvent<'_>) {
        let line = match event {
            StreamEvent::Text { text, .. } => (*text).to_owned(),
            StreamEvent::Error { message, .. } => format!("error: {message}"),
            StreamEvent::Start { .. } => "start".to_owned(),
            StreamEvent::Finish { .. } => "finish".to_owned(),
            StreamEvent::Usage(_) => "usage".to_owned(),
            StreamEvent::End => "end".to_owned(),
            other => panic!("not planned: {other:?}"),
        };
        self.lines.push((self.due, line));
    }

    fn strike(&mut self, step: u32) {
        self.lines.push((self.due, format!("struck after {step}")));
    }

    fn is_over(&self) -> bool {
        self.over_after.is_some_and(|text| self.lines.iter().any(|(_, line)| line == text))
    }
}

/// Plays as a body does: looks at the clock first at `now`, then always just when it was told to.
fn played(verdict: Verdict, mut now: Nanos) -> (Vec<(Nanos, String)>, Ending, Nanos) {
    let mut playback = playback(verdict);
    assert_eq!(playback.before_head(), None);
    let mut notes = Notes::default();
    loop {
        notes.now = now;
        match playback.play(now, &mut notes) {
            Moment::Wait(due) => {
                assert!(due > now, "told at {now} to come back at {due}");
                now = due;
            }
            Moment::Done(ending) => return (notes.lines, ending, now),
        }
    }
}

/// The events of `tokens` tokens with their deadlines in milliseconds after the arrival.
fn expected(tokens: usize, due_ms: impl Fn(usize) -> u64) -> Vec<(Nanos, String)> {
    let at = |token: usize| ARRIVAL + due_ms(token) * MS;
    let mut lines = Vec::new();
    for (token, text) in TOKENS.iter().take(tokens).enumerate() {
        if token == 0 {
            lines.push((at(0), "start".to_owned()));
        }
        lines.push((at(token), (*text).to_owned()));
        if token + 1 == TOKENS.len() {
            lines.push((at(token), "finish".to_owned()));
        }
    }
    lines
}

fn usual_ms(token: usize) -> u64 {
    10 * (token as u64 + 1)
}

/// `lines` and the end, which belongs to the newest token.
fn ended(mut lines: Vec<(Nanos, String)>) -> Vec<(Nanos, String)> {
    let due = lines.last().map_or(0, |(due, _)| *due);
    lines.extend(["usage", "end"].map(|line| (due, line.to_owned())));
    lines
}

#[test]
fn each_token_comes_at_its_deadline_and_the_end_with_the_last() {
    let (lines, ending, now) = played(Verdict::Pass, ARRIVAL);
    assert_eq!(lines, ended(expected(10, usual_ms)));
    assert_eq!((ending, now), (Ending::Complete, ARRIVAL + 100 * MS));
}

#[test]
fn a_cut_comes_with_the_token_before_it() {
    for cut in [Cut::Reset, Cut::Close, Cut::End] {
        let (lines, ending, now) = played(Verdict::Cut(cut, Position::Token(4)), ARRIVAL);
        assert_eq!(lines, expected(4, usual_ms));
        assert_eq!((ending, now), (Ending::Cut(cut), ARRIVAL + 40 * MS));
    }
    let (lines, ending, now) = played(Verdict::Cut(Cut::Reset, Position::Token(0)), ARRIVAL);
    assert_eq!((lines, ending, now), (Vec::new(), Ending::Cut(Cut::Reset), ARRIVAL));
}

#[test]
fn a_stall_shifts_everything_after_it_and_nothing_before() {
    for place in 0..=10_u32 {
        let (lines, ending, now) = played(Verdict::Stall(500, Position::Token(place)), ARRIVAL);
        let shifted = |token: usize| usual_ms(token) + if token >= place as usize { 500 } else { 0 };
        assert_eq!(lines, ended(expected(10, shifted)), "token {place}");
        assert_eq!((ending, now), (Ending::Complete, ARRIVAL + 600 * MS), "token {place}");
    }
}

#[test]
fn a_stall_before_the_head_delays_the_head() {
    let mut playback = playback(Verdict::Stall(500, Position::Start));
    assert_eq!(playback.before_head(), None);
    assert_eq!(playback.head_due(), ARRIVAL + 510 * MS);
}

#[test]
fn an_interrupt_after_a_time_comes_at_that_time_exactly() {
    let (lines, ending, now) = played(Verdict::Cut(Cut::Close, Position::AfterMs(35)), ARRIVAL);
    assert_eq!((lines, ending, now), (expected(3, usual_ms), Ending::Cut(Cut::Close), ARRIVAL + 35 * MS));
    let (lines, ending, now) = played(Verdict::Stall(500, Position::AfterMs(35)), ARRIVAL);
    let shifted = |token: usize| usual_ms(token) + if token >= 3 { 500 } else { 0 };
    assert_eq!((lines, ending, now), (ended(expected(10, shifted)), Ending::Complete, ARRIVAL + 600 * MS));
    let (lines, ending, now) = played(Verdict::ErrorEvent("lost".to_owned(), Position::AfterMs(35)), ARRIVAL);
    let mut wanted = expected(3, usual_ms);
    wanted.push((ARRIVAL + 35 * MS, "error: lost".to_owned()));
    assert_eq!((lines, ending, now), (wanted, Ending::Complete, ARRIVAL + 35 * MS));
}

#[test]
fn a_reply_that_is_complete_before_its_interrupt_escapes_it() {
    for verdict in [
        Verdict::Cut(Cut::Reset, Position::AfterMs(101)),
        Verdict::Stall(500, Position::AfterMs(101)),
        Verdict::ErrorEvent("lost".to_owned(), Position::AfterMs(101)),
    ] {
        // Even for a player that first looks long afterwards.
        for first_look in [ARRIVAL, ARRIVAL + 1_000 * MS] {
            let (lines, ending, _) = played(verdict.clone(), first_look);
            assert_eq!((lines, ending), (ended(expected(10, usual_ms)), Ending::Complete), "{verdict:?}");
        }
    }
}

#[test]
fn damage_strikes_between_two_tokens_and_moves_nothing() {
    for (position, step) in [(Position::Token(4), 4), (Position::AfterMs(45), 4), (Position::Start, 0), (Position::Share(1.0), 9)]
    {
        let (lines, ending, now) = played(Verdict::Damage(Damage::DuplicateChunk, position), ARRIVAL);
        let (struck, rest): (Vec<_>, Vec<_>) = lines.into_iter().partition(|(_, line)| line.starts_with("struck"));
        assert_eq!(rest, ended(expected(10, usual_ms)), "{position:?}");
        assert_eq!(struck.into_iter().map(|(_, line)| line).collect::<Vec<_>>(), [format!("struck after {step}")]);
        assert_eq!((ending, now), (Ending::Complete, ARRIVAL + 100 * MS), "{position:?}");
    }
    // The head leaves with the first token, although the damage is there from the beginning.
    assert_eq!(playback(Verdict::Damage(Damage::MissingEnd, Position::Start)).head_due(), ARRIVAL + 10 * MS);
}

#[test]
fn a_stage_on_which_it_is_over_gets_nothing_more() {
    let mut playback = playback(Verdict::Damage(Damage::TruncatedJson, Position::Token(3)));
    let mut notes = Notes { now: Nanos::MAX, over_after: Some(TOKENS[3]), ..Notes::default() };
    assert_eq!(playback.play(Nanos::MAX, &mut notes), Moment::Done(Ending::Complete));
    let texts: Vec<_> = notes.lines.iter().map(|(_, line)| line.as_str()).filter(|line| TOKENS.contains(line)).collect();
    assert_eq!(texts, TOKENS[..4]);
    assert_eq!(notes.lines.last().map(|(_, line)| line.as_str()), Some(TOKENS[3]));
}

#[test]
fn a_playback_that_is_over_gives_nothing_more() {
    let mut playback = playback(Verdict::Cut(Cut::Reset, Position::Token(4)));
    let mut notes = Notes { now: Nanos::MAX, ..Notes::default() };
    assert_eq!(playback.play(Nanos::MAX, &mut notes), Moment::Done(Ending::Cut(Cut::Reset)));
    assert_eq!(notes.lines.len(), 5);
    assert_eq!(playback.play(Nanos::MAX, &mut notes), Moment::Done(Ending::Cut(Cut::Reset)));
    assert_eq!(notes.lines.len(), 5);
    assert_eq!(playback.progress(), (4, 10));
}

#[test]
fn a_whole_reply_is_due_when_its_last_event_would_be() {
    for (verdict, due_ms, ending) in [
        (Verdict::Pass, 100, Ending::Complete),
        (Verdict::Stall(500, Position::Share(0.5)), 600, Ending::Complete),
        (Verdict::Stall(500, Position::Share(1.0)), 600, Ending::Complete),
        (Verdict::Cut(Cut::Close, Position::Share(0.7)), 70, Ending::Cut(Cut::Close)),
        (Verdict::Cut(Cut::Close, Position::AfterMs(35)), 35, Ending::Cut(Cut::Close)),
    ] {
        let mut notes = Notes { now: Nanos::MAX, ..Notes::default() };
        let found = playback(verdict.clone()).play_whole(&mut notes);
        assert_eq!(found, (ARRIVAL + due_ms * MS, ending), "{verdict:?}");
        // Cut or not, the whole is there to be rendered.
        let texts: String = notes.lines.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, format!("start{}finishusageend", TOKENS.concat()), "{verdict:?}");
    }
}

fn verdict() -> impl Strategy<Value = Verdict> {
    let position = prop_oneof![
        (0_u32..12).prop_map(Position::Token),
        (0.0_f32..=1.0).prop_map(Position::Share),
        (0_u32..130).prop_map(Position::AfterMs),
    ];
    (0_u8..7, position, 0_u32..60).prop_map(|(kind, position, ms)| match kind {
        0 => Verdict::Pass,
        1 => Verdict::Cut(Cut::Reset, position),
        2 => Verdict::Cut(Cut::Close, position),
        3 => Verdict::Cut(Cut::End, position),
        4 => Verdict::Stall(ms, position),
        5 => Verdict::Damage(Damage::SwapChunks, position),
        _ => Verdict::ErrorEvent("lost".to_owned(), position),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// `Notes` itself refuses what comes early or out of order.
    #[test]
    fn the_times_of_looking_change_nothing_but_lateness(verdict in verdict(), looks in prop::collection::vec(0..40 * MS, 0..30)) {
        let (wanted, ending, _) = played(verdict.clone(), ARRIVAL);
        let mut playback = playback(verdict);
        prop_assert_eq!(playback.before_head(), None);
        let mut notes = Notes { now: ARRIVAL, ..Notes::default() };
        let mut moment = None;
        // At the end somebody looks long afterwards.
        for step in looks.into_iter().chain([10_000 * MS]) {
            notes.now += step;
            let now = notes.now;
            let found = playback.play(now, &mut notes);
            if let (Some(Moment::Wait(due)), Moment::Wait(next)) = (moment, found) {
                prop_assert!(next >= due);
            }
            moment = Some(found);
        }
        prop_assert_eq!(moment, Some(Moment::Done(ending)));
        prop_assert_eq!(notes.lines, wanted);
    }
}
