//! Of what outlives a request: kept replies, files, batches and realtime sessions.

use super::BODY_BYTES_MAX;

limits! {
KEPT

/// Finished replies that are kept for requests that go on from them, least recently used out first: those of some minutes of load.
pub const KEPT_REPLIES_MAX: usize = 10_000;
/// Bytes of those replies with what was asked, in bytes; a conversation counts anew with each reply that ends it.
pub const KEPT_REPLIES_BYTES: usize = 64 * 1024 * 1024;
/// One message of a realtime session, in bytes: the largest piece of sound that OpenAI takes, in base64.
pub const REALTIME_MESSAGE_BYTES_MAX: usize = 20 * 1024 * 1024;
/// Items of one realtime conversation: hours of talk.
pub const REALTIME_ITEMS_MAX: usize = 2_048;
/// Settings and items of one realtime session together, in bytes: as much as the body of one request.
pub const REALTIME_KEPT_BYTES_MAX: usize = BODY_BYTES_MAX;
/// What all realtime sessions of one worker keep together, in bytes: eight of the largest, or a page of talk for each of the most.
pub const REALTIME_BYTES_MAX: usize = 256 * 1024 * 1024;
/// How long a realtime session may last, in seconds: OpenAI ends each after an hour.
pub const REALTIME_SESSION_S: u64 = 3_600;
/// How long a realtime client may be silent while nothing is said to it, in seconds; a ping is a sign of life.
pub const REALTIME_IDLE_S: u64 = 900;
/// Time in which a client must answer the end of its realtime session, in seconds.
pub const REALTIME_GOODBYE_S: u64 = 5;
/// Realtime sessions at a time, of each worker: as many as a process with the usual limit of open files holds.
pub const REALTIME_SESSIONS_MAX: usize = 10_000;
/// When to come again if there are as many, in milliseconds: some end every second then.
pub const REALTIME_RETRY_AFTER_MS: u32 = 1_000;
/// Files that clients have uploaded and that batches have left, least recently used out first: as many as one page of OpenAI's list.
pub const FILES_MAX: usize = 10_000;
/// Bytes of all those files, and as many of results that are no files: eight of the largest bodies.
pub const FILES_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Parts of one multipart body: a file and its fields, several times over.
pub const MULTIPART_PARTS_MAX: usize = 32;
/// Batches that clients can ask about, least recently used out first.
pub const BATCHES_MAX: usize = 1_000;
/// Batches that are not over; more are answered 429.
pub const BATCHES_OPEN_MAX: usize = 32;
/// Bytes of the requests of all batches that are not over; more are answered 429.
pub const BATCHES_OPEN_BYTES_MAX: usize = 256 * 1024 * 1024;
/// When to come again if there is no room for another batch, in milliseconds: as soon as one may be over.
pub const BATCHES_RETRY_AFTER_MS: u32 = 1_000;
/// Batches whose requests are played at a time; the others wait for their turn.
pub const BATCHES_AT_A_TIME: usize = 4;
/// Requests of one batch: Anthropic's documented bound, twice that of OpenAI.
pub const BATCH_REQUESTS_MAX: usize = 100_000;
/// Requests of one of OpenAI's batches: its documented bound.
pub const BATCH_LINES_MAX: usize = 50_000;
/// Requests of one batch that are played at a time: a batch is to be no burst.
pub const BATCH_REQUESTS_AT_A_TIME: usize = 64;
/// Mistakes in a batch's lines that are shown: more help nobody.
pub const BATCH_PROBLEMS_MAX: usize = 100;
/// Results of one batch, in bytes; what does not fit counts as failed.
pub const BATCH_RESULTS_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The time in which a batch must be over, in seconds: a day, as vendors promise.
pub const BATCH_WINDOW_S: u64 = 86_400;
}
