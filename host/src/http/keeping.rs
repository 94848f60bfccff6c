//! Replies that are over and kept: requests go on from them, and clients ask about them.

use std::sync::Arc;

use http::Response;

use crate::dialect::Voice;
use crate::dialect::kept::{Kept, Recall};
use crate::http::body::ReplyBody;
use crate::http::handler::Visit;
use crate::http::shelf::Shelf;
use crate::types::api_error::ApiError;
use crate::types::limits::{KEPT_REPLIES_BYTES, KEPT_REPLIES_MAX};
use crate::types::request::Request;

/// Where the doors keep replies.
pub type Replies = Shelf<Kept>;

/// An empty place for replies, within the limits.
pub fn replies() -> Arc<Replies> {
    Arc::new(Shelf::of(KEPT_REPLIES_MAX, KEPT_REPLIES_BYTES))
}

/// Puts into `request` what it goes on from.
pub fn resume(replies: &Replies, voice: &mut dyn Voice, request: &mut Request) -> Result<(), ApiError> {
    let keys = voice.goes_on_from();
    if keys.is_empty() {
        return Ok(());
    }
    let found: Vec<_> = keys.iter().map(|key| replies.get(key)).collect();
    voice.resume(&found, request)
}

/// Keeps what is to be kept of a reply.
pub fn keep(replies: &Replies, kept: Option<Kept>) {
    if let Some(kept) = kept {
        let (key, bytes) = (kept.key.clone(), kept.bytes());
        replies.put(&key, kept, bytes);
    }
}

impl Visit {
    /// Answers what is asked about the reply `id`.
    pub fn recall(&self, recall: &dyn Recall, id: &str, query: Option<&str>) -> Response<ReplyBody> {
        let (replies, key) = (&self.door.replies, recall.key(id));
        let kept = replies.get(key).filter(|kept| *kept.id == *id).ok_or_else(|| recall.absent(id));
        match kept.and_then(|kept| recall.answer(&kept, query)) {
            Ok(body) => {
                if recall.forgets() {
                    replies.remove(key);
                }
                self.json(body, self.door.engine.running().generation.number)
            }
            Err(error) => self.error(&error),
        }
    }
}
