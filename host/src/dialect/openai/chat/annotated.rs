//! Azure's asynchronous filter: a stream leaves as it is made, and chunks of their own tell what filters found in it afterwards. Those have
//! choices without a `delta`.

use bytes::{BufMut, BytesMut};
use smallvec::SmallVec;

use super::stream::ChatStream;
use crate::dialect::StreamRenderer;
use crate::dialect::json::splice::push_number;
use crate::dialect::openai::filters;
use crate::types::reply::{Finish, StreamEvent};

/// Characters that filters look at together.
const WINDOW: u32 = 128;

/// A chat stream with what filters find in it.
pub(super) struct Annotated {
    inner: ChatStream,
    /// Of each choice the characters that have been looked at, and those that have been sent.
    offsets: SmallVec<[(u32, u32); 1]>,
    /// Has a filter ended the stream?
    is_cut: bool,
}

impl Annotated {
    /// `inner` with annotations.
    pub(super) fn of(inner: ChatStream) -> Self {
        Self { inner, offsets: SmallVec::new(), is_cut: false }
    }

    fn offsets(&mut self, choice: u32) -> &mut (u32, u32) {
        let index = choice as usize;
        if self.offsets.len() <= index {
            self.offsets.resize(index + 1, (0, 0));
        }
        &mut self.offsets[index]
    }

    /// Tells what is found in what has been sent of `choice` since the last time; `finish` ends the choice.
    fn annotate(&mut self, choice: u32, finish: Option<Finish>, out: &mut BytesMut) {
        let (checked, sent) = self.offsets(choice);
        let (start, end) = (std::mem::replace(checked, *sent), *sent);
        out.reserve(512);
        out.put_slice(b"data: {\"choices\":[{\"content_filter_offsets\":{\"check_offset\":");
        push_number(out, u64::from(start));
        out.put_slice(b",\"start_offset\":");
        push_number(out, u64::from(start));
        out.put_slice(b",\"end_offset\":");
        push_number(out, u64::from(end));
        out.put_slice(b"},");
        out.put_slice(filters::of_end(finish.unwrap_or(Finish::Stop), false));
        out.put_slice(if finish.is_some() { b"\"finish_reason\":\"content_filter\"" } else { b"\"finish_reason\":null" });
        out.put_slice(b",\"index\":");
        push_number(out, u64::from(choice));
        out.put_slice(b"}],\"created\":0,\"id\":\"\",\"model\":\"\",\"object\":\"\"}\n\n");
    }
}

impl StreamRenderer for Annotated {
    fn event(&mut self, event: &StreamEvent<'_>, out: &mut BytesMut) {
        match *event {
            StreamEvent::Finish { choice, reason: Finish::ContentFilter } => {
                self.is_cut = true;
                self.annotate(choice, Some(Finish::ContentFilter), out);
            }
            // A stream that a filter ends tells no counts.
            StreamEvent::Usage(_) if self.is_cut => {}
            StreamEvent::Finish { choice, .. } => {
                self.inner.event(event, out);
                self.annotate(choice, None, out);
            }
            StreamEvent::Text { choice, text, .. } => {
                self.inner.event(event, out);
                let (checked, sent) = self.offsets(choice);
                *sent = sent.saturating_add(text.chars().count() as u32);
                if *sent - *checked >= WINDOW {
                    self.annotate(choice, None, out);
                }
            }
            _ => self.inner.event(event, out),
        }
    }
}
