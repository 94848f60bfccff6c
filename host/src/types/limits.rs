//! Every limit with its default and the reason for it. Code that enforces a limit names it from here.
//!
//! The macro makes each a constant and an entry of [`ALL`], which `simwright limits` prints: what is written here is what is shown.
//! A name holds the unit: `BYTES`, `US`, `MS` and `S` for sizes and times, nothing for numbers.

pub use crate::types::limit::Limit;

macro_rules! limits {
    ($($(#[doc = $reason:literal])+ pub const $name:ident: $type:ty = $value:expr;)+) => {
        $($(#[doc = $reason])+ pub const $name: $type = $value;)+

        /// Every limit, in the order of this file.
        pub const ALL: &[Limit] = &[
            $(Limit { name: stringify!($name), value: $name as u64, reason: concat!($($reason),+) },)+
        ];
    };
}

limits! {
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
/// Tools in one request: OpenAI's documented bound.
pub const TOOLS_MAX: usize = 128;
/// Finished replies that are kept for requests that go on from them, least recently used out first: those of some minutes of load.
pub const KEPT_REPLIES_MAX: usize = 10_000;
/// Bytes of those replies with what was asked, in bytes; a conversation counts anew with each reply that ends it.
pub const KEPT_REPLIES_BYTES: usize = 64 * 1024 * 1024;
/// Tokens of one reply, whatever a client or a behaviour asks for: above every real model's output window.
pub const OUTPUT_TOKENS_MAX: u32 = 1_000_000;
/// Stages that the header `server-timing` of one reply names: more do not help a person, and headers of 8 KiB are the most that proxies pass.
pub const SERVER_TIMING_STAGES_MAX: usize = 64;
/// The fastest drip, in bytes a second: faster than that nobody sees it on a loopback.
pub const DRIP_BYTES_PER_S_MAX: u64 = 1_000_000_000;
/// One message of a realtime session, in bytes: the largest piece of sound that OpenAI takes, in base64.
pub const REALTIME_MESSAGE_BYTES_MAX: usize = 20 * 1024 * 1024;
/// Items of one realtime conversation: hours of talk.
pub const REALTIME_ITEMS_MAX: usize = 2_048;
/// Items of one realtime conversation together, in bytes: as much as the body of one request.
pub const REALTIME_KEPT_BYTES_MAX: usize = BODY_BYTES_MAX;
/// How long a realtime session may last, in seconds: OpenAI ends each after an hour.
pub const REALTIME_SESSION_S: u64 = 3_600;
/// How long a realtime client may be silent while nothing is said to it, in seconds; a ping is a sign of life.
pub const REALTIME_IDLE_S: u64 = 900;
/// Time in which a client must answer the end of its realtime session, in seconds.
pub const REALTIME_GOODBYE_S: u64 = 5;
/// Realtime sessions at a time, of each worker: as many as a process with the usual limit of open files holds.
pub const REALTIME_SESSIONS_MAX: usize = 10_000;
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

/// Linear memory of one plugin instance, in bytes: a Rust guest needs one or two.
pub const GUEST_MEMORY_BYTES: usize = 16 * 1024 * 1024;
/// The most linear memory that a scenario may give one plugin instance, in bytes: ten times what a Python guest needs.
pub const GUEST_MEMORY_CEILING_BYTES: usize = 256 * 1024 * 1024;
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
/// Bytes of all values that one plugin may keep in the host's state.
pub const STATE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Size of a component file: JavaScript and Python ones are 10 to 20 MB.
pub const COMPONENT_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// CPU time to compile one component, in seconds: six times what a Python component of 20 MB needs.
pub const COMPILE_CPU_S: u64 = 120;
/// Address space of a process that compiles one component, in bytes: ten times what one of 20 MB uses, as allocators reserve more.
pub const COMPILE_MEMORY_BYTES: u64 = 2 * 1024 * 1024 * 1024;
/// Time to compile one component from start to end, in seconds: the CPU time on a machine that is busy otherwise.
pub const COMPILE_WALL_S: u64 = 300;
/// Time after which a compilation is worth a line in the log, in milliseconds.
pub const COMPILE_NOTICE_MS: u64 = 2_000;
/// Time between two lines of the log about one compilation, in seconds: often enough to see that it goes on.
pub const COMPILE_PROGRESS_S: u64 = 5;
/// Compiled code of one component, in bytes: eight times the largest component.
pub const COMPILE_OUTPUT_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// Bytes of what a compiler says before it dies that an error message repeats.
pub const COMPILE_WORDS_BYTES: u64 = 2 * 1024;
/// Compiled code that is kept on disk, in bytes; what was not used for longest goes first.
pub const COMPILE_CACHE_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Faults of one plugin within ten seconds that open its breaker, if they are a large enough share of its calls.
pub const PLUGIN_BREAKER_FAULTS: u32 = 20;
/// That share, in percent: a plugin that fails one call in a hundred goes on answering the others.
pub const PLUGIN_BREAKER_PERCENT: u64 = 10;
/// The time within which those faults count, in milliseconds.
pub const PLUGIN_BREAKER_WINDOW_MS: u64 = 10_000;
/// How long an open breaker refuses calls, in milliseconds.
pub const PLUGIN_BREAKER_OPEN_MS: u64 = 5_000;
/// CPU time to start and configure one instance, in microseconds: interpreters begin slowly.
pub const GUEST_SETUP_US: u64 = 2_000_000;
/// Elements of a guest's table: a JavaScript component needs 7,688.
pub const GUEST_TABLE_ELEMENTS: usize = 20_000;
/// Fuel for one microsecond of guest time where time is counted in instructions: about one instruction a nanosecond.
pub const GUEST_FUEL_PER_US: u64 = 1_000;
/// Bytes of a guest's standard error that an error message repeats: room for a panic and its place.
pub const GUEST_LAST_WORDS_BYTES: usize = 2 * 1024;
/// Plugin instances alive at once, over all plugins and generations: each has 4 GiB of address space, and these half of all there is.
pub const PLUGIN_INSTANCES_MAX: u32 = 16_000;
/// Those of them for each worker, of which 16 count at least: ten plugins of a running generation, and of five more while they change.
pub const PLUGIN_INSTANCES_PER_WORKER: u32 = 64;
/// CPU time after which setting an instance up is nothing for a worker, in microseconds: many times what one of Rust takes.
pub const GUEST_SETUP_INLINE_US: u64 = 1_000;
/// Core instances within one component: a Python component has 14.
pub const PLUGIN_CORE_INSTANCES_MAX: u32 = 32;
/// Ready instances kept beside the workers' own, for each plugin and its options.
pub const PLUGIN_SPARES: usize = 2;
/// Calls after which an instance is replaced at the earliest; at the latest after twice as many.
pub const PLUGIN_RECYCLE_CALLS: u32 = 100_000;
/// Name of a plugin project, in bytes: it becomes a part of file names, identifiers and addresses.
pub const PLUGIN_PROJECT_NAME_BYTES_MAX: usize = 64;
/// Size of a `plugin.toml`, in bytes: a hundred times the longest that people write.
pub const PLUGIN_PROJECT_TOML_BYTES_MAX: u64 = 64 * 1024;
/// Time in which a toolchain must build a plugin, in seconds: ten times what the slowest takes on a small machine that has all it needs.
pub const PLUGIN_BUILD_S: u64 = 600;
/// One line of what a toolchain says, in bytes; a longer one is cut into several.
pub const PLUGIN_BUILD_LINE_BYTES: u64 = 1024 * 1024;
/// The last data of a toolchain that are kept, in bytes: what cargo says of the component itself comes last.
pub const PLUGIN_BUILD_DATA_BYTES: usize = 4 * 1024 * 1024;
/// Lines of a toolchain that wait for whoever shows them; then the toolchain waits.
pub const PLUGIN_BUILD_LINES_WAITING: usize = 64;
/// Time for the last words of a tool that has ended, in milliseconds: they are in its pipes already, if nobody else holds these open.
pub const PLUGIN_BUILD_LAST_WORDS_MS: u64 = 1_000;
/// The last words of a toolchain that are kept, in bytes: enough to tell what is missing.
pub const PLUGIN_BUILD_WORDS_BYTES: usize = 64 * 1024;
/// Lines that a plugin says and that are kept while it is tried out (`plugin test`, `plugin run`): more than anybody reads.
pub const TRIAL_LINES_MAX: usize = 1_000;
/// Cases in one file of test vectors: all of them are run whenever the plugin is loaded anew.
pub const VECTOR_CASES_MAX: usize = 1_000;
/// Requests that one case asks to see how many of them fail: enough to tell 1 % from 1.1 %.
pub const VECTOR_REQUESTS_MAX: u64 = 100_000;
/// Settings (options and names) of which each run of vectors keeps instances at a time: the cases of a file rarely have more.
pub const VECTOR_SETTINGS_MAX: usize = 16;
/// Time that a plugin's vectors may take before it goes live, in seconds: a thousand times what most take.
pub const VECTORS_S: u64 = 60;
/// Names of counters that one plugin may keep.
pub const PLUGIN_COUNTERS_MAX: usize = 64;
/// Bytes of a key in the host's state, and of a name that a plugin gives (a counter, a style, a tool, an open case).
pub const PLUGIN_NAME_BYTES: usize = 256;
/// Bytes of an error message that a plugin gives.
pub const PLUGIN_MESSAGE_BYTES: usize = 8 * 1024;
/// Items of one answer, and pauses of one schedule, that a plugin gives.
pub const PLUGIN_ITEMS_MAX: usize = 10_000;
/// The longest time to come back that a fault or a plugin may name, in milliseconds: a day.
pub const RETRY_AFTER_MS_MAX: u32 = 86_400_000;
/// Requests that may wait for the slow lane; more are answered 503.
pub const SLOW_LANE_WAITING_MAX: usize = 1_024;
/// When to come again after that, in milliseconds: the queue has moved on by then if its plugins are slow and not hung.
pub const SLOW_LANE_RETRY_AFTER_MS: u32 = 1_000;

/// Bytes of all files of one pack: some Python or JavaScript components with their tests.
pub const PACK_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Size of a pack's manifest, in bytes, before and after the build: as much as registries take for one.
pub const PACK_MANIFEST_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Files of one pack, and its plugins and scenarios: more than anybody keeps an overview of.
pub const PACK_LAYERS_MAX: usize = 256;
/// Names of packs and of what is in them, and titles of their files, in bytes: they stand in URLs, paths and lines of a table.
pub const PACK_NAME_BYTES_MAX: usize = 128;
/// Packs that one scenario may name.
pub const SCENARIO_PACKS_MAX: usize = 32;
/// Size of one signature, in bytes: four lines, of which minisign bounds the longest to 8 KiB.
pub const PACK_SIGNATURE_BYTES_MAX: usize = 16 * 1024;
/// Signatures of one pack: one a publisher, and some while keys change.
pub const PACK_SIGNATURES_MAX: usize = 16;
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
/// Streams reset by the client that may await the server's notice: more is an attack (CVE-2023-44487).
pub const H2_PENDING_RESETS_MAX: usize = 20;
/// Time between pings on an idle HTTP/2 connection and for their answers, in seconds.
pub const H2_PING_S: u64 = 20;
/// Bytes that wait to be sent on one HTTP/2 stream.
pub const H2_SEND_BUFFER_BYTES: usize = 16 * 1024;
/// How long open streams may finish after SIGTERM, in seconds: below the usual 30 s before a kill.
pub const DRAIN_S: u64 = 25;

/// A reference to a pack in a registry: the longest name and tag that registries take, and a digest.
pub const REFERENCE_BYTES_MAX: usize = 512;
/// A URL that a registry names: links of object stores carry a signature of some kilobytes.
pub const REGISTRY_URL_BYTES_MAX: usize = 8 * 1024;
/// Time to reach a registry, TLS included, in seconds.
pub const REGISTRY_CONNECT_S: u64 = 10;
/// Time from a request to the head of a registry's answer, in seconds; what is sent up has its own time besides.
pub const REGISTRY_HEAD_S: u64 = 10;
/// Time without a byte of a registry's answer, in seconds.
pub const REGISTRY_IDLE_S: u64 = 30;
/// The slowest rate at which bytes of a pack may come or go, in bytes a second, after half a minute: a slow modem's.
pub const REGISTRY_RATE_BYTES_PER_S: u64 = 8 * 1024;
/// The head of a registry's answer, in bytes: what most proxies pass, eightfold.
pub const REGISTRY_HEAD_BYTES_MAX: usize = 64 * 1024;
/// A registry's words about an error, and its token, in bytes.
pub const REGISTRY_WORDS_BYTES_MAX: u64 = 64 * 1024;
/// Redirects of one request: to a store of objects, with one for each of two proxies before it.
pub const REGISTRY_REDIRECTS_MAX: usize = 3;
/// Tags that a registry is asked for at once, which most of them give.
pub const REGISTRY_TAGS_ASKED: usize = 1_000;
/// A part of a registry's list of tags, in bytes: so many tags of the longest kind, eightfold.
pub const REGISTRY_TAGS_BYTES_MAX: u64 = 1024 * 1024;
/// Parts of a registry's list of tags: tens of thousands of versions of one pack.
pub const REGISTRY_TAG_PAGES_MAX: usize = 32;
/// Tries of one request to a registry that fails for now.
pub const REGISTRY_TRIES_MAX: u32 = 4;
/// Time before the second try, in milliseconds; each later one doubles it, and half of each is drawn.
pub const REGISTRY_WAIT_MS: u64 = 500;
/// The longest time that a registry may ask to wait, in seconds; one that asks for more is told of at once.
pub const REGISTRY_WAIT_S_MAX: u64 = 30;
/// A file of a user's credentials for registries, in bytes: thousands of registries.
pub const CREDENTIALS_BYTES_MAX: u64 = 1024 * 1024;

/// What is read of an operator's request after its answer is known, in bytes: some times the largest component, so that whoever sends a
/// file that is too large is told so.
pub const BODY_DISCARDED_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// For how long, in seconds: that much takes a second on loopback.
pub const BODY_DISCARDED_S: u64 = 10;

/// Size of a scenario file, in bytes.
pub const SCENARIO_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Values in a scenario file once its aliases are expanded: what a thousand models need, tenfold.
pub const SCENARIO_VALUES_MAX: usize = 100_000;
/// Nesting of a scenario file: deeper than any section, small enough for a worker's stack.
pub const SCENARIO_DEPTH_MAX: usize = 40;
/// Entries of `models:`; each becomes a label of every metric.
pub const SCENARIO_MODELS_MAX: usize = 1_000;
/// Faults of one list, those of its scripts included: a plan remembers with one bit each which were not asked.
pub const SCENARIO_FAULTS_MAX: usize = 64;
/// Tiers of one scenario: vendors have five or so.
pub const SCENARIO_TIERS_MAX: usize = 100;
/// Routes of one scenario's own: more than the API of any service beside a model; each is looked at until one fits.
pub const SCENARIO_ROUTES_MAX: usize = 256;
/// Incidents of one scenario: a plan remembers with one bit each which applied.
pub const SCENARIO_INCIDENTS_MAX: usize = 64;
/// Phases of one time line: a day in quarters of an hour, tenfold.
pub const SCENARIO_PHASES_MAX: usize = 1_000;
/// Stations of one scenario: more than anybody draws on a wall.
pub const STATIONS_MAX: usize = 1_000;
/// Replicas of one station: each is a machine of its own, with its own queue and clock.
pub const STATION_MEMBERS_MAX: u32 = 10_000;
/// Replicas between which a plugin may choose: it is shown each of them, some 40 bytes, for every choice.
pub const CHOOSER_BACKENDS_MAX: u32 = 1_024;
/// CPU time of one choice or one scaling decision of a plugin, in microseconds: all requests of the scenario wait for it.
pub const CHOOSER_TIME_US: u64 = 5_000;
/// Time from one scaling decision to the next, in milliseconds: real ones take seconds, and each looks at every replica.
pub const SCALING_EVERY_MS_MIN: u64 = 100;
/// The longest that a wish for more or fewer replicas may have to hold, in seconds: a day of wishes is remembered.
pub const SCALING_AFTER_S_MAX: u64 = 86_400;
/// Steps of one schedule of replicas: one for each quarter of an hour of a week.
pub const SCALING_STEPS_MAX: usize = 672;
/// Changes of one group's size that a report lists: one in ten seconds for a day.
pub const SCALING_CHANGES_MAX: usize = 8_640;
/// Decisions of one autoscaler that are kept with their reasons: a day of them, where one in three quarters of an hour changes anything.
pub const SCALING_DECISIONS_MAX: usize = 32;
/// Tokens of one block of a KV cache: four thousand times vLLM's default.
pub const BLOCK_TOKENS_MAX: u32 = 65_536;
/// Points of one replica on the ring of `consistent-hash`: with a hundred, loads differ by a tenth already, and with this by a hundredth.
pub const RING_POINTS_MAX: u64 = 10_000;
/// How many times the mean load a replica may have with a bounded `consistent-hash`: more bounds nothing.
pub const RING_BOUND_MAX: f64 = 100.0;
/// Tenants of which nobody waits and whose shares a fair queue remembers besides: beyond them, the shares so far are forgotten.
pub const FAIR_IDLE_TENANTS_MAX: usize = 1_024;
/// Replicas of all stations of one scenario together: a kilobyte or so each before the first request comes.
pub const SCENARIO_REPLICAS_MAX: u64 = 100_000;
/// Points on the rings of all balancers of one scenario together, 16 bytes each: a hundred for each of the most replicas of a station.
pub const SCENARIO_RING_POINTS_MAX: u64 = 1_000_000;
/// Tokens of one block of all replicas of one scenario together, four bytes each: a hundred for each of the most replicas.
pub const SCENARIO_BLOCK_TOKENS_MAX: u64 = 10_000_000;
/// Places, connections, blocks or tokens that a station may have: a hundred times the largest accelerator's.
pub const STATION_PLACES_MAX: u32 = 100_000_000;
/// Stages, forks, ways and alternatives of one pipeline together: a route's steps are counted in 16 bits.
pub const PIPELINE_STAGES_MAX: usize = 1_000;
/// Answers of a level of a cache that does not say how many it holds: more than most services' questions of a day, in some 70 MB.
pub const CACHE_ENTRIES: u32 = 1_000_000;
/// Levels of one cache: processors have three or four.
pub const CACHE_LEVELS_MAX: usize = 8;
/// Ways of one `route`: a plan remembers with one byte which was taken.
pub const PIPELINE_WAYS_MAX: usize = 200;
/// Attempts of one stage after the first: what nobody waits for any more.
pub const STAGE_RETRIES_MAX: u8 = 20;
/// Text of the newest user message that a request's complexity is read from, in bytes: a long question, but no attached book.
pub const COMPLEXITY_TEXT_BYTES: usize = 16 * 1024;
/// Files that one scenario may include, itself among them: a team's worth of shared pieces.
pub const SCENARIO_FILES_MAX: usize = 64;
/// How deep files may include others: deeper is a maze.
pub const SCENARIO_INCLUDES_DEPTH_MAX: usize = 8;
/// Plugins that one scenario may bring.
pub const SCENARIO_PLUGINS_MAX: usize = 100;
/// A name or pattern in a scenario, in bytes: above every vendor's longest model name.
pub const SCENARIO_NAME_BYTES_MAX: usize = 200;
/// Tokens of a context window: ten times the largest that a vendor sells.
pub const CONTEXT_WINDOW_MAX: u32 = 100_000_000;
/// Memory that a dead instance has written and that is emptied in its place instead of being given back: what guests of one call touch.
pub const GUEST_RESIDENT_BYTES: usize = 512 * 1024;
/// How long watched files must be quiet, twice, before they are read, in milliseconds: longer than the gaps of a slow copy.
pub const WATCH_QUIET_MS: u64 = 50;
/// Files of one followed plugin project that are looked at for changes: sources, and no heap of data.
pub const WATCHED_FILES_MAX: usize = 2_000;
/// Lines of a toolchain that a server shows when a followed plugin does not build: the first mistakes are what counts.
pub const WATCHED_BUILD_LINES: usize = 40;
/// Generations before the running one that a rollback can bring back: a bad afternoon's. Each keeps its plugins loaded.
pub const GENERATIONS_KEPT_MAX: usize = 4;
/// Generations that `GET /generations` lists; older ones are forgotten unless they still answer requests.
pub const GENERATIONS_LISTED_MAX: usize = 100;
/// Refused changes that `GET /generations` lists: enough to see what somebody tried.
pub const REFUSALS_LISTED_MAX: usize = 20;
/// Places that the list of what a change changed names; more are counted.
pub const CHANGED_PLACES_MAX: usize = 50;
/// Connections to the admin door at a time; more wait. An operator has some, dashboards and probes a few dozen.
pub const ADMIN_CONNECTIONS_MAX: usize = 256;
/// Changes by the admin door that may be under way at a time, each a thread and a body; more are answered 503.
pub const CHANGES_WAITING_MAX: usize = 16;
/// The shortest time between two keep-alives of a stream, in microseconds: more often they are load of their own.
pub const KEEP_ALIVE_US_MIN: u64 = 10_000;
/// How long a canary may last, in seconds: a day; longer is an operation of its own.
pub const CANARY_S_MAX: u64 = 86_400;
/// Requests that a canary may wait for: a day of ten thousand a second.
pub const CANARY_REQUESTS_MAX: u64 = 1_000_000_000;
/// Requests whose occurrences are remembered, per half of the table.
pub const OCCURRENCES_MAX: usize = 1 << 19;
/// Keys of one quota that are remembered: a million tenants; with all the windows that a scenario may set, some 120 MiB.
pub const QUOTA_KEYS_MAX: u32 = 1 << 20;
/// Limits of requests over different windows, and as many of tokens: one for each window that there is.
pub const QUOTA_WINDOWS_MAX: usize = 4;
/// Requests that a quota may allow at a time: more than connections fit into a process.
pub const QUOTA_CONCURRENCY_MAX: u32 = 1_000_000;
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

/// Decisions that wait to be written to the log: a tenth of a second at 10,000 requests a second; more are dropped and counted.
pub const DECISIONS_WAITING_MAX: usize = 1_024;
/// Bytes of bodies that wait to be written to the decision log: two of the largest, so that a slow disk costs no memory.
pub const DECISIONS_WAITING_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Body that the decision log keeps, in bytes: any conversation, but no attached film. Of a larger one only a digest is kept.
pub const DECISION_BODY_BYTES_MAX: usize = 1024 * 1024;
/// Size of a decision log, in bytes: a million decisions; what comes after is dropped and counted.
pub const DECISIONS_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;

/// Tries of one packet after which a link that mends losses gives up: those of TCP on Linux (`tcp_retries2`).
pub const LINK_TRIES_MAX: u32 = 16;
/// Classes of one workload; each request asks every class of its source.
pub const WORKLOAD_CLASSES_MAX: usize = 100;
/// Tenants of one workload: as many as a service tells apart in its reports.
pub const WORKLOAD_TENANTS_MAX: usize = 10_000;
/// Closed users of one workload; each is held in memory, some 60 bytes.
pub const WORKLOAD_USERS_MAX: u64 = 1_000_000;
/// Prompts of one class that come again; eight bytes each.
pub const WORKLOAD_PROMPTS_MAX: u64 = 1_000_000;
/// Texts that the prompts of one class share: more than any prefix cache holds.
pub const WORKLOAD_GROUPS_MAX: u64 = 1_000_000;
/// Requests of one run: a year of a thousand a second, thirtyfold.
pub const WORKLOAD_REQUESTS_MAX: u64 = 1_000_000_000_000;
/// Requests a second of one source: more than any service has.
pub const ARRIVAL_RATE_MAX: u64 = 1_000_000;
/// The largest coefficient of variation of gaps: four times that of the burstiest public recording.
pub const ARRIVAL_CV_MAX: f64 = 50.0;
/// Retries of one request by its client: far more than any SDK makes.
pub const CLIENT_RETRIES_MAX: u32 = 1_000;
/// The factor by which each wait of a client is longer than the one before: with it the second reaches any longest wait.
pub const CLIENT_BACKOFF_FACTOR_MAX: f64 = 100.0;
/// Points of a profile of arrivals: a week in minutes.
pub const PROFILE_POINTS_MAX: usize = 10_080;
/// One line of a recording, in bytes: the hashes of a prompt of a million tokens.
pub const TRACE_LINE_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Length of one recording, in seconds: a year; a longer one has another unit than its format says.
pub const TRACE_S_MAX: u64 = 366 * 86_400;
/// How often one recording is played in a run: a million minutes are two years.
pub const TRACE_REPEAT_MAX: u32 = 1_000_000;
/// Requests of one recording that are held in memory, 40 bytes each, and 16 more if they name blocks; a longer one is read from its file
/// while it is played.
pub const TRACE_HELD_ROWS: usize = 1_000_000;
/// Hashes of blocks of one recording that are held in memory, eight bytes each: twenty for each of so many requests. One with more is
/// read from its file, too.
pub const TRACE_HELD_HASHES: usize = 20_000_000;
/// Events of one run in virtual time unless it is asked for more: some minutes, and more than the customers of any textbook. A run
/// without an end stops here.
pub const SIMULATED_EVENTS_MAX: u64 = 100_000_000;
/// Points of one line of a picture of a run: one for every five pixels.
pub const PICTURE_SLICES_MAX: usize = 128;
/// Models, classes or tenants that a picture tells apart, some 2 MiB each while a run is played; more become one line.
pub const PICTURE_LINES_MAX: usize = 12;

/// Criteria of one scenario: more than anybody reads in a table.
pub const CRITERIA_MAX: usize = 200;
/// Retries of one identity within [`STORM_WINDOW_S`] that are still no storm: what vendors' SDKs do with their retries turned up.
pub const STORM_RETRIES: u32 = 5;
/// The time within which those retries count, in seconds: a client that backs off exponentially from half a second stays below.
pub const STORM_WINDOW_S: u64 = 10;
/// Identities whose last request failed that are remembered, per half of the table: some ten megabytes.
pub const CONDUCT_MAX: usize = 1 << 16;
/// Time in which an admin door must answer `simwright verdict`, in seconds: it answers from memory.
pub const ADMIN_ANSWER_S: u64 = 5;
/// Size of that answer, in bytes: a thousand models with their figures.
pub const ADMIN_ANSWER_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// What a server costs an hour or a million tokens cost: so little that no sum over a run loses its cents.
pub const COST_MAX: f64 = 1e6;

/// A coefficient of a replica's step time, in picoseconds: 2.5 hours, so that no sum over a run leaves its integers.
pub const STEP_COEFFICIENT_PS_MAX: u64 = 1 << 53;
}
