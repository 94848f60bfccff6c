//! Rules that are no part of this program: plugins that choose. They see more than a [`Rule`](super::Rule) does, and are asked for a
//! request of the generation that brought them; what they cannot decide, the rule of the station decides.

use std::sync::Arc;

use crate::clock::Nanos;
use crate::station::Unanswered;
use crate::types::request::Request;

/// Chooses between backends. It neither waits nor looks at a clock, because all requests of the site wait meanwhile.
pub trait Chooser: Send + Sync {
    /// The choice, or why there is none.
    fn pick(&self, question: &Question<'_>) -> Result<Choice, Unanswered>;

    /// How often it has given no choice so far.
    fn failures(&self) -> u64 {
        0
    }
}

/// What was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// The backend at this place, which is open.
    Backend(u32),
    /// No wish: the station's own rule chooses.
    Any,
    /// None: the request is turned away, and asking again makes sense after so many nanoseconds; 0 if that is not known.
    Refuse(Nanos),
}

/// What a chooser is asked with.
#[derive(Debug)]
pub struct Question<'a> {
    /// When.
    pub now: Nanos,
    /// Below this all draws of the choice are made.
    pub seed: u64,
    /// Who asks.
    pub asker: &'a Asker,
    /// Who the request is.
    pub identity: u64,
    /// The number of the stage, as plugins know it.
    pub stage: u32,
    /// Tokens of the prompt.
    pub input_tokens: u32,
    /// A number for the first block of the prompt; 0 if nothing is known of it.
    pub prefix: u64,
    /// The priority of the caller's tier.
    pub priority: u8,
    /// Those to choose from. At least one is open.
    pub backends: &'a [Sight],
}

/// What a request tells choosers of itself, beside what every station sees of it. Only requests of generations that have choosers bring it.
#[derive(Clone)]
pub struct Asker {
    /// The choosers of its generation, by station.
    pub choosers: Choosers,
    /// Index of the model entry.
    pub model: u32,
    /// Index of the tier, as behaviours see it.
    pub tenant: u32,
    /// 0 for the first attempt.
    pub attempt: u32,
    /// How often this identity and attempt has been seen before.
    pub occurrence: u32,
    /// The most tokens one reply may have.
    pub max_output_tokens: u32,
    /// The numbers of the way's stages, as plugins know them, by their index.
    pub stages: Arc<[u32]>,
    /// The request itself.
    pub request: Arc<Request>,
}

impl std::fmt::Debug for Asker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asker").field("model", &self.model).field("attempt", &self.attempt).finish_non_exhaustive()
    }
}

/// The choosers of a generation, by the index of their station.
pub type Choosers = Arc<[Option<Arc<dyn Chooser>>]>;

/// What a chooser sees of one backend.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Sight {
    /// May it be chosen?
    pub open: bool,
    /// Its share of the work.
    pub weight: u32,
    /// Requests that it works on.
    pub running: u32,
    /// Requests that wait there.
    pub waiting: u32,
    /// Tokens of prompts that were sent there and whose first token is not out.
    pub pending_tokens: u64,
    /// Tokens at the beginning of the prompt that its KV cache holds.
    pub cached_tokens: u32,
    /// Share of its KV cache in use, 0 to 1.
    pub kv_used: f32,
    /// Recent time from the choice to the first token, in nanoseconds; 0 while none is known.
    pub first_token_ns: Nanos,
    /// Recent time from one token to the next, in nanoseconds; 0 while none is known.
    pub gap_ns: Nanos,
}
