//! What balancers and autoscalers are asked with, for tests.

use std::time::Duration;

use crate::autoscaler::Group;
use crate::balancer::{Ask, Backend};
use crate::call::Traits;
use crate::testing::setters;

/// Begins what a balancer is asked with: a streamed chat, first attempt, at the beginning of the run.
pub fn ask() -> AskBuilder {
    AskBuilder(Ask {
        identity: 1,
        attempt: 0,
        occurrence: 0,
        seed: 1,
        now_ns: 0,
        model: 0,
        tenant: 0,
        stage: 0,
        operation: 1,
        input_tokens: 100,
        max_output_tokens: 1_000,
        traits: Traits::STREAMING,
        prefix: 0,
        priority: 0,
    })
}

/// Builds an [`Ask`].
#[derive(Debug, Clone)]
pub struct AskBuilder(Ask);

setters::asked!(AskBuilder);
setters::timed!(AskBuilder);

impl AskBuilder {
    /// Index of the caller's tier, and its priority.
    #[must_use]
    pub fn tenant(mut self, tenant: u32, priority: u32) -> Self {
        (self.0.tenant, self.0.priority) = (tenant, priority);
        self
    }

    /// A number for the prompt's beginning, and its tokens.
    #[must_use]
    pub fn prompt(mut self, prefix: u64, tokens: u32) -> Self {
        (self.0.prefix, self.0.input_tokens) = (prefix, tokens);
        self
    }

    /// The question.
    pub fn build(self) -> Ask {
        self.0
    }
}

/// Begins a backend: open, idle, nothing known of it.
pub fn backend() -> BackendBuilder {
    BackendBuilder(Backend {
        open: true,
        weight: 1,
        running: 0,
        waiting: 0,
        pending_tokens: 0,
        cached_tokens: 0,
        kv_used: 0.0,
        first_token_us: 0,
        gap_us: 0,
    })
}

/// Builds a [`Backend`].
#[derive(Debug, Clone)]
pub struct BackendBuilder(Backend);

setters::loaded!(BackendBuilder);

impl BackendBuilder {
    /// May it be chosen?
    #[must_use]
    pub fn open(mut self, open: bool) -> Self {
        self.0.open = open;
        self
    }

    /// Tokens of prompts that it has not answered yet, and those of this prompt that it knows.
    #[must_use]
    pub fn tokens(mut self, pending: u32, cached: u32) -> Self {
        (self.0.pending_tokens, self.0.cached_tokens) = (pending, cached);
        self
    }

    /// Its times to the first token and between tokens.
    #[must_use]
    pub fn times(mut self, first: Duration, gap: Duration) -> Self {
        (self.0.first_token_us, self.0.gap_us) = (micros(first), micros(gap));
        self
    }

    /// The backend.
    pub fn build(self) -> Backend {
        self.0
    }
}

/// Begins a group of replicas: two of one to ten that are ready and idle, 15 s after the decision before.
pub fn group() -> GroupBuilder {
    GroupBuilder(Group {
        station: "gpus".to_owned(),
        seed: 1,
        now_ns: 15_000_000_000,
        interval_ns: 15_000_000_000,
        boot_ns: 60_000_000_000,
        least: 1,
        most: 10,
        wanted: 2,
        ready: 2,
        starting: 0,
        draining: 0,
        running: 0,
        waiting: 0,
        arrivals_per_s: 0.0,
        refused: 0,
        busy: 0.0,
        kv_used: 0.0,
        first_token_us: 0,
        first_token_max_us: 0,
    })
}

/// Builds a [`Group`].
#[derive(Debug, Clone)]
pub struct GroupBuilder(Group);

setters::timed!(GroupBuilder);
setters::loaded!(GroupBuilder);

impl GroupBuilder {
    /// The fewest and the most replicas that are allowed.
    #[must_use]
    pub fn bounds(mut self, least: u32, most: u32) -> Self {
        (self.0.least, self.0.most) = (least, most);
        self
    }

    /// Replicas that are ready, and starting; together they are what was wanted.
    #[must_use]
    pub fn replicas(mut self, ready: u32, starting: u32) -> Self {
        (self.0.ready, self.0.starting, self.0.wanted) = (ready, starting, ready + starting);
        self
    }

    /// How many come, and the share of their time that replicas compute.
    #[must_use]
    pub fn traffic(mut self, arrivals_per_s: f64, busy: f64) -> Self {
        (self.0.arrivals_per_s, self.0.busy) = (arrivals_per_s, busy);
        self
    }

    /// The mean time to the first token, and the longest.
    #[must_use]
    pub fn first_token(mut self, mean: Duration, longest: Duration) -> Self {
        (self.0.first_token_us, self.0.first_token_max_us) = (micros(mean), micros(longest));
        self
    }

    /// The group.
    pub fn build(self) -> Group {
        self.0
    }
}

fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}
