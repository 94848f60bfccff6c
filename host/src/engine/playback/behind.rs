//! What a playback cannot know by itself, because it goes through stations: when its reply begins, when a replica makes its tokens, when
//! its way ends. It asks when something is due, and whenever its task is woken.

use std::sync::Arc;
use std::task::Waker;

use smallvec::smallvec;

use crate::clock::Nanos;
use crate::engine::drive::{Marks, Stay};
use crate::engine::measure::Active;
use crate::engine::playback::{Head, Pace, Playback};
use crate::plan::Plan;
use crate::plan::refused::error_of;
use crate::plan::reply::{Choice, ReplyCursor, Segment};
use crate::plan::verdict::Place;
use crate::station::Refusal;
use crate::station::pipeline::route::ReplyBy;
use crate::types::api_error::ApiError;
use crate::types::reply::{Finish, TextKind};

/// The way of a playback through stations.
pub(super) struct Behind {
    stay: Stay,
    asks: Asks,
    /// The caller's newest time.
    now: Nanos,
    /// When to ask again.
    look: Nanos,
    /// Tokens that a replica makes.
    tokens: u32,
    written: Option<Nanos>,
    /// When the way ends; `Nanos::MAX` as long as nobody knows.
    end: Nanos,
    refused: Option<(Nanos, Refusal)>,
}

impl Behind {
    /// How long it has waited in its stages by `now`.
    pub(super) fn waited(&self, now: Nanos) -> Nanos {
        let (marks, _) = self.stay.marks(now);
        marks.iter().map(|mark| mark.begun.unwrap_or(mark.left).saturating_sub(mark.entered)).sum()
    }
}

/// What must be asked next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asks {
    /// When does the reply begin?
    Begin,
    /// When does the next token leave the replica?
    Token,
    /// When does the way end?
    End,
    /// Nothing for now.
    Nothing,
}

impl Playback {
    /// The same as [`Playback::of`] for a request that goes through stations: they say when its reply begins. A replica makes
    /// `tokens` tokens.
    pub fn behind(plan: Plan, arrival: Nanos, active: Active, stay: Stay, tokens: u32) -> Self {
        let mut playback = Self::unpaced(plan, arrival, active);
        (playback.newest, playback.next) = (Nanos::MAX, Nanos::MAX);
        let (asks, end) = (Asks::Begin, Nanos::MAX);
        let behind = Behind { stay, asks, now: arrival, look: 0, tokens, written: None, end, refused: None };
        playback.behind = Some(Box::new(behind));
        playback
    }

    /// Whom to wake when a station has news.
    pub fn watch(&mut self, waker: &Waker) {
        if let Some(behind) = &mut self.behind {
            behind.stay.watch(waker);
        }
    }

    /// What its stages have done by `now`, and what they are called; `None` without any.
    pub fn marks(&self, now: Nanos) -> Option<(Marks, &[String])> {
        Some(self.behind.as_ref()?.stay.marks(now))
    }

    /// May a whole reply be played at `now`? Not before its end is known, or cut off.
    pub fn whole(&mut self, now: Nanos) -> Head {
        let cut_at = self.cut_at();
        let Some(behind) = &mut self.behind else { return Head::Leaves };
        let news = behind.stay.look(now, None);
        (behind.now, behind.look, behind.written) = (now, 0, news.written);
        match news.end {
            Some((at, Err(refusal))) => {
                behind.refused = Some((at, refusal));
                Head::Refused(error_of(refusal, &self.plan))
            }
            Some((at, Ok(()))) => {
                let (at, by) = news.begun.unwrap_or((at, ReplyBy::Instant));
                self.begin(at, by);
                Head::Leaves
            }
            // A reply that was complete before has escaped it.
            None if cut_at <= now && news.written.is_none_or(|written| cut_at < written) => {
                if let Some((at, by)) = news.begun {
                    self.begin(at, by);
                }
                Head::Leaves
            }
            None if cut_at <= now => Head::Wait(news.again),
            None => Head::Wait(news.again.min(cut_at)),
        }
    }

    /// When an interrupt ends the reply, whatever the stations say; `Nanos::MAX` if none does.
    fn cut_at(&self) -> Nanos {
        match &self.interrupt {
            Some(interrupt) if interrupt.action.ends_the_reply() => match interrupt.place {
                Place::AfterTime(after) => self.arrival.saturating_add(after.as_nanos() as Nanos),
                Place::BeforeHead | Place::AfterStep(_) => Nanos::MAX,
            },
            _ => Nanos::MAX,
        }
    }

    /// It is `now`, and what was known before may have changed.
    pub(super) fn freshen(&mut self, now: Nanos) {
        if let Some(behind) = &mut self.behind {
            (behind.now, behind.look) = (now, 0);
        }
    }

    pub(super) fn wants_to_ask(&self) -> bool {
        self.behind.as_ref().is_some_and(|behind| behind.asks != Asks::Nothing && behind.now >= behind.look)
    }

