//! `when:`, the conditions under which a behaviour is asked or an entry answers: a small tree, evaluated without allocation.
//!
//! [`When`] holds if every one of its conditions does. What it is evaluated on is [`Seen`]: the request and what the player knows of
//! it. A share is drawn by a key like every other draw, so that the same request of the same run always meets the same answer.
//! `check/when.rs` reads it from a file.

use http::HeaderName;

use crate::clock::Nanos;
use crate::random::{Draws, Key};
use crate::scenario::complexity::complexity;
use crate::scenario::pattern::{Glob, matches};
use crate::types::request::Request;

/// What conditions are evaluated on.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// The request.
    pub request: &'a Request,
    /// The header that names the tenant, if the scenario says so.
    pub tenant_header: Option<&'a HeaderName>,
    /// Which attempt it is, from 1.
    pub attempt: u32,
    /// Tokens of its prompt.
    pub prompt_tokens: u32,
    /// Which of its entry's requests it is, from 1.
    pub number: u64,
    /// When it arrived.
    pub now: Nanos,
    /// The key below which shares of attempts are drawn.
    pub key: Key,
    /// The seed of the run, and what all attempts of a request have in common: shares of identities are drawn below both.
    pub identity: (u64, u64),
    /// Notes every draw, where somebody wants to see them.
    pub draws: Option<&'a Draws>,
}

impl Seen<'_> {
    /// The same, with the draws of one rule.
    #[must_use]
    pub fn at(self, key: Key) -> Self {
        Self { key, ..self }
    }

    /// The key below which is drawn what all attempts of a request share. Few conditions ask for it.
    fn identity_key(&self) -> Key {
        let (seed, identity) = self.identity;
        Key::of_seed(seed).named("identity").with(identity)
    }

    fn draw(&self, name: &str, key: Key) -> f64 {
        let drawn = key.unit();
        if let Some(draws) = self.draws {
            draws.note(name, drawn);
        }
        drawn
    }
}

/// Conditions that must all hold.
#[derive(Debug, Clone, PartialEq)]
pub struct When {
    conditions: Box<[Condition]>,
}

/// One condition.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// The attempt, from 1, is one of these.
    Attempt(Ranges),
    /// Of every `of` attempts in a row it is this one, from 1.
    AttemptOf {
        /// Which one.
        number: u32,
        /// How many there are in a row; at least 1.
        of: u32,
    },
    /// The model's name as the client wrote it fits one of these patterns.
    Model(Box<[Box<str>]>),
    /// The tenant fits one of these patterns.
    Tenant(Box<[Box<str>]>),
    /// A header is there and fits one of these patterns.
    Header(HeaderName, Box<[Box<str>]>),
    /// The newest user message fits one of these patterns, in upper or lower case.
    Content(Box<[Glob]>),
    /// So many tokens of prompt.
    PromptTokens(Ranges),
    /// So many tokens of reply are asked for at most; a request that says nothing asks for the most that there is.
    MaxTokens(Ranges),
    /// So complex, in thousandths; see [`complexity`].
    Complexity(Ranges),
    /// So many messages.
    Messages(Ranges),
    /// Which of the entry's requests it is, from 1.
    Requests(Ranges),
    /// It came by the scenario's own route of this index.
    Route(u32),
    /// Is a stream asked for?
    Stream(bool),
    /// Does the request declare tools?
    Tools(bool),
    /// Nanoseconds since the run began.
    Time(Ranges),
    /// For a while in every period.
    Every {
        /// The period, in nanoseconds; at least 1.
        each: Nanos,
        /// How long it holds in each, in nanoseconds.
        lasts: Nanos,
        /// When the first period begins, in nanoseconds since the run began.
        offset: Nanos,
    },
    /// A share of the identities: every attempt of a request meets the same answer.
    Identities(f64),
    /// A share of the attempts.
    Share {
        /// The share, 0 to 1.
        share: f64,
        /// Tells the shares of one `when` apart.
        number: u64,
    },
    /// These do not hold.
    Not(When),
    /// One of these holds.
    Any(Box<[When]>),
}

impl When {
    /// All of `conditions`. The cheap ones are asked first; which come first changes no answer.
    pub fn all(mut conditions: Vec<Condition>) -> Self {
        conditions.sort_by_key(Condition::cost);
        Self { conditions: conditions.into() }
    }

