//! The neutral reply: what is sent back, before a dialect gives it a vendor's shape.
//!
//! A stream is a sequence of [`StreamEvent`]s in a fixed grammar: for each choice `Start`, then pieces, then `Finish`;
//! choices may interleave; after all of them one `Usage` and one `End`. A whole reply is the same events gathered into
//! [`WholeReply`].

use crate::types::usage::Usage;

/// Why a reply ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// It was complete.
    Stop,
    /// It came to the stop text of this number in the request.
    StopText(u16),
    /// It reached the token limit.
    Length,
    /// It called tools.
    ToolCalls,
    /// A content filter ended it.
    ContentFilter,
}

/// What all bytes of one reply share.
#[derive(Debug, Clone)]
pub struct Head {
    /// Number that the reply's id is drawn from; equal for equal draws.
    pub id: u64,
    /// Unix time in seconds at which the reply was created.
    pub created_unix_s: u64,
    /// The model's name as the reply shows it.
    pub model: Box<str>,
    /// Number that vendor fingerprints are drawn from: the same for one scenario.
    pub fingerprint: u64,
    /// What the client is told that the request costs, if all of the reply is sent.
    pub usage: Usage,
}

/// What a piece of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextKind {
    /// The answer.
    Content,
    /// Thinking that comes before the answer.
    Reasoning,
    /// A refusal to answer.
    Refusal,
}

/// One step of a stream.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum StreamEvent<'a> {
    /// A choice begins.
    Start {
        /// Which choice.
        choice: u32,
        /// Its first piece will be a tool call.
        tool_first: bool,
    },
    /// One token of text.
    Text {
        /// Which choice.
        choice: u32,
        /// What the text is.
        kind: TextKind,
        /// The token.
        text: &'a str,
        /// Seed of this token's log probability, if they are wanted.
        logprob: Option<u64>,
    },
    /// A tool call begins; its arguments follow.
    ToolStart {
        /// Which choice.
        choice: u32,
        /// Which call of this choice, from 0.
        index: u32,
        /// Number that the call's id is drawn from.
        id: u64,
        /// The tool.
        name: &'a str,
    },
    /// A fragment of a tool call's arguments, which are JSON text.
    ToolArguments {
        /// Which choice.
        choice: u32,
        /// Which call of this choice, from 0.
        index: u32,
        /// The next piece of the JSON text.
        fragment: &'a str,
    },
    /// A choice is complete.
    Finish {
        /// Which choice.
        choice: u32,
        /// Why it ended.
        reason: Finish,
    },
    /// The token counts, once, after all choices.
    Usage(Usage),
    /// An error inside a stream that had begun well: a fault, or a station that turned the request away.
    Error {
        /// What the vendor would say.
        message: &'a str,
        /// Its code, if it has one.
        code: Option<&'a str>,
    },
    /// Nothing follows.
    End,
}

/// A reply gathered whole, for clients that do not stream.
#[derive(Debug, Default)]
pub struct WholeReply {
    /// One entry a choice, in order.
    pub choices: Vec<WholeChoice>,
    /// The token counts.
    pub usage: Usage,
    /// Nanoseconds from the request to its first token, as planned.
    pub first_ns: u64,
    /// Nanoseconds from the request to its last token, as planned.
    pub last_ns: u64,
}

/// One choice of a whole reply.
#[derive(Debug)]
pub struct WholeChoice {
    /// The answer's text.
    pub content: String,
    /// Was there any answer text? An empty text differs from none.
    pub has_content: bool,
    /// Reasoning that came before it.
    pub reasoning: String,
    /// A refusal, empty if there was none.
    pub refusal: String,
    /// The tool calls, in order.
    pub tool_calls: Vec<WholeToolCall>,
    /// Tokens of the answer with their log probabilities' seeds, if wanted: `(end in content, seed)`.
    pub logprobs: Vec<(usize, u64)>,
    /// Why it ended.
    pub finish: Finish,
}

/// One tool call of a whole reply.
#[derive(Debug)]
pub struct WholeToolCall {
    /// Number that the call's id is drawn from.
    pub id: u64,
    /// The tool.
    pub name: String,
    /// Its arguments as JSON text.
    pub arguments: String,
}

impl Default for WholeChoice {
    fn default() -> Self {
        Self {
            content: String::new(),
            has_content: false,
            reasoning: String::new(),
            refusal: String::new(),
            tool_calls: Vec::new(),
            logprobs: Vec::new(),
            finish: Finish::Stop,
        }
    }
}

impl WholeReply {
    /// A reply that is about to gather `choices` choices of up to `tokens` tokens.
    pub fn with_capacity(choices: usize, tokens: u32) -> Self {
        // English has about five bytes a token; a long reply may grow on.
        let bytes = tokens.min(4_096) as usize * 6;
        let choice = || WholeChoice { content: String::with_capacity(bytes), ..WholeChoice::default() };
        Self { choices: (0..choices).map(|_| choice()).collect(), ..Self::default() }
    }

    /// Adds what `event` says. Events of a choice arrive in order; choices may interleave.
    pub fn gather(&mut self, event: &StreamEvent<'_>) {
        match *event {
            StreamEvent::Start { choice, .. } => {
                self.choice(choice);
            }
            StreamEvent::Text { choice, kind, text, logprob } => {
                let choice = self.choice(choice);
                match kind {
                    TextKind::Content => {
                        choice.has_content = true;
                        choice.content.push_str(text);
                        if let Some(seed) = logprob {
                            choice.logprobs.push((choice.content.len(), seed));
                        }
                    }
                    TextKind::Reasoning => choice.reasoning.push_str(text),
                    TextKind::Refusal => choice.refusal.push_str(text),
                }
            }
            StreamEvent::ToolStart { choice, id, name, .. } => {
                let call = WholeToolCall { id, name: name.to_owned(), arguments: String::new() };
                self.choice(choice).tool_calls.push(call);
            }
            StreamEvent::ToolArguments { choice, index, fragment } => {
                if let Some(call) = self.choice(choice).tool_calls.get_mut(index as usize) {
                    call.arguments.push_str(fragment);
                }
            }
            StreamEvent::Finish { choice, reason } => self.choice(choice).finish = reason,
            StreamEvent::Usage(usage) => self.usage = usage,
            StreamEvent::Error { .. } | StreamEvent::End => {}
        }
    }

    fn choice(&mut self, index: u32) -> &mut WholeChoice {
        let index = index as usize;
        if self.choices.len() <= index {
            self.choices.resize_with(index + 1, WholeChoice::default);
        }
        &mut self.choices[index]
    }
}
