//! Spoils the bytes of a reply, the same for all dialects: it wraps a renderer and looks at events and bytes, never at a vendor's
//! JSON.
//!
//! A chunk is what one event becomes. The damage strikes the first chunk of text or arguments that comes after [`Spoiler::strike`];
//! a whole reply is one chunk. What damages exist and where they strike has been planned.

use bytes::{BufMut, BytesMut};

use crate::behavior::fault::Damage;
use crate::dialect::StreamRenderer;
use crate::types::reply::{StreamEvent, WholeReply};

/// Stands in a text where a character will be broken. A private character, which no text of ours has, and of three bytes.
const BREAK: char = '\u{f8f0}';
/// What is broken if the text has no character of more than one byte: an accent, a blink of an eye for a careless reader.
const BROKEN: char = 'é';

/// Does one damage to one stream.
#[derive(Debug)]
pub struct Spoiler {
    damage: Damage,
    state: State,
    /// A chunk that leaves after the next one of the same choice, and which that is.
    held: Option<(u32, BytesMut)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The place has not come.
    Before,
    /// The next chunk is struck.
    Armed,
    /// It is done.
    Done,
    /// It is done, and nothing more comes.
    Over,
}

impl Spoiler {
    /// What does `damage` to a stream, once its place has come.
    pub fn of(damage: Damage) -> Self {
        Self { damage, state: State::Before, held: None }
    }

    /// The place has come.
    pub fn strike(&mut self) {
        self.state = State::Armed;
    }

    /// Does nothing more come?
    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// Will the next token leave later than it is due?
    pub fn withholds(&self) -> bool {
        self.damage == Damage::SwapChunks && self.state == State::Armed
    }

    /// Appends the bytes of `event`, spoilt if it is its turn.
    pub fn event(&mut self, renderer: &mut dyn StreamRenderer, event: &StreamEvent<'_>, out: &mut BytesMut) {
        if self.state == State::Over {
            return;
        }
        if matches!(event, StreamEvent::End) && self.damage == Damage::MissingEnd {
            return;
        }
        let is_chunk =
            matches!(event, StreamEvent::Text { .. } | StreamEvent::ToolStart { .. } | StreamEvent::ToolArguments { .. });
        if self.state == State::Armed && is_chunk {
            return self.chunk(renderer, event, out);
        }
        let choice = choice_of(event);
        // What belongs to no choice comes after all of them: nothing is held any longer.
        if choice.is_none() {
            self.let_go(out);
        }
        let start = out.len();
        renderer.event(event, out);
        if out.len() > start && self.held.as_ref().is_some_and(|(held, _)| Some(*held) == choice) {
            self.let_go(out);
        }
    }

    fn let_go(&mut self, out: &mut BytesMut) {
        if let Some((_, bytes)) = self.held.take() {
            out.put_slice(&bytes);
        }
    }

    fn chunk(&mut self, renderer: &mut dyn StreamRenderer, event: &StreamEvent<'_>, out: &mut BytesMut) {
        let start = out.len();
        if self.damage == Damage::SplitUtf8 {
            if self.split(renderer, event, out) {
                self.state = State::Done;
            }
            return;
        }
        renderer.event(event, out);
        self.state = State::Done;
        match self.damage {
            Damage::MalformedChunk => malform(&mut out[start..]),
            Damage::TruncatedJson => {
                out.truncate(start + (out.len() - start) / 2);
                self.state = State::Over;
            }
            Damage::DuplicateChunk => {
                let again = out[start..].to_vec();
                out.put_slice(&again);
            }
            Damage::SwapChunks => self.held = choice_of(event).map(|choice| (choice, out.split_off(start))),
            // These strike nothing inside a stream.
            Damage::SplitUtf8
            | Damage::MissingEnd
            | Damage::WrongContentType
            | Damage::EmptyBody
            | Damage::BadToolArguments
            | Damage::SchemaViolation
            | Damage::WrongUsage => {}
        }
    }

    /// Sends one event as two with half of a character in each. Says whether the event had a text to break.
    fn split(&self, renderer: &mut dyn StreamRenderer, event: &StreamEvent<'_>, out: &mut BytesMut) -> bool {
        let Some(text) = text_of(event) else {
            renderer.event(event, out);
            return false;
        };
        let (before, broken, after) = broken_at(text);
        let mut bytes = [0; 4];
        let (first, second) = broken.encode_utf8(&mut bytes).as_bytes().split_at(1);
        for (text, half) in [(format!("{before}{BREAK}"), first), (format!("{BREAK}{after}"), second)] {
            let mut chunk = BytesMut::new();
            if let Some(event) = with_text(event, &text) {
                renderer.event(&event, &mut chunk);
            }
            put_half(&chunk, half, out);
        }
        true
    }
}

