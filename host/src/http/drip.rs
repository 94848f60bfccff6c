//! Lets bytes leave drop by drop: a rate, kept by the worker's pacer.
//!
//! On HTTP/1.1 the wire drips, head and body alike, byte for byte. An HTTP/2 connection carries other streams, too, so there the
//! head leaves as always and [`DrippedBody`] drips the data of the one stream.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::clock::real::RealClock;
use crate::clock::{Clock, Nanos};
use crate::engine::pacer::Sleep;
use crate::http::body::ReplyBody;

const SECOND_NS: u128 = 1_000_000_000;
/// Drops a second at most: a fast drip lets several bytes leave together instead of waking for each.
const DROPS_PER_S: u64 = 200;

/// How many bytes may leave when: the n-th no earlier than n/rate after the first.
#[derive(Debug, Clone)]
pub struct Drip {
    bytes_per_s: u64,
    begun: Nanos,
    left: u64,
}

impl Drip {
    /// A drip of `bytes_per_s` (at least 1) that begins at `begun`.
    pub fn of(bytes_per_s: u32, begun: Nanos) -> Self {
        Self { bytes_per_s: u64::from(bytes_per_s.max(1)), begun, left: 0 }
    }

    /// How many of `offered` bytes may leave at `now`; the error is when to come back.
    pub fn take(&self, offered: usize, now: Nanos) -> Result<usize, Nanos> {
        let due = u128::from(now.saturating_sub(self.begun)) * u128::from(self.bytes_per_s) / SECOND_NS + 1;
        let may = (due as u64).saturating_sub(self.left);
        let drop = (self.bytes_per_s / DROPS_PER_S).clamp(1, offered.max(1) as u64);
        if may >= drop {
            return Ok(may.min(offered as u64) as usize);
        }
        // The byte number n (from 0) is due n/rate after the first; this drop is due with its last byte.
        let last = u128::from(self.left + drop - 1);
        Err(self.begun + (last * SECOND_NS).div_ceil(u128::from(self.bytes_per_s)) as Nanos)
    }

    /// So many bytes have left.
    pub fn took(&mut self, bytes: usize) {
        self.left += bytes as u64;
    }
}

/// A [`Drip`] with a place in the worker's pacer.
pub struct Dripper {
    drip: Drip,
    sleep: Sleep,
    clock: RealClock,
}

impl Dripper {
    /// Begins now.
    pub fn begin(bytes_per_s: u32, sleep: Sleep, clock: RealClock) -> Self {
        Self { drip: Drip::of(bytes_per_s, clock.now()), sleep, clock }
    }

    /// How many of `offered` bytes may leave; until then the task is woken when one may.
    pub fn poll_take(&mut self, offered: usize, context: &mut Context<'_>) -> Poll<usize> {
        loop {
            let now = self.clock.now();
            match self.drip.take(offered, now) {
                Ok(bytes) => return Poll::Ready(bytes),
                Err(due) => ready!(self.sleep.poll_until(due, now, context)),
            }
        }
    }

    /// So many bytes have left.
    pub fn took(&mut self, bytes: usize) {
        self.drip.took(bytes);
    }
}

/// A body whose data drips.
pub struct DrippedBody {
    body: ReplyBody,
    waiting: Bytes,
    dripper: Dripper,
}

impl DrippedBody {
    /// The same as `body`, drop by drop.
    pub fn new(body: ReplyBody, dripper: Dripper) -> Self {
        Self { body, waiting: Bytes::new(), dripper }
    }
}

impl Body for DrippedBody {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        let this = self.get_mut();
        if this.waiting.is_empty() {
            match ready!(Pin::new(&mut this.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.waiting = data,
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
                end => return Poll::Ready(end),
            }
        }
        let bytes = ready!(this.dripper.poll_take(this.waiting.len(), context));
        this.dripper.took(bytes);
        Poll::Ready(Some(Ok(Frame::data(this.waiting.split_to(bytes)))))
    }

    fn is_end_stream(&self) -> bool {
        self.waiting.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// When each of `bytes` bytes leaves if somebody looks just when told to.
    fn times(bytes_per_s: u32, bytes: usize) -> Vec<Nanos> {
        let (mut drip, mut now, mut times) = (Drip::of(bytes_per_s, 1_000), 1_000, Vec::new());
        while times.len() < bytes {
            match drip.take(bytes - times.len(), now) {
                Ok(taken) => {
                    drip.took(taken);
                    times.extend(std::iter::repeat_n(now, taken));
                }
                Err(due) => {
                    assert!(due > now, "told at {now} to come back at {due}");
                    now = due;
                }
            }
        }
        times
    }

    #[test]
    fn a_slow_drip_sends_one_byte_at_a_time() {
        assert_eq!(times(20, 4), [1_000, 50_001_000, 100_001_000, 150_001_000]);
    }

    #[test]
    fn a_fast_drip_sends_several_bytes_together() {
        let times = times(100_000, 2_000);
        assert_eq!(times.iter().filter(|time| **time == times[0]).count(), 500);
        assert_eq!(times[1_999], 1_000 + 19_990_000);
    }

    proptest! {
        #[test]
        fn no_byte_leaves_early_and_the_last_is_not_late(rate in 1_u32..5_000_000, bytes in 1_usize..5_000) {
            let times = times(rate, bytes);
            let due = |byte: usize| 1_000 + (byte as u128 * SECOND_NS).div_ceil(u128::from(rate)) as Nanos;
            prop_assert!(times.iter().enumerate().all(|(byte, time)| *time >= due(byte)));
            prop_assert_eq!(times[bytes - 1], due(bytes - 1));
        }
    }
}
