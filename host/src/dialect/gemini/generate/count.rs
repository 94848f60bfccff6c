//! The answer to `:countTokens`: a number.

use bytes::{BufMut, BytesMut};

use crate::dialect::json::splice::push_number;
use crate::dialect::{StreamRenderer, Voice};
use crate::types::reply::{Head, StreamEvent, WholeReply};

/// Says how many tokens the prompt has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Count;

impl Voice for Count {
    fn whole(&self, _head: &Head, reply: &WholeReply, out: &mut BytesMut) {
        out.put_slice(b"{\"totalTokens\":");
        push_number(out, u64::from(reply.usage.input));
        out.put_slice(b",\"promptTokensDetails\":[{\"modality\":\"TEXT\",\"tokenCount\":");
        push_number(out, u64::from(reply.usage.input));
        out.put_slice(b"}]}");
    }

    fn stream(&self, _head: &Head) -> Box<dyn StreamRenderer> {
        Box::new(Self)
    }
}

/// Never asked for: a count does not stream.
impl StreamRenderer for Count {
    fn event(&mut self, _event: &StreamEvent<'_>, _out: &mut BytesMut) {}
}
