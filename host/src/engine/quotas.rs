//! The quotas of tiers and models while requests play: what each reserves as it begins, and gives back as it ends.
//!
//! [`Quotas`] finds what was used by the tiers' and models' names, across generations; [`Limits`] has those of one generation by index.
//! A quota lives as long as a generation that answers names it or a request holds some of it.
//! A tier's limits hold for each tenant, a model's for all callers together. [`Held`] is what one request holds: dropping it settles.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::clock::Clock;
use crate::clock::Nanos;
use crate::clock::real::RealClock;
use crate::plan::generation::Generation;
use crate::plan::planner::Facts;
use crate::plan::token_counts::most_tokens;
use crate::scenario::{ModelEntry, RateLimits};
use crate::station::Refusal;
use crate::station::quota::{Quota, Reservation, Settings};
use crate::types::allowance::{Allowance, Left};
use crate::types::request::Request;

/// Parts of a tier's quota, so that threads seldom meet at one lock. A model's has one key and needs one part.
const TIER_SHARDS: usize = 64;

/// Every quota that a generation names or a request holds.
#[derive(Default)]
pub struct Quotas {
    known: Mutex<HashMap<(Of, String), Known>>,
}

/// A quota with what it allows now. It is not held here: names that are gone after a reload would stay for ever with all their keys.
type Known = (Weak<Quota>, Settings);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Of {
    Tier,
    Model,
}

/// The quotas of one generation.
pub struct Limits {
    /// By tier; `None` if it allows everything.
    tiers: Vec<Option<Limited>>,
    /// By model entry.
    models: Vec<Option<Limited>>,
}

struct Limited {
    quota: Arc<Quota>,
    /// Tokens that fit at once, at most.
    tokens_at_once: u32,
    refuse: bool,
}

/// Who asks, and for how much.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    tier: Option<usize>,
    tenant: u64,
    model: usize,
    /// Tokens of the prompt and the longest reply.
    tokens: u32,
    now: Nanos,
}

/// What one request holds of its quotas until it is dropped.
pub struct Held {
    clock: RealClock,
    reservations: Vec<(Arc<Quota>, Reservation)>,
    /// Tokens that it used.
    used: u32,
}

impl Quotas {
    /// The limits of `generation`, which answers from `now` on.
    pub fn of(&self, generation: &Generation, now: Nanos) -> Limits {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, (quota, _)| quota.strong_count() > 0);
        let scenario = &generation.scenario;
        let tier = |tier: &crate::scenario::Tier| self.limited(Of::Tier, &tier.name, &tier.limits, now);
        let model = |model: &ModelEntry| self.limited(Of::Model, &model.name, &model.rate_limits, now);
        Limits { tiers: scenario.tiers.iter().map(tier).collect(), models: scenario.models.iter().map(model).collect() }
    }

    /// The quota that was called `name` before goes over to `limits`, so that a reload grants nothing anew.
    fn limited(&self, of: Of, name: &str, limits: &RateLimits, now: Nanos) -> Option<Limited> {
        let settings = limits.quota()?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let shards = if of == Of::Tier { TIER_SHARDS } else { 1 };
        let key = (of, name.to_owned());
        let quota = match known.get(&key).and_then(|(quota, before)| Some((quota.upgrade()?, before))) {
            None => Arc::new(Quota::sharded(settings.clone(), shards)),
            Some((quota, before)) => {
                if *before != settings {
                    quota.carry(now, &settings);
                }
                quota
            }
        };
        known.insert(key, (Arc::downgrade(&quota), settings));
        Some(Limited { quota, tokens_at_once: limits.tokens_at_once(), refuse: limits.refuse })
    }
}

impl Limits {
    /// What `request`, which `facts` are known of, asks of the entry `model`.
    pub fn asked(&self, generation: &Generation, request: &Request, facts: &Facts, model: usize) -> Asked {
        let scenario = &generation.scenario;
        let mut asked = Asked {
            tier: facts.tier,
            // Only limits of a tier are a tenant's own.
            tenant: facts.tier.map_or(0, |_| request.tenant_key(scenario.tenant_header.as_ref())),
            model,
            tokens: 0,
            now: facts.now,
        };
        let at_once = self.refusing(&asked).map(|(limited, _)| limited.tokens_at_once).min().unwrap_or(u32::MAX);
        asked.tokens = most_tokens(&scenario.models[model], request, facts.input_tokens, at_once);
        asked
    }

