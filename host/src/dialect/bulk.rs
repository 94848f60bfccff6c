//! Many requests that are handed in at once and answered later: what all vendors' batches have in common.
//!
//! A vendor reads an order and its requests, says how a batch looks while its requests are played, and writes one line for each result.
//! The doors own the batches and the work; nothing here keeps anything.

use bytes::{Bytes, BytesMut};
use http::HeaderMap;

use crate::dialect::openai::files::Upload;
use crate::dialect::{Dialect, Inbound};
use crate::types::api_error::ApiError;

/// A vendor's way of taking many requests at once.
pub trait Bulk: Send + Sync {
    /// Its name in logs: the dialect's, a slash, and what is asked for.
    fn name(&self) -> &'static str;

    /// Whose it is.
    fn dialect(&self) -> &'static dyn Dialect;

    /// The id of a batch drawn from `draw`.
    fn batch_id(&self, draw: u64) -> String;

    /// Reads a request for a new batch.
    fn order(&self, inbound: Inbound<'_>) -> Result<Order, ApiError>;

    /// Why `task` cannot be a part of a batch, although it could be asked by itself.
    fn refusal(&self, task: &Task) -> Option<ApiError>;

    /// Appends the line for `outcome` of `task`, whose id is drawn from `draw`.
    fn push_line(&self, out: &mut BytesMut, task: &Task, draw: u64, outcome: &Outcome<'_>);

    /// What the reply `body` says of its tokens.
    fn spent(&self, body: &[u8]) -> Spent;

    /// How it reads and leaves files, if it does.
    fn files(&self) -> Option<&'static dyn Filing> {
        None
    }

    /// `batch` as clients see it, of whom `base` is the address of the API.
    fn render(&self, batch: &Batch, base: &str) -> Bytes;

    /// A page of the list of batches; `has_more` if it is not the last.
    fn render_list(&self, batches: &[Batch], has_more: bool, base: &str) -> Bytes;

    /// Which page `query` asks for.
    fn page(&self, query: Option<&str>) -> Result<Page, ApiError>;

    /// The answer to the deletion of the batch `id`, if batches can be deleted.
    fn render_deleted(&self, _id: &str) -> Option<Bytes> {
        None
    }

    /// The refusal of `act` on a batch that is `stage`.
    fn unfit(&self, act: Act, stage: Stage) -> ApiError;

    /// What is said of a batch that is not there.
    fn absent(&self, id: &str) -> ApiError;
}

/// Batches whose requests are a file, and whose results are files of their own, those that failed apart from the others.
pub trait Filing: Send + Sync {
    /// The requests in `input`, the file that `order` names. The error is all that is wrong with it.
    fn tasks(&self, order: &Order, input: &Bytes) -> Result<Vec<Task>, Vec<Problem>>;

    /// What is said of a file that is not there or no input of a batch.
    fn no_input(&self, id: &str) -> ApiError;

    /// The file that `batch` leaves: its answers, or `errors`.
    fn left_by(&self, batch: &Batch, is_errors: bool, content: BytesMut) -> Upload;
}

/// What can be done about batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Hand one in.
    Create,
    /// See them all.
    List,
    /// See one.
    Retrieve,
    /// Begin no more of its requests.
    Cancel,
    /// Forget one that is over.
    Delete,
    /// Read the results of one that is over.
    Results,
}

/// A batch as it is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Order {
    /// Where its requests are.
    pub input: Input,
    /// The path that all of them ask, without root and version.
    pub path: Box<str>,
    /// What the client wants to be told again.
    pub metadata: Box<[(Box<str>, Box<str>)]>,
    /// How long what it leaves is kept, in seconds; for ever if `None`.
    pub leavings_s: Option<u64>,
}

/// Where a batch's requests are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// In the file with this id.
    File(Box<str>),
    /// In the order itself.
    Here(Vec<Task>),
}

impl Default for Input {
    fn default() -> Self {
        Self::Here(Vec::new())
    }
}

/// One request of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// The client's name for it.
    pub custom_id: Box<str>,
    /// Its body, a part of the input.
    pub body: Bytes,
    /// Which model it asks.
    pub model: Box<str>,
    /// Does it ask for a stream?
    pub streams: bool,
}

/// Something wrong with a batch's input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The vendor's word for it.
    pub code: &'static str,
    /// A sentence for people.
    pub message: String,
    /// The field.
    pub param: Option<&'static str>,
    /// The line, from 1.
    pub line: Option<usize>,
}

/// What came of one request of a batch.
#[derive(Debug, Clone, Copy)]
pub enum Outcome<'a> {
    /// It was answered, for better or worse.
    Answered {
        /// The HTTP status.
        status: u16,
        /// The answer's headers.
        headers: &'a HeaderMap,
        /// The answer's body: JSON on one line.
        body: &'a [u8],
    },
    /// No answer came that could be read, for this reason.
    Broken(&'static str),
    /// The batch was cancelled before its turn.
    Cancelled,
    /// The batch ran out of time before its answer.
    Expired,
}

