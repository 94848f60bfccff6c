//! Jumping equals stepping: random arrivals, leaves and sizes through the replica, asked in several ways, and through the plain reference.

use proptest::prelude::*;

use super::super::{Event, Job, Prefix, Replica, Settings, StepTime};
use super::reference::{Reference, Told};
use crate::clock::Nanos;
use crate::station::{Entry, Visitor};

/// Visitors at a time: numbers are used again as soon as they are free.
const VISITORS: u32 = 24;

#[derive(Debug, Clone)]
enum Act {
    Enter { visitor: Visitor, prompt: u32, output: u32, prefix: Prefix },
    Leave(Visitor),
    SetStep(StepTime),
    Look,
}

fn step_time() -> impl Strategy<Value = StepTime> {
    // Odd numbers of picoseconds, so that rounding would show.
    (1_u64..3_000_000, 0_u64..20_001, 0_u64..100_003, 0_u64..997, 0_u64..13).prop_map(
        |(base_ps, per_prefill_token_ps, per_sequence_ps, per_kv_token_ps, per_prefill_pair_ps)| StepTime {
            base_ps,
            per_prefill_token_ps,
            per_sequence_ps,
            per_kv_token_ps,
            per_prefill_pair_ps,
        },
    )
}

fn settings() -> impl Strategy<Value = Settings> {
    (step_time(), 1_u32..9, 0_u32..60, 8_u32..60, 1_u32..9, 1_u32..30, any::<(bool, bool)>()).prop_map(
        |(step, sequences_max, more, kv_blocks, block_tokens, queue_max, (prefix_cache, ahead))| Settings {
            step,
            sequences_max,
            batch_tokens: sequences_max + more,
            kv_blocks,
            block_tokens,
            queue_max,
            prefix_cache,
            ahead,
        },
    )
}

fn prefix() -> impl Strategy<Value = Prefix> {
    prop_oneof![
        Just(Prefix::None),
        (0_u64..3, 0_u32..80).prop_map(|(group, tokens)| Prefix::Group { group, tokens }),
        // Chains that part at some block, as those of conversations do.
        (0_u64..3, 0_u64..12, 0_u64..12).prop_map(|(kind, common, more)| {
            let parted = (0..more).map(|block| 1_000 + kind * 100 + block);
            Prefix::Blocks((100..100 + common).chain(parted).collect())
        }),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    let visitor = 0..VISITORS;
    prop_oneof![
        6 => (visitor.clone(), 1_u32..90, 1_u32..60, prefix())
            .prop_map(|(visitor, prompt, output, prefix)| Act::Enter { visitor, prompt, output, prefix }),
        2 => visitor.prop_map(Act::Leave),
        1 => step_time().prop_map(Act::SetStep),
        2 => Just(Act::Look),
    ]
}

/// Most acts follow soon, some at the same moment, some after a long time.
fn acts() -> impl Strategy<Value = Vec<(u64, Act)>> {
    let gap = prop_oneof![1 => Just(0), 8 => 0_u64..20_000, 1 => 0_u64..2_000_000];
    prop::collection::vec((gap, act()), 1..60)
}

/// How the replica is driven between the acts.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    /// Only when somebody comes or leaves.
    Seldom,
    /// As the fleet does: whenever it says.
    WhenDue,
    /// As a live server does: at the end of each step.
    EachStep,
    /// As `Seldom`, without jumps.
    Stepwise,
}

struct Driven {
    way: Way,
    replica: Replica,
    events: Vec<Event>,
}

impl Driven {
    fn new(settings: Settings, way: Way) -> Self {
        let mut replica = Replica::new(settings);
        replica.stepwise = way == Way::Stepwise;
        Self { way, replica, events: Vec::new() }
    }

    fn pass(&mut self, from: Nanos, to: Nanos) {
        let mut at = from;
        loop {
            let next = match self.way {
                Way::Seldom | Way::Stepwise => None,
                Way::WhenDue => self.replica.next_at(),
                Way::EachStep => self.replica.step_end(at),
            };
            let Some(next) = next.filter(|next| *next <= to) else { break };
            at = next;
            self.replica.advance(at, &mut self.events);
        }
        if self.way == Way::EachStep {
            self.replica.advance(to, &mut self.events);
        }
    }

    fn told(&self) -> Vec<Told> {
        let mut told = Vec::new();
        for event in &self.events {
            let Event::Steps { from, first_ps, growth_ps, steps, sequences, prefill_tokens } = *event else {
                told.push(Told::Event(*event));
                continue;
            };
            // Only the first beginning of a group is told: the others follow from it, up to its rounding.
            for step in 0..u64::from(steps) {
                let before = first_ps * step + growth_ps * (step * step.saturating_sub(1) / 2);
                told.push(Told::Step((from + before / 1_000, first_ps + growth_ps * step, sequences, prefill_tokens)));
            }
        }
        told
    }
}

