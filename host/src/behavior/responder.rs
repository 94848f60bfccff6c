//! Responders: what is answered?

use std::sync::{Arc, OnceLock};

use crate::behavior::call::{BehaviorError, Call};
use crate::behavior::fault::Named;
use crate::behavior::tokenizer::Tokenizer;
use crate::types::reply::{Finish, TextKind};

/// Decides what one request is answered.
pub trait Responder: Send + Sync {
    /// The answers, one a choice: `choices` of them, at least 1.
    fn respond(&self, call: &Call<'_>, choices: u32) -> Result<Vec<Answer>, BehaviorError>;

    /// Must this run off the workers because it is known to be slow?
    fn is_slow(&self) -> bool {
        false
    }
}

/// One choice as a responder decides it. The planner makes it real: cuts it at `max_tokens` and stop texts, counts its tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// What it consists of, in order.
    pub items: Vec<Item>,
    /// Why it ends; the planner changes it to `length` or `stop` where it has to cut.
    pub finish: Finish,
}

/// A part of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// Let the host write so many tokens in a style it knows, from the call's seed.
    Generate(Generate),
    /// The same, as reasoning that comes before the answer.
    Think(Generate),
    /// This text.
    Text(String),
    /// Text, reasoning or a refusal that is the same for many requests.
    Prepared(Arc<Prepared>),
    /// This reasoning.
    Reasoning(String),
    /// A tool call; without arguments the host writes some that satisfy the tool's schema.
    ToolCall {
        /// The tool.
        name: String,
        /// Its arguments as JSON text.
        arguments: Option<String>,
    },
    /// Let the host write JSON in the form that the request asks for.
    Structured,
    /// A refusal with this text.
    Refusal(String),
    /// A part of a kind that this version has no case for.
    Other(Named),
}

/// Text for the host to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generate {
    /// How many tokens.
    pub tokens: u32,
    /// The style's name; empty for the default.
    pub style: String,
}

/// Text that a responder knows before any request comes: shared by all replies, and split into tokens once.
#[derive(Debug)]
pub struct Prepared {
    kind: TextKind,
    text: Arc<str>,
    ends: OnceLock<Arc<[u32]>>,
}

impl Prepared {
    /// Text of this kind.
    pub fn of(kind: TextKind, text: &str) -> Self {
        Self { kind, text: text.into(), ends: OnceLock::new() }
    }

    /// What the text is.
    pub fn kind(&self) -> TextKind {
        self.kind
    }

    /// The text.
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// Where its tokens end. A behaviour belongs to one generation and so meets one tokenizer: the first one that asks counts.
    pub fn ends(&self, tokenizer: &dyn Tokenizer) -> &Arc<[u32]> {
        self.ends.get_or_init(|| tokenizer.split(&self.text).into())
    }
}

impl PartialEq for Prepared {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && self.text == other.text
    }
}
