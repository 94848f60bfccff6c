//! Splits a body of server-sent events into its events, wherever the reads cut it, and tells token events from the others.
//!
//! An event ends at a blank line; line ends are `\n`, and `\r\n` where Gemini writes them. Whole events are handed on in place, and only
//! the tail of a read that ends inside an event is copied.

use memchr::memmem::Finder;

use crate::load::dialect::Dialect;

/// Splits one body into events.
#[derive(Debug, Default)]
pub struct Splitter {
    tail: Vec<u8>,
}

impl Splitter {
    /// Hands each complete event to `event`, without its blank line.
    pub fn feed(&mut self, bytes: &[u8], mut event: impl FnMut(&[u8])) {
        if self.tail.is_empty() {
            let used = complete(bytes, &mut event);
            self.tail.extend_from_slice(&bytes[used..]);
            return;
        }
        self.tail.extend_from_slice(bytes);
        let joined = std::mem::take(&mut self.tail);
        let used = complete(&joined, &mut event);
        self.tail = joined;
        self.tail.drain(..used);
    }

    /// Bytes of an event that has begun and not ended.
    pub fn unfinished_bytes(&self) -> usize {
        self.tail.len()
    }
}

/// Hands on the complete events of `bytes` and gives how many bytes they took.
fn complete(bytes: &[u8], event: &mut impl FnMut(&[u8])) -> usize {
    let mut start = 0;
    // A line end directly after a line end: `\n\n`, or `\n\r\n` where the first has its `\r` before it.
    for end in memchr::memchr_iter(b'\n', bytes) {
        let next = match bytes[end + 1..] {
            [b'\n', ..] => end + 2,
            [b'\r', b'\n', ..] => end + 3,
            _ => continue,
        };
        // Three line ends in a row would match twice; the second match lies before the new start.
        if end < start {
            continue;
        }
        event(bytes[start..end].strip_suffix(b"\r").unwrap_or(&bytes[start..end]));
        start = next;
    }
    start
}

/// Tells events that carry a token from those that open or close the stream.
#[derive(Debug)]
pub struct TokenEvents {
    content: Finder<'static>,
}

impl Default for TokenEvents {
    fn default() -> Self {
        Self::of(Dialect::default())
    }
}

impl TokenEvents {
    /// Those of `dialect`.
    pub fn of(dialect: Dialect) -> Self {
        Self { content: Finder::new(dialect.token_mark()) }
    }

    /// Has the event text? An empty one, as in the first chunk of a chat completion, is no token.
    pub fn is_token(&self, event: &[u8]) -> bool {
        let text = self.content.find(event).and_then(|at| event.get(at + self.content.needle().len()));
        text.is_some_and(|letter| *letter != b'"')
    }
}

/// Is this the event that ends an OpenAI stream?
pub fn is_done(event: &[u8]) -> bool {
    event == b"data: [DONE]"
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] =
        b"data: {\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}\n\ndata: {\"delta\":{\"content\":\"Hi\"}}\n\n\
        event: x\ndata: 1\n\ndata: [DONE]\n\n";

    fn events(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
        let (mut splitter, mut events) = (Splitter::default(), Vec::new());
        for piece in pieces {
            splitter.feed(piece, |event| events.push(event.to_vec()));
        }
        assert_eq!(splitter.unfinished_bytes(), 0);
        events
    }

    #[test]
    fn events_end_at_blank_lines() {
        let all = events(&[BODY]);
        assert_eq!(all.len(), 4);
        assert_eq!(all[2], b"event: x\ndata: 1");
        assert!(is_done(&all[3]));
    }

    #[test]
    fn every_split_gives_the_same_events() {
        for at in 1..BODY.len() {
            assert_eq!(events(&[&BODY[..at], &BODY[at..]]), events(&[BODY]), "split at {at}");
        }
        let single: Vec<&[u8]> = BODY.chunks(1).collect();
        assert_eq!(events(&single), events(&[BODY]));
    }

    #[test]
    fn an_event_that_has_not_ended_is_kept() {
        let mut splitter = Splitter::default();
        splitter.feed(b"data: 1\n\ndata: 2\n", |event| assert_eq!(event, b"data: 1"));
        assert_eq!(splitter.unfinished_bytes(), 8);
    }

    #[test]
    fn only_events_with_text_are_tokens() {
        let tokens = TokenEvents::default();
        let found: Vec<bool> = events(&[BODY]).iter().map(|event| tokens.is_token(event)).collect();
        assert_eq!(found, [false, true, false, false]);
    }
}
