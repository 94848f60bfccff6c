//! Who asks what and when: traffic, as a state machine that is told the time. It decides and sends nothing, so that virtual time, real
//! sockets and a load generator play the same requests.
//!
//! [`Workload`] is what a person wants: sources of [`Arrivals`], [`Class`]es of requests, and how the [`Client`] takes a failure.
//! [`Traffic`] is one run of it: [`Traffic::next_at`] says when the next [`Ask`] is due, [`Traffic::next`] gives it, and
//! [`Traffic::ended`] tells it the [`Answer`], after which a closed user thinks and a refused request comes again.
//!
//! Every draw hangs below (seed, `workload`, source, number or user), never below the order of events: another class, another source
//! or a slower answer shifts no draw. [`profile`], [`gaps`] and [`bursty`] are the laws of arrivals, [`trace`] reads recorded ones.
//! [`read`] is how a scenario says all this.

use std::num::NonZeroU64;
use std::sync::Arc;

use crate::clock::Nanos;
use crate::random::Key;
use crate::stats::law::Law;
use crate::stats::zipf::Zipf;
use crate::workload::bursty::Bursty;
use crate::workload::client::Client;
use crate::workload::gaps::Gaps;
use crate::workload::profile::Profile;
use crate::workload::trace::Trace;

pub mod bursty;
pub mod client;
pub mod gaps;
mod make;
pub mod profile;
#[cfg(test)]
mod property_tests;
pub mod read;
pub mod trace;
mod traffic;

pub use traffic::{Next, Traffic};

/// What a person wants to be asked.
#[derive(Debug, Clone)]
pub struct Workload {
    /// The kinds of requests; at least one. [`Ask::class`] is an index.
    pub classes: Vec<Class>,
    /// Where requests come from; at least one, with different names.
    pub sources: Vec<Source>,
    /// The names of tenants; at least one. [`Ask::tenant`] is an index.
    pub tenants: Vec<String>,
    /// What the client does about failures.
    pub client: Client,
    /// Requests of the whole run, retries not counted; without one as many as come.
    pub requests: Option<u64>,
    /// No request begins at this time or later, in nanoseconds since the run began; retries of earlier ones still come.
    pub until: Option<Nanos>,
}

/// Where requests come from.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its name: all its draws hang below it.
    pub name: String,
    /// When they come.
    pub arrivals: Arrivals,
    /// Indices of the classes that come from here, by their weights; at least one.
    pub classes: Vec<u32>,
}

/// When requests come.
#[derive(Debug, Clone)]
pub enum Arrivals {
    /// At a rate that follows a profile: the gaps, in units of the mean gap at the time, follow a law of mean 1.
    Rate {
        /// The rate over time.
        profile: Arc<Profile>,
        /// The law of the gaps.
        gaps: Gaps,
    },
    /// In bursts.
    Bursty(Bursty),
    /// As they were recorded; with the recorded lengths in place of the class's.
    Trace(Arc<Trace>),
    /// Each of so many users asks, waits for the answer, thinks, and asks again. The first thought comes before the first request.
    Closed {
        /// How many users there are.
        users: u32,
        /// How long they think, in nanoseconds.
        think: Law,
    },
}

/// A kind of requests.
#[derive(Debug, Clone)]
pub struct Class {
    /// Its name: the draws of who is of which class hang below it.
    pub name: String,
    /// The model that is asked for.
    pub model: String,
    /// Its share of the requests of its source, in relation to the weights of the others; above 0.
    pub weight: f64,
    /// The prompt.
    pub prompt: Prompt,
    /// How many tokens the reply has; without one the service decides.
    pub output: Option<Law>,
    /// Indices of the tenants that ask, with their weights; at least one.
    pub tenants: Vec<(u32, f64)>,
    /// What prompts have in common.
    pub sharing: Option<Sharing>,
    /// The prompts that come again and again.
    pub repeats: Option<Repeats>,
    /// Is the reply streamed?
    pub stream: bool,
}

