//! Of connections: times, sizes and numbers at the data door and the admin door.

limits! {
DOORS

/// Time from accept, and from the first byte of each later request, to a complete head, or to the preface of HTTP/2, in seconds.
pub const HEADER_READ_S: u64 = 10;
/// Idle time of a kept-alive connection, in seconds.
pub const KEEP_ALIVE_IDLE_S: u64 = 75;
/// Time without a byte of an announced body, in seconds.
pub const BODY_IDLE_S: u64 = 10;
/// Time a client may refuse to take bytes that are due, in seconds.
pub const WRITE_STALL_S: u64 = 60;
/// Request headers, in number.
pub const HEADERS_MAX: usize = 100;
/// Buffer for an HTTP/1.1 head and pipelined bytes, in bytes.
pub const H1_BUFFER_BYTES: usize = 64 * 1024;
/// Concurrent HTTP/2 streams on one connection.
pub const H2_STREAMS_MAX: u32 = 250;
/// Streams reset by the client that may await the server's notice: more is an attack (CVE-2023-44487).
pub const H2_PENDING_RESETS_MAX: usize = 20;
/// Time between pings on an idle HTTP/2 connection and for their answers, in seconds.
pub const H2_PING_S: u64 = 20;
/// Bytes that wait to be sent on one HTTP/2 stream.
pub const H2_SEND_BUFFER_BYTES: usize = 16 * 1024;
/// How long open streams may finish after SIGTERM, in seconds: below the usual 30 s before a kill.
pub const DRAIN_S: u64 = 25;
/// What is read of an operator's request after its answer is known, in bytes: some times the largest component, so that whoever sends a
/// file that is too large is told so.
pub const BODY_DISCARDED_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// For how long, in seconds: that much takes a second on loopback.
pub const BODY_DISCARDED_S: u64 = 10;
/// Connections to the admin door at a time; more wait. An operator has some, dashboards and probes a few dozen.
pub const ADMIN_CONNECTIONS_MAX: usize = 256;
/// Changes by the admin door that may be under way at a time, each a thread and a body; more are answered 503.
pub const CHANGES_WAITING_MAX: usize = 16;
/// The shortest time between two keep-alives of a stream, in microseconds: more often they are load of their own.
pub const KEEP_ALIVE_US_MIN: u64 = 10_000;
/// Time in which an admin door must answer `simwright verdict`, in seconds: it answers from memory.
pub const ADMIN_ANSWER_S: u64 = 5;
/// Size of that answer, in bytes: a thousand models with their figures.
pub const ADMIN_ANSWER_BYTES_MAX: u64 = 4 * 1024 * 1024;
}
