//! The way of one request through its model's pipeline, on stations where nobody else is: what `explain` shows of it.
//!
//! Plugins that choose between replicas are asked as a server would ask them. Each is wrapped into one that writes down what it said.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::clock::Nanos;
use crate::plan::Plan;
use crate::plan::planner::Facts;
use crate::plan::work::{Caller, work_of};
use crate::scenario::Scenario;
use crate::station::balancer::chooser::{Choice, Chooser, Question};
use crate::station::pipeline::route::{ReplyBy, Stage, Step};
use crate::station::pipeline::{Happened, Mark, Settings, Site, What, Work};
use crate::station::{Refusal, Unanswered, Visitor};
use crate::types::request::Request;

/// What happened on the way.
pub(super) struct Way {
    stages: Vec<Passed>,
    /// For each route the way that is gone, from 1, and how many there are.
    choices: Vec<(u8, usize)>,
    /// Who wrote the reply, and when it began.
    pub reply: Option<(ReplyBy, Nanos)>,
    /// The station whose replica wrote it.
    pub written_by: Option<String>,
    /// When each of the tokens that a replica wrote left.
    pub tokens: Vec<Nanos>,
    end: Nanos,
    /// Why it was turned away, if it was.
    pub refused: Option<Refusal>,
}

/// One visit to a stage.
struct Passed {
    name: String,
    station: Option<String>,
    mark: Mark,
    /// What the plan says that the stage takes.
    takes_ns: Nanos,
    /// The share of attempts that fail, and what was drawn for this one.
    fails: Option<(f64, f64)>,
    /// The replica at which it was, of a station that may have several.
    replica: Option<u32>,
    /// The plugin that was asked to choose it, and what it said.
    chosen: Option<(String, Said)>,
}

/// What a plugin said that was asked to choose, or why it said nothing.
type Said = Result<Choice, String>;

/// What plugins said: the station, when, and what.
type Notes = Arc<Mutex<Vec<(usize, Nanos, Said)>>>;

/// Asks the plugin of a station, and writes down what it says.
struct Noting {
    station: usize,
    asked: Arc<dyn Chooser>,
    notes: Notes,
}

impl Chooser for Noting {
    fn pick(&self, question: &Question<'_>) -> Result<Choice, Unanswered> {
        let picked = self.asked.pick(question);
        let said = picked.as_ref().copied().map_err(ToString::to_string);
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).push((self.station, question.now, said));
        picked
    }
}

/// Lets the choosers of `work` write down what they say.
fn noted(work: &mut Work) -> Notes {
    let notes = Notes::default();
    if let Some(asker) = &mut work.asker {
        let noting = |(station, asked): (usize, &Option<Arc<dyn Chooser>>)| {
            let (asked, notes) = (Arc::clone(asked.as_ref()?), Arc::clone(&notes));
            Some(Arc::new(Noting { station, asked, notes }) as Arc<dyn Chooser>)
        };
        asker.choosers = asker.choosers.iter().enumerate().map(noting).collect();
    }
    notes
}

