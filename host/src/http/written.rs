//! A whole reply before it leaves: what a playback gives for it, and its bytes.

use bytes::BytesMut;

use crate::behavior::fault::Damage;
use crate::clock::Nanos;
use crate::dialect::spoil::{mark_break, spoil_whole};
use crate::engine::playback::{Ending, Playback, Stage};
use crate::types::reply::{StreamEvent, WholeReply};

/// A whole reply, rendered before it is due.
pub(super) struct Written {
    pub(super) out: BytesMut,
    /// What its client is told instead.
    pub(super) error: Option<String>,
    pub(super) due: Nanos,
    pub(super) ending: Ending,
}

impl Written {
    /// What `playback` gives, which is yet to be rendered.
    pub(super) fn of(playback: &mut Playback, damage: Option<Damage>) -> (Self, Gathered) {
        let mut gathered = Gathered::of(playback, damage);
        let (due, ending) = playback.play_whole(&mut gathered);
        (Self { out: BytesMut::new(), error: gathered.error.take(), due, ending }, gathered)
    }
}

/// What a playback gives for a whole reply.
pub(super) struct Gathered {
    pub(super) reply: WholeReply,
    arrival: Nanos,
    /// When its first token was due, once that is known.
    first: Option<Nanos>,
    error: Option<String>,
    damage: Option<Damage>,
    /// After how many steps the damage struck.
    struck: Option<u32>,
}

impl Gathered {
    fn of(playback: &Playback, damage: Option<Damage>) -> Self {
        let reply = &playback.plan().reply;
        let reply = WholeReply::with_capacity(reply.choices.len(), reply.steps());
        Self { reply, arrival: playback.arrival(), first: None, error: None, damage, struck: None }
    }

    /// Spoils what was rendered, if that is planned.
    pub(super) fn spoil(&self, playback: &Playback, out: &mut BytesMut) {
        if let (Some(damage), Some(struck)) = (self.damage, self.struck) {
            spoil_whole(damage, struck, playback.progress().1, out);
        }
    }
}

impl Stage for Gathered {
    fn due(&mut self, due: u64) {
        let after = due.saturating_sub(self.arrival);
        self.reply.first_ns = *self.first.get_or_insert(after);
        self.reply.last_ns = after;
    }

    fn event(&mut self, event: &StreamEvent<'_>) {
        if let StreamEvent::Error { message, .. } = event {
            self.error = Some((*message).to_owned());
        }
        self.reply.gather(event);
    }

    fn strike(&mut self, step: u32) {
        self.struck = Some(step);
        if self.damage == Some(Damage::SplitUtf8) {
            mark_break(&mut self.reply);
        }
    }
}
