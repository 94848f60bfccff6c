//! A network path: latency, jitter, bandwidth, loss.
//!
//! What is sent waits until the link has put everything before it on the wire (store and forward, in order of sending), takes its own time
//! on the wire, and arrives after the latency. With jitter it may overtake what was sent before it, as datagrams do. Nobody enters
//! or leaves: the time of arrival is known at once.
//!
//! Loss is played in one of two ways. As loss: what is lost never arrives, and whoever sent it finds out by a time limit. Or as TCP
//! shows it (`retransmit_ns`): a delay that doubles with each loss in a row (RFC 6298, section 5), and loss only after
//! [`LINK_TRIES_MAX`] tries. What is sent again takes its time on the wire again, but holds up nobody else.

use crate::clock::Nanos;
use crate::stats::law::Law;
use crate::types::limits::LINK_TRIES_MAX;

/// What a link is like.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// From the end of sending to arrival, in nanoseconds.
    pub latency_ns: Nanos,
    /// Bytes that it takes in a second. 0: any number at once.
    pub bandwidth_bytes_per_s: u64,
    /// Probability that what is sent is lost, in [0, 1).
    pub loss: f64,
    /// Added to the latency, in nanoseconds.
    pub jitter: Option<Law>,
    /// How long it takes until the first loss is noticed and mended, in nanoseconds. 0: never; what is lost stays lost.
    pub retransmit_ns: Nanos,
}

impl Settings {
    /// A link that loses nothing and takes any number of bytes.
    pub const fn of(latency_ns: Nanos) -> Self {
        Self { latency_ns, bandwidth_bytes_per_s: 0, loss: 0.0, jitter: None, retransmit_ns: 0 }
    }
}

/// What becomes of something sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It arrives then.
    Arrives(Nanos),
    /// It never does.
    Lost,
}

/// One direction of a path.
#[derive(Debug, Clone)]
pub struct Link {
    settings: Settings,
    now: Nanos,
    busy_until: Nanos,
}

impl Link {
    /// A link on which nothing is under way.
    pub fn new(settings: Settings) -> Self {
        Self { settings, now: 0, busy_until: 0 }
    }

    /// Sends `bytes`. One `draw` in [0, 1) decides about loss and jitter; the two are independent.
    pub fn send(&mut self, now: Nanos, bytes: u64, draw: f64) -> Sent {
        self.now = self.now.max(now);
        let wire_ns = self.wire_ns(bytes);
        self.busy_until = self.busy_until.max(self.now).saturating_add(wire_ns);
        let Settings { latency_ns, loss, retransmit_ns, .. } = self.settings;
        let (mut draw, mut at, mut wait) = (draw, self.busy_until, retransmit_ns);
        let mut tries = 1;
        while draw < loss {
            if retransmit_ns == 0 || tries == LINK_TRIES_MAX {
                return Sent::Lost;
            }
            // Below the probability of loss the draw is uniform again, once it is stretched.
            draw /= loss;
            at = at.saturating_add(wait).saturating_add(wire_ns);
            wait = wait.saturating_mul(2);
            tries += 1;
        }
        let rest = (draw - loss) / (1.0 - loss);
        let jitter_ns = self.settings.jitter.as_ref().map_or(0, |law| law.quantile(rest).round() as Nanos);
        Sent::Arrives(at.saturating_add(latency_ns).saturating_add(jitter_ns))
    }

