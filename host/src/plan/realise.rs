//! Makes a responder's answers real: cuts them at the token limit and at stop texts, finds their tokens, and writes what the
//! responder left to the host (structured output, tool arguments).

use std::sync::Arc;

use serde_json::value::RawValue;
use smallvec::SmallVec;

use crate::behavior::responder::{Answer, Generate, Item};
use crate::plan::generation::Generation;
use crate::plan::reply::{Choice, Reply, Segment};
use crate::random::Key;
use crate::types::api_error::ApiError;
use crate::types::mistake::{Mistake, Step, What};
use crate::types::reply::{Finish, TextKind};
use crate::types::request::{Format, Request, Thinking};

/// Tokens that the host writes as the input of a tool that takes any text.
const FREE_INPUT_TOKENS: u32 = 12;

/// Why answers cannot be made real.
#[derive(Debug)]
pub enum Refused {
    /// The client asked for something impossible.
    Client(Box<ApiError>),
    /// The responder did.
    Responder(String),
}

/// Makes `reply` what `answers` stand for; if there are fewer than the request wants, the last one repeats with draws of its own.
pub fn realise(
    reply: &mut Reply,
    generation: &Generation,
    request: &Request,
    answers: &[Answer],
    key: Key,
    limit: u32,
) -> Result<(), Refused> {
    let Some(last) = answers.last() else {
        return Err(Refused::Responder("no answer at all; give at least one".to_owned()));
    };
    write(reply, generation, request, key, limit, |index| {
        let Answer { items, finish } = answers.get(index).unwrap_or(last);
        (items, *finish)
    })
}

/// Makes `reply` one of `tokens` in the first style, for which nobody is asked.
pub fn realise_length(
    reply: &mut Reply,
    generation: &Generation,
    request: &Request,
    tokens: u32,
    key: Key,
    limit: u32,
) -> Result<(), Refused> {
    let items = [Item::Generate(Generate { style: String::new(), tokens })];
    write(reply, generation, request, key, limit, |_| (&items, Finish::Stop))
}

/// The choices that `answer` gives by their number, drawn below `key`.
fn write<'a>(
    reply: &mut Reply,
    generation: &Generation,
    request: &Request,
    key: Key,
    limit: u32,
    answer: impl Fn(usize) -> (&'a [Item], Finish),
) -> Result<(), Refused> {
    reply.logprobs = request.logprobs.map(|_| key.named("logprob"));
    reply.choices.clear();
    for index in 0..request.choices {
        let (items, finish) = answer(index as usize);
        let mut choice = Choice { segments: SmallVec::new(), finish };
        Work { generation, request, key: key.with(index.into()), left: limit }.write(&mut choice, items)?;
        reply.choices.push(choice);
    }
    Ok(())
}

/// Is `item` what the model thinks before it answers?
fn is_thought(item: &Item) -> bool {
    match item {
        Item::Think(_) | Item::Reasoning(_) => true,
        Item::Prepared(prepared) => prepared.kind() == TextKind::Reasoning,
        _ => false,
    }
}

struct Work<'a> {
    generation: &'a Generation,
    request: &'a Request,
    key: Key,
    left: u32,
}

