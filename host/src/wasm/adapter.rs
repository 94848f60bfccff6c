//! Plugins as behaviours: the host's call becomes the contract's record, and the judged answer comes back.
//!
//! The three types differ only in what they ask. Nothing is allocated on the way in; on the way out only what the answer holds.

use std::sync::Arc;

use crate::behavior::call::{BehaviorError, Call};
use crate::behavior::fault::{Fault, Verdict};
use crate::behavior::latency::{Latency, Schedule};
use crate::behavior::responder::{Answer, Responder};
use crate::wasm::bindings::simwright::plugin::types;
use crate::wasm::chooser::traits;
use crate::wasm::instance::Kind;
use crate::wasm::judge;
use crate::wasm::pool::Pool;

/// A plugin's fault.
pub(super) struct PluginFault(pub(super) Arc<Pool>);

impl Fault for PluginFault {
    fn decide(&self, call: &Call<'_>) -> Result<Verdict, BehaviorError> {
        self.0.call(Kind::Fault, call, |instance| instance.decide(record(call)), judge::verdict)
    }

    fn is_slow(&self) -> bool {
        self.0.is_slow(Kind::Fault)
    }
}

/// A plugin's responder.
pub(super) struct PluginResponder(pub(super) Arc<Pool>);

impl Responder for PluginResponder {
    fn respond(&self, call: &Call<'_>, choices: u32) -> Result<Vec<Answer>, BehaviorError> {
        let judge = |given| judge::answers(given, choices);
        self.0.call(Kind::Responder, call, |instance| instance.respond(record(call), choices), judge)
    }

    fn is_slow(&self) -> bool {
        self.0.is_slow(Kind::Responder)
    }
}

/// A plugin's latency model.
pub(super) struct PluginLatency(pub(super) Arc<Pool>);

impl Latency for PluginLatency {
    fn plan(&self, call: &Call<'_>, output_tokens: u32) -> Result<Schedule, BehaviorError> {
        self.0.call(Kind::Latency, call, |instance| instance.plan(record(call), output_tokens), judge::schedule)
    }

    fn is_slow(&self) -> bool {
        self.0.is_slow(Kind::Latency)
    }
}

/// The call as the contract has it.
pub(super) fn record(call: &Call<'_>) -> types::Call {
    let request = call.request;
    if let Some(draws) = call.draws {
        draws.note_seed("seed", call.seed, "a plugin draws from it");
    }
    types::Call {
        identity: call.identity,
        attempt: call.attempt,
        occurrence: call.occurrence,
        seed: call.seed,
        now_ns: call.now,
        model: call.model,
        tenant: call.tenant,
        stage: call.stage,
        operation: call.operation as u32,
        input_tokens: call.input_tokens,
        max_output_tokens: call.max_output_tokens,
        running: call.running,
        waiting: call.waiting,
        traits: traits(request, call.attempt),
    }
}
