//! Every limit with its default and the reason for it. Code that enforces a limit names it from here.

/// Body of one request, in bytes: the largest that a vendor documents (Anthropic Messages, 32 MB).
pub const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Nesting of a JSON body: serde_json's own bound, which keeps the parser's stack small.
pub const JSON_DEPTH_MAX: usize = 128;
/// Replies to one request (`n`): OpenAI's documented bound.
pub const CHOICES_MAX: u32 = 128;
/// Tools in one request: OpenAI's documented bound.
pub const TOOLS_MAX: usize = 128;
/// Tokens of one reply, whatever a client or a behaviour asks for: above every real model's output window.
pub const OUTPUT_TOKENS_MAX: u32 = 1_000_000;
/// Any single delay, in microseconds: one hour; a longer one is a mistake.
pub const DELAY_US_MAX: u64 = 3_600_000_000;

/// Linear memory of one plugin instance, in bytes: a Rust guest needs one or two.
pub const GUEST_MEMORY_BYTES: usize = 16 * 1024 * 1024;
/// CPU time of one plugin call, in microseconds: forty times what a Python guest needs.
pub const GUEST_TIME_US: u64 = 20_000;
/// Wall time of one plugin call, in microseconds: the hard stop when the machine is too busy to give it CPU.
pub const GUEST_WALL_US: u64 = 500_000;
/// CPU time after which a plugin counts as slow and leaves the workers for the slow lane, in microseconds.
pub const GUEST_INLINE_US: u64 = 100;
/// Guest stack in bytes: deep enough for any parser, small enough to trap early.
pub const GUEST_STACK_BYTES: usize = 512 * 1024;
/// Bytes that one call may move through host services and results.
pub const GUEST_TRANSFER_BYTES: usize = 8 * 1024 * 1024;
/// Log lines of one call.
pub const GUEST_LOG_LINES: u32 = 100;
/// Bytes of one log line; the rest is cut.
pub const GUEST_LOG_LINE_BYTES: usize = 1024;
/// Keys that one plugin may keep in the host's state.
pub const STATE_KEYS_MAX: usize = 100_000;
/// Bytes of one value in the host's state.
pub const STATE_VALUE_BYTES: usize = 64 * 1024;
/// Size of a component file: JavaScript and Python ones are 10 to 20 MB.
pub const COMPONENT_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Faults of one plugin within ten seconds that open its breaker.
pub const PLUGIN_BREAKER_FAULTS: u32 = 20;
/// How long an open breaker refuses calls, in milliseconds.
pub const PLUGIN_BREAKER_OPEN_MS: u64 = 5_000;
/// Requests that may wait for the slow lane; more are answered 503.
pub const SLOW_LANE_WAITING_MAX: usize = 1_024;

/// Time from accept to a complete request head, in seconds.
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
/// Bytes that wait to be sent on one HTTP/2 stream.
pub const H2_SEND_BUFFER_BYTES: usize = 16 * 1024;
/// How long open streams may finish after SIGTERM, in seconds: below the usual 30 s before a kill.
pub const DRAIN_S: u64 = 25;

/// Size of a scenario file, in bytes.
pub const SCENARIO_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Requests whose occurrences are remembered, per half of the table.
pub const OCCURRENCES_MAX: usize = 1 << 19;
/// Requests that the journal remembers.
pub const JOURNAL_ENTRIES_MAX: usize = 1_000;
/// Texts whose exact token counts are remembered: about ten megabytes.
pub const TOKEN_COUNTS_MAX: u64 = 65_536;
/// Size of one JSON Schema for which an instance is written, in bytes: twice the text that OpenAI documents as its bound.
pub const SCHEMA_BYTES_MAX: usize = 256 * 1024;
/// Text of the JSON Schemas that are kept compiled, in bytes; compiled they take some ten times as much.
pub const SCHEMAS_KEPT_BYTES: u64 = 4 * 1024 * 1024;
/// Steps of writing one instance for a JSON Schema (values written, draws that failed included); one that needs more is refused.
pub const SCHEMA_VALUES_MAX: u32 = 10_000;
/// Nesting of one instance written for a JSON Schema: far inside what JSON parsers accept.
pub const SCHEMA_DEPTH_MAX: u32 = 32;
/// Characters of one string written for a JSON Schema.
pub const SCHEMA_STRING_CHARS_MAX: u64 = 65_536;
