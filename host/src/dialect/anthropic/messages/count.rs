//! The answer to `POST /v1/messages/count_tokens`: a number.

use bytes::{BufMut, BytesMut};

use crate::dialect::Voice;
use crate::dialect::json::splice::push_number;
use crate::types::reply::{Head, WholeReply};

/// Says how many tokens the prompt has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Count;

impl Voice for Count {
    fn whole(&self, _head: &Head, reply: &WholeReply, out: &mut BytesMut) {
        out.put_slice(b"{\"input_tokens\":");
        push_number(out, u64::from(reply.usage.input));
        out.put_u8(b'}');
    }
}
