//! Faults: shall this request fail, how and where?
//!
//! Behaviours give a [`Verdict`]; the plan turns its [`Position`] into a place, and the doors play it. How a person writes a
//! position is in [`crate::behavior::position`].

use crate::behavior::call::{BehaviorError, Call};
use crate::types::api_error::{Cause, ErrorKind, RetryForm};

/// Decides whether and how one request fails.
pub trait Fault: Send + Sync {
    /// The verdict on one request.
    fn decide(&self, call: &Call<'_>) -> Result<Verdict, BehaviorError>;

    /// Must this run off the workers because it is known to be slow?
    fn is_slow(&self) -> bool {
        false
    }
}

/// What shall happen to one request.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Nothing: answer it.
    Pass,
    /// Refuse it with an HTTP error in the vendor's body.
    Error(HttpError),
    /// Send nothing for so many milliseconds, then close.
    Hang(u32),
    /// End the connection or stream at a place in the reply.
    Cut(Cut, Position),
    /// Send nothing for so many milliseconds at a place in the reply, then go on.
    Stall(u32, Position),
    /// Send the vendor's error event with this message at a place in a stream, then end.
    ErrorEvent(String, Position),
    /// Spoil the bytes at a place in the reply.
    Damage(Damage, Position),
    /// Send no more than so many bytes a second.
    Drip(u32),
    /// Let the vendor end the reply at a place, in order but before it is complete.
    Finish(EarlyFinish, Position),
    /// A fault of a kind that this version has no case for.
    Other(Named),
}

/// An HTTP error. `kind`, `message` and `code` default to what the vendor says for the status.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HttpError {
    /// 400 to 599.
    pub status: u16,
    /// What kind of error it is, where the status alone does not say (429).
    pub kind: Option<ErrorKind>,
    /// When to come back, in milliseconds.
    pub retry_after_ms: Option<u32>,
    /// In which headers the client is told when to come back.
    pub retry_form: RetryForm,
    /// What the client is told of trying again at all, whatever the status.
    pub should_retry: Option<bool>,
    /// The sentence in the body.
    pub message: Option<String>,
    /// The code in the body.
    pub code: Option<String>,
    /// The field in the body that names what is wrong with the request.
    pub param: Option<String>,
    /// What it is about, if vendors have a sentence of their own for that.
    pub cause: Option<Cause>,
}

/// How a vendor ends a reply before it is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EarlyFinish {
    /// As if it had reached the token limit.
    Length,
    /// By a content filter.
    ContentFilter,
    /// By refusing to go on, in these words.
    Refusal(String),
}

impl EarlyFinish {
    /// The word for scenarios, metrics and logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Length => "length",
            Self::ContentFilter => "content-filter",
            Self::Refusal(_) => "refusal",
        }
    }
}

/// What a refusal says if nobody gave it words.
pub const REFUSAL: &str = "I'm sorry, but I can't help with that request.";

/// How a connection or stream ends before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// By TCP RST; on HTTP/2 by RST_STREAM.
    Reset,
    /// By TCP FIN inside the body; on HTTP/2 by RST_STREAM without an error.
    Close,
    /// By a well-formed end that comes too early.
    End,
}

/// Where in a reply something happens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Position {
    /// Before the first byte of the reply's head.
    Start,
    /// After so many tokens.
    Token(u32),
    /// After a share of the tokens, 0 to 1.
    Share(f32),
    /// So many milliseconds after the request.
    AfterMs(u32),
}

/// How a reply is spoilt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// A chunk whose JSON is broken.
    MalformedChunk,
    /// The body ends inside its JSON.
    TruncatedJson,
    /// A character is split between two events, each of which is no UTF-8.
    SplitUtf8,
    /// The stream lacks its terminator.
    MissingEnd,
    /// A chunk comes twice.
    DuplicateChunk,
    /// Two chunks change places.
    SwapChunks,
    /// The `content-type` is `text/html`.
    WrongContentType,
    /// There is no body.
    EmptyBody,
    /// A tool call's arguments are not what its schema asks for.
    BadToolArguments,
    /// Structured output does not fit its schema.
    SchemaViolation,
    /// The token counts are wrong.
    WrongUsage,
}

impl Damage {
    /// The word for scenarios, metrics and logs; the contract's.
    pub fn name(self) -> &'static str {
        match self {
            Self::MalformedChunk => "malformed-chunk",
            Self::TruncatedJson => "truncated-json",
            Self::SplitUtf8 => "split-utf8",
            Self::MissingEnd => "missing-end",
            Self::DuplicateChunk => "duplicate-chunk",
            Self::SwapChunks => "swap-chunks",
            Self::WrongContentType => "wrong-content-type",
            Self::EmptyBody => "empty-body",
            Self::BadToolArguments => "bad-tool-arguments",
            Self::SchemaViolation => "schema-violation",
            Self::WrongUsage => "wrong-usage",
        }
    }

    /// Does it strike at a place in the reply, and not the reply as a whole?
    pub fn has_place(self) -> bool {
        matches!(self, Self::MalformedChunk | Self::TruncatedJson | Self::SplitUtf8 | Self::DuplicateChunk | Self::SwapChunks)
    }
}

/// A value of a kind that this version has no case for: the host knows the name, or refuses it by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The kind.
    pub kind: String,
    /// Its options as JSON text.
    pub json: String,
}
