//! What has happened and has not been said yet: notices that wait for the next `advance`.
//!
//! `enter` and `leave` have consequences for others (a connection is handed on, a batch goes). They are kept here in the order in which
//! they happened. Who leaves before its notice was given hears nothing more, because its number may be another's by then.

use crate::clock::Nanos;
use crate::station::{Notice, Refusal, Visitor};

/// Notices in the order of their times.
#[derive(Debug, Default)]
pub(super) struct Untold(Vec<Notice>);

impl Untold {
    /// Adds one that happened `at`, not before those that are here.
    pub(super) fn add(&mut self, at: Nanos, visitor: Visitor, refused: Option<Refusal>) {
        self.0.push(Notice { at, visitor, refused });
    }

    /// When the first happened.
    pub(super) fn first_at(&self) -> Option<Nanos> {
        self.0.first().map(|notice| notice.at)
    }

    /// Takes back the one for `visitor`.
    pub(super) fn withdraw(&mut self, visitor: Visitor) {
        self.0.retain(|notice| notice.visitor != visitor);
    }

    /// Moves all to `notices`, and shows each to `seen`.
    pub(super) fn tell(&mut self, notices: &mut Vec<Notice>, mut seen: impl FnMut(&Notice)) {
        for notice in self.0.drain(..) {
            seen(&notice);
            notices.push(notice);
        }
    }
}
