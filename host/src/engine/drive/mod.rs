//! A [`Site`] on the real clock: the stations of a scenario, the requests in them, and one lock around both.
//!
//! Nobody loops over a site. Each request polls it through its [`Stay`] when something of its own is due; whoever comes does all that
//! is due for everybody, at the times at which it was due, and wakes those to whom something has happened. So streams of one replica,
//! who all wait for the end of its step, share one timer of their worker. `net` looks after times that nobody polls for.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use smallvec::SmallVec;

use crate::clock::real::RealClock;
use crate::clock::{Clock, Nanos};
use crate::engine::drive::gauges::{Figures, Names, Shown, StationFigures};
use crate::engine::drive::net::Net;
use crate::plan::generation::Generation;
use crate::station::pipeline::route::ReplyBy;
use crate::station::pipeline::{Happened, Mark, Site, What, Work};
use crate::station::{Refusal, Visitor, replica};

pub mod gauges;
pub mod net;
pub mod view;

/// Those who must be woken once the lock is released: waking may drop a task, and with it a stay at this very site.
type Woken = SmallVec<[Waker; 4]>;

/// A site that is driven by those who are in it.
pub struct Drive {
    clock: RealClock,
    net: Arc<Net>,
    names: Names,
    state: Mutex<State>,
}

struct State {
    site: Site,
    /// By the number of their visit.
    guests: Vec<Guest>,
    happened: Vec<Happened>,
    exported: Figures,
}

/// What is known of one request, and whom to tell.
#[derive(Default)]
struct Guest {
    begun: Option<(Nanos, ReplyBy)>,
    written: Option<Nanos>,
    end: Option<(Nanos, Result<(), Refusal>)>,
    waker: Option<Waker>,
}

/// One request's stay at a site. Dropping it gives free whatever it holds there.
pub struct Stay {
    drive: Arc<Drive>,
    visitor: Visitor,
    model: usize,
    waker: Option<Waker>,
}

/// What there is to know of a stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct News {
    /// When its reply began, and who writes it; the newest beginning, if there are several.
    pub begun: Option<(Nanos, ReplyBy)>,
    /// When its reply was written.
    pub written: Option<Nanos>,
    /// When and how it came to its end.
    pub end: Option<(Nanos, Result<(), Refusal>)>,
    /// When the token that was asked for left its replica, if it has and that is still known.
    pub token: Option<Nanos>,
    /// Has the token after it left, too?
    pub more: bool,
    /// When to look again; `Nanos::MAX` if it is told.
    pub again: Nanos,
}

impl Drive {
    /// Drives `site`, which `net` looks after, under these names.
    fn new(mut site: Site, names: Names, clock: RealClock, net: Arc<Net>) -> Arc<Self> {
        site.start(clock.now());
        let state = State { site, guests: Vec::new(), happened: Vec::new(), exported: Vec::new() };
        let drive = Arc::new(Self { clock, net, names, state: Mutex::new(state) });
        drive.net.add(&drive);
        // Groups may change before anybody comes.
        drive.with(|_, _| {});
        drive
    }

    /// Goes on with the plugins of `generation`, whose stations are the same.
    pub fn adopt(&self, generation: &Generation) {
        generation.hand_scalers(&mut self.lock().site);
    }

    /// Brings `work`, which arrived at `arrival`.
    pub fn enter(self: &Arc<Self>, arrival: Nanos, work: Work) -> Stay {
        let model = usize::from(work.route);
        let visitor = self.with(|state, woken| {
            let visitor = state.site.enter(arrival, work, &mut state.happened);
            let index = visitor as usize;
            if index >= state.guests.len() {
                state.guests.resize_with(index + 1, Guest::default);
            }
            state.note(woken);
            visitor
        });
        Stay { drive: Arc::clone(self), visitor, model, waker: None }
    }

    /// Does what was due by `now`.
    pub fn advance(&self, now: Nanos) {
        self.with(|state, woken| {
            state.site.advance(now, &mut state.happened);
            state.note(woken);
        });
    }

    /// Empties the cache called `name`, and says how many answers it had; `None` if there is no such cache.
    pub fn flush(&self, name: &str) -> Option<u64> {
        let station = self.names.station(name)?;
        self.lock().site.flush(station)
    }

    /// Puts the answer to `content`, of `bytes`, into the cache called `name`; `None` if there is no such cache.
    pub fn warm(&self, name: &str, content: u64, bytes: u32) -> Option<()> {
        let station = self.names.station(name)?;
        self.lock().site.warm(self.clock.now(), station, content, bytes)
    }

    /// Requests of the entry `model` that are served, and those that wait.
    pub fn crowd(&self, model: usize) -> (u32, u32) {
        self.lock().site.crowd(model)
    }

