//! Every metric in one list: name, kind, help. Code asks for handles here, once, and keeps them: a lookup by label is for start-up,
//! not for the path of a request.

use std::sync::OnceLock;

use metrics::{Counter, Gauge, Histogram, Unit};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Requests answered, by `model` (empty if they were refused before one was found) and `status`.
pub const REQUESTS: &str = "simwright_requests_total";
/// Requests being answered, by `model`.
pub const RUNNING: &str = "simwright_requests_running";
/// Streams whose client left before the end, by `model`.
pub const CANCELLED: &str = "simwright_requests_cancelled_total";
/// Time to first token, by `model`.
pub const TTFT: &str = "simwright_time_to_first_token_seconds";
/// Time between tokens, by `model`.
pub const GAP: &str = "simwright_inter_token_latency_seconds";
/// Time from request to end, by `model`.
pub const DURATION: &str = "simwright_request_duration_seconds";
/// Tokens by `model` and `direction` (`input`, `output`).
pub const TOKENS: &str = "simwright_tokens_total";
/// Faults played, by `model` and `kind`.
pub const FAULTS: &str = "simwright_faults_total";
/// Requests that a limit turned away, by `model` and `cause`.
pub const REFUSED: &str = "simwright_refused_total";
/// Calls of plugins, by `plugin` and `behaviour`.
pub const PLUGIN_CALLS: &str = "simwright_plugin_calls_total";
/// Time of plugin calls (one in sixteen is timed), by `plugin` and `behaviour`.
pub const PLUGIN_TIME: &str = "simwright_plugin_call_duration_seconds";
/// Failed plugin calls, by `plugin`, `behaviour` and `cause`.
pub const PLUGIN_FAILURES: &str = "simwright_plugin_failures_total";
/// Instances of a plugin that are ready, by `plugin`.
pub const PLUGIN_READY: &str = "simwright_plugin_instances_ready";
/// Instances of a plugin made so far, by `plugin`.
pub const PLUGIN_INSTANCES: &str = "simwright_plugin_instances_total";
/// Breakers that refuse calls of a plugin, by `plugin`: 1 while it is not asked.
pub const PLUGIN_BREAKERS_OPEN: &str = "simwright_plugin_breakers_open";
/// Requests that wait for a thread of the slow lane.
pub const SLOW_LANE_WAITING: &str = "simwright_slow_lane_waiting";
/// Counters that plugins keep themselves, by `plugin` and `name`.
pub const PLUGIN_COUNTS: &str = "simwright_plugin_counts_total";
/// Packs of the running scenario that nobody who is trusted has signed, and that were taken with `--insecure`.
pub const PACKS_INSECURE: &str = "simwright_packs_insecure";
/// Replicas of a group that changes its size, by `station` and `state` (`ready`, `starting`, `draining`, `wanted`).
pub const REPLICAS: &str = "simwright_replicas";
/// Decisions that more or fewer replicas are wanted, by `station` and `direction`.
pub const SCALINGS: &str = "simwright_scaling_decisions_total";
/// Fallbacks used, by `model` and `behaviour`.
pub const FALLBACKS: &str = "simwright_fallbacks_total";
/// Generations alive: the running one and those that streams still hold.
pub const GENERATIONS: &str = "simwright_generations_alive";
/// 1 for the phase of the time line that runs, by `phase`.
pub const PHASE: &str = "simwright_phase";
/// How strong an incident is, 0 to 1, by `incident`.
pub const INCIDENT: &str = "simwright_incident_strength";
/// Reloads, by `outcome` (`applied`, `refused`, `unchanged`).
pub const RELOADS: &str = "simwright_reloads_total";
/// Canaries, by `outcome` (`promoted`, `rolled-back`, `aborted`, `superseded`).
pub const CANARIES: &str = "simwright_canaries_total";
/// How late bytes reached the socket after the plan's deadline.
pub const LATENESS: &str = "simwright_pacing_lateness_seconds";
/// Open connections.
pub const CONNECTIONS: &str = "simwright_connections_open";
/// Decisions that the decision log had no room for.
pub const DECISIONS_DROPPED: &str = "simwright_decisions_dropped_total";
/// Requests of an identity whose last request failed, and attempts that say that they are another one, by `model`.
pub const CLIENT_RETRIES: &str = "simwright_client_retries_total";
/// Retries that came earlier than the refusal before them had asked for, by `model`.
pub const CLIENT_IGNORED_WAITS: &str = "simwright_client_ignored_retry_after_total";
/// Times that one identity retried too often, by `model`.
pub const CLIENT_STORMS: &str = "simwright_client_retry_storms_total";
/// Replies that were cut short and whose identity has not asked again, by `model`.
pub const CLIENT_TRUNCATED_ACCEPTED: &str = "simwright_client_truncated_accepted";
/// Visitors that a station serves, by `station`: connections held, sequences in batches.
pub const STATION_BUSY: &str = "simwright_station_busy";
/// Visitors that wait at a station, by `station`.
pub const STATION_WAITING: &str = "simwright_station_waiting";
/// Requests that a station turned away for good, by `model` and `cause`.
pub const STATION_REFUSALS: &str = "simwright_station_refusals_total";
/// Time from coming to a stage to leaving it, by `model` and `stage`.
pub const STAGE_TIME: &str = "simwright_stage_seconds";
/// The part of it that was waiting, by `model` and `stage`.
pub const STAGE_WAIT: &str = "simwright_stage_wait_seconds";
/// Sequences in the batch of a replica, by `station` and `replica`.
pub const REPLICA_RUNNING: &str = "simwright_replica_running";
/// Jobs in the queue of a replica, by `station` and `replica`.
pub const REPLICA_WAITING: &str = "simwright_replica_waiting";
/// Share of a replica's KV cache that is in use, by `station` and `replica`.
pub const REPLICA_KV: &str = "simwright_replica_kv_used_ratio";
/// Tokens of prompts that were looked up in a replica's prefix cache, by `station` and `replica`.
pub const REPLICA_PREFIX_ASKED: &str = "simwright_replica_prefix_asked_tokens_total";
/// Those of them that were found.
pub const REPLICA_PREFIX_HIT: &str = "simwright_replica_prefix_hit_tokens_total";
/// How often a replica threw a sequence out of its batch, by `station` and `replica`.
pub const REPLICA_PREEMPTIONS: &str = "simwright_replica_preemptions_total";
/// Steps of a replica, by `station` and `replica`.
pub const REPLICA_STEPS: &str = "simwright_replica_steps_total";
/// Answers that a cache had, by `station` and `level`, from 1.
pub const CACHE_HITS: &str = "simwright_cache_hits_total";
/// Questions that a cache had no answer to, by `station`.
pub const CACHE_MISSES: &str = "simwright_cache_misses_total";
/// Answers that went from a cache because there was no room, by `station`.
pub const CACHE_EVICTED: &str = "simwright_cache_evicted_total";
/// How often a circuit breaker opened, by `station`.
pub const BREAKER_OPENED: &str = "simwright_breaker_opened_total";
/// Is a circuit breaker open (1), does it let trials through (0.5), or everything (0)? By `station`.
pub const BREAKER_OPEN: &str = "simwright_breaker_open";
/// vLLM's name for sequences in batches, by `model_name` and `engine`.
pub const VLLM_RUNNING: &str = "vllm:num_requests_running";
/// vLLM's name for jobs in queues.
pub const VLLM_WAITING: &str = "vllm:num_requests_waiting";
/// vLLM's name for the used share of the KV cache.
pub const VLLM_KV: &str = "vllm:kv_cache_usage_perc";
/// vLLM's name for tokens that were looked up in the prefix cache.
pub const VLLM_PREFIX_ASKED: &str = "vllm:prefix_cache_queries_total";
/// vLLM's name for those of them that were found.
pub const VLLM_PREFIX_HIT: &str = "vllm:prefix_cache_hits_total";
/// vLLM's name for preemptions.
pub const VLLM_PREEMPTIONS: &str = "vllm:num_preemptions_total";

