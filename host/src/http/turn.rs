//! One response of a realtime session: planned like any request, and played into the session's lines.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;

use crate::behavior::fault::{Cut, Damage};
use crate::clock::real::RealClock;
use crate::clock::{Clock, Nanos};
use crate::dialect::Inbound;
use crate::dialect::StreamRenderer;
use crate::dialect::openai::Realtime;
use crate::dialect::openai::realtime::{self, Ask, Options, ResponseEnd, ResponseStream};
use crate::dialect::spoil::Spoiler;
use crate::engine::pacer::Sleep;
use crate::engine::playback::{Ending, Head as Leaving, Moment, Playback, Stage};
use crate::engine::{Begun, Chosen, Origin};
use crate::http::body::InFlight;
use crate::http::drip::Dripper;
use crate::http::handler::{Door, origin_of};
use crate::http::wire::WireState;
use crate::plan::Plan;
use crate::plan::verdict::{Action, Outcome};
use crate::random::Key;
use crate::types::allowance::Allowance;
use crate::types::api_error::ApiError;
use crate::types::overrides::Overrides;
use crate::types::reply::{Head, StreamEvent};
use crate::types::request::Request;
use crate::types::usage::Usage;

/// A response that is being played.
pub(super) struct Turn {
    playback: Box<Playback>,
    stream: ResponseStream,
    spoiler: Option<Spoiler>,
    sleep: Sleep,
    clock: RealClock,
    connection: InFlight,
    stage: Act,
    allowance: Allowance,
    is_dripped: bool,
    is_mistyped: bool,
    /// Is nothing of it sent?
    is_silent: bool,
}

/// How far a response is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Act {
    /// Nothing will come, and at this time the connection ends.
    Hangs(Nanos),
    /// It waits for its first token.
    Waits,
    /// It plays.
    Plays,
}

/// What has become of a request for a response.
pub(super) enum Opening {
    /// It plays.
    Turn(Box<Turn>),
    /// It has failed, and all of that is written.
    Failed(Past),
    /// It is refused: there is no response.
    Refused(ApiError),
    /// The connection ends.
    Cut(Cut),
}

/// What is left of a response.
pub(super) struct Past {
    /// What was left of the budgets when it began.
    pub(super) allowance: Allowance,
    /// The items that it has said, with their ids.
    pub(super) output: Vec<(Box<str>, Box<str>)>,
}

/// What a response has come to.
pub(super) enum Played {
    /// It has written something and goes on.
    Lines,
    /// It is complete.
    Done,
    /// The connection ends.
    Cut(Cut),
}

impl Turn {
    /// Plans what `ask` asks for, of the client whose handshake on `wire` had the headers of `like`.
    pub(super) async fn open(door: &Door, wire: &Arc<WireState>, ask: &Ask, like: Inbound<'_>, out: &mut BytesMut) -> Opening {
        let connection = InFlight::begin(Arc::clone(wire));
        let clock = *door.engine.clock();
        let arrival = clock.now();
        let origin = Origin { endpoint: Some(&Realtime), attempt: None, ..origin_of(&like.headers, arrival) };
        let refused = |error: ApiError| {
            door.engine.unplanned(error.status, clock.now());
            Opening::Refused(error)
        };
        let chosen = door.engine.choose(origin, &[like.target.as_bytes(), &ask.body]);
        let (request, options) = match read(&chosen, ask, like) {
            Ok(read) => read,
            Err(error) => return refused(error),
        };
        let (model, created_unix_s) = (request.model.clone(), door.engine.unix_s(arrival));
        let mut begun = match door.engine.begin(chosen, Arc::new(request), origin).await {
            Ok(begun) => begun,
            Err(error) => return refused(error),
        };
        let head = head_of(begun.playback.plan(), model, created_unix_s);
        let mut stream = ResponseStream::new(&head, options);
        let stage = match opened(&mut begun, &mut stream, arrival, clock.now(), out) {
            Ok(stage) => stage,
            Err(opening) => return opening,
        };
        let Begun { playback, allowance } = begun;
        let action = match &playback.plan().outcome {
            Outcome::Interrupt(interrupt) => Some(interrupt.action.clone()),
            _ => None,
        };
        let damage = match &action {
            Some(Action::Damage(damage)) => Some(*damage),
            _ => None,
        };
        let mut is_dripped = false;
        if let Some(Action::Drip(bytes_per_s)) = action {
            wire.drip(Dripper::begin(bytes_per_s, Sleep::on(Arc::clone(&door.pacer)), clock));
            is_dripped = true;
        }
        let is_silent = damage == Some(Damage::EmptyBody);
        if stage == Act::Waits && !is_silent {
            stream.begin(out);
        }
        Opening::Turn(Box::new(Self {
            playback,
            stream,
            spoiler: damage.map(Spoiler::of),
            sleep: Sleep::on(Arc::clone(&door.pacer)),
            clock,
            connection,
            stage,
            allowance,
            is_dripped,
            is_mistyped: damage == Some(Damage::WrongContentType),
            is_silent,
        }))
    }