/// Spoils a whole reply's bytes, which `struck` of `steps` steps have gone into when the damage strikes. A damage that only chunks can
/// suffer changes nothing.
pub fn spoil_whole(damage: Damage, struck: u32, steps: u32, out: &mut BytesMut) {
    match damage {
        Damage::MalformedChunk => malform(out),
        Damage::TruncatedJson => {
            // At least a byte comes and at least one is missing.
            let kept = out.len() * struck as usize / steps.max(1) as usize;
            out.truncate(kept.clamp(1, out.len().saturating_sub(1).max(1)));
        }
        Damage::SplitUtf8 => {
            // Its second half never comes.
            let whole = std::mem::take(out);
            put_half(&whole, &BROKEN.encode_utf8(&mut [0; 4]).as_bytes()[..1], out);
        }
        _ => {}
    }
}

/// Puts the mark that [`spoil_whole`] makes half a character into the text that `reply` has gathered so far.
pub fn mark_break(reply: &mut WholeReply) {
    let Some(choice) = reply.choices.first_mut() else { return };
    let text = match choice.tool_calls.last_mut() {
        Some(call) => &mut call.arguments,
        None if !choice.refusal.is_empty() => &mut choice.refusal,
        None => {
            choice.has_content = true;
            &mut choice.content
        }
    };
    text.push(BREAK);
}

/// Breaks JSON so that no parser takes it, and yet at its end: the last brace becomes a bracket.
fn malform(bytes: &mut [u8]) {
    if let Some(brace) = bytes.iter().rposition(|byte| *byte == b'}') {
        bytes[brace] = b']';
    }
}

/// `text` around its first character of more than one byte; without one, around a character that is put behind it.
fn broken_at(text: &str) -> (&str, char, &str) {
    match text.char_indices().find(|(_, character)| character.len_utf8() > 1) {
        Some((at, character)) => (&text[..at], character, &text[at + character.len_utf8()..]),
        None => (text, BROKEN, ""),
    }
}

/// Appends `bytes` with `half` where the mark stands.
fn put_half(bytes: &[u8], half: &[u8], out: &mut BytesMut) {
    let mut mark = [0; 4];
    let mark = BREAK.encode_utf8(&mut mark).as_bytes();
    let (before, after) = match memchr::memmem::find(bytes, mark) {
        Some(at) => (&bytes[..at], &bytes[at + mark.len()..]),
        None => (bytes, &[][..]),
    };
    out.put_slice(before);
    if before.len() < bytes.len() {
        out.put_slice(half);
    }
    out.put_slice(after);
}

fn choice_of(event: &StreamEvent<'_>) -> Option<u32> {
    match *event {
        StreamEvent::Start { choice, .. }
        | StreamEvent::Text { choice, .. }
        | StreamEvent::ToolStart { choice, .. }
        | StreamEvent::ToolArguments { choice, .. }
        | StreamEvent::Finish { choice, .. } => Some(choice),
        StreamEvent::Usage(_) | StreamEvent::Error { .. } | StreamEvent::End => None,
    }
}

fn text_of<'a>(event: &StreamEvent<'a>) -> Option<&'a str> {
    match *event {
        StreamEvent::Text { text, .. } => Some(text),
        StreamEvent::ToolArguments { fragment, .. } => Some(fragment),
        _ => None,
    }
}

