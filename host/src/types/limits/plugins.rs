//! Of plugins: what a guest may use, its compiler, its project and its vectors.

limits! {
PLUGINS

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
/// Memory that a dead instance has written and that is emptied in its place instead of being given back: what guests of one call touch.
pub const GUEST_RESIDENT_BYTES: usize = 512 * 1024;
}