impl Way {
    /// The way of `plan` for `request`, of which `facts` are known; `None` if its model has no pipeline.
    pub(super) fn of(plan: &Plan, request: &Arc<Request>, facts: &Facts) -> Option<Self> {
        let scenario = &plan.generation.scenario;
        let pipeline = scenario.models[plan.model].pipeline.as_ref()?;
        let mut site = plan.generation.site(true)?;
        let mut work = work_of(plan, Caller::of(&plan.generation, plan.model, request, facts));
        let notes = noted(&mut work);
        let (happened, tokens) = walk(&mut site, work.clone());
        let find = |find: fn(&What) -> bool| happened.iter().find(|happened| find(&happened.what));
        let reply = find(|what| matches!(what, What::Begun(_) | What::FirstToken)).map(|happened| match happened.what {
            What::Begun(by) => (by, happened.at),
            _ => (ReplyBy::Replica, happened.at),
        });
        let (end, outcome) = site.end_of(VISIT).unwrap_or((site.now(), Ok(())));
        let stage_at = |index: u16| -> Option<&Stage> {
            let stages = pipeline.route.steps.iter();
            stages
                .filter_map(|step| if let Step::Stage(stage) = step { Some(stage) } else { None })
                .find(|stage| stage.index == index)
        };
        let mut stages: Vec<Passed> = Vec::new();
        for mark in site.marks(VISIT) {
            let stage = stage_at(mark.stage);
            let tries = stages.iter().filter(|passed| passed.mark.stage == mark.stage).count() as u64;
            let draw = |_: &&Stage| work.draws.named("fail").with(u64::from(mark.stage)).with(tries).unit();
            let fails = stage.filter(|stage| stage.fails > 0.0).map(|stage| (stage.fails, draw(&stage)));
            let station = stage.and_then(|stage| stage.through).map(usize::from);
            let name = pipeline.route.stages[usize::from(mark.stage)].clone();
            stages.push(Passed {
                name,
                station: station.map(|station| scenario.stations[station].name.clone()),
                replica: station.filter(|station| has_several(scenario, *station)).map(|_| mark.member),
                chosen: station.and_then(|station| chosen(scenario, station, mark, &notes)),
                mark: *mark,
                takes_ns: stage.map_or(0, |stage| work.takes(stage, tries as u8)),
                fails,
            });
        }
        stages.sort_by_key(|passed| passed.mark.entered);
        let is_writer = |passed: &&Passed| stage_at(passed.mark.stage).is_some_and(|stage| stage.reply == Some(ReplyBy::Replica));
        let writer = stages.iter().rev().filter(is_writer).find(|passed| passed.mark.passed);
        let written_by = writer.filter(|_| !tokens.is_empty()).and_then(|passed| passed.station.clone());
        let choices = plan.choices.iter().zip(&pipeline.switches).map(|(way, ways)| (way + 1, ways.len())).collect();
        Some(Self { stages, choices, reply, written_by, tokens, end, refused: outcome.err() })
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let stages = self.stages.iter().map(|passed| {
            json!({
                "stage": passed.name,
                "station": passed.station,
                "entered_ms": ms(passed.mark.entered),
                "begun_ms": passed.mark.begun.map(ms),
                "left_ms": ms(passed.mark.left),
                "takes_ms": ms(passed.takes_ns),
                "passed": passed.mark.passed,
                "fail_draw": passed.fails.map(|(_, drawn)| drawn),
                "replica": passed.replica,
                "chosen": passed.chosen.as_ref().map(|(by, said)| chosen_json(by, said)),
            })
        });
        json!({
            "stages": stages.collect::<Vec<_>>(),
            "choices": self.choices.iter().map(|(way, _)| way).collect::<Vec<_>>(),
            "reply_ms": self.reply.map(|(_, at)| ms(at)),
            "end_ms": ms(self.end),
            "refused": self.refused.map(|refusal| refusal.cause.name()),
        })
    }

    /// For people: a line for each stage with the times at which it was entered and left.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if !self.choices.is_empty() {
            let ways: Vec<String> = self.choices.iter().map(|(way, of)| format!("way {way} of {of}")).collect();
            lines.push(format!("routes     {}", ways.join(", ")));
        }
        lines.push(format!("\n{:>13}  {:>13}  stage, with nobody else on the way", "at", "until"));
        for Passed { name, station, mark, fails, replica, chosen, .. } in &self.stages {
            let through = station.as_ref().map_or(String::new(), |station| format!(" through {station}"));
            let refused = chosen.as_ref().is_some_and(|(_, said)| matches!(said, Ok(Choice::Refuse(_))));
            let at = replica.filter(|_| !refused).map_or(String::new(), |replica| format!(", at replica {replica}"));
            let chosen = chosen.as_ref().map_or(String::new(), |(by, said)| format!(", {}", chosen_words(by, said)));
            let through = format!("{through}{at}{chosen}");
            let drawn = fails.map_or(String::new(), |(share, drawn)| format!(", {drawn:.6} drawn at a failure rate of {share}"));
            let outcome = if mark.passed { "" } else { ", failed" };
            lines.push(format!("{:>10.1} ms  {:>10.1} ms  {name}{through}{outcome}{drawn}", ms(mark.entered), ms(mark.left)));
        }
        if let Some(refusal) = self.refused {
            lines.push(format!("{:>13}  {:>10.1} ms  turned away: {}", "", ms(self.end), refusal.cause.name()));
        }
        lines
    }
}

/// May there be several replicas at `station`?
fn has_several(scenario: &Scenario, station: usize) -> bool {
    matches!(&scenario.stations[station].settings, Settings::Replicas(group) if group.most() > 1)
}

/// The plugin that was asked when the visit of `mark` came to `station`, and what it said. Each note is used once.
fn chosen(scenario: &Scenario, station: usize, mark: &Mark, notes: &Notes) -> Option<(String, Said)> {
    let name = scenario.stations[station].chooser.as_ref()?.name.clone();
    let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
    let index = notes.iter().position(|(at_station, at, _)| (*at_station, *at) == (station, mark.entered))?;
    Some((name, notes.remove(index).2))
}

fn chosen_json(by: &str, said: &Said) -> Value {
    match said {
        Ok(Choice::Backend(place)) => json!({ "by": by, "said": "backend", "backend": place }),
        Ok(Choice::Any) => json!({ "by": by, "said": "any" }),
        Ok(Choice::Refuse(retry_after_ns)) => json!({ "by": by, "said": "refuse", "retry_after_ms": ms(*retry_after_ns) }),
        Err(error) => json!({ "by": by, "said": null, "error": error }),
    }
}

