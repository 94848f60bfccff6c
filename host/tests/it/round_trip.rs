//! Whatever is planned is what a strict reader reads back: streams and whole replies of every endpoint that speaks, through the library
//! alone. Plans are made as the planner makes them, with texts of any characters and of every style, cut into tokens anywhere.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use bytes::BytesMut;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};
use simwright::behavior::writer::TextWriter;
use simwright::builtin::responder::style;
use simwright::dialect::{Endpoint, Inbound, Voice, anthropic, azure, gemini, ollama, openai};
use simwright::plan::reply::{Choice, Reply, ReplyCursor, Segment};
use simwright::random::Key;
use simwright::types::reply::{Finish, Head, StreamEvent, TextKind, WholeReply};
use simwright::types::usage::Usage;

use super::support::host::full;
use super::support::speakers::{
    Anthropic, Azure, Completions, Gemini, Heard, Ollama, OpenAi, Realtime, Responses, Speaker, Wanted,
};

/// One endpoint, and what of a plan its clients see.
struct Reader {
    speaker: &'static dyn Speaker,
    /// What is asked for a stream, and for a whole reply unless there is none.
    streams: &'static dyn Endpoint,
    whole: Option<&'static dyn Endpoint>,
    target: &'static str,
    /// Asks for so many choices, and for thoughts to be shown.
    more: fn(&mut Value, usize),
    choices_max: usize,
    shows_thoughts: bool,
    has_tools: bool,
    /// Has a refusal a place of its own?
    has_refusals: bool,
    /// Are the arguments of calls text? Else they are JSON of their own.
    has_texts_of_arguments: bool,
    /// The words for an end in order, at the limit, by a filter, with calls; and after a refusal, if that has one.
    words: [&'static str; 4],
    refused: Option<&'static str>,
}

/// The reader of chats, from which others differ.
const CHAT: Reader = Reader {
    speaker: &OpenAi,
    streams: &openai::Chat,
    whole: Some(&openai::Chat),
    target: "",
    more: |body, choices| body["n"] = choices.into(),
    choices_max: 3,
    shows_thoughts: true,
    has_tools: true,
    has_refusals: true,
    has_texts_of_arguments: true,
    words: ["stop", "length", "content_filter", "tool_calls"],
    refused: None,
};

const GEMINI: Reader = Reader {
    speaker: &Gemini { is_array: false },
    streams: &gemini::StreamGenerate,
    whole: Some(&gemini::Generate),
    target: "m?alt=sse",
    more: |body, choices| {
        body["generationConfig"] = json!({"candidateCount": choices, "thinkingConfig": {"includeThoughts": true}});
    },
    has_refusals: false,
    has_texts_of_arguments: false,
    words: ["STOP", "MAX_TOKENS", "SAFETY", "STOP"],
    refused: Some("SAFETY"),
    ..CHAT
};

const OLLAMA: Reader = Reader {
    speaker: &Ollama { is_generate: false },
    streams: &ollama::Chat,
    whole: Some(&ollama::Chat),
    more: |_, _| {},
    choices_max: 1,
    has_refusals: false,
    has_texts_of_arguments: false,
    words: ["stop", "length", "stop", "stop"],
    ..CHAT
};

const ONE: [&str; 4] = ["completed", "max_output_tokens", "content_filter", "completed"];

const READERS: [Reader; 10] = [
    CHAT,
    Reader { speaker: &Azure, streams: &azure::CHAT, whole: Some(&azure::CHAT), target: "m?api-version=2024-10-21", ..CHAT },
    Reader {
        speaker: &Completions,
        streams: &openai::Completions,
        whole: Some(&openai::Completions),
        shows_thoughts: false,
        has_tools: false,
        has_refusals: false,
        words: ["stop", "length", "content_filter", "stop"],
        ..CHAT
    },
    Reader {
        speaker: &Responses,
        streams: &openai::Responses,
        whole: Some(&openai::Responses),
        more: |body, _| body["reasoning"] = json!({"summary": "auto"}),
        choices_max: 1,
        words: ONE,
        ..CHAT
    },
    Reader {
        speaker: &Realtime,
        streams: &openai::Realtime,
        whole: None,
        more: |body, _| *body = json!({"session": {"model": "m"}, "response": {}}),
        choices_max: 1,
        shows_thoughts: false,
        has_refusals: false,
        words: ONE,
        ..CHAT
    },
    Reader {
        speaker: &Anthropic,
        streams: &anthropic::Messages,
        whole: Some(&anthropic::Messages),
        more: |_, _| {},
        choices_max: 1,
        has_refusals: false,
        has_texts_of_arguments: false,
        words: ["end_turn", "max_tokens", "refusal", "tool_use"],
        refused: Some("refusal"),
        ..CHAT
    },
    GEMINI,
    Reader { speaker: &Gemini { is_array: true }, target: "m", ..GEMINI },
    OLLAMA,
    Reader {
        speaker: &Ollama { is_generate: true },
        streams: &ollama::Generate,
        whole: Some(&ollama::Generate),
        has_tools: false,
        ..OLLAMA
    },
];

/// Tokens that a careless renderer or reader would stumble over.
const NASTY: [&str; 21] = [
    "\n\n",
    "\r\n\r\n",
    "\r",
    "data: [DONE]\n\n",
    "\nevent: error\n",
    ": ping",
    "\0",
    "\u{1b}[0m",
    "\u{7f}",
    "\u{85}",
    "\u{2028}",
    "\u{feff}",
    "\u{fffd}",
    "\\",
    "\\\"",
    "\\u0000",
    "]}",
    "😀",
    "e\u{301}",
    "\u{10ffff}",
    "\u{d7ff}",
];

/// Every style, in the order of their names.
static STYLES: LazyLock<Vec<Arc<dyn TextWriter>>> = LazyLock::new(|| {
    let mut styles = BTreeMap::new();
    style::register(&mut styles);
    styles.into_values().collect()
});

/// A part of a choice, before it is planned for somebody.
#[derive(Debug, Clone)]
enum Part {
    Said(Vec<String>),
    Written { style: Index, seed: u64, tokens: u32, cut: u32 },
    Call { name: String, arguments: Value, is_pretty: bool, cuts: Vec<Index> },
}

/// A choice, before it is planned for somebody: thoughts, an answer, a refusal, and how it ends.
#[derive(Debug, Clone)]
struct Draft {
    thoughts: Option<Part>,
    answer: Vec<Part>,
    refusal: Option<Part>,
    finish: Finish,
}

fn token() -> impl Strategy<Value = String> {
    prop_oneof![2 => "(?s).{1,6}", 1 => prop::sample::select(&NASTY[..]).prop_map(str::to_owned)]
}

fn words() -> impl Strategy<Value = Part> {
    let said = prop::collection::vec(token(), 1..10).prop_map(Part::Said);
    let written = (any::<Index>(), any::<u64>(), 1..40_u32, 0..4_u32).prop_map(|(style, seed, tokens, cut)| Part::Written {
        style,
        seed,
        tokens,
        cut,
    });
    prop_oneof![2 => said, 1 => written]
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        token().prop_map(Value::from)
    ];
    leaf.prop_recursive(2, 8, 4, |inner| {
        let object = prop::collection::btree_map(token(), inner.clone(), 0..3);
        prop_oneof![
            prop::collection::vec(inner, 0..3).prop_map(Value::from),
            object.prop_map(|object| Value::Object(object.into_iter().collect())),
        ]
    })
}