    /// `due`, or earlier if something is to be asked before.
    pub(super) fn unless_told(&self, due: Nanos) -> Nanos {
        match &self.behind {
            Some(behind) if behind.asks != Asks::Nothing => due.min(behind.look),
            _ => due,
        }
    }

    /// Why a station turned the request away, and when.
    pub(super) fn refused(&self) -> Option<(Nanos, ApiError)> {
        let (at, refusal) = self.behind.as_ref()?.refused?;
        Some((at, error_of(refusal, &self.plan)))
    }

    /// When the end is due, once all steps have been played.
    pub(super) fn end_due(&self) -> Nanos {
        self.behind.as_ref().map_or(self.next, |behind| self.next.max(behind.end))
    }

    pub(super) fn ask_for_the_end(&mut self) {
        if let Some(behind) = &mut self.behind {
            (behind.asks, behind.look) = (Asks::End, 0);
        }
    }

    /// When the next token of a replica is due, if that is known without asking.
    pub(super) fn ask_for_a_token(&mut self) -> Nanos {
        let Some(behind) = &mut self.behind else { return self.base };
        match behind.written {
            Some(written) => self.before(written),
            None => {
                behind.asks = Asks::Token;
                Nanos::MAX
            }
        }
    }

    /// Asks what is not known yet.
    pub(super) fn ask(&mut self) {
        let Some(behind) = &mut self.behind else { return };
        let token = (behind.asks == Asks::Token).then_some(self.step);
        let news = behind.stay.look(behind.now, token);
        (behind.look, behind.written) = (news.again, news.written);
        match behind.asks {
            Asks::Begin => match (news.begun, news.end) {
                (Some((at, by)), _) => self.begin(at, by),
                // A way on which nobody writes has the answer at its end.
                (None, Some((at, Ok(())))) => self.begin(at, ReplyBy::Instant),
                (None, Some((at, Err(refusal)))) => behind.refused = Some((at, refusal)),
                (None, None) => {}
            },
            Asks::Token => match (news.token, news.written, news.end) {
                (Some(at), _, _) => {
                    behind.asks = Asks::Nothing;
                    if news.more {
                        // This player is late: the token after it is there already.
                        behind.look = 0;
                    }
                    self.next = at.saturating_add(self.shift).max(self.newest);
                }
                (None, Some(written), _) => {
                    behind.asks = Asks::Nothing;
                    self.next = self.before(written);
                }
                (None, None, Some((at, Err(refusal)))) => behind.refused = Some((at, refusal)),
                (None, None, _) => {}
            },
            Asks::End => match news.end {
                Some((at, Ok(()))) => (behind.asks, behind.end) = (Asks::Nothing, at),
                Some((at, Err(refusal))) => behind.refused = Some((at, refusal)),
                None => {}
            },
            Asks::Nothing => {}
        }
    }

    /// The reply begins at `at`.
    fn begin(&mut self, at: Nanos, by: ReplyBy) {
        let Some(behind) = &mut self.behind else { return };
        behind.asks = Asks::Nothing;
        (self.base, self.newest) = (at, at);
        self.pace = match by {
            ReplyBy::Timing => Pace::Planned(Default::default()),
            ReplyBy::Instant => Pace::AtOnce,
            ReplyBy::Prepared(text) => {
                self.answer_with(text);
                Pace::AtOnce
            }
            ReplyBy::Replica => {
                // The first token is there; whether more are must be asked after it.
                behind.look = 0;
                self.next = at.saturating_add(self.shift);
                self.pace = Pace::Steps;
                return;
            }
        };
        self.find_next();
    }

    /// Puts a prepared text in the place of the planned reply.
    fn answer_with(&mut self, text: u16) {
        let plan = &mut self.plan;
        let Some((text, ends)) = plan.generation.models[plan.model].texts.get(usize::from(text)) else { return };
        let (text, ends) = (Arc::clone(text), Arc::clone(ends));
        let choice =
            Choice { segments: smallvec![Segment::Pieces { kind: TextKind::Content, text, ends }], finish: Finish::Stop };
        plan.reply.choices = smallvec![choice; plan.reply.choices.len()];
        (plan.usage.output, plan.usage.reasoning) = plan.reply.tokens();
        plan.told = plan.usage;
        self.reply = ReplyCursor::of(&plan.reply);
        self.steps = plan.reply.steps();
    }

    /// A time for the next token of a replica that has written the last one at `written` and does not know the others any more: the rest
    /// at equal distances.
    fn before(&self, written: Nanos) -> Nanos {
        let tokens = self.behind.as_ref().map_or(0, |behind| behind.tokens);
        let left = u64::from(tokens.saturating_sub(self.step)).max(1);
        let last = written.saturating_add(self.shift);
        self.newest + last.saturating_sub(self.newest) / left
    }
}
