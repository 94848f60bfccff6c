//! Plans requests of a decision log again and says whether the decisions are the same. No server, no waiting.
//!
//! A plan follows from the scenario, the seed, the request and a few facts. The log has the last three; the scenario is read anew. What
//! differs in spite of that is said first: a scenario that has been edited, another version of the program.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use crate::app::explain::Explanation;
use crate::app::workshop::Workshop;
use crate::app::{StartError, read};
use crate::clock::real::RealClock;
use crate::dialect::{self, Inbound};
use crate::engine::decisions::{FORMAT, scenario_digest};
use crate::plan::decision::{decision_of, is_failure};
use crate::plan::generation::Generation;
use crate::plan::identity::Identity;
use crate::plan::planner::{Facts, pick};
use crate::random::Draws;
use crate::scenario::{IncidentSet, Scenario};
use crate::station::{Cause, Refusal};
use crate::types::api_error::ApiError;
use crate::types::overrides::Overrides;
use crate::types::request::Request;

/// What to plan again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayOptions {
    /// The decision log.
    pub log: PathBuf,
    /// Which of its decisions.
    pub pick: Pick,
    /// The scenario's file; without one, the file that the log names.
    pub scenario: Option<PathBuf>,
}

/// Which decisions of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pick {
    /// Those with this id: of the reply, of the request, or its identity.
    Id(String),
    /// The first that refuses or breaks off a reply.
    FirstFailure,
    /// All of them.
    All,
}

/// Why a log cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The log cannot be read.
    #[error("cannot read `{}`: {error}", .file.display())]
    Unreadable {
        /// The log.
        file: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// It is no decision log, or one of another version.
    #[error("`{}:{line}`: {message}", .file.display())]
    Malformed {
        /// The log.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong and what to do.
        message: String,
    },
    /// No decision fits.
    #[error("`{}` has no decision {wanted}; it has {count}, `--all` replays them", .file.display())]
    NothingPicked {
        /// The log.
        file: PathBuf,
        /// What was asked for.
        wanted: String,
        /// How many decisions it has.
        count: usize,
    },
    /// The scenario cannot be used.
    #[error("{0}")]
    Start(#[from] StartError),
}

/// What came of it.
pub struct Replay {
    /// What is not as it was when the log was written, each as a sentence.
    pub notes: Vec<String>,
    /// The decisions that were picked, in the log's order.
    pub items: Vec<Item>,
    /// How many decisions the log has.
    pub count: usize,
}

/// One decision, planned again.
pub struct Item {
    /// The reply's id; the identity if the log has none.
    pub id: String,
    /// What is decided otherwise now; empty if nothing is.
    pub differences: Vec<Difference>,
    /// The plan of today; `None` if nothing could be planned, for a reason that `differences` gives, and for all of a whole log.
    pub explanation: Option<Explanation>,
}

/// Something that is decided otherwise now.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// What, by its name in the log.
    pub what: String,
    /// What the log says.
    pub logged: Value,
    /// What comes out now.
    pub now: Value,
}

impl Replay {
    /// Were all decisions the same?
    pub fn is_same(&self) -> bool {
        self.items.iter().all(|item| item.differences.is_empty())
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let difference = |found: &Difference| json!({"what": found.what, "logged": found.logged, "now": found.now});
        let item = |item: &Item| {
            json!({
                "id": item.id,
                "same": item.differences.is_empty(),
                "differences": item.differences.iter().map(difference).collect::<Vec<_>>(),
                "plan": item.explanation.as_ref().map(Explanation::json),
            })
        };
        json!({"same": self.is_same(), "notes": self.notes, "decisions": self.items.iter().map(item).collect::<Vec<_>>()})
    }
}

