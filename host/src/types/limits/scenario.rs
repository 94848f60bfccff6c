//! Of what a person writes, and of what a server remembers for it.

limits! {
SCENARIO

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
}