fn call() -> impl Strategy<Value = Part> {
    let arguments = prop::collection::btree_map(token(), any_json(), 0..3);
    let cuts = prop::collection::vec(any::<Index>(), 0..6);
    ("[a-z_]{1,12}", arguments, any::<bool>(), cuts).prop_map(|(name, arguments, is_pretty, cuts)| Part::Call {
        name,
        arguments: Value::Object(arguments.into_iter().collect()),
        is_pretty,
        cuts,
    })
}

fn draft() -> impl Strategy<Value = Draft> {
    let answer = prop::collection::vec(prop_oneof![3 => words(), 1 => call()], 0..4);
    let finish = prop::sample::select(&[Finish::Stop, Finish::Length, Finish::ContentFilter][..]);
    let maybe = || prop::option::weighted(0.3, words());
    (maybe(), answer, maybe(), finish).prop_map(|(thoughts, answer, refusal, finish)| Draft { thoughts, answer, refusal, finish })
}

impl Part {
    /// As it is planned, in the place of `kind`.
    fn segment(&self, kind: TextKind, id: u64) -> Segment {
        match self {
            Self::Said(tokens) => {
                let ends = tokens.iter().scan(0, |end, token| {
                    *end += token.len() as u32;
                    Some(*end)
                });
                Segment::Pieces { kind, text: tokens.concat().into(), ends: ends.collect() }
            }
            Self::Written { style, seed, tokens, cut } => {
                let style = style.index(STYLES.len()) as u16;
                Segment::Generated { kind, style, seed: *seed, tokens: *tokens, whole: tokens + cut }
            }
            Self::Call { name, arguments, is_pretty, cuts } => {
                let text = if *is_pretty { serde_json::to_string_pretty(arguments) } else { serde_json::to_string(arguments) };
                let text = text.expect("JSON");
                let places: Vec<u32> = text.char_indices().map(|(at, _)| at as u32).skip(1).chain([text.len() as u32]).collect();
                let mut ends: Vec<u32> =
                    cuts.iter().map(|cut| places[cut.index(places.len())]).chain([text.len() as u32]).collect();
                ends.sort_unstable();
                ends.dedup();
                Segment::Tool { id, name: name.as_str().into(), arguments: text.into(), ends: ends.into() }
            }
        }
    }
}