/// Plans the decisions that `options` pick again, one after the other as the log is read.
pub fn replay(options: &ReplayOptions) -> Result<Replay, ReplayError> {
    let mut stage = Stage {
        options,
        epoch_unix_s: 0,
        logged: BTreeMap::new(),
        built: HashMap::new(),
        replay: Replay { notes: Vec::new(), items: Vec::new(), count: 0 },
    };
    stage.read()?;
    let Stage { replay, .. } = stage;
    let wanted = match &options.pick {
        Pick::Id(id) => format!("with the id `{id}`"),
        Pick::FirstFailure => "that fails".to_owned(),
        Pick::All => return Ok(replay),
    };
    if replay.items.is_empty() {
        return Err(ReplayError::NothingPicked { file: options.log.clone(), wanted, count: replay.count });
    }
    Ok(replay)
}

fn has_id(line: &Value, id: &str) -> bool {
    [&line["id"], &line["request_id"], &line["request"]["identity"]].iter().any(|known| *known == id)
}

/// Where decisions are made again.
struct Stage<'a> {
    options: &'a ReplayOptions,
    /// When the run began.
    epoch_unix_s: u64,
    /// What the log says of each generation, by number.
    logged: BTreeMap<u64, Value>,
    /// Generations by the number that the log gives them.
    built: HashMap<u64, Arc<Generation>>,
    replay: Replay,
}