    /// These conditions and those of `other`.
    #[must_use]
    pub fn and(self, other: &Self) -> Self {
        Self::all(self.conditions.into_iter().chain(other.conditions.iter().cloned()).collect())
    }

    /// Do all conditions hold?
    pub fn holds(&self, seen: &Seen<'_>) -> bool {
        self.conditions.iter().all(|condition| condition.holds(seen))
    }
}

impl Condition {
    fn cost(&self) -> u8 {
        match self {
            Self::Attempt(_)
            | Self::AttemptOf { .. }
            | Self::PromptTokens(_)
            | Self::MaxTokens(_)
            | Self::Messages(_)
            | Self::Requests(_) => 0,
            Self::Route(_) | Self::Stream(_) | Self::Tools(_) | Self::Time(_) | Self::Every { .. } => 0,
            Self::Share { .. } | Self::Identities(_) => 0,
            Self::Model(_) => 1,
            Self::Tenant(_) | Self::Header(..) => 2,
            Self::Not(_) | Self::Any(_) => 3,
            Self::Content(_) | Self::Complexity(_) => 4,
        }
    }

    fn holds(&self, seen: &Seen<'_>) -> bool {
        let fits = |patterns: &[Box<str>], text: &str| patterns.iter().any(|pattern| matches(pattern, text));
        match self {
            Self::Attempt(ranges) => ranges.contain(seen.attempt.into()),
            Self::AttemptOf { number, of } => seen.attempt.saturating_sub(1) % of == number - 1,
            Self::Model(patterns) => fits(patterns, &seen.request.model),
            Self::Tenant(patterns) => seen.request.tenant(seen.tenant_header).is_some_and(|tenant| fits(patterns, tenant)),
            Self::Header(name, patterns) => seen.request.header(name.as_str()).is_some_and(|text| fits(patterns, text)),
            Self::Content(globs) => {
                let text = seen.request.last_user_text();
                globs.iter().any(|glob| glob.fits(text))
            }
            Self::PromptTokens(ranges) => ranges.contain(seen.prompt_tokens.into()),
            Self::MaxTokens(ranges) => ranges.contain(seen.request.max_output_tokens.map_or(u64::MAX, u64::from)),
            Self::Complexity(ranges) => ranges.contain(complexity(seen.request, seen.prompt_tokens)),
            Self::Messages(ranges) => ranges.contain(seen.request.messages.len() as u64),
            Self::Requests(ranges) => ranges.contain(seen.number),
            Self::Route(index) => seen.request.route.as_ref().is_some_and(|route| route.index == *index),
            Self::Stream(asked) => seen.request.streams == *asked,
            Self::Tools(declared) => seen.request.tools.is_empty() != *declared,
            Self::Time(windows) => windows.contain(seen.now),
            Self::Every { each, lasts, offset } => seen.now.checked_sub(*offset).is_some_and(|since| since % each < *lasts),
            Self::Share { share, number } => seen.draw("when share", seen.key.named("share").with(*number)) < *share,
            Self::Identities(share) => seen.draw("when identities", seen.identity_key().named("share")) < *share,
            Self::Not(when) => !when.holds(seen),
            Self::Any(list) => list.iter().any(|when| when.holds(seen)),
        }
    }
}

/// Ranges of whole numbers, both ends included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranges(Box<[(u64, u64)]>);

impl Ranges {
    /// These ranges, each from its least to its greatest number.
    pub fn of(ranges: Vec<(u64, u64)>) -> Self {
        Self(ranges.into())
    }

