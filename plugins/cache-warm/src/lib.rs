//! A prompt cache: whoever asks with a beginning that was seen a moment ago gets the first token soon, everybody else waits until the whole
//! prompt is computed.
//!
//! What was seen and when is in the host's state, in a fixed number of slots: a text has one by its hash, and pushes out what was there. So
//! the cache forgets as real ones do, and never grows without end.

use simwright_sdk::prelude::*;

/// Slots of the cache, a power of two. The state holds about 100,000 keys.
const SLOTS: u64 = 1 << 16;
/// The longest time that a prompt takes to compute; a delay may take an hour at most.
const COMPUTE_MAX: Duration = Duration::from_secs(1_800);

options! {
    /// What is remembered, for how long, and what it is worth.
    pub struct Options {
        /// What two requests must share to share a prefix: `system`, the system text; `user`, the newest user message; or `header`.
        pub prefix: String = "system".to_owned();
        /// The header that stands for the prefix if `prefix` is `header`.
        pub header: String = "x-simwright-tenant".to_owned();
        /// So long after its last use a prefix is known for certain.
        pub lifetime: Duration = Duration::from_secs(300), in Duration::from_secs(1)..=Duration::from_secs(86_400);
        /// So long after its last use it is forgotten for certain; in between less and less likely to be known.
        pub longest: Duration = Duration::from_secs(600), in Duration::from_secs(1)..=Duration::from_secs(86_400);
        /// Prompts with fewer tokens are never kept.
        pub least: u32 = 1_024, in 0..=10_000_000;
        /// The share of a prompt that its prefix makes up.
        pub cached: Share = Share::percent(90.0);
        /// Time to compute one token of a prompt.
        pub per_token: Duration = us(150), in Duration::ZERO..=ms(100);
        /// Median time to the first token of an empty prompt.
        pub first: Duration = ms(200), in Duration::ZERO..=Duration::from_secs(60);
        /// Median time between tokens.
        pub between: Duration = ms(20), in Duration::ZERO..=Duration::from_secs(60);
        /// How many times the median the slowest hundredth takes; 1 makes every token alike. Computing takes what it takes.
        pub spread: f64 = 3.0, in 1.0..=10.0;
    }
}

/// What stands for the prefix of a request.
#[derive(Debug, Clone, Copy)]
enum Prefix {
    System,
    User,
    Header,
}

/// The options, which fit together.
#[derive(Debug)]
pub struct CacheWarm {
    options: Options,
    prefix: Prefix,
    models: Vec<Key>,
}

impl Plugin for CacheWarm {
    type Options = Options;

    fn configure(options: Options, setting: &Setting) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let prefix = match &*options.prefix {
            "system" => Prefix::System,
            "user" => Prefix::User,
            "header" => Prefix::Header,
            other => {
                problems
                    .push(Problem::at("/prefix", format!("`{other}` is no prefix")).hint("write `system`, `user` or `header`"));
                Prefix::System
            }
        };
        if options.longest < options.lifetime {
            let problem = Problem::at("/longest", "`longest` is shorter than `lifetime`");
            problems.push(problem.hint("make both alike for a cache that forgets at one moment"));
        }
        let models = setting.names.models.iter().map(|name| Key::of_seed(0).named(name)).collect();
        if problems.is_empty() { Ok(Self { options, prefix, models }) } else { Err(problems) }
    }
}

impl Latency for CacheWarm {
    fn plan(&self, call: &Call, _output_tokens: u32) -> Schedule {
        let Options { least, cached, per_token, first, between, spread, .. } = self.options;
        let is_known = call.input_tokens >= least && self.is_known(call);
        let share = if is_known { 1.0 - cached.get() } else { 1.0 };
        let compute = per_token.mul_f64(f64::from(call.input_tokens) * share).min(COMPUTE_MAX);
        let first = match spread > 1.0 {
            true => Delay::log_normal(compute + first, compute + first.mul_f64(spread)),
            false => (compute + first).into(),
        };
        Schedule::new(first, Delay::around(between, spread))
    }
}

impl CacheWarm {
    /// Is the prefix of `call` in the cache? It is from now on.
    fn is_known(&self, call: &Call) -> bool {
        let text = match self.prefix {
            Prefix::System => call.system_text(),
            Prefix::User => Some(call.last_user_text()),
            Prefix::Header => call.header(&self.options.header),
        };
        let Some(text) = text.filter(|text| !text.is_empty()) else { return false };
        // A cache belongs to a model.
        let model = self.models.get(call.model as usize).copied().unwrap_or(Key::of_seed(0));
        let hash = hash(model, &text);
        let slot = format!("{:x}", hash % SLOTS);
        let seen_ns = state::get(&slot).and_then(|entry| seen_ns(&entry, hash));
        state::set_for(&slot, &[hash.to_le_bytes(), call.now_ns.to_le_bytes()].concat(), self.options.longest);
        let is_known =
            seen_ns.is_some_and(|seen_ns| self.survives(call, Duration::from_nanos(call.now_ns.saturating_sub(seen_ns))));
        log::count(if is_known { "hit" } else { "miss" }, 1);
        is_known
    }

