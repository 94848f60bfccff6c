//! What programs share that measure inside their own process, without a server: the best of several rounds, one request from bytes to
//! bytes, and what it says.

use std::hint::black_box;
use std::sync::Arc;

use bytes::BytesMut;
use simwright::clock::Clock;
use simwright::dialect::{Endpoint, Inbound, Parsed};
use simwright::engine::playback::Stage;
use simwright::engine::{Engine, Origin};
use simwright::types::reply::{Head, StreamEvent, WholeReply};
use simwright::types::usage::Usage;

use crate::clock::now_ns;

/// Nanoseconds of one call, of the best round, so that a busy machine disturbs the figure least; the first round is not counted.
pub fn best(rounds: u32, calls: usize, call: impl Fn(usize)) -> f64 {
    let round = || {
        let start = now_ns();
        (0..calls).for_each(&call);
        (now_ns() - start) as f64 / calls as f64
    };
    round();
    (0..rounds).map(|_| round()).fold(f64::INFINITY, f64::min)
}

/// Nanoseconds of one call with something new in each round, the making of which is not counted.
pub fn best_with<T>(rounds: u32, make: impl Fn(u32) -> T, call: impl Fn(T)) -> f64 {
    let round = |number| {
        let made = make(number);
        let start = now_ns();
        call(made);
        (now_ns() - start) as f64
    };
    round(0);
    (1..=rounds).map(round).fold(f64::INFINITY, f64::min)
}

/// The head of a reply that nobody reads.
pub fn head(model: &str) -> Head {
    Head { id: 1, created_unix_s: 1, model: model.into(), fingerprint: 1, usage: Usage::default() }
}

/// A request from its bytes to the bytes of its whole reply: everything but HTTP and the socket. False if it was refused.
pub async fn answered(engine: &Engine, endpoint: &dyn Endpoint, inbound: Inbound<'_>) -> bool {
    let Ok(Parsed { request, voice }) = endpoint.parse(inbound) else { return false };
    let head = head(&request.model);
    let origin = Origin { arrival: engine.clock().now(), ..Origin::default() };
    let Ok(begun) = engine.begin(engine.choose(origin, &[]), Arc::new(request), origin).await else {
        return false;
    };
    let mut playback = begun.playback;
    let mut gathered = Gathered(WholeReply::with_capacity(1, playback.plan().reply.steps()));
    playback.play_whole(&mut gathered);
    let mut out = BytesMut::with_capacity(1_024);
    voice.whole(&head, &gathered.0, &mut out);
    playback.end(200, engine.clock().now(), true);
    !black_box(out).is_empty()
}

struct Gathered(WholeReply);

impl Stage for Gathered {
    fn due(&mut self, _due: u64) {}

    fn strike(&mut self, _step: u32) {}

    fn event(&mut self, event: &StreamEvent<'_>) {
        self.0.gather(event);
    }
}

/// What the system and the user say, about 1 KB together.
pub fn texts(number: u32) -> (String, String) {
    let system = "You are a helpful assistant who answers briefly and to the point. ".repeat(6);
    (system, format!("Question {number}: ") + &"what does the weather do to trains? ".repeat(12))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn every_round_with_something_new_has_a_number_of_its_own() {
        let seen = Cell::new(Vec::new());
        best_with(3, |number| number, |number| seen.set([seen.take(), vec![number]].concat()));
        assert_eq!(seen.take(), [0, 1, 2, 3]);
    }

    #[test]
    fn the_first_round_is_not_counted() {
        let calls = Cell::new(0);
        best(2, 5, |_| calls.set(calls.get() + 1));
        assert_eq!(calls.get(), 15);
    }
}
