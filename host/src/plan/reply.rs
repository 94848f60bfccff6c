//! A reply as it will be sent: for each choice a row of segments, read token by token through a [`ReplyCursor`].
//!
//! Choices of one request are written side by side, as a batch: *step* k holds the k-th token of every choice that has one. What
//! the host writes itself is kept as (style, seed, length), so that a reply of a million tokens costs no memory while it waits.

use std::sync::Arc;

use smallvec::{SmallVec, smallvec};

use crate::behavior::writer::{Pen, TextWriter};
use crate::random::Key;
use crate::types::reply::{Finish, StreamEvent, TextKind};

/// What is sent for one request.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    /// One a choice. Most requests want one, and most choices have one segment: these allocate nothing.
    pub choices: SmallVec<[Choice; 1]>,
    /// `Some(key)`: every token carries a log probability drawn below this key.
    pub logprobs: Option<Key>,
}

/// One of the replies to a request.
#[derive(Debug, Clone)]
pub struct Choice {
    /// Its parts, in order.
    pub segments: SmallVec<[Segment; 1]>,
    /// Why it ends.
    pub finish: Finish,
}

/// A part of a choice.
#[derive(Debug, Clone)]
pub enum Segment {
    /// Text that is written as it is sent.
    Generated {
        /// What the text is.
        kind: TextKind,
        /// Index into the generation's styles.
        style: u16,
        /// What the text is drawn from.
        seed: u64,
        /// How many of its tokens are sent.
        tokens: u32,
        /// How many it would have if nothing cut it: a text that is cut does not end well.
        whole: u32,
    },
    /// Text that is there already.
    Pieces {
        /// What the text is.
        kind: TextKind,
        /// The text; many replies may share it.
        text: Arc<str>,
        /// Where its tokens end.
        ends: Arc<[u32]>,
    },
    /// A tool call: one token for its beginning, then those of its arguments.
    Tool {
        /// Number that the call's id is drawn from.
        id: u64,
        /// The tool.
        name: Box<str>,
        /// The arguments as JSON text.
        arguments: Box<str>,
        /// Where their tokens end.
        ends: Box<[u32]>,
    },
}

impl Segment {
    /// How many tokens it is sent in.
    pub fn tokens(&self) -> u32 {
        match self {
            Self::Generated { tokens, .. } => *tokens,
            Self::Pieces { ends, .. } => ends.len() as u32,
            Self::Tool { ends, .. } => ends.len() as u32 + 1,
        }
    }

    /// Is it reasoning that comes before the answer?
    pub fn is_reasoning(&self) -> bool {
        matches!(self, Self::Generated { kind: TextKind::Reasoning, .. } | Self::Pieces { kind: TextKind::Reasoning, .. })
    }
}

impl Choice {
    /// How many tokens it is sent in.
    pub fn tokens(&self) -> u32 {
        self.segments.iter().map(Segment::tokens).sum()
    }
}

impl Reply {
    /// An answer without words: it leaves in one step, and what it says follows from the request.
    pub fn wordless() -> Self {
        let choices = smallvec![Choice { segments: SmallVec::new(), finish: Finish::Stop }];
        Self { choices, logprobs: None }
    }

    /// Steps it is sent in: the tokens of the longest choice, at least 1 if there is any choice.
    pub fn steps(&self) -> u32 {
        self.choices.iter().map(|choice| choice.tokens().max(1)).max().unwrap_or(0)
    }

    /// Tokens of all choices together, and how many of them are reasoning.
    pub fn tokens(&self) -> (u32, u32) {
        let segments = || self.choices.iter().flat_map(|choice| &choice.segments);
        let all = segments().map(Segment::tokens).sum();
        (all, segments().filter(|segment| segment.is_reasoning()).map(Segment::tokens).sum())
    }
}

/// How far a reply has been read.
#[derive(Debug, Clone)]
pub struct ReplyCursor {
    choices: Vec<ChoiceCursor>,
    token: u32,
}

#[derive(Debug, Clone, Default)]
struct ChoiceCursor {
    segment: u32,
    piece: u32,
    tools: u32,
    pen: Option<Pen>,
    finished: bool,
}

impl ReplyCursor {
    /// At the beginning of `reply`.
    pub fn of(reply: &Reply) -> Self {
        Self { choices: vec![ChoiceCursor::default(); reply.choices.len()], token: 0 }
    }