    /// Rounded up to whole nanoseconds, so that nothing is faster than the link.
    fn wire_ns(&self, bytes: u64) -> Nanos {
        match self.settings.bandwidth_bytes_per_s {
            0 => 0,
            rate => Nanos::try_from((u128::from(bytes) * 1_000_000_000).div_ceil(u128::from(rate))).unwrap_or(Nanos::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Key;
    use crate::station::theory::{Observed, S, exponential, visitors};

    const MS: Nanos = 1_000_000;

    #[test]
    fn what_is_sent_waits_for_what_was_sent_before() {
        let mut link = Link::new(Settings { bandwidth_bytes_per_s: 1_000_000, ..Settings::of(20 * MS) });
        assert_eq!(link.send(0, 5_000, 0.5), Sent::Arrives(25 * MS));
        assert_eq!(link.send(MS, 1_000, 0.5), Sent::Arrives(26 * MS));
        assert_eq!(link.busy_until, 6 * MS);
        // Idle in between, it starts afresh; a time before the newest counts as the newest.
        assert_eq!(link.send(100 * MS, 1_000, 0.5), Sent::Arrives(121 * MS));
        assert_eq!(link.send(0, 1, 0.5), Sent::Arrives(121 * MS + 1_000));
        assert_eq!(Link::new(Settings::of(7)).send(3, u64::MAX, 0.0), Sent::Arrives(10));
    }

    #[test]
    fn a_packet_is_rounded_up_and_an_endless_one_does_not_wrap() {
        let mut link = Link::new(Settings { bandwidth_bytes_per_s: 3_000_000_000, ..Settings::of(0) });
        assert_eq!(link.send(0, 1, 0.0), Sent::Arrives(1));
        let mut slow = Link::new(Settings { bandwidth_bytes_per_s: 1, ..Settings::of(5) });
        assert_eq!(slow.send(0, u64::MAX, 0.0), Sent::Arrives(Nanos::MAX));
    }

    #[test]
    fn as_many_are_lost_as_the_setting_says_and_jitter_knows_nothing_of_loss() {
        let jitter = Some(Law::uniform(0.0, 1_000.0));
        let mut link = Link::new(Settings { loss: 0.2, jitter, ..Settings::of(0) });
        let mut draws = Key::of_seed(2).named("link").stream();
        let (mut lost, mut jitters) = (Observed::default(), Observed::default());
        for _ in 0..visitors(100_000) {
            match link.send(0, 1, draws.unit()) {
                Sent::Lost => lost.add(1.0),
                Sent::Arrives(at) => {
                    lost.add(0.0);
                    jitters.add(at as f64);
                }
            }
        }
        lost.assert_mean("lost", 0.2);
        jitters.assert_mean("jitter", 500.0);
    }

    #[test]
    fn as_delay_a_loss_costs_a_wait_that_doubles() {
        let settings = Settings { bandwidth_bytes_per_s: 1_000_000, loss: 0.5, retransmit_ns: 200 * MS, ..Settings::of(10 * MS) };
        let mut link = Link::new(settings);
        let after = |draw: f64| Link::new(link.settings.clone()).send(0, 1_000, draw);
        // Below 1/2 it is lost once, below 1/4 twice, and so on; each try takes a millisecond on the wire.
        assert_eq!(after(0.6), Sent::Arrives(11 * MS));
        assert_eq!(after(0.3), Sent::Arrives((11 + 201) * MS));
        assert_eq!(after(0.2), Sent::Arrives((11 + 201 + 401) * MS));
        assert_eq!(after(0.0), Sent::Lost);
        // Nobody else is held up by that.
        assert_eq!(link.send(0, 1_000, 0.2), Sent::Arrives(613 * MS));
        assert_eq!(link.send(0, 1_000, 0.9), Sent::Arrives(12 * MS));
    }

    #[test]
    fn packets_of_one_size_wait_as_theory_says() {
        // M/D/1 with 0.7 of the bandwidth used: 0.7 / (2 · 0.3) of the time that a packet takes.
        let mut link = Link::new(Settings { bandwidth_bytes_per_s: 1_000, ..Settings::of(3 * S) });
        let mut gaps = Key::of_seed(3).named("link").stream();
        let (mut now, mut waits) = (0, Observed::default());
        for _ in 0..visitors(1_000_000) {
            now += exponential(&mut gaps, 1.0 / 0.7);
            match link.send(now, 1_000, 0.5) {
                Sent::Arrives(at) => waits.add((at - now - 4 * S) as f64 / S as f64),
                Sent::Lost => panic!("nothing is lost here"),
            }
        }
        waits.assert_mean("Wq", 1.166_667);
    }
}