/// How far a batch is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Stage {
    /// Its input is looked at, or it waits for its turn.
    #[default]
    Validating,
    /// Its input is wrong.
    Failed,
    /// Its requests are played.
    InProgress,
    /// No more of its requests begin.
    Cancelling,
    /// Its results are put together.
    Finalizing,
    /// Every request was answered.
    Completed,
    /// It ran out of time.
    Expired,
    /// It was cancelled.
    Cancelled,
}

impl Stage {
    /// Does nothing more come of it?
    pub fn is_over(self) -> bool {
        matches!(self, Self::Failed | Self::Completed | Self::Expired | Self::Cancelled)
    }
}

/// How many of a batch's requests came to what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// All of them.
    pub total: u32,
    /// Answered as asked.
    pub succeeded: u32,
    /// Refused or broken.
    pub failed: u32,
    /// Never begun.
    pub cancelled: u32,
    /// Out of time.
    pub expired: u32,
}

impl Tally {
    /// All that came to nothing, for whatever reason.
    pub fn total_failed(&self) -> u32 {
        self.failed + self.cancelled + self.expired
    }
}

/// Tokens that a reply or a batch took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// Of the prompt.
    pub input: u64,
    /// Those of them that a cache knew.
    pub cached: u64,
    /// Of the reply.
    pub output: u64,
    /// Those of them that were thoughts.
    pub reasoning: u64,
}

impl std::ops::AddAssign for Spent {
    fn add_assign(&mut self, other: Self) {
        self.input += other.input;
        self.cached += other.cached;
        self.output += other.output;
        self.reasoning += other.reasoning;
    }
}

/// When what happened to a batch, in Unix seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moments {
    /// When it was handed in.
    pub created: u64,
    /// When it runs out of time.
    pub expires: u64,
    /// When the first of its requests began.
    pub began: Option<u64>,
    /// When it was told to stop.
    pub cancelling: Option<u64>,
    /// When the last of its requests was over.
    pub finalizing: Option<u64>,
    /// When it was over.
    pub ended: Option<u64>,
}

/// A batch at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// Its id.
    pub id: Box<str>,
    /// What was asked for, without the requests.
    pub order: Order,
    /// How far it is.
    pub stage: Stage,
    /// When what happened.
    pub moments: Moments,
    /// What came of its requests.
    pub tally: Tally,
    /// The tokens that they took.
    pub spent: Spent,
    /// The model that all of them ask, once that is known.
    pub model: Option<Box<str>>,
    /// What is wrong with its input.
    pub problems: Vec<Problem>,
    /// The file with the answers.
    pub output: Option<Box<str>>,
    /// The file with the others.
    pub errors: Option<Box<str>>,
}

/// Which part of a list is asked for, newest first unless `is_ascending`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// At most so many.
    pub limit: usize,
    /// Those behind this id.
    pub after: Option<String>,
    /// Those just before this id.
    pub before: Option<String>,
    /// Oldest first?
    pub is_ascending: bool,
}

impl Page {
    /// The part of `all`, oldest first, that is asked for, and whether there is more in that direction. `None` if there is no such id.
    pub fn of<T>(&self, mut all: Vec<T>, id: impl Fn(&T) -> &str) -> Option<(Vec<T>, bool)> {
        if !self.is_ascending {
            all.reverse();
        }
        let place = |wanted: &String| all.iter().position(|one| id(one) == wanted);
        let start = match &self.after {
            Some(after) => place(after)? + 1,
            None => 0,
        };
        match &self.before {
            Some(before) => {
                let end = place(before)?.max(start);
                all.truncate(end);
                let first = end.saturating_sub(self.limit).max(start);
                Some((all.split_off(first), first > start))
            }
            None => {
                let mut page = all.split_off(start);
                let has_more = page.len() > self.limit;
                page.truncate(self.limit);
                Some((page, has_more))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(limit: usize, after: Option<&str>, before: Option<&str>, is_ascending: bool) -> Option<(String, bool)> {
        let page = Page { limit, after: after.map(str::to_owned), before: before.map(str::to_owned), is_ascending };
        let all = vec!["a", "b", "c", "d", "e"];
        page.of(all, |one| one).map(|(found, more)| (found.concat(), more))
    }

    #[test]
    fn a_page_begins_behind_one_id_or_ends_before_another() {
        assert_eq!(page(2, None, None, false), Some(("ed".to_owned(), true)));
        assert_eq!(page(2, Some("d"), None, false), Some(("cb".to_owned(), true)));
        assert_eq!(page(2, Some("b"), None, false), Some(("a".to_owned(), false)));
        assert_eq!(page(2, None, Some("b"), false), Some(("dc".to_owned(), true)));
        assert_eq!(page(9, None, Some("d"), false), Some(("e".to_owned(), false)));
        assert_eq!(page(3, Some("b"), None, true), Some(("cde".to_owned(), false)));
        assert_eq!(page(9, Some("b"), Some("d"), false), Some((String::new(), false)));
        assert_eq!(page(1, Some("x"), None, true), None);
    }
}
