//! The limits of tiers and models, as the live server holds them: what an attempt reserves as it comes, and gives back as it ends.
//!
//! A tier's limits hold for each tenant, a model's for all callers together.

use crate::clock::Nanos;
use crate::plan::token_counts::most_tokens;
use crate::scenario::{ModelEntry, RateLimits, Scenario};
use crate::station::Refusal;
use crate::station::quota::{Quota, Reservation};
use crate::types::request::Request;

/// What an attempt holds.
pub(super) type Held = Vec<(Of, Reservation)>;

/// Whose a limit is, by its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    Tier(usize),
    Model(usize),
}

/// All limits that refuse.
pub(super) struct Quotas {
    tiers: Vec<Option<Limited>>,
    models: Vec<Option<Limited>>,
}

struct Limited {
    quota: Quota,
    /// Tokens that fit at once, at most.
    tokens_at_once: u32,
}

impl Limited {
    fn of(limits: &RateLimits) -> Option<Self> {
        let settings = limits.quota().filter(|_| limits.refuse)?;
        Some(Self { quota: Quota::sharded(settings, 1), tokens_at_once: limits.tokens_at_once() })
    }
}

impl Quotas {
    pub(super) fn of(scenario: &Scenario) -> Self {
        Self {
            tiers: scenario.tiers.iter().map(|tier| Limited::of(&tier.limits)).collect(),
            models: scenario.models.iter().map(|model| Limited::of(&model.rate_limits)).collect(),
        }
    }

    /// Reserves all that an attempt of `tenant` with `input_tokens` asks of the entry `model`, or nothing of it.
    pub(super) fn enter(
        &self,
        now: Nanos,
        (tier, tenant): (Option<usize>, u64),
        (model, entry): (usize, &ModelEntry),
        request: &Request,
        input_tokens: u32,
    ) -> Result<Held, Refusal> {
        let of_tier = tier.filter(|tier| self.tiers[*tier].is_some()).map(|tier| (Of::Tier(tier), tenant));
        let of_model = self.models[model].as_ref().map(|_| (Of::Model(model), 0));
        let mut held = Held::new();
        if of_tier.is_none() && of_model.is_none() {
            return Ok(held);
        }
        let limits = || of_tier.into_iter().chain(of_model);
        let at_once = limits().filter_map(|(of, _)| Some(self.limited(of)?.tokens_at_once)).min().unwrap_or(u32::MAX);
        let tokens = most_tokens(entry, request, input_tokens, at_once);
        for (of, key) in limits() {
            let Some(limited) = self.limited(of) else { continue };
            match limited.quota.enter(now, key, tokens) {
                Ok(reservation) => held.push((of, reservation)),
                Err(refusal) => {
                    for (of, reservation) in held {
                        if let Some(limited) = self.limited(of) {
                            limited.quota.give_back(now, reservation);
                        }
                    }
                    return Err(refusal);
                }
            }
        }
        Ok(held)
    }

    /// An attempt has ended and used `tokens`, of prompt and reply.
    pub(super) fn settle(&self, now: Nanos, held: Held, tokens: u32) {
        for (of, reservation) in held {
            if let Some(limited) = self.limited(of) {
                limited.quota.settle(now, reservation, tokens);
            }
        }
    }

    /// Requests that hold something, and the tokens that they have reserved; a request that two limits hold counts twice.
    pub(super) fn under_way(&self) -> (u64, u64) {
        let loads = self.tiers.iter().chain(&self.models).flatten().map(|limited| limited.quota.load());
        loads.fold((0, 0), |(requests, tokens), load| (requests + load.under_way, tokens + load.reserved))
    }

    fn limited(&self, of: Of) -> Option<&Limited> {
        match of {
            Of::Tier(tier) => self.tiers[tier].as_ref(),
            Of::Model(model) => self.models[model].as_ref(),
        }
    }
}