    /// Counts what its stations have done up to `now`, and tells `show` what its stations are doing.
    fn export(&self, now: Nanos, show: impl FnOnce(&Names, &Figures)) {
        let figures = self.with(|state, woken| {
            let State { site, happened, .. } = state;
            let replicas: Vec<_> = (0..self.names.stations()).map(|station| site.replica_loads(now, station, happened)).collect();
            let breakers: Vec<_> = (0..self.names.stations()).map(|station| site.breaker(now, station)).collect();
            let sizes: Vec<_> = (0..self.names.stations()).map(|station| site.sizes(now, station).map(Shown::of)).collect();
            let of = |(station, replicas): (usize, Vec<replica::Load>)| StationFigures {
                load: site.load(station),
                cache: site.cache(station).map(|cache| cache.counts().clone()).unwrap_or_default(),
                opened: site.opened(station).unwrap_or(0),
                breaker: breakers[station],
                choices: site.choices(station),
                sizes: sizes[station],
                there: (0..replicas.len() as u32).map(|member| site.is_there(station, member)).collect(),
                replicas,
            };
            let figures: Figures = replicas.into_iter().enumerate().map(of).collect();
            state.note(woken);
            gauges::count(&self.names, &figures, &mut state.exported);
            figures
        });
        show(&self.names, &figures);
    }

    /// Runs `act`, then wakes whom it concerns and tells the net what comes next.
    fn with<T>(&self, act: impl FnOnce(&mut State, &mut Woken) -> T) -> T {
        let mut woken = Woken::new();
        let mut state = self.lock();
        let found = act(&mut state, &mut woken);
        let next = state.site.next_at();
        drop(state);
        woken.into_iter().for_each(Waker::wake);
        if let Some(next) = next {
            self.net.expect(next);
        }
        found
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Drive {
    fn drop(&mut self) {
        // Whatever its replicas did since the last scrape counts, too.
        self.export(self.clock.now(), |_, _| {});
    }
}

impl State {
    /// Writes down what has happened to whom.
    fn note(&mut self, woken: &mut Woken) {
        for Happened { at, visit, what } in self.happened.drain(..) {
            if matches!(what, What::Replica(_)) {
                continue;
            }
            let Some(guest) = self.guests.get_mut(visit as usize) else { continue };
            match what {
                What::Begun(by) => guest.begun = Some((at, by)),
                What::FirstToken => guest.begun = Some((at, ReplyBy::Replica)),
                What::Written => guest.written = Some(at),
                What::Done => guest.end = Some((at, Ok(()))),
                What::Refused(refusal) => guest.end = Some((at, Err(refusal))),
                What::Served | What::Running | What::Preempted | What::Replica(_) => {}
            }
            woken.extend(guest.waker.clone());
        }
    }
}

impl State {
    fn marks(&self, visitor: Visitor) -> Marks {
        self.site.marks(visitor).iter().copied().chain(self.site.under_way(visitor)).collect()
    }
}

impl Stay {
    /// Whom to wake when something happens, from the next look on.
    pub fn watch(&mut self, waker: &Waker) {
        if !self.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            self.waker = Some(waker.clone());
        }
    }

    /// What there is to know at `now`, and of the reply's token `token`, if that is asked.
    pub fn look(&self, now: Nanos, token: Option<u32>) -> News {
        self.drive.with(|state, woken| {
            let State { site, happened, .. } = state;
            let mut left = |token| site.token_at(now, self.visitor, token, happened);
            let (token, more) = match token {
                Some(token) => {
                    let at = left(token);
                    (at, at.is_some() && left(token + 1).is_some())
                }
                None => {
                    site.advance(now, happened);
                    (None, false)
                }
            };
            let again = site.look_again(self.visitor).unwrap_or(Nanos::MAX);
            state.note(woken);
            let guest = &mut state.guests[self.visitor as usize];
            let is_known = |waker: &Waker| guest.waker.as_ref().is_some_and(|known| known.will_wake(waker));
            if self.waker.as_ref().is_some_and(|waker| !is_known(waker)) {
                guest.waker.clone_from(&self.waker);
            }
            News { begun: guest.begun, written: guest.written, end: guest.end, token, more, again }
        })
    }
}

/// What stages have done to a request.
pub type Marks = SmallVec<[Mark; 8]>;

impl Stay {
    /// What its stages have done by `now`, that which it is in included, and what they are called.
    pub fn marks(&self, now: Nanos) -> (Marks, &[String]) {
        let marks = self.drive.with(|state, woken| {
            state.site.advance(now, &mut state.happened);
            state.note(woken);
            state.marks(self.visitor)
        });
        (marks, self.drive.names.stages(self.model))
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        let now = self.drive.clock.now();
        let (marks, guest) = self.drive.with(|state, woken| {
            state.site.advance(now, &mut state.happened);
            state.note(woken);
            let marks = state.marks(self.visitor);
            state.site.leave(now, self.visitor, &mut state.happened);
            state.note(woken);
            (marks, std::mem::take(&mut state.guests[self.visitor as usize]))
        });
        let refused = guest.end.and_then(|(_, how)| how.err()).map(|refusal| refusal.cause);
        self.drive.names.count(self.model, &marks, refused);
        // Outside the lock, like every waker.
        drop(guest);
    }
}

#[cfg(test)]
mod tests;
