//! Whose words requests are put in: one conversation, as clients of three vendors send it.

use clap::ValueEnum;
use serde_json::{Value, json};

/// A vendor's wire format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Dialect {
    /// Chat completions.
    #[default]
    Openai,
    /// Messages.
    Anthropic,
    /// `generateContent` and `streamGenerateContent`.
    Gemini,
}

/// What is asked, in no vendor's words.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The model's name.
    pub model: &'a str,
    /// What the system is told.
    pub system: &'a str,
    /// What the user says.
    pub user: &'a str,
    /// The most tokens of the reply.
    pub max_tokens: u32,
    /// Streamed or whole?
    pub stream: bool,
}

impl Dialect {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Openai => "openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
        }
    }

    /// Path and query of a request.
    pub fn path(self, model: &str, stream: bool) -> String {
        match (self, stream) {
            (Self::Openai, _) => "/v1/chat/completions".to_owned(),
            (Self::Anthropic, _) => "/v1/messages".to_owned(),
            (Self::Gemini, false) => format!("/v1beta/models/{model}:generateContent"),
            (Self::Gemini, true) => format!("/v1beta/models/{model}:streamGenerateContent?alt=sse"),
        }
    }

    /// Where axum is told to listen for them.
    pub fn route(self) -> &'static str {
        match self {
            Self::Openai => "/v1/chat/completions",
            Self::Anthropic => "/v1/messages",
            Self::Gemini => "/v1beta/models/{asked}",
        }
    }

    /// The header lines by which its SDK says who asks, without the last line end.
    pub fn credentials(self) -> &'static str {
        match self {
            Self::Openai => "authorization: Bearer sk-bench-0000000000000000",
            Self::Anthropic => "x-api-key: sk-bench-0000000000000000\r\nanthropic-version: 2023-06-01",
            Self::Gemini => "x-goog-api-key: sk-bench-0000000000000000",
        }
    }

    /// The JSON of a request.
    pub fn body(self, asked: Asked<'_>) -> Value {
        let Asked { model, system, user, max_tokens, stream } = asked;
        match self {
            Self::Openai => json!({
                "model": model,
                "messages": [{ "role": "system", "content": system }, { "role": "user", "content": user }],
                "max_tokens": max_tokens,
                "temperature": 0.7,
                "stream": stream,
            }),
            Self::Anthropic => json!({
                "model": model,
                "system": system,
                "messages": [{ "role": "user", "content": user }],
                "max_tokens": max_tokens,
                "temperature": 0.7,
                "stream": stream,
            }),
            Self::Gemini => json!({
                "systemInstruction": { "parts": [{ "text": system }] },
                "contents": [{ "role": "user", "parts": [{ "text": user }] }],
                "generationConfig": { "maxOutputTokens": max_tokens, "temperature": 0.7 },
            }),
        }
    }

    /// What stands before the text of a token in an event of its streams.
    pub fn token_mark(self) -> &'static str {
        match self {
            Self::Openai => "\"content\":\"",
            Self::Anthropic | Self::Gemini => "\"text\":\"",
        }
    }
}
