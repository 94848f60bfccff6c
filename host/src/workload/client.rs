//! What a client does about failures: retries with backoff, as the official SDKs do.
//!
//! The defaults are those of openai-python 1.x and 2.x (`_base_client.py`, `_calculate_retry_timeout` and `_should_retry`): 2 retries
//! of a refusal with 408, 409, 429 or 5xx or of a broken request; after 0.5 s, twice as long each time, at most 8 s, shortened by up
//! to 25 % by lot; and a `Retry-After` of up to 60 s is obeyed as it is.

use crate::workload::Answer;

/// How the client takes a failure.
#[derive(Debug, Clone, PartialEq)]
pub struct Client {
    /// How often a request is tried again at most.
    pub retries: u32,
    /// The wait before the first retry, in nanoseconds.
    pub first_ns: u64,
    /// By how much each wait is longer than the one before; at least 1.
    pub factor: f64,
    /// The longest wait, in nanoseconds.
    pub max_ns: u64,
    /// Waits are shortened by up to this share, from 0 to 1.
    pub jitter: f64,
    /// The longest `Retry-After` that is obeyed, in nanoseconds; 0 obeys none.
    pub obeys_up_to_ns: u64,
    /// How long the client waits for the whole answer, in nanoseconds. The driver gives up then and says [`Answer::Broken`].
    pub timeout_ns: Option<u64>,
    /// The share of requests that may be retries; the driver keeps this budget and says whether a retry is allowed.
    pub retry_budget: Option<f64>,
}

impl Default for Client {
    fn default() -> Self {
        Self {
            retries: 2,
            first_ns: 500_000_000,
            factor: 2.0,
            max_ns: 8_000_000_000,
            jitter: 0.25,
            obeys_up_to_ns: 60_000_000_000,
            timeout_ns: None,
            retry_budget: None,
        }
    }
}

impl Client {
    /// Does the client try again after `answer` to attempt number `attempt`, from 0?
    pub fn retries_after(&self, attempt: u32, answer: Answer) -> bool {
        let worth_it = match answer {
            Answer::Whole => false,
            Answer::Broken => true,
            Answer::Refused { status, .. } => matches!(status, 408 | 409 | 429) || status >= 500,
        };
        worth_it && attempt < self.retries
    }

    /// How long it waits before it does, in nanoseconds; `draw` is a number in [0, 1).
    pub fn wait_ns(&self, attempt: u32, answer: Answer, draw: f64) -> u64 {
        if let Answer::Refused { retry_after_ns, .. } = answer
            && retry_after_ns > 0
            && retry_after_ns <= self.obeys_up_to_ns
        {
            return retry_after_ns;
        }
        let power = libm::pow(self.factor, f64::from(attempt.min(1_000)));
        let whole = (self.first_ns as f64 * power).min(self.max_ns as f64);
        libm::rint(whole * (1.0 - self.jitter * draw)) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn refused(status: u16, retry_after_ns: u64) -> Answer {
        Answer::Refused { status, retry_after_ns }
    }

    #[test]
    fn waits_are_those_of_openai_python() {
        let client = Client { retries: 6, ..Client::default() };
        let wait = |attempt, draw| client.wait_ns(attempt, Answer::Broken, draw) / MS;
        assert_eq!([0, 1, 2, 3, 4, 5].map(|attempt| wait(attempt, 0.0)), [500, 1_000, 2_000, 4_000, 8_000, 8_000]);
        assert_eq!(client.wait_ns(0, Answer::Broken, 0.5), 437_500_000);
        assert_eq!(wait(4, 0.999_999), 6_000);
        assert_eq!(client.wait_ns(u32::MAX, Answer::Broken, 0.0) / MS, 8_000);
        // As the table of headers in openai-python's tests/test_client.py: 20 and 60 are obeyed, 0, 61 and 99999 are not.
        for (header_s, expected) in [(20, 20_000), (60, 60_000), (0, 500), (61, 500), (99_999, 500)] {
            assert_eq!(client.wait_ns(0, refused(429, header_s * 1_000 * MS), 0.0) / MS, expected, "{header_s}");
        }
    }

    #[test]
    fn what_another_try_cannot_mend_is_not_tried_again() {
        let client = Client::default();
        for (status, again) in [(400, false), (401, false), (404, false), (408, true), (409, true), (429, true), (503, true)] {
            assert_eq!(client.retries_after(0, refused(status, 0)), again, "{status}");
        }
        assert!(!client.retries_after(0, Answer::Whole));
        assert!(client.retries_after(1, Answer::Broken) && !client.retries_after(2, Answer::Broken));
    }
}