    /// Reserves what is `asked`, all of it or nothing. `None`: nothing limits it.
    pub fn enter(&self, asked: &Asked, clock: RealClock) -> Result<Option<Box<Held>>, Refusal> {
        let mut held: Option<Box<Held>> = None;
        for (limited, key) in self.refusing(asked) {
            match limited.quota.enter(asked.now, key, asked.tokens) {
                Ok(reservation) => {
                    let held = held.get_or_insert_with(|| Box::new(Held { clock, reservations: Vec::with_capacity(2), used: 0 }));
                    held.reservations.push((Arc::clone(&limited.quota), reservation));
                }
                Err(refusal) => {
                    held.into_iter().for_each(|mut held| held.give_back());
                    return Err(refusal);
                }
            }
        }
        Ok(held)
    }

    /// What is left to who has `asked`: of limits that refuse, the tightest. A limit that only announces counts `planned` tokens here.
    pub fn allowance(&self, asked: &Asked, planned: u32) -> Allowance {
        let announced = self.models[asked.model].as_ref().filter(|limited| !limited.refuse);
        let announced = announced.map(|limited| limited.quota.count(asked.now, 0, planned)).unwrap_or_default();
        let refusing = self.refusing(asked).map(|(limited, key)| limited.quota.left(asked.now, key));
        let tightest = refusing.fold(Allowance::default(), |so_far, left| Allowance {
            requests: tighter(so_far.requests, left.requests),
            tokens: tighter(so_far.tokens, left.tokens),
        });
        Allowance { requests: tightest.requests.or(announced.requests), tokens: tightest.tokens.or(announced.tokens) }
    }

    /// The quotas that may refuse what is `asked`, each with the key.
    fn refusing(&self, asked: &Asked) -> impl Iterator<Item = (&Limited, u64)> {
        let tier = asked.tier.and_then(|tier| self.tiers[tier].as_ref()).map(|limited| (limited, asked.tenant));
        let model = self.models[asked.model].as_ref().map(|limited| (limited, 0));
        tier.into_iter().chain(model).filter(|(limited, _)| limited.refuse)
    }
}

fn tighter(a: Option<Left>, b: Option<Left>) -> Option<Left> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if b.remaining < a.remaining { b } else { a }),
        (a, b) => a.or(b),
    }
}

impl Held {
    /// The request used `tokens`, of prompt and reply.
    pub fn used(&mut self, tokens: u32) {
        self.used = tokens;
    }

    /// The request counts as never made.
    pub fn give_back(&mut self) {
        let now = self.clock.now();
        for (quota, reservation) in std::mem::take(&mut self.reservations) {
            quota.give_back(now, reservation);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let now = self.clock.now();
        for (quota, reservation) in std::mem::take(&mut self.reservations) {
            quota.settle(now, reservation, self.used);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::build::testing::generation;
    use crate::plan::identity::Identity;
    use crate::types::request::testing::request;

    fn scenario(model: &str, more: &str) -> Arc<Generation> {
        generation(&format!("simwright: 1\nmodels: [{{ match: {model}, rate-limits: {{ requests: 2/h{more} }} }}]\n"), |_| {})
    }

    /// Reserves for one request to the only entry.
    fn enter(limits: &Limits, generation: &Generation) -> Result<Option<Box<Held>>, Refusal> {
        let mut facts = Facts::first(Identity { content: 1, identity: 2, attempt: 0, occurrence: 0 });
        facts.input_tokens = 1;
        limits.enter(&limits.asked(generation, &request("x"), &facts, 0), RealClock::start())
    }

    #[test]
    fn a_reload_grants_nothing_anew_and_a_name_that_is_gone_is_forgotten_with_its_last_request() {
        let quotas = Quotas::default();
        let known = || quotas.known.lock().expect("a lock").len();
        let (first, wider, other) = (scenario("m", ""), scenario("m", ", concurrency: 9"), scenario("n", ""));
        let before = quotas.of(&first, 0);
        assert!(enter(&before, &first).is_ok());
        let held = enter(&before, &first).expect("the second of two").expect("it holds some");
        // The same name with other limits: what was used is used.
        let limits = quotas.of(&wider, 0);
        assert!(enter(&limits, &wider).is_err());
        drop((before, limits));
        // The name has gone, and its last request is still under way.
        let limits = quotas.of(&other, 0);
        assert_eq!((known(), enter(&limits, &other).is_ok()), (2, true));
        drop(held);
        let again = quotas.of(&other, 0);
        assert_eq!(known(), 1);
        drop((limits, again));
        for number in 0..100 {
            quotas.of(&scenario(&format!("m-{number}"), ""), 0);
        }
        assert_eq!(known(), 1);
    }
}
