//! What a request is made of: its class, lengths, tenant and prefix, each from a draw of its own below the request's key.

use std::num::NonZeroU64;

use crate::random::Key;
use crate::stats::law::Law;
use crate::types::limits::{CONTEXT_WINDOW_MAX, OUTPUT_TOKENS_MAX};
use crate::workload::gaps::exponential;
use crate::workload::trace::Row;
use crate::workload::{Class, Prefix, Prompt, Repeats, Sharing, Workload};

/// What is drawn of a request.
pub(super) struct Made {
    pub(super) class: u32,
    pub(super) prompt: Option<NonZeroU64>,
    pub(super) input_tokens: u32,
    pub(super) output_tokens: Option<u32>,
    pub(super) prefix: Prefix,
    pub(super) tenant: u32,
}

/// The makings of requests of one workload.
#[derive(Debug)]
pub(super) struct Maker {
    /// For each class, where its own draws begin: by its name, so that classes may come and go beside it.
    class_keys: Box<[Key]>,
}

impl Maker {
    pub(super) fn of(spec: &Workload, root: Key) -> Self {
        Self { class_keys: spec.classes.iter().map(|class| root.named("class").named(&class.name)).collect() }
    }

    /// The request with `key`, of one of the classes that source number `source` has; of the lengths that were `recorded`, if they were.
    pub(super) fn make(&self, spec: &Workload, source: usize, key: Key, recorded: Option<&Row>) -> Made {
        let class = self.class_of(spec, source, key);
        let of = &spec.classes[class as usize];
        let again = of.repeats.as_ref().and_then(|repeats| self.again(repeats, class, key));
        let input_tokens = match (recorded, &of.prompt) {
            (Some(row), _) => row.input_tokens,
            (None, Prompt::Text { tokens, .. }) => tokens.unwrap_or(1).max(1),
            (None, Prompt::Length(law)) => drawn(law, again.unwrap_or(key).named("input"), CONTEXT_WINDOW_MAX),
        };
        let own = || of.output.as_ref().map(|law| drawn(law, key.named("output"), OUTPUT_TOKENS_MAX));
        let output_tokens = recorded.and_then(|row| row.output_tokens).or_else(own);
        let prefix = match (again, &of.sharing) {
            (Some(prompt), _) => Prefix::Group { group: number_of(prompt).get(), tokens: input_tokens },
            (None, Some(sharing)) => self.prefix(sharing, class, key, input_tokens),
            (None, None) => Prefix::None,
        };
        Made { class, prompt: again.map(number_of), input_tokens, output_tokens, prefix, tenant: tenant(of, key) }
    }

    /// Each class draws when it would come, at its weight as rate, and the first one has it. So the shares are the weights, and a new
    /// class only takes requests over: none changes between two others.
    fn class_of(&self, spec: &Workload, source: usize, key: Key) -> u32 {
        let classes = &spec.sources[source].classes;
        if let [only] = classes[..] {
            return only;
        }
        let when = |class: u32| {
            let draw = key.with(self.class_keys[class as usize].bits()).named("class").unit();
            exponential(draw) / spec.classes[class as usize].weight
        };
        let first = classes.iter().map(|class| (when(*class), *class)).min_by(|a, b| a.0.total_cmp(&b.0));
        first.map_or(0, |(_, class)| class)
    }

    /// Where the draws of a prompt begin that comes again; `None` if the request with `key` asks something new.
    fn again(&self, repeats: &Repeats, class: u32, key: Key) -> Option<Key> {
        if key.named("repeats").unit() >= repeats.share {
            return None;
        }
        let prompt = repeats.popularity.choose(key.named("prompt").unit());
        Some(self.class_keys[class as usize].named("prompt").with(prompt.into()))
    }

    fn prefix(&self, sharing: &Sharing, class: u32, key: Key, input_tokens: u32) -> Prefix {
        if key.named("shares").unit() >= sharing.share {
            return Prefix::None;
        }
        let group = key.named("group").stream().below(sharing.groups);
        let own = self.class_keys[class as usize].named("group").with(group.into());
        let tokens = drawn(&sharing.tokens, own.named("tokens"), CONTEXT_WINDOW_MAX).min(input_tokens);
        Prefix::Group { group: own.bits(), tokens }
    }
}

/// The number of a prompt whose draws begin at `key`.
fn number_of(key: Key) -> NonZeroU64 {
    NonZeroU64::new(key.bits()).unwrap_or(NonZeroU64::MIN)
}

/// A length of at least 1.
fn drawn(law: &Law, key: Key, max: u32) -> u32 {
    // What is always the same needs no draw.
    let draw = if law.is_constant() { 0.0 } else { key.unit() };
    (law.quantile(draw) + 0.5).clamp(1.0, f64::from(max)) as u32
}

fn tenant(class: &Class, key: Key) -> u32 {
    if let [(only, _)] = class.tenants[..] {
        return only;
    }
    let whole: f64 = class.tenants.iter().map(|(_, weight)| weight).sum();
    let mut left = key.named("tenant").unit() * whole;
    for (tenant, weight) in &class.tenants {
        left -= weight;
        if left < 0.0 {
            return *tenant;
        }
    }
    class.tenants.last().map_or(0, |(tenant, _)| *tenant)
}
