//! `/metrics` on the port of the API, as vLLM writes it: its names, labels and buckets, so that dashboards, autoscalers, routers and load
//! tools made for it see what they know.
//!
//! Replicas tell of themselves through the registry of all metrics; a model without them is one engine whose cache is never used. Times
//! and lengths come from the engine's own fine histograms, summed up into vLLM's buckets when somebody looks.

use std::fmt::Write;

use crate::engine::Engine;
use crate::engine::drive::gauges::Names;
use crate::engine::served::{End, Served};
use crate::plan::generation::Generation;
use crate::station::pipeline::Settings;
use crate::stats::histogram::Snapshot;
use crate::telemetry::metrics;

const FIRST_TOKEN: &[f64] = &[
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0, 160.0, 640.0,
    2560.0,
];
const TOKEN: &[f64] =
    &[0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0];
const REQUEST: &[f64] = &[
    0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 7680.0,
];
const CHOICES: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0];
/// Steps of one, two and five up to the longest contexts.
const TOKENS: &[f64] =
    &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10000.0, 20000.0, 50000.0, 100000.0];

/// What is shown of one entry of the scenario.
struct Model {
    /// Its labels, without braces.
    labels: String,
    running: u32,
    waiting: u32,
    served: Served,
}

/// The page.
pub(super) fn render(engine: &Engine) -> String {
    engine.refresh();
    let registry = metrics::install().render();
    let of = |(name, (running, waiting), served): (String, (u32, u32), Served)| {
        let labels = format!("model_name=\"{}\",engine=\"0\"", escaped(&name));
        Model { labels, running, waiting, served }
    };
    let models: Vec<Model> = engine.served().into_iter().map(of).collect();
    let mut page = Page { out: String::with_capacity(16 * 1024), models: &models };
    page.replicas(&registry);
    page.caches(&engine.running().generation);
    page.counters();
    page.times();
    page.lengths();
    page.out
}

struct Page<'a> {
    out: String,
    models: &'a [Model],
}