    /// Is `number` in one of them?
    pub fn contain(&self, number: u64) -> bool {
        self.0.iter().any(|&(least, most)| (least..=most).contains(&number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::request::Role;
    use crate::types::request::testing::request;

    const SECOND: Nanos = 1_000_000_000;

    fn seen(request: &Request) -> Seen<'_> {
        Seen {
            request,
            tenant_header: None,
            attempt: 1,
            prompt_tokens: 10,
            number: 1,
            now: 0,
            key: Key::of_seed(1),
            identity: (1, 2),
            draws: None,
        }
    }

    fn one(condition: Condition) -> When {
        When::all(vec![condition])
    }

    #[test]
    fn numbers_hold_within_their_ranges() {
        let request = request("hi");
        let seen = seen(&request);
        let ranges = || Ranges::of(vec![(2, 3), (7, u64::MAX)]);
        for (number, holds) in [(1, false), (2, true), (3, true), (4, false), (7, true), (u32::MAX, true)] {
            assert_eq!(one(Condition::Attempt(ranges())).holds(&Seen { attempt: number, ..seen }), holds);
            assert_eq!(one(Condition::PromptTokens(ranges())).holds(&Seen { prompt_tokens: number, ..seen }), holds);
            assert_eq!(one(Condition::Requests(ranges())).holds(&Seen { number: number.into(), ..seen }), holds);
        }
        let second_of_three = one(Condition::AttemptOf { number: 2, of: 3 });
        let held: Vec<u32> = (0..9).filter(|&attempt| second_of_three.holds(&Seen { attempt, ..seen })).collect();
        assert_eq!(held, [2, 5, 8]);
    }

    #[test]
    fn windows_of_time_begin_at_their_start_and_end_before_their_end() {
        let request = request("hi");
        let at = |condition: &When, now| condition.holds(&Seen { now, ..seen(&request) });
        let every = one(Condition::Every { each: 10 * SECOND, lasts: 3 * SECOND, offset: 5 * SECOND });
        let held: Vec<u64> = (0..30).filter(|second| at(&every, second * SECOND)).collect();
        assert_eq!(held, [5, 6, 7, 15, 16, 17, 25, 26, 27]);
        let window = one(Condition::Time(Ranges::of(vec![(SECOND, 2 * SECOND - 1)])));
        assert!(!at(&window, SECOND - 1) && at(&window, SECOND) && at(&window, 2 * SECOND - 1) && !at(&window, 2 * SECOND));
    }

    #[test]
    fn texts_fit_patterns_and_credentials_are_never_looked_at() {
        let mut request = request("I want a ReFund, now");
        request.headers.insert("x-team", "red-1".parse().expect("a value"));
        request.headers.insert("authorization", "Bearer red-1".parse().expect("a value"));
        request.headers.insert("openai-organization", "acme-eu".parse().expect("a value"));
        let patterns = |pattern: &str| -> Box<[Box<str>]> { [pattern.into()].into() };
        let header = |name: &'static str| Condition::Header(HeaderName::from_static(name), patterns("red*"));
        let tenant = HeaderName::from_static("x-team");
        let with_tenant_header = Seen { tenant_header: Some(&tenant), ..seen(&request) };
        let plain = seen(&request);
        assert!(one(header("x-team")).holds(&plain));
        assert!(!one(header("authorization")).holds(&plain));
        assert!(!one(header("x-other")).holds(&plain));
        assert!(one(Condition::Tenant(patterns("acme*"))).holds(&plain));
        assert!(!one(Condition::Tenant(patterns("acme*"))).holds(&with_tenant_header));
        assert!(one(Condition::Tenant(patterns("red*"))).holds(&with_tenant_header));
        assert!(one(Condition::Content([Glob::of("*refund*")].into())).holds(&plain));
        assert!(!one(Condition::Content([Glob::of("refund*")].into())).holds(&plain));
        assert_eq!(request.messages[0].role, Role::User);
        assert!(!one(Condition::Stream(true)).holds(&plain) && one(Condition::Stream(false)).holds(&plain));
        assert!(!one(Condition::Tools(true)).holds(&plain) && one(Condition::Tools(false)).holds(&plain));
    }

    #[test]
    fn a_share_is_drawn_by_key_and_two_shares_are_independent() {
        let request = request("hi");
        let share = |number| Condition::Share { share: 0.3, number };
        let held =
            |when: &When| -> Vec<u64> { (0..10_000).filter(|&key| when.holds(&seen(&request).at(Key::of_seed(key)))).collect() };
        let (first, both) = (held(&one(share(0))), held(&When::all(vec![share(0), share(1)])));
        assert_eq!(first, held(&one(share(0))));
        // Four standard deviations.
        assert!((first.len() as f64 - 3_000.0).abs() < 4.0 * (10_000.0_f64 * 0.3 * 0.7).sqrt(), "{}", first.len());
        assert!((both.len() as f64 - 900.0).abs() < 4.0 * (10_000.0_f64 * 0.09 * 0.91).sqrt(), "{}", both.len());
        assert_eq!(held(&one(Condition::Not(one(share(0))))).len(), 10_000 - first.len());
        assert_eq!(held(&one(Condition::Any([one(share(0)), one(Condition::Stream(true))].into()))), first);
    }
}