impl Work<'_> {
    /// Writes `items` into `choice`, as far as there is room.
    fn write(mut self, choice: &mut Choice, items: &[Item]) -> Result<(), Refused> {
        for (index, item) in items.iter().enumerate() {
            if self.request.thinking == Thinking::Off && is_thought(item) {
                continue;
            }
            self.add(&mut choice.segments, item, self.key.with(index as u64))?;
            let Some(segment) = choice.segments.last_mut() else { continue };
            let stopped = self.stop_at(segment);
            let wanted = segment.tokens();
            let kept = wanted.min(self.left);
            if self.left > 0 {
                shorten(segment, kept);
            } else {
                choice.segments.pop();
            }
            self.left -= kept;
            if kept < wanted {
                choice.finish = Finish::Length;
                return Ok(());
            }
            if let Some(stop) = stopped {
                choice.finish = Finish::StopText(stop);
                return Ok(());
            }
        }
        self.lengthen(choice);
        Ok(())
    }

    /// Goes on for as long as the client wants it, if that is longer than what the responder said.
    fn lengthen(self, choice: &mut Choice) {
        let is_free = matches!(self.request.format, Format::Text) && choice.finish == Finish::Stop;
        if !is_free || (!self.request.ignores_end && self.request.min_output_tokens == 0) {
            return;
        }
        let written: u32 = choice.segments.iter().map(Segment::tokens).sum();
        let short = self.request.min_output_tokens.saturating_sub(written);
        let more = if self.request.ignores_end { self.left } else { short.min(self.left) };
        if more > 0 {
            let seed = self.key.named("more").bits();
            choice.segments.push(Segment::Generated { kind: TextKind::Content, style: 0, seed, tokens: more, whole: more });
        }
        if self.request.ignores_end {
            choice.finish = Finish::Length;
        }
    }

    /// Adds what `item` stands for to `segments`.
    fn add(&self, segments: &mut SmallVec<[Segment; 1]>, item: &Item, key: Key) -> Result<(), Refused> {
        match item {
            Item::Generate(generate) => segments.push(self.generated(TextKind::Content, generate, self.style(generate)?, key)),
            Item::Think(generate) => segments.push(self.generated(TextKind::Reasoning, generate, self.style(generate)?, key)),
            Item::Prepared(prepared) => segments.push(Segment::Pieces {
                kind: prepared.kind(),
                text: Arc::clone(prepared.text()),
                ends: Arc::clone(prepared.ends(&*self.generation.tokenizer)),
            }),
            Item::Text(text) => segments.push(self.pieces(TextKind::Content, text.clone())),
            Item::Reasoning(text) => segments.push(self.pieces(TextKind::Reasoning, text.clone())),
            Item::Refusal(text) => segments.push(self.pieces(TextKind::Refusal, text.clone())),
            Item::Structured => segments.push(self.pieces(TextKind::Content, self.structured(key)?)),
            Item::ToolCall { name, arguments } => {
                let arguments = match arguments {
                    Some(arguments) => arguments.clone(),
                    None => self.tool_arguments(name, key)?,
                };
                let ends = self.generation.tokenizer.split(&arguments);
                segments.push(Segment::Tool { id: key.bits(), name: name.as_str().into(), arguments: arguments.into(), ends });
            }
            Item::Other(named) => {
                return Err(Refused::Responder(format!("an item of unknown kind `{}`", named.kind)));
            }
        }
        Ok(())
    }

    /// A text of the length that the responder wants, as far as the client leaves that to it.
    fn generated(&self, kind: TextKind, generate: &Generate, style: u16, key: Key) -> Segment {
        let tokens = match (kind, self.request.thinking) {
            (TextKind::Content, _) if self.request.ignores_end => self.left,
            (TextKind::Content, _) => generate.tokens.max(self.request.min_output_tokens),
            (TextKind::Reasoning, Thinking::On(Some(budget))) => generate.tokens.min(budget),
            _ => generate.tokens,
        };
        Segment::Generated { kind, style, seed: key.bits(), tokens, whole: tokens }
    }

    /// The index of the style that `generate` names.
    fn style(&self, generate: &Generate) -> Result<u16, Refused> {
        // The names come out of a map and are in its order. The empty one is the first; to compare it costs more than all others
        // together, because its bytes are nowhere.
        let names = &self.generation.style_names;
        let style = if generate.style.is_empty() { Ok(0) } else { names.binary_search(&generate.style) };
        style.map(|style| style as u16).map_err(|_| {
            let known = names.iter().filter(|name| !name.is_empty()).cloned().collect::<Vec<_>>();
            Refused::Responder(format!("unknown style `{}`; known: {}", generate.style, known.join(", ")))
        })
    }

    fn pieces(&self, kind: TextKind, text: String) -> Segment {
        let ends = self.generation.tokenizer.split(&text);
        Segment::Pieces { kind, text: text.into(), ends: ends.into() }
    }

    fn structured(&self, key: Key) -> Result<String, Refused> {
        let any_object = || RawValue::from_string("{\"type\":\"object\"}".to_owned()).expect("it is JSON");
        let written = match &self.request.format {
            Format::JsonSchema { schema, .. } => self.generation.json.write(schema, key.bits()),
            Format::JsonObject | Format::Text => self.generation.json.write(&any_object(), key.bits()),
        };
        written.map_err(|refused| {
            let name = if let Format::JsonSchema { name, .. } = &self.request.format { name } else { "" };
            let place = if refused.pointer.is_empty() { String::new() } else { format!(" (at `{}`)", refused.pointer) };
            let owner = format!("response_format '{name}'");
            bad_schema(vec![Step::Field("response_format".into())], owner, format!("{}{place}", refused.message))
        })
    }

    fn tool_arguments(&self, name: &str, key: Key) -> Result<String, Refused> {
        let Some(index) = self.request.tools.iter().position(|tool| *tool.name == *name) else {
            return Ok("{}".to_owned());
        };
        let tool = &self.request.tools[index];
        if tool.is_free {
            return Ok(self.write_out(0, key.bits(), FREE_INPUT_TOKENS, FREE_INPUT_TOKENS).0.to_string());
        }
        let Some(schema) = &tool.parameters else {
            return Ok("{}".to_owned());
        };
        self.generation.json.write(schema, key.bits()).map_err(|refused| {
            let fields = ["function", "parameters"].map(|name| Step::Field(name.into()));
            let at = [Step::Field("tools".into()), Step::Element(index)].into_iter().chain(fields).collect();
            bad_schema(at, format!("function '{name}'"), refused.message)
        })
    }

    /// Ends `segment` before the first stop text, and says whether there was one. The stop text itself is not sent.
    fn stop_at(&self, segment: &mut Segment) -> Option<u16> {
        let is_content = match segment {
            Segment::Generated { kind, .. } | Segment::Pieces { kind, .. } => *kind == TextKind::Content,
            Segment::Tool { .. } => false,
        };
        if self.request.stop.is_empty() || !is_content {
            return None;
        }
        let (text, ends) = match segment {
            Segment::Pieces { text, ends, .. } => (text.clone(), ends.clone()),
            Segment::Generated { style, seed, tokens, whole, .. } => {
                self.write_out(*style, *seed, (*tokens).min(self.left), *whole)
            }
            Segment::Tool { .. } => return None,
        };
        let stops = self.request.stop.iter().zip(0_u16..=u16::MAX).filter(|(stop, _)| !stop.is_empty());
        let (cut, stop) = stops.filter_map(|(stop, number)| Some((text.find(&**stop)?, number))).min()?;
        let mut kept: Vec<u32> = ends.iter().copied().take_while(|end| *end as usize <= cut).collect();
        if kept.last().copied().unwrap_or(0) as usize != cut {
            kept.push(cut as u32);
        }
        *segment = Segment::Pieces { kind: TextKind::Content, text: text[..cut].into(), ends: kept.into() };
        Some(stop)
    }

    fn write_out(&self, style: u16, seed: u64, tokens: u32, whole: u32) -> (Arc<str>, Arc<[u32]>) {
        let writer = &self.generation.styles[usize::from(style)];
        let mut pen = writer.begin(seed);
        let (mut text, mut ends) = (String::new(), Vec::with_capacity(tokens as usize));
        for left in (whole - tokens..whole).rev() {
            text.push_str(writer.next(&mut pen, left));
            ends.push(text.len() as u32);
        }
        (text.into(), ends.into())
    }
}

/// The client's schema of `owner` cannot be used.
fn bad_schema(at: Vec<Step>, owner: String, reason: String) -> Refused {
    let what = What::Schema { owner: owner.into(), reason: reason.into() };
    Refused::Client(Box::new(Mistake { at, what }.into()))
}

/// Leaves the first `limit` tokens of `segment`; a tool call has one at least.
pub(super) fn shorten(segment: &mut Segment, limit: u32) {
    fn cut<'a>(text: &'a str, ends: &'a [u32], count: usize) -> (&'a str, &'a [u32]) {
        let ends = &ends[..count];
        (&text[..ends.last().copied().unwrap_or(0) as usize], ends)
    }
    if segment.tokens() <= limit {
        return;
    }
    match segment {
        Segment::Generated { tokens, .. } => *tokens = limit,
        Segment::Pieces { text, ends, .. } => {
            let (kept, kept_ends) = cut(text, ends, limit as usize);
            (*text, *ends) = (kept.into(), kept_ends.into());
        }
        Segment::Tool { arguments, ends, .. } => {
            let (kept, kept_ends) = cut(arguments, ends, (limit as usize).saturating_sub(1));
            (*arguments, *ends) = (kept.into(), kept_ends.into());
        }
    }
}
