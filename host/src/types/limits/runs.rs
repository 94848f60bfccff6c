//! Of runs: the decision log, workloads, recordings, virtual time and verdicts.

limits! {
RUNS

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
/// What a server costs an hour or a million tokens cost: so little that no sum over a run loses its cents.
pub const COST_MAX: f64 = 1e6;
/// A coefficient of a replica's step time, in picoseconds: 2.5 hours, so that no sum over a run leaves its integers.
pub const STEP_COEFFICIENT_PS_MAX: u64 = 1 << 53;
}