impl Stage<'_> {
    fn read(&mut self) -> Result<(), ReplayError> {
        let file = &self.options.log;
        let unreadable = |error| ReplayError::Unreadable { file: file.clone(), error };
        let mut lines = BufReader::new(File::open(file).map_err(unreadable)?).split(b'\n').enumerate();
        let first = lines.next().map(|(_, line)| line).transpose().map_err(unreadable)?.unwrap_or_default();
        self.begin(&serde_json::from_slice(&first).unwrap_or_default())?;
        let mut ended = false;
        while let Some((index, line)) = lines.next() {
            let line = line.map_err(unreadable)?;
            match serde_json::from_slice::<Value>(&line) {
                Ok(line) if line["decision"].is_object() => self.decision(index + 1, &line)?,
                Ok(line) if line["generation"].is_object() => self.add_generation(&line["generation"]),
                Ok(line) if line["end"].is_object() => {
                    ended = true;
                    if let Some(dropped) = line["end"]["dropped"].as_u64().filter(|dropped| *dropped > 0) {
                        self.note(format!("the log lacks {dropped} decisions that were dropped while it was written"));
                    }
                }
                // A server that was killed leaves half a line.
                Err(_) if lines.next().is_none() => {}
                _ => return Err(self.malformed(index + 1, "this line is neither a decision nor a generation nor the end")),
            }
        }
        if !ended {
            self.note("the log has no closing line: it is still being written, or its server was killed".to_owned());
        }
        Ok(())
    }

    /// Takes the first line.
    fn begin(&mut self, first: &Value) -> Result<(), ReplayError> {
        match first["simwright_decisions"].as_u64() {
            Some(FORMAT) => {}
            Some(_) => return Err(self.malformed(1, "this log is of another format; use the version of simwright that wrote it")),
            None => return Err(self.malformed(1, "this is no decision log; `simwright serve --decisions FILE` writes one")),
        }
        self.epoch_unix_s = first["epoch_unix_s"].as_u64().unwrap_or_default();
        self.add_generation(&first["generation"]);
        if first["version"] != env!("CARGO_PKG_VERSION") {
            let wrote = first["version"].as_str().unwrap_or("another version");
            self.note(format!("the log was written by simwright {wrote}, and this is {}", env!("CARGO_PKG_VERSION")));
        }
        Ok(())
    }

    fn malformed(&self, line: usize, message: &str) -> ReplayError {
        ReplayError::Malformed { file: self.options.log.clone(), line, message: message.to_owned() }
    }

    fn note(&mut self, note: String) {
        self.replay.notes.push(note);
    }

    fn add_generation(&mut self, generation: &Value) {
        if let Some(number) = generation["number"].as_u64() {
            self.logged.insert(number, generation.clone());
        }
    }

    /// Takes a decision, and makes it again if it is picked.
    fn decision(&mut self, number: usize, line: &Value) -> Result<(), ReplayError> {
        self.replay.count += 1;
        let picked = match &self.options.pick {
            Pick::All => true,
            Pick::FirstFailure => self.replay.items.is_empty() && is_failure(&line["decision"]),
            Pick::Id(id) => has_id(line, id),
        };
        if picked {
            let mut item = self.item(number, line)?;
            // Of a whole log only the differences are of interest; its plans might not fit into memory.
            item.explanation.take_if(|_| self.options.pick == Pick::All);
            self.replay.items.push(item);
        }
        Ok(())
    }

    fn item(&mut self, number: usize, line: &Value) -> Result<Item, ReplayError> {
        let id = line["id"].as_str().or(line["request"]["identity"].as_str()).unwrap_or_default().to_owned();
        let generation = match line["generation"].as_u64().filter(|generation| self.logged.contains_key(generation)) {
            Some(generation) => self.generation(generation)?,
            None => return Err(self.malformed(number, "no line before this one describes the generation that answered")),
        };
        let impossible = |what: &str, logged: Value, now: String| {
            let differences = vec![Difference { what: what.to_owned(), logged, now: now.into() }];
            Item { id: id.clone(), differences, explanation: None }
        };
        let request = match request_of(line, &generation.scenario) {
            Ok(request) => request,
            Err(message) => return Ok(impossible("request", line["request"]["body_bytes"].clone(), message)),
        };
        let facts = facts_of(line, &generation.scenario);
        let Some(model) = pick(&generation, &request, &facts, None, |_| facts.number) else {
            return Ok(impossible(
                "entry",
                line["decision"]["entry"].clone(),
                format!("no entry answers for `{}`", request.model),
            ));
        };
        let explanation = Explanation::of(&generation, model, &Arc::new(request), &facts, &Draws::default());
        let content = |content: u64| Value::from(format!("{content:016x}"));
        let mut differences = Vec::new();
        let asked = explanation.content();
        if facts.identity.content != asked {
            let (logged, now) = (content(facts.identity.content), content(asked));
            differences.push(Difference { what: "content".to_owned(), logged, now });
        }
        compare(&line["decision"], &decision_of(explanation.plan()), &mut differences);
        Ok(Item { id, differences, explanation: Some(explanation) })
    }

    /// The generation that the log calls `number`, built from today's files.
    fn generation(&mut self, number: u64) -> Result<Arc<Generation>, ReplayError> {
        if let Some(built) = self.built.get(&number) {
            return Ok(Arc::clone(built));
        }
        let logged = self.logged.get(&number).cloned().unwrap_or_default();
        let file = self.options.scenario.clone().or_else(|| logged["scenario"]["file"].as_str().map(PathBuf::from));
        let draft = read(file.as_deref()).map_err(StartError::from)?;
        let seed = logged["seed"].as_u64();
        let shown = file.as_ref().map_or("the built-in scenario".to_owned(), |file| format!("`{}`", file.display()));
        if let (Some(of_run), Some(of_file)) = (seed, draft.scenario.seed.filter(|of_file| Some(*of_file) != seed)) {
            self.note(format!("the run's seed was {of_run}, which is used here; {shown} has {of_file}"));
        }
        let workshop = Workshop::open(RealClock::of_run(self.epoch_unix_s), seed, 1)?;
        let generation = Arc::new(workshop.build(draft, number).map_err(StartError::from)?);
        let now = scenario_digest(&generation);
        if logged["scenario"]["digest"] != now.as_str() {
            let was = logged["scenario"]["digest"].as_str().unwrap_or("unknown");
            self.note(format!("{shown} is not what generation {number} was built from: digest {now}, was {was}"));
        }
        self.built.insert(number, Arc::clone(&generation));
        Ok(generation)
    }
}

