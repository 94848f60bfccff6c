//! Of one request and its reply: what a client may ask, and what responders, latency models and schemas may make of it.

limits! {
REQUESTS

/// Body of one request, in bytes: the largest that a vendor documents (Anthropic Messages, 32 MB).
pub const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Nesting of a JSON body: serde_json's own bound, which keeps the parser's stack small.
pub const JSON_DEPTH_MAX: usize = 128;
/// Replies to one request (`n`): OpenAI's documented bound.
pub const CHOICES_MAX: u32 = 128;
/// Prompts of one request that are no conversation, such as texts to embed: OpenAI's documented bound.
pub const PROMPTS_MAX: usize = 2_048;
/// Dimensions of one embedding: above every widely used model's own.
pub const EMBEDDING_DIMENSIONS_MAX: usize = 4_096;
/// Texts of one request at which its reply ends (`stop`): OpenAI's documented bound.
pub const STOPS_MAX: usize = 4;
/// The same of Gemini: its documented bound.
pub const GEMINI_STOPS_MAX: usize = 5;
/// The same of Anthropic, which documents none: more than anybody looks for in one reply.
pub const ANTHROPIC_STOPS_MAX: usize = 8_191;
/// Tools in one request: OpenAI's documented bound.
pub const TOOLS_MAX: usize = 128;
/// Tools in one request to a vendor that documents no bound: those of many tool servers together.
pub const MANY_TOOLS_MAX: usize = 1_024;
/// Tokens of one reply, whatever a client or a behaviour asks for: above every real model's output window.
pub const OUTPUT_TOKENS_MAX: u32 = 1_000_000;
/// Stages that the header `server-timing` of one reply names: more do not help a person, and headers of 8 KiB are the most that proxies pass.
pub const SERVER_TIMING_STAGES_MAX: usize = 64;
/// The fastest drip, in bytes a second: faster than that nobody sees it on a loopback.
pub const DRIP_BYTES_PER_S_MAX: u64 = 1_000_000_000;
/// Tool calls of one reply that a native responder makes: as many as a request may declare tools.
pub const TOOL_CALLS_MAX: u32 = 128;
/// Steps of one native conversation, far more than people write.
pub const CONVERSATION_STEPS_MAX: usize = 1_000;
/// Size of one template, in bytes: a long system prompt's worth.
pub const TEMPLATE_BYTES_MAX: usize = 64 * 1024;
/// What one template may write, in bytes: some 200,000 tokens of English. What its own variables hold on the way is not bounded.
pub const TEMPLATE_OUTPUT_BYTES_MAX: usize = 1024 * 1024;
/// Steps of one template's run: enough to walk a long conversation many times; a loop without end stops there.
pub const TEMPLATE_FUEL: u64 = 100_000;
/// Tokens of filler that one template may ask for.
pub const TEMPLATE_TOKENS_MAX: u32 = 100_000;
/// Size of one file of fixtures, in bytes: that of a scenario.
pub const FIXTURES_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Fixtures of one responder: what a large test suite needs, tenfold.
pub const FIXTURES_MAX: usize = 10_000;
/// Size of one compiled regular expression, in bytes: patterns of hundreds of characters fit.
pub const REGEX_BYTES_MAX: usize = 1024 * 1024;
/// Any single delay, in microseconds: one hour; a longer one is a mistake.
pub const DELAY_US_MAX: u64 = 3_600_000_000;
/// Size of a file of measured delays, in bytes: a million of them with room for other columns.
pub const DELAY_FILE_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// Delays of one empirical law: more change no percentile that anybody reads.
pub const DELAY_VALUES_MAX: usize = 1_000_000;
/// Parts of one mixture: more than any mixture that was fitted to a service.
pub const MIXTURE_PARTS_MAX: usize = 32;
/// Rules for pauses of one latency model; each is asked after every token.
pub const PAUSE_RULES_MAX: usize = 32;
/// Text of the laws that plugins name and that are kept ready, in bytes.
pub const NAMED_LAWS_BYTES: u64 = 4 * 1024 * 1024;
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
/// References that are followed from one node of a JSON Schema before they count as a circle: more than people nest.
pub const SCHEMA_HOPS_MAX: u32 = 32;
/// Alternatives that two nodes of a JSON Schema have together: few in practice, and what comes later is never chosen.
pub const SCHEMA_PAIRS_MAX: usize = 256;
/// Characters of one string written for a JSON Schema.
pub const SCHEMA_STRING_CHARS_MAX: u64 = 65_536;
}