/// The prompt of a class.
#[derive(Debug, Clone)]
pub enum Prompt {
    /// This text, which has so many tokens as whoever counts tokens says ([`Workload::count_prompts`]).
    Text {
        /// The text.
        text: Arc<str>,
        /// Its length.
        tokens: Option<u32>,
    },
    /// Any text of a length in tokens that follows this law.
    Length(Law),
}

/// What prompts have in common: some begin with one of a few texts (system prompts, documents), which a prefix cache can keep.
#[derive(Debug, Clone)]
pub struct Sharing {
    /// The share of prompts that do, from 0 to 1.
    pub share: f64,
    /// How many such texts there are; at least 1.
    pub groups: u32,
    /// How long these are, in tokens; each has its own length, and no prompt begins with more than itself.
    pub tokens: Law,
}

/// Prompts that come again and again, as whole texts: what a cache of answers can know, and a prefix cache from end to end.
#[derive(Debug, Clone)]
pub struct Repeats {
    /// The share of requests that ask one of them, from 0 to 1; the others are new.
    pub share: f64,
    /// How popular each of them is.
    pub popularity: Zipf,
}

/// A request that is due.
#[derive(Debug, Clone, PartialEq)]
pub struct Ask {
    /// When it is due, in nanoseconds since the run began.
    pub at: Nanos,
    /// What it is: an index of [`Workload::classes`].
    pub class: u32,
    /// Where it comes from: an index of [`Workload::sources`].
    pub source: u32,
    /// Who asks: closed users have numbers below their number over all sources; of open sources each request is somebody new.
    pub user: u32,
    /// Its number in this run, from 0 and without gaps; retries keep it.
    pub number: u64,
    /// How often it was tried before.
    pub attempt: u32,
    /// Which of the prompts that come again it is: a number that is equal for equal prompts of a run. `None`: the prompt is new, or
    /// its class has but one.
    pub prompt: Option<NonZeroU64>,
    /// Tokens of the prompt, what it shares with others included; at least 1.
    pub input_tokens: u32,
    /// Tokens of the reply, at least 1; `None` if the service decides.
    pub output_tokens: Option<u32>,
    /// What its prompt begins with.
    pub prefix: Prefix,
    /// Whom it is billed to: an index of [`Workload::tenants`].
    pub tenant: u32,
    /// Where its draws begin: the same for the same request of the same run at any speed of the answers, retries included.
    pub key: Key,
}

/// What a prompt begins with.
#[derive(Debug, Clone, PartialEq)]
pub enum Prefix {
    /// Nothing that others begin with.
    None,
    /// The text of a group.
    Group {
        /// The same for the same text in a run, and different for others.
        group: u64,
        /// How much of it, in tokens; at most those of the prompt.
        tokens: u32,
    },
    /// Known blocks; the last one may not be full.
    Blocks {
        /// Tokens of a block.
        block_tokens: u32,
        /// One hash for each block: equal if all up to its end is equal.
        hashes: Arc<[u64]>,
    },
}

/// What became of a request, as its client sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The whole reply came.
    Whole,
    /// It was refused with an HTTP status.
    Refused {
        /// The status, 400 to 599.
        status: u16,
        /// How long from now asking again makes sense, in nanoseconds; 0 if that was not said.
        retry_after_ns: u64,
    },
    /// No answer, not the whole one, or not in the client's time. It is tried again like a refusal; official SDKs do that too, but
    /// leave a stream that broke off after its head to their caller.
    Broken,
}

impl Workload {
    /// Counts the tokens of literal prompts; [`Traffic::begin`] needs them.
    pub fn count_prompts(&mut self, count: impl Fn(&str) -> u32) {
        for class in &mut self.classes {
            if let Prompt::Text { text, tokens } = &mut class.prompt {
                *tokens = Some(count(text));
            }
        }
    }
}
