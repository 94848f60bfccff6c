//! The sides that are compared: Simwright's plugin host, and Extism with a plugin that speaks JSON or bytes. Each takes the same calls and
//! gives the same values, those of Simwright's behaviours.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, ensure};
use extism::convert::Json;
use extism::{Plugin, PluginBuilder};
use simwright::behavior::call::Call;
use simwright::behavior::catalog::{Catalog, Setting};
use simwright::behavior::fault::{Fault, HttpError, Verdict};
use simwright::behavior::latency::{Delay, Latency, Pause, Schedule};
use simwright::behavior::responder::{Answer, Generate, Item, Responder};
use simwright::types::reply::Finish;
use simwright::wasm::{Compiler, LoadSpec, Meter, PluginHost, PluginHostConfig};

use crate::words::{self, Ask};

/// The three decisions about a request.
pub trait Side {
    fn decide(&mut self, call: &Call<'_>) -> Result<Verdict>;
    fn respond(&mut self, call: &Call<'_>, choices: u32) -> Result<Vec<Answer>>;
    fn plan(&mut self, call: &Call<'_>, output_tokens: u32) -> Result<Schedule>;
}

/// Simwright's plugin host, as the server calls it: with its limits of time and memory, and every answer judged.
pub struct Simwright {
    /// Its thread tells the time to whoever is called.
    _host: PluginHost,
    fault: Arc<dyn Fault>,
    responder: Arc<dyn Responder>,
    latency: Arc<dyn Latency>,
}

impl Simwright {
    /// The component in this file, with its defaults.
    pub fn load(component: &Path) -> Result<Self> {
        let bytes = std::fs::read(component).with_context(|| format!("cannot read `{}`", component.display()))?;
        let config = PluginHostConfig { cache_dir: None, workers: 1, meter: Meter::Cpu, compiler: Compiler::InProcess };
        let mut catalog = Catalog::default();
        let host = PluginHost::new(config)?;
        host.load(LoadSpec::new("decisions", &bytes))?.register(&mut catalog);
        simwright::worker::enter(0);
        let (options, setting) = (serde_json::json!({}), Setting::default());
        let refused = |problems| anyhow!("{problems:?}");
        Ok(Self {
            _host: host,
            fault: catalog.fault["decisions"].make(&options, &setting).map_err(refused)?,
            responder: catalog.responder["decisions"].make(&options, &setting).map_err(refused)?,
            latency: catalog.latency["decisions"].make(&options, &setting).map_err(refused)?,
        })
    }
}

impl Side for Simwright {
    fn decide(&mut self, call: &Call<'_>) -> Result<Verdict> {
        Ok(self.fault.decide(call)?)
    }

    fn respond(&mut self, call: &Call<'_>, choices: u32) -> Result<Vec<Answer>> {
        Ok(self.responder.respond(call, choices)?)
    }

    fn plan(&mut self, call: &Call<'_>, output_tokens: u32) -> Result<Schedule> {
        Ok(self.latency.plan(call, output_tokens)?)
    }
}

/// The plugin in this file, without WASI, without limits of time and memory, and with answers that nobody judges: the least that Extism
/// does.
pub fn extism(module: &Path) -> Result<Plugin> {
    let bytes = std::fs::read(module).with_context(|| format!("cannot read `{}`", module.display()))?;
    PluginBuilder::new(bytes).with_wasi(false).with_cache_disabled().build()
}

/// Extism with JSON.
pub struct ExtismJson(pub Plugin);

impl Side for ExtismJson {
    fn decide(&mut self, call: &Call<'_>) -> Result<Verdict> {
        let Json(verdict) = self.0.call::<_, Json<words::Verdict>>("decide", Json(ask(call, 0)))?;
        Ok(match verdict {
            words::Verdict::Pass => Verdict::Pass,
            words::Verdict::Error(error) => Verdict::Error(HttpError {
                status: error.status,
                retry_after_ms: error.retry_after_ms,
                message: error.message,
                code: error.code,
                ..HttpError::default()
            }),
        })
    }

    fn respond(&mut self, call: &Call<'_>, choices: u32) -> Result<Vec<Answer>> {
        let Json(answers) = self.0.call::<_, Json<Vec<words::Answer>>>("respond", Json(ask(call, choices)))?;
        Ok(answers.into_iter().map(answer).collect())
    }

    fn plan(&mut self, call: &Call<'_>, output_tokens: u32) -> Result<Schedule> {
        let Json(schedule) = self.0.call::<_, Json<words::Schedule>>("plan", Json(ask(call, output_tokens)))?;
        let pauses = schedule.pauses.iter().map(|pause| Pause { after_token: pause.after_token, us: pause.us });
        Ok(Schedule { pauses: pauses.collect(), ..steady(us(&schedule.first), us(&schedule.between)) })
    }
}

/// Extism with bytes.
pub struct ExtismBytes(pub Plugin);

impl Side for ExtismBytes {
    fn decide(&mut self, call: &Call<'_>) -> Result<Verdict> {
        let said = self.0.call::<_, &[u8]>("decide_bytes", ask(call, 0).to_bytes().as_slice())?;
        if said.is_empty() {
            return Ok(Verdict::Pass);
        }
        let wait_ms = words::number(said, 0).context("too short a verdict")?;
        Ok(Verdict::Error(HttpError { status: 429, retry_after_ms: Some(wait_ms), ..HttpError::default() }))
    }

    fn respond(&mut self, call: &Call<'_>, choices: u32) -> Result<Vec<Answer>> {
        let said = self.0.call::<_, &[u8]>("respond_bytes", ask(call, choices).to_bytes().as_slice())?;
        let tokens = words::number(said, 0).context("too short an answer")?;
        let text = Item::Text(std::str::from_utf8(&said[4..])?.to_owned());
        let items = vec![text, Item::Generate(Generate { tokens, style: String::new() })];
        Ok(vec![Answer { items, finish: Finish::Stop }])
    }

    fn plan(&mut self, call: &Call<'_>, output_tokens: u32) -> Result<Schedule> {
        let said = self.0.call::<_, &[u8]>("plan_bytes", ask(call, output_tokens).to_bytes().as_slice())?;
        let us = |place| words::number(said, place).context("too short a schedule");
        Ok(steady(us(0)?, us(4)?))
    }
}

/// A call that says and asks nothing.
pub fn nothing(plugin: &mut Plugin) -> Result<()> {
    let said = plugin.call::<&[u8], &[u8]>("nothing", &[])?;
    ensure!(said.is_empty(), "`nothing` said something");
    Ok(())
}

/// The JSON of the host's side of a call, without the call: the ask is written, `answer` is read.
pub fn json_alone<T: serde::de::DeserializeOwned>(call: &Call<'_>, answer: &[u8]) -> Result<(Vec<u8>, T)> {
    Ok((serde_json::to_vec(&ask(call, 0))?, serde_json::from_slice(answer)?))
}

fn ask(call: &Call<'_>, number: u32) -> Ask {
    Ask {
        identity: call.identity,
        seed: call.seed,
        now_ns: call.now,
        attempt: call.attempt,
        occurrence: call.occurrence,
        model: call.model,
        tenant: call.tenant,
        stage: call.stage,
        operation: call.operation as u32,
        input_tokens: call.input_tokens,
        max_output_tokens: call.max_output_tokens,
        running: call.running,
        waiting: call.waiting,
        traits: u32::from(call.attempt > 0) << 3,
        number,
    }
}

fn answer(said: words::Answer) -> Answer {
    let item = |item| match item {
        words::Item::Text(text) => Item::Text(text),
        words::Item::Generate(text) => Item::Generate(Generate { tokens: text.tokens, style: text.style }),
    };
    let finish = match said.finish {
        words::Finish::Stop => Finish::Stop,
        words::Finish::Length => Finish::Length,
        words::Finish::ToolCalls => Finish::ToolCalls,
        words::Finish::ContentFilter => Finish::ContentFilter,
    };
    Answer { items: said.items.into_iter().map(item).collect(), finish }
}

fn us(delay: &words::Delay) -> u32 {
    match delay {
        words::Delay::Us(us) => *us,
    }
}

fn steady(first_us: u32, between_us: u32) -> Schedule {
    Schedule { first: Delay::Us(first_us), between: Delay::Us(between_us), pauses: Vec::new(), rules: None }
}