    /// Gives the events of the next step to `sink`: the beginning of each choice with the first, each choice's end with its last.
    pub fn step(&mut self, reply: &Reply, styles: &[Arc<dyn TextWriter>], mut sink: impl FnMut(StreamEvent<'_>)) {
        let logprob = reply.logprobs.map(|key| key.with(self.token.into()));
        for (index, (choice, cursor)) in reply.choices.iter().zip(&mut self.choices).enumerate() {
            if cursor.finished {
                continue;
            }
            let number = index as u32;
            if self.token == 0 {
                let tool_first = matches!(choice.segments.first(), Some(Segment::Tool { .. }));
                sink(StreamEvent::Start { choice: number, tool_first });
            }
            let logprob = logprob.map(|key| key.with(index as u64).bits());
            cursor.next(number, choice, styles, logprob, &mut sink);
            if cursor.at_end(choice) {
                cursor.finished = true;
                sink(StreamEvent::Finish { choice: number, reason: choice.finish });
            }
        }
        self.token += 1;
    }
}

impl ChoiceCursor {
    fn at_end(&mut self, choice: &Choice) -> bool {
        while let Some(segment) = choice.segments.get(self.segment as usize) {
            if self.piece < segment.tokens() {
                return false;
            }
            self.tools += u32::from(matches!(segment, Segment::Tool { .. }));
            self.segment += 1;
            self.piece = 0;
            self.pen = None;
        }
        true
    }

    fn next(
        &mut self,
        number: u32,
        choice: &Choice,
        styles: &[Arc<dyn TextWriter>],
        logprob: Option<u64>,
        sink: &mut impl FnMut(StreamEvent<'_>),
    ) {
        if self.at_end(choice) {
            return;
        }
        match &choice.segments[self.segment as usize] {
            Segment::Generated { kind, style, seed, whole, .. } => {
                let writer = &styles[usize::from(*style)];
                let pen = self.pen.get_or_insert_with(|| writer.begin(*seed));
                let text = writer.next(pen, whole - self.piece - 1);
                sink(StreamEvent::Text { choice: number, kind: *kind, text, logprob });
            }
            Segment::Pieces { kind, text, ends } => {
                let text = piece(text, ends, self.piece as usize);
                sink(StreamEvent::Text { choice: number, kind: *kind, text, logprob });
            }
            Segment::Tool { id, name, .. } if self.piece == 0 => {
                sink(StreamEvent::ToolStart { choice: number, index: self.tools, id: *id, name });
            }
            Segment::Tool { arguments, ends, .. } => {
                let fragment = piece(arguments, ends, self.piece as usize - 1);
                sink(StreamEvent::ToolArguments { choice: number, index: self.tools, fragment });
            }
        }
        self.piece += 1;
    }
}

fn piece<'a>(text: &'a str, ends: &[u32], index: usize) -> &'a str {
    let start = index.checked_sub(1).map_or(0, |before| ends[before] as usize);
    &text[start..ends[index] as usize]
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::types::reply::WholeReply;

    fn pieces(text: &str, ends: &[u32]) -> Segment {
        Segment::Pieces { kind: TextKind::Content, text: text.into(), ends: ends.into() }
    }

    #[test]
    fn choices_are_sent_side_by_side_and_each_ends_once() {
        let tool = Segment::Tool { id: 9, name: "look_up".into(), arguments: "{\"a\":1}".into(), ends: [2, 7].into() };
        let reply = Reply {
            choices: smallvec![
                Choice { segments: smallvec![pieces("Hello world", &[5, 11])], finish: Finish::Stop },
                Choice { segments: smallvec![pieces("Hm", &[2]), tool], finish: Finish::ToolCalls },
                Choice { segments: smallvec![], finish: Finish::Stop },
            ],
            logprobs: None,
        };
        assert_eq!((reply.steps(), reply.tokens()), (4, (6, 0)));
        let mut cursor = ReplyCursor::of(&reply);
        let (mut whole, mut finishes) = (WholeReply::default(), Vec::new());
        for step in 0..reply.steps() {
            cursor.step(&reply, &[], |event| {
                if let StreamEvent::Finish { choice, .. } = event {
                    finishes.push((step, choice));
                }
                whole.gather(&event);
            });
        }
        assert_eq!(finishes, [(0, 2), (1, 0), (3, 1)]);
        assert_eq!(whole.choices[0].content, "Hello world");
        assert_eq!(whole.choices[1].tool_calls[0].arguments, "{\"a\":1}");
        assert!(!whole.choices[2].has_content);
    }
}