    /// Is something still there that was used so long ago?
    fn survives(&self, call: &Call, age: Duration) -> bool {
        let Options { lifetime, longest, .. } = self.options;
        if age <= lifetime || age >= longest {
            return age <= lifetime;
        }
        let left = (longest - age).as_secs_f64() / (longest - lifetime).as_secs_f64();
        call.key().named("survives").chance(left)
    }
}

/// When the text with this hash was used last, if `entry` is about it.
fn seen_ns(entry: &[u8], hash: u64) -> Option<u64> {
    let (whose, seen_ns) = entry.split_at_checked(8)?;
    (whose == hash.to_le_bytes()).then(|| seen_ns.try_into().ok().map(u64::from_le_bytes))?
}

/// Eight bytes at a time, because system texts are long.
fn hash(key: Key, text: &str) -> u64 {
    let (words, rest) = text.as_bytes().as_chunks::<8>();
    let key = words.iter().fold(key, |key, word| key.with(u64::from_le_bytes(*word)));
    rest.iter().fold(key.with(text.len() as u64), |key, byte| key.with(u64::from(*byte))).bits()
}

export!(CacheWarm: latency);

#[cfg(test)]
mod tests {
    use super::*;
    use simwright_sdk::testing::{self, FakeHost};

    const OPTIONS: &str =
        r#"{"lifetime": "60s", "longest": "180s", "least": 1000, "per-token": "100us", "first": "100ms", "spread": 1}"#;

    /// Time to the first token of a prompt of 2,000 tokens, in milliseconds. Keeps what the state has.
    fn first_ms(host: FakeHost, plugin: &CacheWarm, system: &str, second: u64, seed: u64) -> (FakeHost, u32) {
        let host = host.attribute("system", system);
        let call = testing::call().tokens(2_000, 100).now(Duration::from_secs(second)).seed(seed).build();
        let Delay::Us(us) = plugin.plan(&call, 10).first else { panic!("a fixed delay") };
        (host, us / 1_000)
    }

    #[test]
    fn a_prefix_that_was_seen_a_moment_ago_is_not_computed_again() {
        let plugin: CacheWarm = testing::plugin(OPTIONS).unwrap();
        let (host, new) = first_ms(FakeHost::new(), &plugin, "Be brief.", 0, 1);
        let (host, again) = first_ms(host, &plugin, "Be brief.", 50, 2);
        let (host, other) = first_ms(host, &plugin, "Be long.", 50, 3);
        assert_eq!([new, again, other], [300, 120, 300]);
        assert_eq!((host.counter("hit"), host.counter("miss")), (1, 2));
    }

    #[test]
    fn each_use_keeps_it_and_the_longest_time_ends_it() {
        let plugin: CacheWarm = testing::plugin(OPTIONS).unwrap();
        let (mut host, _) = first_ms(FakeHost::new(), &plugin, "x", 0, 1);
        for second in (50..500).step_by(50) {
            let (same, ms) = first_ms(host, &plugin, "x", second, second);
            assert_eq!(ms, 120);
            host = same;
        }
        let (_, late) = first_ms(host, &plugin, "x", 450 + 180, 1);
        assert_eq!(late, 300);
    }

    #[test]
    fn in_between_it_is_known_less_and_less_likely() {
        let plugin: CacheWarm = testing::plugin(OPTIONS).unwrap();
        let known = |age: u64| {
            let survives = |seed| plugin.survives(&testing::call().seed(seed).build(), Duration::from_secs(age));
            (0..10_000).filter(|seed| survives(*seed)).count() as f64
        };
        assert_eq!((known(60), known(180)), (10_000.0, 0.0));
        assert!((known(90) - 7_500.0).abs() < 3.0 * (10_000.0_f64 * 0.75 * 0.25).sqrt(), "{}", known(90));
    }

    #[test]
    fn short_prompts_are_not_kept_and_ask_the_host_for_nothing() {
        let host = FakeHost::new();
        let plugin: CacheWarm = testing::plugin(OPTIONS).unwrap();
        let call = testing::call().tokens(999, 100).build();
        assert_eq!(plugin.plan(&call, 10), plugin.plan(&call, 10));
        assert_eq!(host.questions(), 0);
    }

    #[test]
    fn models_do_not_share_a_cache() {
        let _host = FakeHost::new().attribute("system", "x");
        let setting = testing::setting().models(["big", "small"]).build();
        let plugin: CacheWarm = testing::plugin_in(OPTIONS, &setting).unwrap();
        let first = |model| plugin.plan(&testing::call().tokens(2_000, 100).model(model).build(), 10).first;
        assert_eq!([first(0), first(1), first(0)], [Delay::Us(300_000), Delay::Us(300_000), Delay::Us(120_000)]);
    }

    #[test]
    fn texts_that_differ_anywhere_differ_in_their_hash() {
        let texts = ["", "a", "abcdefgh", "abcdefgi", "abcdefgha", "abcdefgh\0"];
        let hashes: std::collections::BTreeSet<u64> = texts.iter().map(|text| hash(Key::of_seed(0), text)).collect();
        assert_eq!(hashes.len(), texts.len());
    }

    #[test]
    fn every_mistake_is_told() {
        let problems = testing::plugin::<CacheWarm>(r#"{"prefix": "sytem", "longest": "1m"}"#).unwrap_err();
        assert_eq!(problems.iter().map(|problem| &*problem.path).collect::<Vec<_>>(), ["/prefix", "/longest"]);
    }
}