impl Reader {
    /// `drafts` as they are planned for this endpoint.
    fn plan(&self, drafts: &[Draft]) -> Reply {
        let choice = |draft: &Draft| {
            let answer = draft.answer.iter().filter(|part| self.has_tools || !matches!(part, Part::Call { .. }));
            let answer = (0..).zip(answer).map(|(id, part)| part.segment(TextKind::Content, id));
            let thoughts = draft.thoughts.iter().map(|part| part.segment(TextKind::Reasoning, 0));
            let refusal = draft.refusal.iter().map(|part| part.segment(TextKind::Refusal, 0));
            let segments: Vec<Segment> = thoughts.chain(answer).chain(refusal).collect();
            let calls = segments.iter().any(|segment| matches!(segment, Segment::Tool { .. }));
            let finish = match draft.finish {
                // Nothing at all is no filter's doing.
                _ if segments.is_empty() => Finish::Stop,
                Finish::Stop if calls => Finish::ToolCalls,
                finish => finish,
            };
            Choice { segments: segments.into(), finish }
        };
        let choices = drafts.iter().take(self.choices_max).map(choice).collect();
        Reply { choices, logprobs: Some(Key::of_seed(1)) }
    }

    fn voice(&self, endpoint: &dyn Endpoint, choices: usize, streamed: bool) -> Box<dyn Voice> {
        let wanted = if self.has_tools { Wanted::ToolCall } else { Wanted::Text };
        let asked = self.speaker.ask("m", wanted, streamed);
        let mut body = asked.body;
        (self.more)(&mut body, choices);
        // What replies repeat of a request is written over several lines.
        let body = serde_json::to_string_pretty(&body).expect("JSON");
        let header =
            |(name, value): (&str, &str)| (name.parse::<http::HeaderName>().expect("a name"), value.parse().expect("a value"));
        let headers = asked.headers.into_iter().map(header).collect();
        let inbound = Inbound { target: self.target, headers, body: body.into(), ..Inbound::default() };
        endpoint.parse(inbound).unwrap_or_else(|error| panic!("{}: {error:?}", self.speaker.name())).voice
    }

    /// What a strict client hears of `reply` as a stream.
    fn hear_stream(&self, reply: &Reply, usage: Usage) -> Result<Heard, String> {
        let voice = self.voice(self.streams, reply.choices.len(), true);
        let (mut out, mut renderer, mut time) = (BytesMut::new(), voice.stream(&head(usage)), 0);
        play(reply, usage, |event| {
            time += 1_000_000;
            renderer.due(time);
            renderer.event(&event, &mut out);
        });
        let mut payloads = self.speaker.payloads(&out)?;
        let mut heard = Heard::default();
        if self.speaker.last_event() == Some("[DONE]") {
            heard.is_ended = payloads.pop().as_deref() == Some("[DONE]");
        }
        // An array that can be read is closed.
        heard.is_ended |= self.speaker.last_event() == Some("]");
        let parsed: Result<Vec<Value>, _> = payloads.iter().map(|payload| serde_json::from_str(payload)).collect();
        let events = parsed.map_err(|error| format!("{error} in {payloads:?}"))?;
        self.speaker.order(&events)?;
        events.iter().for_each(|event| self.speaker.event(event, &mut heard));
        if self.speaker.last_event().is_some() && !heard.is_ended {
            return Err("it does not end".to_owned());
        }
        Ok(heard)
    }

    /// What a client hears of `reply` in one piece.
    fn hear_whole(&self, endpoint: &dyn Endpoint, reply: &Reply, usage: Usage) -> Result<Heard, String> {
        let voice = self.voice(endpoint, reply.choices.len(), false);
        let mut whole = WholeReply::default();
        play(reply, usage, |event| whole.gather(&event));
        let mut out = BytesMut::new();
        voice.whole(&head(usage), &whole, &mut out);
        let body: Value = serde_json::from_slice(&out).map_err(|error| format!("{error} in {out:?}"))?;
        let mut heard = Heard::default();
        self.speaker.whole(&body, &mut heard);
        Ok(heard)
    }