    /// The response's id.
    pub(super) fn id(&self) -> &str {
        self.stream.id()
    }

    /// Shall its lines be of another type than clients expect?
    pub(super) fn is_mistyped(&self) -> bool {
        self.is_mistyped
    }

    /// What is left of it.
    pub(super) fn into_past(self) -> Past {
        Past { allowance: self.allowance, output: self.stream.into_output() }
    }

    /// Ends it because the client wants no more.
    pub(super) fn cancel(&mut self, out: &mut BytesMut) {
        let (step, steps) = self.playback.progress();
        let told = self.playback.plan().told;
        let share = |tokens: u32| (u64::from(tokens) * u64::from(step) / u64::from(steps.max(1))) as u32;
        let usage = Usage { output: share(told.output), reasoning: share(told.reasoning), ..told };
        self.stream.end(ResponseEnd::Cancelled, usage, out);
    }

    /// Writes everything that is due to `out`.
    pub(super) fn poll(&mut self, out: &mut BytesMut, context: &mut Context<'_>) -> Poll<Played> {
        self.playback.watch(context.waker());
        loop {
            let now = self.clock.now();
            match self.stage {
                Act::Hangs(due) => {
                    ready!(self.sleep.poll_until(due, now, context));
                    self.playback.end(0, now, false);
                    return Poll::Ready(Played::Cut(Cut::Close));
                }
                Act::Waits => match self.playback.head(now) {
                    Leaving::Wait(due) => ready!(self.sleep.poll_until(due, now, context)),
                    Leaving::Leaves => self.stage = Act::Plays,
                    Leaving::Refused(error) => {
                        self.playback.end(error.status, now, false);
                        self.stream.end(ResponseEnd::Failed(&error), Usage::default(), out);
                        return Poll::Ready(Played::Done);
                    }
                },
                Act::Plays => return self.poll_play(now, out, context),
            }
        }
    }

    fn poll_play(&mut self, now: Nanos, out: &mut BytesMut, context: &mut Context<'_>) -> Poll<Played> {
        if self.is_silent {
            self.playback.end(200, now, true);
            return Poll::Ready(Played::Done);
        }
        loop {
            let now = self.clock.now().max(now);
            let before = out.len();
            let wire = (!self.is_dripped).then_some(&**self.connection.wire());
            let mut page = Page { stream: &mut self.stream, spoiler: self.spoiler.as_mut(), out, wire, due: None };
            let moment = self.playback.play(now, &mut page);
            match moment {
                Moment::Done(Ending::Complete) => return Poll::Ready(Played::Done),
                Moment::Done(Ending::Cut(cut)) => return Poll::Ready(Played::Cut(cut)),
                Moment::Wait(_) if out.len() > before => return Poll::Ready(Played::Lines),
                Moment::Wait(due) => ready!(self.sleep.poll_until(due, now, context)),
            }
        }
    }
}

