//! A balancer and an autoscaler whose every misdeed is asked for by its name. The tests that use each stand in
//! `host/src/wasm/tests/choosers.rs`.

use simwright_sdk::balancer::TurnAway;
use simwright_sdk::plugin::Named;
use simwright_sdk::prelude::*;

options! {
    /// What to do.
    pub struct TestChoosers {
        /// The deed; `well` is none.
        pub deed: String = "well".to_owned();
    }
}

impl Balancer for TestChoosers {
    fn pick(&self, ask: &Ask, backends: &[Backend]) -> Choice {
        let open = || (0..).zip(backends).filter(|(_, backend)| backend.open).map(|(place, _)| place);
        match &*self.deed {
            "beyond" => Choice::Backend(backends.len() as u32),
            "closed" => Choice::Backend((0..).zip(backends).find(|(_, backend)| !backend.open).map_or(0, |(place, _)| place)),
            "unknown" => Choice::Other(Named { kind: "dice".to_owned(), json: "{}".to_owned() }),
            "refuse" => Choice::refuse(Some(ms(1_500))),
            "refuse for ever" => Choice::Refuse(TurnAway { retry_after_ms: Some(u32::MAX) }),
            "panic" => panic!("heads or tails"),
            "slow" => {
                work();
                Choice::Any
            }
            // The identities of a rehearsal are small.
            "loop later" if ask.identity >= 1_000 => loop {
                work();
            },
            "count" => {
                let turn = state::add("turns", 1) as u32 - 1;
                Choice::Backend(turn % backends.len() as u32)
            }
            "header" => match ask.header("x-backend") {
                Some(place) => Choice::Backend(place.parse().unwrap_or(0)),
                None => Choice::Any,
            },
            // The one with the longest known beginning, and by lot among equals.
            _ => {
                let most = backends.iter().filter(|backend| backend.open).map(|backend| backend.cached_tokens).max();
                let best: Vec<u32> = open().filter(|place| Some(backends[*place as usize].cached_tokens) == most).collect();
                ask.rng().pick(&best).map_or(Choice::Any, |place| Choice::Backend(*place))
            }
        }
    }
}

impl Autoscaler for TestChoosers {
    fn decide(&self, group: &Group) -> Decision {
        match &*self.deed {
            "beyond" => Decision::replicas(group.most + 1),
            "below" => Decision::replicas(group.least - 1),
            "unknown" => {
                Decision { wish: Wish::Other(Named { kind: "pause".to_owned(), json: "{}".to_owned() }), reason: String::new() }
            }
            "lines" => Decision::keep().because("one\ntwo"),
            "panic" => panic!("no idea"),
            "keep" => Decision::keep(),
            // So that a test can see what the host told.
            "tell" => panic!(
                "{} {} {} {:.3} {:.3} {:.3} {} {}",
                group.station,
                group.ready,
                group.wanted,
                group.arrivals_per_s,
                group.busy,
                group.kv_used,
                group.first_token_us,
                group.boot_ns
            ),
            _ => group.wish((group.requests() as f64 / 2.0).ceil()).because("two for each"),
        }
    }
}

/// Some milliseconds of work that nothing can leave out.
fn work() {
    let sum = (0..3_000_000_u64).fold(0_u64, |sum, i| std::hint::black_box(sum.wrapping_mul(31).wrapping_add(i)));
    std::hint::black_box(sum);
}

export!(TestChoosers: balancer, autoscaler);