impl Page<'_> {
    /// Begins the samples of one metric.
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.out, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// What replicas tell, and of models without any what is the same for one engine.
    fn replicas(&mut self, registry: &str) {
        type Shown = fn(&Model) -> u32;
        let families: [(&str, &str, &str, Shown); 6] = [
            (metrics::VLLM_RUNNING, "gauge", "Number of requests in model execution batches.", |model| model.running),
            (metrics::VLLM_WAITING, "gauge", "Number of requests waiting to be processed.", |model| model.waiting),
            (metrics::VLLM_KV, "gauge", "KV-cache usage. 1 means 100 percent usage.", |_| 0),
            (metrics::VLLM_PREFIX_ASKED, "counter", "Prefix cache queries, in terms of number of queried tokens.", |_| 0),
            (metrics::VLLM_PREFIX_HIT, "counter", "Prefix cache hits, in terms of number of cached tokens.", |_| 0),
            (metrics::VLLM_PREEMPTIONS, "counter", "Cumulative number of preemption from the engine.", |_| 0),
        ];
        for (name, kind, help, of_model) in families {
            self.family(name, kind, help);
            let is_sample = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with('{'));
            let told: Vec<&str> = registry.lines().filter(is_sample).collect();
            for line in &told {
                let _ = writeln!(self.out, "{line}");
            }
            for model in self.models {
                let name_label = model.labels.rsplit_once(',').map_or("", |(label, _)| label);
                if !told.iter().any(|line| line.contains(name_label)) {
                    let _ = writeln!(self.out, "{name}{{{}}} {}", model.labels, of_model(model));
                }
            }
        }
    }

    /// How large the caches of replicas are, from which routers and dashboards reckon how many tokens fit.
    fn caches(&mut self, generation: &Generation) {
        let name = "vllm:cache_config_info";
        let names = Names::of(generation);
        let groups = generation.scenario.stations.iter().zip(names.engines()).filter_map(|(station, place)| {
            let Settings::Replicas(group) = &station.settings else { return None };
            Some((group, place))
        });
        let mut is_first = true;
        for (group, (model, first)) in groups {
            if std::mem::take(&mut is_first) {
                self.family(name, "gauge", "Information of the LLMEngine CacheConfig");
            }
            let cache = &group.replica;
            // Its own server keeps one block for itself.
            let (size, blocks) = (cache.block_tokens, cache.kv_blocks.saturating_add(1));
            let shares = if cache.prefix_cache { "True" } else { "False" };
            for engine in first..first.saturating_add(group.most()) {
                let _ = writeln!(
                    self.out,
                    "{name}{{block_size=\"{size}\",enable_prefix_caching=\"{shares}\",engine=\"{engine}\",model_name=\"{}\",\
                     num_gpu_blocks=\"{blocks}\"}} 1.0",
                    escaped(model)
                );
            }
        }
    }

    fn counters(&mut self) {
        type Sum = fn(&Served) -> u64;
        let families: [(&str, &str, Sum); 2] = [
            ("vllm:prompt_tokens_total", "Number of prefill tokens processed.", |served| served.lengths[0].sum()),
            ("vllm:generation_tokens_total", "Number of generation tokens processed.", |served| served.lengths[1].sum()),
        ];
        for (name, help, sum) in families {
            self.family(name, "counter", help);
            for model in self.models {
                let _ = writeln!(self.out, "{name}{{{}}} {}", model.labels, sum(&model.served));
            }
        }
        let name = "vllm:request_success_total";
        self.family(name, "counter", "Count of successfully processed requests.");
        for model in self.models {
            for ((_, word), count) in End::ALL.iter().zip(model.served.ends) {
                let _ = writeln!(self.out, "{name}{{{},finished_reason=\"{word}\"}} {count}", model.labels);
            }
        }
    }

    fn times(&mut self) {
        const S: f64 = 1e-9;
        type Time = fn(&Served) -> &Snapshot;
        let families: [(&str, &[f64], &str, Time); 8] = [
            ("vllm:time_to_first_token_seconds", FIRST_TOKEN, "Time to first token in seconds.", |served| &served.times[0]),
            ("vllm:inter_token_latency_seconds", TOKEN, "Inter-token latency in seconds.", |served| &served.times[1]),
            ("vllm:time_per_output_token_seconds", TOKEN, "Time per output token in seconds.", |served| &served.times[1]),
            (
                "vllm:request_time_per_output_token_seconds",
                TOKEN,
                "Mean time per output token of a request in seconds.",
                |served| &served.times[2],
            ),
            ("vllm:e2e_request_latency_seconds", REQUEST, "End-to-end request latency in seconds.", |served| &served.times[3]),
            ("vllm:request_queue_time_seconds", REQUEST, "Time spent in the WAITING phase.", |served| &served.times[4]),
            ("vllm:request_prefill_time_seconds", REQUEST, "Time spent in the PREFILL phase.", |served| &served.times[5]),
            ("vllm:request_decode_time_seconds", REQUEST, "Time spent in the DECODE phase.", |served| &served.times[6]),
        ];
        for (name, bounds, help, time) in families {
            self.histogram(name, bounds, help, S, time);
        }
        // Both of its phases together.
        let name = "vllm:request_inference_time_seconds";
        self.histogram(name, REQUEST, "Time spent in the RUNNING phase.", S, |served| &served.times[7]);
    }

    fn lengths(&mut self) {
        type Length = fn(&Served) -> &Snapshot;
        let families: [(&str, &[f64], &str, Length); 5] = [
            ("vllm:request_prompt_tokens", TOKENS, "Number of prefill tokens processed.", |served| &served.lengths[0]),
            ("vllm:request_generation_tokens", TOKENS, "Number of generation tokens processed.", |served| &served.lengths[1]),
            ("vllm:request_max_num_generation_tokens", TOKENS, "Maximum number of generated tokens of a request.", |served| {
                &served.lengths[1]
            }),
            ("vllm:request_params_max_tokens", TOKENS, "The max_tokens request parameter.", |served| &served.lengths[2]),
            ("vllm:request_params_n", CHOICES, "The n request parameter.", |served| &served.lengths[3]),
        ];
        for (name, bounds, help, length) in families {
            self.histogram(name, bounds, help, 1.0, length);
        }
    }

    /// Appends a histogram whose counts are of so many `unit`s.
    fn histogram(&mut self, name: &str, bounds: &[f64], help: &str, unit: f64, of: fn(&Served) -> &Snapshot) {
        self.family(name, "histogram", help);
        for model in self.models {
            let (labels, snapshot) = (&model.labels, of(&model.served));
            for bound in bounds {
                let count = snapshot.at_most((bound / unit).round() as u64);
                // Whole bounds are written with a point, as Python does.
                let _ = writeln!(self.out, "{name}_bucket{{{labels},le=\"{bound:?}\"}} {count}");
            }
            let count = snapshot.count();
            let _ = writeln!(self.out, "{name}_bucket{{{labels},le=\"+Inf\"}} {count}");
            let _ = writeln!(self.out, "{name}_sum{{{labels}}} {}", snapshot.sum() as f64 * unit);
            let _ = writeln!(self.out, "{name}_count{{{labels}}} {count}");
        }
    }
}

/// `text` inside the quotes of a label.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