const TTFT_BUCKETS: &[f64] =
    &[0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0, 160.0];
const GAP_BUCKETS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0, 20.0];
const LATENESS_BUCKETS: &[f64] =
    &[0.000_025, 0.000_05, 0.000_1, 0.000_2, 0.000_3, 0.000_5, 0.000_75, 0.001, 0.001_5, 0.002, 0.003, 0.005, 0.01, 0.025, 0.1];
const CALL_BUCKETS: &[f64] =
    &[2e-7, 3e-7, 5e-7, 1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2];

static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();

/// Installs the recorder for this process and describes every metric. Later calls give the same handle.
pub fn install() -> &'static PrometheusHandle {
    HANDLE.get_or_init(|| {
        let buckets = [
            (TTFT, TTFT_BUCKETS),
            (DURATION, TTFT_BUCKETS),
            (STAGE_TIME, TTFT_BUCKETS),
            (STAGE_WAIT, TTFT_BUCKETS),
            (GAP, GAP_BUCKETS),
            (LATENESS, LATENESS_BUCKETS),
            (PLUGIN_TIME, CALL_BUCKETS),
        ];
        let builder = buckets.into_iter().fold(PrometheusBuilder::new(), |builder, (name, bounds)| {
            builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), bounds).expect("bucket lists are not empty")
        });
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("another metrics recorder is installed in this process; `/metrics` will be empty");
        }
        describe();
        handle
    })
}

