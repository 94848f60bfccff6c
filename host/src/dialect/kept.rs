//! What is kept of replies that are over, so that they can be looked at and gone on from.
//!
//! Vendors keep a reply together with what it answered. Here both are kept as the bytes of the vendor's own JSON, so nothing is lost, and
//! only the dialect that wrote them reads them. The conversation before is shared with the replies it came from. The doors own the place
//! where all of it lies; a dialect is handed what was found.

use std::sync::Arc;

use bytes::Bytes;

use crate::dialect::Dialect;
use crate::types::api_error::ApiError;

/// What an entry needs besides its bytes: pointers, lengths and its place in the shelf's lists.
const OVERHEAD_BYTES: usize = 200;

/// One question and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// What was asked, without what was said before.
    pub asked: Bytes,
    /// The reply's body.
    pub answered: Bytes,
}

/// A reply that is kept, with the conversation that it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The reply's id.
    pub id: Box<str>,
    /// Under which it is found.
    pub key: Box<str>,
    /// The conversation, oldest first; the last exchange is its own.
    pub exchanges: Vec<Arc<Exchange>>,
}

impl Kept {
    /// The exchange that ended with this reply.
    pub fn newest(&self) -> Option<&Exchange> {
        self.exchanges.last().map(|exchange| &**exchange)
    }

    /// Bytes that it keeps from being freed, those that it shares with others included.
    pub fn bytes(&self) -> usize {
        let exchanges = self.exchanges.iter().map(|exchange| exchange.asked.len() + exchange.answered.len() + OVERHEAD_BYTES);
        exchanges.sum::<usize>() + self.id.len() + self.key.len() + OVERHEAD_BYTES
    }
}

/// Something that is asked about a reply that is over, and answered at once: nothing is planned.
pub trait Recall: Send + Sync {
    /// Its name: the dialect's, a slash, and what is asked for.
    fn name(&self) -> &'static str;

    /// Whose it is.
    fn dialect(&self) -> &'static dyn Dialect;

    /// Under which key the reply `id` is kept, if it is.
    fn key<'a>(&self, id: &'a str) -> &'a str;

    /// Is the reply forgotten once this is answered?
    fn forgets(&self) -> bool {
        false
    }

    /// The answer, JSON, of which `kept` is the reply; `query` is the path's.
    fn answer(&self, kept: &Kept, query: Option<&str>) -> Result<Bytes, ApiError>;

    /// What is said of a reply that is not kept.
    fn absent(&self, id: &str) -> ApiError;
}