/// `event` with another text. No log probability: it would repeat the text.
fn with_text<'a>(event: &StreamEvent<'_>, text: &'a str) -> Option<StreamEvent<'a>> {
    match *event {
        StreamEvent::Text { choice, kind, .. } => Some(StreamEvent::Text { choice, kind, text, logprob: None }),
        StreamEvent::ToolArguments { choice, index, .. } => Some(StreamEvent::ToolArguments { choice, index, fragment: text }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::types::reply::{Finish, TextKind};

    /// A dialect of its own: texts in braces, a line each.
    struct Lines;

    impl StreamRenderer for Lines {
        fn event(&mut self, event: &StreamEvent<'_>, out: &mut BytesMut) {
            match event {
                StreamEvent::Text { text, .. } => out.put_slice(format!("{{{text}}}\n").as_bytes()),
                StreamEvent::Finish { .. } => out.put_slice(b"{finish}\n"),
                StreamEvent::End => out.put_slice(b"end\n"),
                _ => {}
            }
        }
    }

    /// The bytes of `texts` and an end under `damage`, which strikes before the text `at`.
    fn spoilt(damage: Damage, texts: &[&str], at: usize) -> Vec<u8> {
        let (mut spoiler, mut out) = (Spoiler::of(damage), BytesMut::new());
        for (index, text) in texts.iter().enumerate() {
            if index == at {
                spoiler.strike();
            }
            let event = StreamEvent::Text { choice: 0, kind: TextKind::Content, text, logprob: None };
            spoiler.event(&mut Lines, &event, &mut out);
        }
        for event in [StreamEvent::Finish { choice: 0, reason: Finish::Stop }, StreamEvent::End] {
            spoiler.event(&mut Lines, &event, &mut out);
        }
        out.to_vec()
    }

    #[test]
    fn each_damage_strikes_the_chunk_at_its_place_and_nothing_else() {
        let cases: [(Damage, &[u8]); 7] = [
            (Damage::MalformedChunk, b"{a}\n{b]\n{c}\n{finish}\nend\n"),
            (Damage::TruncatedJson, b"{a}\n{b"),
            (Damage::SplitUtf8, b"{a}\n{b\xc3}\n{\xa9}\n{c}\n{finish}\nend\n"),
            (Damage::MissingEnd, b"{a}\n{b}\n{c}\n{finish}\n"),
            (Damage::DuplicateChunk, b"{a}\n{b}\n{b}\n{c}\n{finish}\nend\n"),
            (Damage::SwapChunks, b"{a}\n{c}\n{b}\n{finish}\nend\n"),
            (Damage::WrongContentType, b"{a}\n{b}\n{c}\n{finish}\nend\n"),
        ];
        for (damage, bytes) in cases {
            assert_eq!(
                spoilt(damage, &["a", "b", "c"], 1).escape_ascii().to_string(),
                bytes.escape_ascii().to_string(),
                "{damage:?}"
            );
        }
    }

    #[test]
    fn the_last_text_changes_places_with_what_follows_it() {
        assert_eq!(spoilt(Damage::SwapChunks, &["a", "b"], 1), b"{a}\n{finish}\n{b}\nend\n");
    }

    #[test]
    fn only_chunks_of_one_choice_change_places() {
        let (mut spoiler, mut out) = (Spoiler::of(Damage::SwapChunks), BytesMut::new());
        spoiler.strike();
        for (choice, text) in [(0, "a0"), (1, "a1"), (0, "b0"), (1, "b1")] {
            let event = StreamEvent::Text { choice, kind: TextKind::Content, text, logprob: None };
            spoiler.event(&mut Lines, &event, &mut out);
        }
        assert_eq!(&out[..], b"{a1}\n{b0}\n{a0}\n{b1}\n");
    }

    proptest! {
        #[test]
        fn chunks_that_change_places_or_come_twice_are_otherwise_whole(texts in prop::collection::vec("[a-zé€😀]{0,4}", 1..8), at in 0_usize..8) {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let at = at % texts.len();
            let lines = |damage| -> Vec<String> {
                let bytes = String::from_utf8(spoilt(damage, &texts, at)).expect("UTF-8");
                let mut lines: Vec<String> = bytes.lines().map(str::to_owned).collect();
                lines.sort_unstable();
                lines
            };
            let untouched = lines(Damage::WrongUsage);
            prop_assert_eq!(&lines(Damage::SwapChunks), &untouched);
            let mut twice = untouched;
            twice.push(format!("{{{}}}", texts[at]));
            twice.sort_unstable();
            prop_assert_eq!(lines(Damage::DuplicateChunk), twice);
            // Half a character is no UTF-8; without what stands between the halves it is.
            let mut split = spoilt(Damage::SplitUtf8, &texts, at);
            let broken = std::str::from_utf8(&split).expect_err("half a character").valid_up_to();
            let seam = broken + memchr::memmem::find(&split[broken..], b"}\n{").expect("the next event");
            split.drain(seam..seam + 3);
            prop_assert!(std::str::from_utf8(&split).is_ok());
        }
    }

    #[test]
    fn a_character_that_is_there_is_the_one_that_breaks() {
        assert_eq!(spoilt(Damage::SplitUtf8, &["x€y"], 0), b"{x\xe2}\n{\x82\xacy}\n{finish}\nend\n");
    }

    #[test]
    fn a_whole_reply_is_spoilt_once() {
        let whole = |damage, struck| {
            let mut out = BytesMut::from(&b"{\"a\":{}}"[..]);
            spoil_whole(damage, struck, 4, &mut out);
            out.to_vec()
        };
        assert_eq!(whole(Damage::MalformedChunk, 2), b"{\"a\":{}]");
        assert_eq!(whole(Damage::TruncatedJson, 2), b"{\"a\"");
        assert_eq!(whole(Damage::TruncatedJson, 0), b"{");
        assert_eq!(whole(Damage::TruncatedJson, 4), b"{\"a\":{}");
        assert_eq!(whole(Damage::DuplicateChunk, 2), b"{\"a\":{}}");
        let mut reply = WholeReply::with_capacity(1, 4);
        mark_break(&mut reply);
        let mut out = BytesMut::from(reply.choices[0].content.as_bytes());
        spoil_whole(Damage::SplitUtf8, 0, 4, &mut out);
        assert_eq!(&out[..], b"\xc3");
    }
}