/// How the response that has `begun` goes on at `now`, or what has become of it; one that has failed already is told by `stream`.
fn opened(
    begun: &mut Begun,
    stream: &mut ResponseStream,
    arrival: Nanos,
    now: Nanos,
    out: &mut BytesMut,
) -> Result<Act, Opening> {
    let (playback, failed) = (&mut begun.playback, Opening::Failed(Past { allowance: begun.allowance, output: Vec::new() }));
    if let Outcome::Refuse(error) = &playback.plan().outcome {
        let error = error.clone();
        playback.end(error.status, now, false);
        if !realtime::fails(&error) {
            return Err(Opening::Refused(error));
        }
        stream.end(ResponseEnd::Failed(&error), Usage::default(), out);
        return Err(failed);
    }
    match playback.before_head() {
        Some(Action::Hang(hang)) => Ok(Act::Hangs(arrival + hang.as_nanos() as Nanos)),
        Some(Action::Cut(cut)) => {
            playback.end(0, now, false);
            Err(Opening::Cut(cut))
        }
        Some(Action::ErrorEvent(message)) => {
            playback.end(500, now, false);
            stream.begin(out);
            stream.event(&StreamEvent::Error { message: &message, code: None }, out);
            Err(failed)
        }
        _ => Ok(Act::Waits),
    }
}

/// The request that `ask` is, of a client whose handshake was as `like` says, as the generation that answers it reads it.
fn read(chosen: &Chosen, ask: &Ask, like: Inbound<'_>) -> Result<(Request, Options), ApiError> {
    let manners = chosen.generation().scenario.api;
    let overrides = if manners.has_overrides { Overrides::read(&like.headers)? } else { None };
    let (mut request, options) = realtime::read(Inbound { body: ask.body.clone(), manners, ..like })?;
    request.overrides = overrides;
    Ok((request, options))
}

fn head_of(plan: &Plan, model: Box<str>, created_unix_s: u64) -> Head {
    Head {
        id: plan.events.named("reply-id").bits(),
        created_unix_s,
        model,
        fingerprint: Key::of_seed(plan.generation.seed).named("fingerprint").bits(),
        usage: plan.told,
    }
}

/// Renders events into lines and marks their tokens.
struct Page<'a> {
    stream: &'a mut ResponseStream,
    spoiler: Option<&'a mut Spoiler>,
    out: &'a mut BytesMut,
    /// Where tokens are marked, if they are.
    wire: Option<&'a WireState>,
    /// When the token was due whose bytes have not come.
    due: Option<u64>,
}

impl Stage for Page<'_> {
    fn due(&mut self, due: u64) {
        let is_withheld = self.spoiler.as_ref().is_some_and(|spoiler| spoiler.withholds());
        self.due = (!is_withheld).then_some(due);
    }

    fn event(&mut self, event: &StreamEvent<'_>) {
        let before = self.out.len();
        match &mut self.spoiler {
            None => self.stream.event(event, self.out),
            Some(spoiler) => spoiler.event(self.stream, event, self.out),
        }
        // Thoughts are not shown, leave no bytes, and nothing can be said of when they leave.
        if let Some(wire) = self.wire.filter(|_| self.out.len() > before)
            && let Some(due) = self.due.take()
        {
            wire.mark(due, 1);
        }
    }

    fn strike(&mut self, _step: u32) {
        if let Some(spoiler) = &mut self.spoiler {
            spoiler.strike();
        }
    }

    fn is_over(&self) -> bool {
        self.spoiler.as_ref().is_some_and(|spoiler| spoiler.is_over())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::reply::TextKind;

    #[test]
    fn what_is_thought_and_not_shown_is_not_measured() {
        let wire = WireState::new(RealClock::start());
        let head = Head { id: 1, created_unix_s: 0, model: "m".into(), fingerprint: 0, usage: Usage::default() };
        let (mut stream, mut out) = (ResponseStream::new(&head, Options::default()), BytesMut::new());
        let mut page = Page { stream: &mut stream, spoiler: None, out: &mut out, wire: Some(&*wire), due: None };
        let text = |kind| StreamEvent::Text { choice: 0, kind, text: "well", logprob: None };
        page.event(&StreamEvent::Start { choice: 0, tool_first: false });
        page.due(1);
        page.event(&text(TextKind::Reasoning));
        assert!(wire.is_drained());
        page.due(2);
        page.event(&text(TextKind::Content));
        assert!(!wire.is_drained());
    }
}