/// Beginnings of steps within a group are known to the nanosecond only.
fn same(told: &Told, reference: &Told) -> bool {
    match (told, reference) {
        (Told::Step(told), Told::Step(reference)) => {
            told.0.abs_diff(reference.0) <= 1 && (told.1, told.2, told.3) == (reference.1, reference.2, reference.3)
        }
        _ => told == reference,
    }
}

/// What each token's time is, against what the reference saw.
fn compare_tokens(driven: &Driven, reference: &Reference) -> Result<(), TestCaseError> {
    let exact_from = reference.step_ends.iter().rev().nth(255).copied().unwrap_or(0);
    for ((visitor, token), at) in &reference.tokens {
        let told = driven.replica.token_at(*visitor, *token);
        if *at >= exact_from {
            prop_assert_eq!(told, Some(*at), "{:?}: token {} of {}", driven.way, token, visitor);
        } else {
            prop_assert!(told.is_some_and(|told| told <= *at));
        }
        if !reference.tokens.contains_key(&(*visitor, *token + 1)) {
            prop_assert_eq!(driven.replica.token_at(*visitor, *token + 1), None);
        }
    }
    Ok(())
}

fn play(settings: Settings, acts: &[(u64, Act)], way: Way) -> Result<(), TestCaseError> {
    let mut reference = Reference::new(settings.clone());
    let mut driven = Driven::new(settings.clone(), way);
    let mut now = 0;
    let mut present = [false; VISITORS as usize];
    for (gap, act) in acts {
        driven.pass(now, now + gap);
        now += gap;
        match act.clone() {
            Act::Enter { visitor, prompt, output, prefix } if !present[visitor as usize] => {
                let job = Job { visitor, prompt_tokens: prompt, output_tokens: output, prefix };
                let fits = (prompt + output - 1).div_ceil(settings.block_tokens) <= settings.kv_blocks;
                let entered = fits && reference.enter(now, job.clone());
                prop_assert_eq!(driven.replica.enter(now, job) == Entry::Waits, entered);
                present[visitor as usize] = entered;
            }
            Act::Leave(visitor) => {
                reference.leave(now, visitor);
                driven.replica.leave(now, visitor);
                present[visitor as usize] = false;
            }
            Act::SetStep(step) => {
                reference.set_step(now, step);
                driven.replica.set_step(now, step);
            }
            Act::Enter { .. } | Act::Look => reference.advance(now),
        }
        if way != Way::Seldom {
            driven.replica.advance(now, &mut driven.events);
            reference.advance(now);
            prop_assert_eq!(driven.replica.load().kv_used as usize, reference.used());
            compare_tokens(&driven, &reference)?;
        }
    }
    while let Some(next) = reference.next_at() {
        driven.pass(now, next);
        now = now.max(next);
        reference.advance(now);
    }
    driven.replica.advance(now, &mut driven.events);
    let told = driven.told();
    for (index, (told, reference)) in told.iter().zip(&reference.told).enumerate() {
        prop_assert!(same(told, reference), "{way:?}: {index}: {told:?}, but {reference:?}");
    }
    prop_assert_eq!(told.len(), reference.told.len());
    compare_tokens(&driven, &reference)?;
    conserved(&driven, &reference)
}

/// Nothing is lost: blocks, sequences, tokens.
fn conserved(driven: &Driven, reference: &Reference) -> Result<(), TestCaseError> {
    let load = driven.replica.load();
    prop_assert_eq!((load.kv_used, load.running, load.waiting, driven.replica.next_at()), (0, 0, 0, None));
    prop_assert_eq!((load.prefix_hit, load.preemptions), (reference.hit, reference.preemptions));
    prop_assert_eq!(load.steps as usize, reference.step_ends.len());
    let tokens = driven.events.iter().map(|event| match event {
        Event::FirstToken { .. } | Event::Resumed { .. } => 1,
        Event::Steps { steps, sequences, .. } => u64::from(*steps) * u64::from(*sequences),
        _ => 0,
    });
    prop_assert_eq!(load.output_tokens, tokens.sum::<u64>());
    let finished = driven.events.iter().filter(|event| matches!(event, Event::Finished { .. })).count();
    prop_assert_eq!(load.finished as usize, finished);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if std::env::var_os("SIMWRIGHT_FULL").is_some() { 20_000 } else { 160 }))]

    #[test]
    fn jumps_equal_steps_however_often_the_replica_is_asked(settings in settings(), acts in acts()) {
        for way in [Way::Seldom, Way::WhenDue, Way::EachStep, Way::Stepwise] {
            play(settings.clone(), &acts, way)?;
        }
    }
}