fn describe() {
    use metrics::{describe_counter, describe_gauge, describe_histogram};
    describe_counter!(REQUESTS, "Requests answered.");
    describe_gauge!(RUNNING, "Requests being answered.");
    describe_counter!(CANCELLED, "Requests whose client left before the end.");
    describe_histogram!(TTFT, Unit::Seconds, "Time from the request to its first token.");
    describe_histogram!(GAP, Unit::Seconds, "Time from one token to the next.");
    describe_histogram!(DURATION, Unit::Seconds, "Time from the request to its end.");
    describe_counter!(TOKENS, "Tokens of prompts and replies.");
    describe_counter!(FAULTS, "Faults played.");
    describe_counter!(REFUSED, "Requests that a limit turned away.");
    describe_counter!(PLUGIN_CALLS, "Calls of plugins.");
    describe_histogram!(PLUGIN_TIME, Unit::Seconds, "Time of plugin calls; one call in sixteen is timed.");
    describe_counter!(PLUGIN_FAILURES, "Plugin calls that gave no answer.");
    describe_gauge!(PLUGIN_READY, "Plugin instances that are ready.");
    describe_counter!(PLUGIN_INSTANCES, "Plugin instances made.");
    describe_gauge!(PLUGIN_BREAKERS_OPEN, "Breakers that refuse calls of a plugin.");
    describe_gauge!(SLOW_LANE_WAITING, "Requests that wait for a thread that slow plugins may use.");
    describe_counter!(PLUGIN_COUNTS, "Counters that plugins keep.");
    describe_gauge!(PACKS_INSECURE, "Packs in use that nobody who is trusted has signed.");
    describe_counter!(FALLBACKS, "Calls that a fallback answered.");
    describe_gauge!(GENERATIONS, "Generations alive.");
    describe_gauge!(PHASE, "1 for the phase that runs.");
    describe_gauge!(INCIDENT, "Share of the requests to which an incident applies.");
    describe_counter!(RELOADS, "Reloads by outcome.");
    describe_counter!(CANARIES, "Generations that were on trial, by outcome.");
    describe_histogram!(LATENESS, Unit::Seconds, "Time from a token's deadline to the write of its bytes.");
    describe_counter!(DECISIONS_DROPPED, "Decisions that the decision log had no room for.");
    describe_counter!(CLIENT_RETRIES, "Requests that try again what failed.");
    describe_counter!(CLIENT_IGNORED_WAITS, "Retries that came earlier than they were asked to.");
    describe_counter!(CLIENT_STORMS, "Times that one client retried too often.");
    describe_gauge!(CLIENT_TRUNCATED_ACCEPTED, "Truncated replies whose client has not asked again.");
    describe_gauge!(CONNECTIONS, "Open connections.");
    describe_stations();
}