/// The request as it came. The error says why it is not there.
fn request_of(line: &Value, scenario: &Scenario) -> Result<Request, String> {
    let asked = &line["request"];
    let body = match (asked["body"].as_str(), asked["body_base64"].as_str()) {
        (Some(text), _) => Bytes::copy_from_slice(text.as_bytes()),
        (None, Some(coded)) => STANDARD.decode(coded).map_err(|error| format!("its body is not base64: {error}"))?.into(),
        (None, None) => return Err("its body was too large to be kept, so it cannot be planned again".to_owned()),
    };
    let name = line["endpoint"].as_str().unwrap_or_default();
    let endpoint = dialect::named(name).ok_or_else(|| format!("this program does not know the endpoint `{name}`"))?;
    let mut headers = HeaderMap::new();
    // Overrides stand apart, because headers whose names speak of tokens are not written down with the others.
    for (name, value) in ["headers", "overrides"].iter().filter_map(|place| asked[*place].as_object()).flatten() {
        let value = value.as_str().and_then(|value| HeaderValue::from_str(value).ok());
        if let (Ok(name), Some(value)) = (HeaderName::from_bytes(name.as_bytes()), value) {
            headers.insert(name, value);
        }
    }
    let target = asked["target"].as_str().unwrap_or_default();
    let refused = |error: ApiError| format!("it is refused with {}: {}", error.status, error.message);
    let overrides = if asked["overrides"].is_object() { Overrides::read(&headers).map_err(refused)? } else { None };
    let parsed = endpoint.parse(Inbound { target, headers, body, routes: &scenario.routes, ..Inbound::default() });
    let parsed = parsed.map_err(refused)?;
    match parsed.voice.goes_on_from() {
        [] => Ok(Request { overrides, ..parsed.request }),
        _ => Err("it goes on from an earlier reply, which the log does not hold, so it cannot be planned again".to_owned()),
    }
}

/// The facts that `line` tells. Phases and incidents that `scenario` has no more are left out.
fn facts_of(line: &Value, scenario: &Scenario) -> Facts {
    let hex = |value: &Value| value.as_str().and_then(|text| u64::from_str_radix(text, 16).ok()).unwrap_or_default();
    let small = |value: &Value| value.as_u64().and_then(|number| u32::try_from(number).ok()).unwrap_or_default();
    let (asked, facts) = (&line["request"], &line["facts"]);
    let identity = Identity {
        content: hex(&asked["content"]),
        identity: hex(&asked["identity"]),
        attempt: small(&asked["attempt"]),
        occurrence: small(&asked["occurrence"]),
    };
    let phases = scenario.phases.as_ref().map_or(&[][..], |phases| &phases.line);
    let phase = phases.iter().position(|phase| facts["phase"] == *phase.name);
    let applied = facts["incidents"].as_array().into_iter().flatten();
    let incidents = applied.filter_map(|name| scenario.incidents.iter().position(|incident| *name == *incident.name));
    Facts {
        identity,
        attempt: small(&facts["attempt"]),
        number: facts["number"].as_u64().unwrap_or_default(),
        now: facts["now_ns"].as_u64().unwrap_or_default(),
        phase,
        incidents: incidents.fold(IncidentSet::default(), IncidentSet::with),
        input_tokens: small(&facts["input_tokens"]),
        running: small(&facts["running"]),
        waiting: small(&facts["waiting"]),
        output_tokens: None,
        tier: scenario.tiers.iter().position(|tier| facts["tier"] == *tier.name),
        refused: refusal_of(&facts["refused"]),
    }
}

/// Why a station turned the request away, if one did.
fn refusal_of(refused: &Value) -> Option<Refusal> {
    let cause = Cause::ALL.into_iter().find(|cause| refused["cause"] == cause.name())?;
    Some(Refusal { cause, retry_after_ns: refused["retry_after_ns"].as_u64().unwrap_or_default() })
}

/// Notes every field in which two decisions differ.
fn compare(logged: &Value, now: &Value, differences: &mut Vec<Difference>) {
    let (Some(logged), Some(now)) = (logged.as_object(), now.as_object()) else { return };
    let added = now.keys().filter(|name| !logged.contains_key(*name));
    for what in logged.keys().chain(added) {
        let get = |map: &serde_json::Map<String, Value>| map.get(what).cloned().unwrap_or_default();
        let (logged, now) = (get(logged), get(now));
        if logged != now {
            differences.push(Difference { what: what.clone(), logged, now });
        }
    }
}
