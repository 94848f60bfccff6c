//! One stage: its fields, and whether they go together.

use serde_json::{Value, json};

use super::Written;
use super::read::Reader;
use crate::scenario::BehaviorUse;
use crate::scenario::check::stations::{Known, time_ns};
use crate::scenario::check::{behaviors, fault_of_name};
use crate::station::pipeline::Role;
use crate::station::pipeline::route::{ReplyBy, Stage, StageRetry};
use crate::types::fields::Fields;
use crate::types::limits::{DELAY_US_MAX, PIPELINE_STAGES_MAX, STAGE_RETRIES_MAX};
use crate::types::problem::{Problem, did_you_mean};
use crate::types::quantity::{parse_duration_us, show_duration_us};

impl<'a> Reader<'a> {
    /// The stage `name` with the fields `value`, which lie at `pointer`.
    pub(super) fn stage(&mut self, name: &str, value: &Value, pointer: &str) -> Written {
        self.check_name(name, pointer);
        let mut fields = Fields::of(value, pointer);
        let index = self.made.route.stages.len() as u16;
        let takes = fields.value("takes").map(|value| self.takes(value, &fields.pointer("takes")));
        let way = [Role::Way, Role::Replicas, Role::Cache];
        let through = self.station(&mut fields, "through", &way);
        let guard = self.station(&mut fields, "guard", &[Role::Breaker]);
        let role = through.and_then(|station| station.role);
        let skip_waiting = fields.integer("unless-waiting", 1..=u64::from(u32::MAX)).map(|waiting| waiting as u32);
        if skip_waiting.is_some() && fields.value("through").is_none() {
            fields.problem("unless-waiting", "nobody waits here: the stage goes through no station");
        } else if let Some(station) = through.filter(|station| skip_waiting.is_some() && !station.has_queue) {
            let message = format!("nobody waits at `{}`, a cache or a link, so this never comes to pass", station.name);
            fields.problem("unless-waiting", message);
        }
        let stage = Stage {
            index,
            through: through.map(|station| station.station),
            guard: guard.map(|station| station.station),
            retry: self.retry(&mut fields),
            within_ns: time_ns(&mut fields, "within").unwrap_or(0),
            fails: fields.share("fails").unwrap_or(0.0),
            skip_waiting,
            writes: fields.flag("writes").unwrap_or(false),
            reply: self.reply(&mut fields, name, role),
            ..Stage::default()
        };
        if role == Some(Role::Replicas) {
            let reason = "a replica's steps are its time, and its queue is where it fails";
            for field in ["takes", "fails"] {
                if fields.value(field).is_some() {
                    let problem =
                        Problem::new(fields.pointer(field), format!("a stage through replicas has no `{field}`: {reason}"));
                    fields.extend(vec![problem.at_key().hint("put a stage with it before this one")]);
                }
            }
        }
        through.into_iter().for_each(|station| self.check_blocks(station, &mut fields));
        let fits = through.and_then(|station| station.tokens_max);
        let fits = fits.filter(|tokens| *tokens < u64::from(self.entry.context_window));
        let turns_away = fits.is_some() || through.is_some_and(|station| station.may_refuse);
        let may_fail =
            turns_away || stage.fails > 0.0 || stage.within_ns > 0 || stage.guard.is_some() || stage.skip_waiting.is_some();
        // What could not be read may be why it fails.
        let says = |name| value.get(name).is_some_and(|value| !value.is_null());
        let is_whole = through.is_some() || !says("through");
        if stage.retry.is_some() && !may_fail && is_whole && !["fails", "within", "guard", "unless-waiting"].into_iter().any(says)
        {
            let problem =
                Problem::new(fields.pointer("retry"), "this stage cannot fail, so there is nothing to try again").at_key();
            fields.extend(vec![problem.hint("say how it fails (`fails`, `within`, a `guard`), or leave `retry` out")]);
        }
        self.problems.extend(fields.finish());
        self.made.route.stages.push(name.to_owned());
        self.made.takes.push(takes.unwrap_or_default());
        Written { stage, may_fail, is_cache: role == Some(Role::Cache), fits }
    }

    fn check_name(&mut self, name: &str, pointer: &str) {
        if let Some(message) = fault_of_name(name) {
            self.problems.push(Problem::new(pointer, message).at_key());
        }
        if self.made.route.stages.iter().any(|other| other == name) {
            let message = format!("there is a stage `{name}` already, and metrics could not tell the two apart");
            self.problems.push(Problem::new(pointer, message).at_key().hint("give each stage of a pipeline a name of its own"));
        }
    }