fn describe_stations() {
    use metrics::{describe_counter, describe_gauge, describe_histogram};
    describe_gauge!(STATION_BUSY, "Visitors that a station serves.");
    describe_gauge!(STATION_WAITING, "Visitors that wait at a station.");
    describe_counter!(STATION_REFUSALS, "Requests that a station turned away.");
    describe_histogram!(STAGE_TIME, Unit::Seconds, "Time from coming to a stage to leaving it.");
    describe_histogram!(STAGE_WAIT, Unit::Seconds, "Time of waiting in a stage.");
    describe_gauge!(REPLICAS, "Replicas of a group that changes its size.");
    describe_counter!(SCALINGS, "Decisions that more or fewer replicas are wanted.");
    describe_gauge!(REPLICA_RUNNING, "Sequences in the batch of a replica.");
    describe_gauge!(REPLICA_WAITING, "Jobs in the queue of a replica.");
    describe_gauge!(REPLICA_KV, "Share of the KV cache that is in use, 0 to 1.");
    describe_counter!(REPLICA_PREFIX_ASKED, "Tokens of prompts that were looked up in the prefix cache.");
    describe_counter!(REPLICA_PREFIX_HIT, "Tokens of prompts that were found in the prefix cache.");
    describe_counter!(REPLICA_PREEMPTIONS, "Sequences that were thrown out of a batch.");
    describe_counter!(REPLICA_STEPS, "Steps of a replica.");
    describe_counter!(CACHE_HITS, "Answers that a cache had.");
    describe_counter!(CACHE_MISSES, "Questions that a cache had no answer to.");
    describe_counter!(CACHE_EVICTED, "Answers that went because there was no room.");
    describe_counter!(BREAKER_OPENED, "Times that a circuit breaker opened.");
    describe_gauge!(BREAKER_OPEN, "1 while a circuit breaker is open, 0.5 while it lets trials through, 0 while it is closed.");
    describe_gauge!(VLLM_RUNNING, "Sequences in batches.");
    describe_gauge!(VLLM_WAITING, "Jobs in queues.");
    describe_gauge!(VLLM_KV, "Share of the KV cache that is in use, 0 to 1.");
    describe_counter!(VLLM_PREFIX_ASKED, "Tokens of prompts that were looked up in the prefix cache.");
    describe_counter!(VLLM_PREFIX_HIT, "Tokens of prompts that were found in the prefix cache.");
    describe_counter!(VLLM_PREEMPTIONS, "Sequences that were thrown out of a batch.");
}

/// A counter with labels.
pub fn counter(name: &'static str, labels: &[(&'static str, &str)]) -> Counter {
    metrics::counter!(name, owned(labels))
}

/// A gauge with labels.
pub fn gauge(name: &'static str, labels: &[(&'static str, &str)]) -> Gauge {
    metrics::gauge!(name, owned(labels))
}

/// A histogram with labels.
pub fn histogram(name: &'static str, labels: &[(&'static str, &str)]) -> Histogram {
    metrics::histogram!(name, owned(labels))
}

fn owned(labels: &[(&'static str, &str)]) -> Vec<metrics::Label> {
    labels.iter().map(|(key, value)| metrics::Label::new(*key, (*value).to_owned())).collect()
}