    /// Fails unless `heard` is `reply`, as far as this endpoint's clients see it.
    fn compare(&self, reply: &Reply, usage: Usage, streamed: bool, heard: &mut Heard) -> Result<(), TestCaseError> {
        prop_assert_eq!(heard.usage, Some((u64::from(usage.input), u64::from(usage.output))));
        prop_assert_eq!(&heard.error, &None);
        prop_assert!(heard.choices.len() <= reply.choices.len());
        for (index, choice) in reply.choices.iter().enumerate() {
            let said = heard.said(&index.into());
            let tokens = |wanted: &[TextKind]| -> Vec<String> {
                let texts =
                    choice.segments.iter().filter_map(|segment| tokens_of(segment).filter(|(kind, _)| wanted.contains(kind)));
                texts.flat_map(|(_, tokens)| tokens).collect()
            };
            let text = |wanted: &[TextKind]| tokens(wanted).concat();
            let answer: &[TextKind] =
                if self.has_refusals { &[TextKind::Content] } else { &[TextKind::Content, TextKind::Refusal] };
            if streamed {
                // A token is an event.
                prop_assert_eq!(&said.texts, &tokens(answer));
            }
            prop_assert_eq!(said.texts.concat(), text(answer));
            prop_assert_eq!(&said.reasoning, &if self.shows_thoughts { text(&[TextKind::Reasoning]) } else { String::new() });
            let refusal = text(&[TextKind::Refusal]);
            prop_assert_eq!(&said.refusal, if self.has_refusals { &refusal } else { "" });
            let planned = choice.segments.iter().filter_map(|segment| match segment {
                Segment::Tool { name, arguments, .. } => Some((name.to_string(), arguments.to_string())),
                _ => None,
            });
            let read = |(name, arguments): (String, String)| {
                let value: Value = serde_json::from_str(&arguments).expect("JSON");
                (name, value, self.has_texts_of_arguments.then_some(arguments))
            };
            let planned: Vec<_> = planned.map(read).collect();
            prop_assert_eq!(said.calls.drain(..).map(read).collect::<Vec<_>>(), planned);
            let word = match choice.finish {
                _ if !refusal.is_empty() && self.refused.is_some() => self.refused.unwrap_or_default(),
                Finish::Stop | Finish::StopText(_) => self.words[0],
                Finish::Length => self.words[1],
                Finish::ContentFilter => self.words[2],
                Finish::ToolCalls => self.words[3],
            };
            prop_assert_eq!(said.finish.as_deref(), Some(word));
        }
        Ok(())
    }
}

fn head(usage: Usage) -> Head {
    Head { id: 42, created_unix_s: 1_790_000_000, model: "m".into(), fingerprint: 7, usage }
}

/// Every event of `reply`, in order.
fn play(reply: &Reply, usage: Usage, mut sink: impl FnMut(StreamEvent<'_>)) {
    let mut cursor = ReplyCursor::of(reply);
    for _ in 0..reply.steps() {
        cursor.step(reply, &STYLES, &mut sink);
    }
    sink(StreamEvent::Usage(usage));
    sink(StreamEvent::End);
}

/// The tokens of the text that `segment` is, if it is one.
fn tokens_of(segment: &Segment) -> Option<(TextKind, Vec<String>)> {
    match segment {
        Segment::Pieces { kind, text, ends } => {
            let starts = [0].into_iter().chain(ends.iter().copied());
            Some((*kind, starts.zip(ends.iter()).map(|(start, end)| text[start as usize..*end as usize].to_owned()).collect()))
        }
        Segment::Generated { kind, style, seed, tokens, whole } => {
            let writer = &STYLES[usize::from(*style)];
            let mut pen = writer.begin(*seed);
            Some((*kind, (0..*tokens).map(|token| writer.next(&mut pen, whole - token - 1).to_owned()).collect()))
        }
        Segment::Tool { .. } => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if full() { 2_000 } else { 100 }))]

    #[test]
    fn strict_clients_read_back_what_was_planned(
        drafts in prop::collection::vec(draft(), 3),
        (input, output) in (0..1_000_000_u32, 0..1_000_000_u32),
    ) {
        let usage = Usage { input, output, ..Usage::default() };
        for reader in &READERS {
            let reply = reader.plan(&drafts);
            let told = |error: TestCaseError, how: &str| TestCaseError::fail(format!("{}, {how}: {error}", reader.speaker.name()));
            let mut heard = reader.hear_stream(&reply, usage).map_err(|error| told(TestCaseError::fail(error), "stream"))?;
            reader.compare(&reply, usage, true, &mut heard).map_err(|error| told(error, "stream"))?;
            if let Some(endpoint) = reader.whole {
                let mut heard = reader.hear_whole(endpoint, &reply, usage).map_err(|error| told(TestCaseError::fail(error), "whole"))?;
                reader.compare(&reply, usage, false, &mut heard).map_err(|error| told(error, "whole"))?;
            }
        }
    }
}
