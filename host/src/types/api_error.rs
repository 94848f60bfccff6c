//! A refusal that a client receives, in no vendor's words. A dialect gives it its body; `http/error_reply.rs` sends it.

use std::borrow::Cow;

use crate::types::mistake::Mistake;
use crate::types::request::Operation;

/// What kind of refusal it is. A dialect chooses its type and code from this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request cannot be understood or asks for something impossible (400, 413, 422 …).
    InvalidRequest,
    /// No credentials, or wrong ones (401).
    Authentication,
    /// Credentials that may not do this (403).
    PermissionDenied,
    /// No such model or path (404).
    NotFound,
    /// The method does not fit the path (405).
    MethodNotAllowed,
    /// The client took too long (408).
    RequestTimeout,
    /// Another change came first (409).
    Conflict,
    /// More than the body limit (413).
    TooLarge,
    /// Too many requests; comes back (429).
    RateLimited,
    /// Too many tokens; comes back (429).
    TokensLimited,
    /// Nothing left to spend; does not come back by waiting (429).
    QuotaExhausted,
    /// Something broke (500).
    Server,
    /// More load than there is room for (503, Anthropic's 529).
    Overloaded,
    /// A gateway's own failure (502, 504).
    Gateway,
}

/// In which headers a client is told when to come back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum RetryForm {
    /// In whole seconds and, exactly, in milliseconds.
    #[default]
    Both,
    /// `retry-after` in whole seconds, rounded up.
    Seconds,
    /// `retry-after-ms` alone, as Azure sends it.
    Milliseconds,
    /// `retry-after` as a date, rounded up to the next second.
    Date,
}

/// What a refusal is about, for vendors that have a sentence of their own for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The request is wrong.
    Mistake(Mistake),
    /// Nobody has the model of this name.
    UnknownModel(Box<str>),
    /// The prompt has `tokens` and the model reads no more than `window`.
    PromptTooLong {
        /// Tokens of the prompt.
        tokens: u32,
        /// Tokens that the model reads and writes.
        window: u32,
        /// What it was asked for.
        operation: Operation,
    },
    /// All prompts of the request together have `tokens`, and one request may have no more than `most`.
    TooManyTokens {
        /// Tokens of all prompts.
        tokens: u32,
        /// The most of one request.
        most: u32,
    },
    /// More load than there is room for, though nobody asked for this refusal.
    Overloaded,
    /// Nothing is said of it: what the vendor usually says for the status.
    Usual,
}

/// A refusal with all that a vendor's error body can say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// The HTTP status, 400 to 599.
    pub status: u16,
    /// What kind it is.
    pub kind: ErrorKind,
    /// A sentence for the person who reads it. A vendor that has one of its own for the cause says that.
    pub message: Cow<'static, str>,
    /// What it is about, if vendors have a sentence of their own for it.
    pub cause: Option<Box<Cause>>,
    /// The field that is wrong, as a path such as `messages[0].role`.
    pub param: Option<Cow<'static, str>>,
    /// A code that overrides the dialect's own choice.
    pub code: Option<Cow<'static, str>>,
    /// When to come back, in milliseconds.
    pub retry_after_ms: Option<u32>,
    /// In which headers that is said.
    pub retry_form: RetryForm,
    /// What the client is told of trying again at all, whatever the status.
    pub should_retry: Option<bool>,
}

impl ApiError {
    /// A refusal with `status`, of the kind that status usually has.
    pub fn of_status(status: u16, message: impl Into<Cow<'static, str>>) -> Self {
        let kind = match status {
            401 => ErrorKind::Authentication,
            403 => ErrorKind::PermissionDenied,
            404 => ErrorKind::NotFound,
            405 => ErrorKind::MethodNotAllowed,
            408 => ErrorKind::RequestTimeout,
            409 => ErrorKind::Conflict,
            413 => ErrorKind::TooLarge,
            429 => ErrorKind::RateLimited,
            503 | 529 => ErrorKind::Overloaded,
            502 | 504 => ErrorKind::Gateway,
            500.. => ErrorKind::Server,
            _ => ErrorKind::InvalidRequest,
        };
        let (retry_form, should_retry) = (RetryForm::default(), None);
        Self {
            status,
            kind,
            message: message.into(),
            cause: None,
            param: None,
            code: None,
            retry_after_ms: None,
            retry_form,
            should_retry,
        }
    }

    /// A 400 about one field.
    pub fn invalid(param: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Self {
        Self { param: Some(param.into()), ..Self::of_status(400, message) }
    }

    /// A refusal with `status` because of `cause`; `message` is for readers of logs and for vendors that have no sentence for it.
    pub fn because(cause: Cause, status: u16, message: impl Into<Cow<'static, str>>) -> Self {
        Self { cause: Some(Box::new(cause)), ..Self::of_status(status, message) }
    }

    /// The 404 for a model that nobody has.
    pub fn unknown_model(name: &str) -> Self {
        let shown: String = name.chars().take(100).collect();
        let message = format!("no model is called `{shown}`");
        Self::because(Cause::UnknownModel(shown.into()), 404, message)
    }

    /// The same refusal with a code of its own.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<Cow<'static, str>>) -> Self {
        self.code = Some(code.into());
        self
    }
}

impl From<Mistake> for ApiError {
    fn from(mistake: Mistake) -> Self {
        let (message, path) = (mistake.to_string(), mistake.path());
        let param = (!path.is_empty()).then_some(path.into());
        Self { param, ..Self::because(Cause::Mistake(mistake), 400, message) }
    }
}