    /// Notes replicas whose blocks are not those of others that the entry's requests may come to: a prompt is cut into blocks once, and
    /// hashes of blocks of another size would be found where nothing is equal.
    fn check_blocks(&mut self, station: &Known<'a>, fields: &mut Fields<'_>) {
        let Some(own) = station.prefix_block else { return };
        let (first, tokens) = *self.prefix_block.get_or_insert((station.name, own));
        if own != tokens {
            let message =
                format!("blocks of `{}` have {own} tokens and those of `{first}` {tokens}: prompts are cut once", station.name);
            let hint = "give both the same `block-tokens`, or one of them `prefix-cache: false`";
            fields.extend(vec![Problem::new(fields.pointer("through"), message).hint(hint)]);
        }
    }

    /// A duration, or a latency behaviour or a list of them.
    fn takes(&mut self, value: &Value, pointer: &str) -> Vec<BehaviorUse> {
        let is_duration = |text: &str| text.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first));
        let text = match value {
            Value::String(text) if is_duration(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            other => return behaviors::rules(other, pointer, true, &mut self.problems),
        };
        let parsed = if text == "0" { Ok(0) } else { parse_duration_us(&text) };
        match parsed {
            Err(message) => self.problems.push(Problem::new(pointer, message)),
            Ok(us) if us > DELAY_US_MAX => {
                let most = show_duration_us(DELAY_US_MAX);
                self.problems.push(Problem::new(pointer, format!("`{text}` is longer than {most}, the longest delay")));
            }
            Ok(us) => {
                let options = json!({ "first": show_duration_us(us) });
                let name = "constant".to_owned();
                return vec![BehaviorUse { name, options, when: None, fallback: None, pointer: pointer.to_owned() }];
            }
        }
        Vec::new()
    }

    /// The station that `field` names, if it can be what the field wants.
    fn station(&self, fields: &mut Fields<'_>, field: &'static str, wanted: &[Role]) -> Option<&'a Known<'a>> {
        let name = fields.text(field)?;
        let stations = self.entry.stations;
        let Some(station) = stations.iter().find(|station| station.name == name) else {
            let problem = Problem::new(fields.pointer(field), format!("there is no station `{name}`"));
            let near = did_you_mean(name, stations.iter().map(|station| station.name));
            fields.extend(vec![problem.hint(match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => "stations stand under `stations:`, beside `models:`".to_owned(),
            })]);
            return None;
        };
        let role = station.role?;
        if !wanted.contains(&role) {
            let (is, place) = match role {
                Role::Way | Role::Replicas => ("somewhere to go through", format!("write `through: {name}`")),
                Role::Cache => ("a cache", format!("write `through: {name}`")),
                Role::Breaker => ("a circuit breaker, which stages are behind", format!("write `guard: {name}`")),
                Role::RetryBudget => ("a budget for retries", format!("write `retry: {{ times: 2, budget: {name} }}`")),
            };
            let message = format!("`{name}` is {is}, and cannot stand under `{field}`");
            fields.extend(vec![Problem::new(fields.pointer(field), message).hint(place)]);
            return None;
        }
        Some(station)
    }

    fn retry(&self, outer: &mut Fields<'_>) -> Option<StageRetry> {
        let value = outer.value("retry")?;
        let mut fields = Fields::of(value, outer.pointer("retry"));
        fields.require("times");
        let times = fields.integer("times", 1..=u64::from(STAGE_RETRIES_MAX)).unwrap_or(1) as u8;
        let budget = self.station(&mut fields, "budget", &[Role::RetryBudget]).map(|station| station.station);
        outer.extend(fields.finish());
        Some(StageRetry { times, takes_from: 0, budget })
    }

    /// Who writes the reply here, if anybody does.
    fn reply(&mut self, fields: &mut Fields<'_>, name: &str, role: Option<Role>) -> Option<ReplyBy> {
        let said = fields.flag("reply");
        let text = fields.text("text");
        if let Some(text) = text {
            match role {
                Some(Role::Replicas) => fields.problem("text", "the replica writes the reply, so there is no room for a text"),
                Some(Role::Cache) => {
                    fields.problem("text", "a text here would be written whether the cache has the answer or not");
                }
                _ if said == Some(false) => fields.problem("reply", "a stage with a `text` answers with it"),
                _ if text.is_empty() => fields.problem("text", "expected a text, found an empty one"),
                _ => {}
            }
            self.made.texts.push(text.to_owned());
            return Some(ReplyBy::Prepared(self.made.texts.len() as u16 - 1));
        }
        match role {
            Some(Role::Replicas) => {
                if said == Some(false) {
                    fields.problem("reply", "a stage through replicas always writes the reply");
                }
                Some(ReplyBy::Replica)
            }
            Some(Role::Cache) => {
                if said == Some(true) {
                    fields.problem("reply", "a cache writes the reply only if it has it; put the stage that writes it behind");
                }
                None
            }
            _ => said.unwrap_or(name == "model").then_some(ReplyBy::Timing),
        }
    }
}

// Indices of stages and texts are 16 bits wide.
const _: () = assert!(PIPELINE_STAGES_MAX < u16::MAX as usize);
