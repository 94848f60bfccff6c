//! Servers that were measured: step times fitted to published runs, with their sources.
//!
//! A preset's step time has data behind it; docs/replica.md says how it was fitted and how well it predicts runs. Limits are those of
//! the measured server where its record has them; what is assumed instead is called illustrative, in [`Preset::assumed`].

use super::{Settings, StepTime};

/// A server with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preset {
    /// Model and hardware, for scenarios: `llama-3.1-8b-h100`.
    pub name: &'static str,
    /// The engine that was measured.
    pub engine: &'static str,
    /// Whose measurements the step time was fitted to.
    pub source: &'static str,
    /// What is illustrative, because the source does not say it; empty if nothing is.
    pub assumed: &'static str,
    /// The server.
    pub settings: Settings,
}

/// The preset called `name`.
pub fn find(name: &str) -> Option<&'static Preset> {
    ALL.iter().find(|preset| preset.name == name)
}

const LLM_SERVING_SIM: &str = "casys-kaist/LLMServingSim, bench/examples (MIT): 300 ShareGPT requests at 10 a second";
const AI_CONFIGURATOR: &str = "ai-dynamo/aiconfigurator, silicon_sample.csv (Apache-2.0): TPOT of closed loops";
const ASSUMED: &str =
    "sequences, batch tokens (at which the fit is best), blocks (90 % of memory less the weights), prefix cache, queue";

/// All presets.
pub const ALL: &[Preset] = &[
    Preset {
        name: "llama-3.1-8b-rtx-4090",
        engine: "vLLM 0.19.0",
        source: LLM_SERVING_SIM,
        assumed: "queue",
        settings: ahead(settings(step(19_866_000_000, 86_962_000, 0, 121_137), 256, 2_048, 2_587)),
    },
    Preset {
        name: "llama-3.1-8b-rtx-pro-6000",
        engine: "vLLM 0.19.0",
        source: LLM_SERVING_SIM,
        assumed: "blocks (90 % of memory less the weights), queue",
        settings: ahead(settings(step(11_285_000_000, 35_144_000, 89_871_000, 48_734), 128, 2_048, 33_500)),
    },
    Preset {
        name: "llama-3.1-8b-h100",
        engine: "TensorRT-LLM 1.0.0rc3",
        source: AI_CONFIGURATOR,
        assumed: ASSUMED,
        settings: settings(step(6_730_000_000, 23_376_000, 353_000, 46_251), 256, 2_048, 26_700),
    },
    Preset {
        name: "llama-3.1-70b-fp8-2xh200",
        engine: "TensorRT-LLM",
        source: AI_CONFIGURATOR,
        assumed: ASSUMED,
        settings: settings(step(11_655_000_000, 76_293_000, 21_568_000, 20_400), 256, 2_048, 34_900),
    },
    Preset {
        name: "llama-3.1-70b-fp8-4xh200",
        engine: "TensorRT-LLM",
        source: AI_CONFIGURATOR,
        assumed: ASSUMED,
        settings: settings(step(7_718_000_000, 46_458_000, 32_866_000, 10_878), 256, 2_048, 83_300),
    },
    Preset {
        name: "llama-3.1-70b-fp8-8xh200",
        engine: "TensorRT-LLM",
        source: AI_CONFIGURATOR,
        assumed: ASSUMED,
        settings: settings(step(5_857_000_000, 30_343_000, 86_047_000, 5_142), 256, 2_048, 180_000),
    },
];

const fn step(base_ps: u64, per_prefill_token_ps: u64, per_sequence_ps: u64, per_kv_token_ps: u64) -> StepTime {
    StepTime { base_ps, per_prefill_token_ps, per_sequence_ps, per_kv_token_ps, per_prefill_pair_ps: 0 }
}

const fn settings(step: StepTime, sequences_max: u32, batch_tokens: u32, kv_blocks: u32) -> Settings {
    Settings {
        step,
        sequences_max,
        batch_tokens,
        kv_blocks,
        block_tokens: 16,
        queue_max: u32::MAX,
        prefix_cache: true,
        ahead: false,
    }
}

const fn ahead(settings: Settings) -> Settings {
    Settings { ahead: true, ..settings }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_found_by_its_name_and_has_a_source() {
        for preset in ALL {
            assert_eq!(find(preset.name), Some(preset));
            assert!(!preset.source.is_empty() && preset.settings.batch_tokens >= preset.settings.sequences_max);
        }
        assert_eq!(find("gpt-4o"), None);
    }
}