fn chosen_words(by: &str, said: &Said) -> String {
    match said {
        Ok(Choice::Backend(_)) => format!("which `{by}` chose"),
        Ok(Choice::Any) => format!("by the station's rule, because `{by}` has no wish"),
        Ok(Choice::Refuse(_)) => format!("which `{by}` refused to send anywhere"),
        Err(error) => format!("by the station's rule, because `{by}` gave no answer: {error}"),
    }
}

/// The first visit of a site.
const VISIT: Visitor = 0;

/// Walks `work` to its end. Gives what happened, and when the tokens that a replica wrote left.
fn walk(site: &mut Site, work: Work) -> (Vec<Happened>, Vec<Nanos>) {
    let count = work.output_tokens.max(1) as usize;
    let (mut happened, mut tokens) = (Vec::new(), Vec::new());
    site.enter(0, work, &mut happened);
    while let Some(next) = site.next_at() {
        let now = site.now();
        // Within a replica's jump each step is looked at, because a token leaves at its end.
        let at = site.look_again(VISIT).filter(|at| *at > now).map_or(next, |at| at.min(next));
        site.advance(at, &mut happened);
        while tokens.len() < count
            && let Some(left) = site.token_at(at, VISIT, tokens.len() as u32, &mut happened)
        {
            tokens.push(left);
        }
        // With the last token the visit goes on to its next stage.
        let written = happened.iter().find(|happened| happened.what == What::Written).map(|happened| happened.at);
        if let Some(written) = written.filter(|_| happened.iter().any(|happened| happened.what == What::FirstToken)) {
            tokens.resize(count, written);
        }
    }
    (happened, tokens)
}

fn ms(ns: Nanos) -> f64 {
    ns as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::build::testing::generation;
    use crate::plan::identity::Identity;
    use crate::plan::planner::plan;
    use crate::types::request::testing::request;

    fn way(stages: &str) -> Option<Way> {
        let generation = generation(
            &format!(
                "simwright: 1\nstations:\n  db: {{ pool: {{ size: 1 }} }}\n  gpu: {{ replicas: {{ kv-blocks: 9_000, step: {{ base: 2ms }} }} }}\n\
                 models:\n  - match: a\n    latency: {{ constant: {{ first: 10ms, between: 1ms }} }}\n    reply: {{ fixed: {{ text: one two three }} }}\n\
                 \x20   {stages}\n"
            ),
            |_| {},
        );
        let facts = Facts { input_tokens: 5, ..Facts::first(Identity { content: 1, identity: 2, attempt: 0, occurrence: 0 }) };
        let request = Arc::new(request("x"));
        Way::of(&plan(&generation, 0, &request, &facts), &request, &facts)
    }

    fn stages(way: &Way) -> Vec<(&str, Option<&str>, f64, f64, bool)> {
        let line = |passed: &'_ Passed| (ms(passed.mark.entered), ms(passed.mark.left), passed.mark.passed);
        let named = way.stages.iter().map(|passed| (passed.name.as_str(), passed.station.as_deref(), line(passed)));
        named.map(|(name, station, (entered, left, passed))| (name, station, entered, left, passed)).collect()
    }

    #[test]
    fn a_latency_model_times_the_reply_where_the_stage_says_so() {
        assert!(way("").is_none());
        let way =
            way("pipeline: [{ look: { takes: 3ms, through: db } }, { model: {} }, { log: { takes: 1ms } }]").expect("a way");
        let expected = [("look", Some("db"), 0.0, 3.0, true), ("model", None, 3.0, 15.0, true), ("log", None, 15.0, 16.0, true)];
        assert_eq!(stages(&way), expected);
        assert_eq!((way.reply, way.end), (Some((ReplyBy::Timing, 3_000_000)), 16_000_000));
    }

    #[test]
    fn every_token_of_a_replica_leaves_at_the_end_of_its_step() {
        let way =
            way("pipeline: [{ look: { takes: 3ms } }, { model: { through: gpu } }, { log: { takes: 1ms } }]").expect("a way");
        assert_eq!(way.tokens, [5_000_000, 7_000_000, 9_000_000]);
        assert_eq!((way.written_by.as_deref(), way.end), (Some("gpu"), 10_000_000));
    }

    #[test]
    fn a_request_that_is_turned_away_has_no_reply() {
        let way = way("pipeline: [{ check: { takes: 3ms, fails: 100%, retry: { times: 1 } } }, model]").expect("a way");
        assert_eq!(stages(&way), [("check", None, 0.0, 3.0, false), ("check", None, 3.0, 6.0, false)]);
        assert_eq!((way.reply, way.refused.map(|refusal| refusal.cause.name())), (None, Some("stage-failed")));
        assert!(way.lines().last().expect("lines").ends_with("turned away: stage-failed"), "{:?}", way.lines());
        let json = way.json();
        assert_eq!((&json["refused"], &json["stages"][1]["left_ms"]), (&json!("stage-failed"), &json!(6.0)));
    }
}
