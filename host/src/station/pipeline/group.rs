//! Replicas behind a balancer: who takes a request, and what is known of each. `scaling` says how many of them there are.
//!
//! A member keeps its place for as long as the site lives. One that was away and comes back begins with an empty cache; what it did
//! before goes on counting. Rules from outside see more of each member than native ones, and an autoscaler sees how first tokens do: only
//! a group that has either keeps that (`seats`).

use crate::clock::Nanos;
use crate::station::autoscaler;
use crate::station::balancer::chooser::{Choice, Question, Sight};
use crate::station::balancer::{Backend, Balancer, Rule};
use crate::station::pipeline::part::Entered;
use crate::station::pipeline::route::Stage;
use crate::station::pipeline::scaling::{Consequences, Scaling};
use crate::station::pipeline::visit::Work;
use crate::station::replica::{self, Replica};
use crate::station::{Cause, Entry, Refusal, Visitor};

/// Model servers of one kind, and what chooses between them.
#[derive(Debug, Clone, PartialEq)]
pub struct Replicas {
    /// How many there are at first; 0 only if an autoscaler may have none.
    pub count: u32,
    /// Each of them.
    pub replica: replica::Settings,
    /// Which takes a request, where no [`Chooser`](crate::station::balancer::chooser::Chooser) does.
    pub balancer: Rule,
    /// The share of each in the work, for balancers that look at it, by its index; 1 for those beyond the list.
    pub weights: Vec<u32>,
    /// May a chooser be asked, so that what it looks at must be kept?
    pub has_chooser: bool,
    /// How many there shall be; without it always `count`.
    pub autoscale: Option<Box<autoscaler::Settings>>,
}

impl Replicas {
    /// `count` servers that stay, of the same share each.
    pub fn of(count: u32, replica: replica::Settings, balancer: Rule) -> Self {
        Self { count, replica, balancer, weights: Vec::new(), has_chooser: false, autoscale: None }
    }

    /// The most there can be at a time.
    pub fn most(&self) -> u32 {
        self.autoscale.as_ref().map_or(self.count, |autoscale| autoscale.most.max(self.count))
    }
}

/// How often a chooser was asked, and how often the rule of the station had to choose, because the chooser gave no answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Choices {
    /// Times that a chooser was asked.
    pub asked: u64,
    /// Times that it gave no answer.
    pub fell_back: u64,
}

/// Replicas behind a balancer.
pub(super) struct Group {
    pub(super) members: Vec<Member>,
    replica: replica::Settings,
    balancer: Balancer,
    /// What the balancer looks at; kept, so that choosing allocates nothing.
    view: Vec<Backend>,
    /// The same for choosers.
    sights: Vec<Sight>,
    /// By visitor; empty if nobody looks at it.
    seats: Vec<Seat>,
    keeps_seats: bool,
    pub(super) choices: Choices,
    pub(super) scaling: Option<Box<Scaling>>,
    /// What follows from a start that somebody brought about by coming.
    pub(super) woken: Option<Consequences>,
}

/// One replica.
pub(super) struct Member {
    pub(super) replica: Replica,
    /// What those did that had its place before.
    before: replica::Load,
    /// Tokens of prompts whose first token is not out.
    pending_tokens: u64,
    first_token_ns: Nanos,
    gap_ns: Nanos,
}

/// One visitor's place in the group.
#[derive(Debug, Clone, Copy)]
struct Seat {
    /// Its member; [`NOBODY`] if it has none.
    member: u32,
    entered: Nanos,
    /// When its first token was out; `Nanos::MAX` before.
    first_at: Nanos,
    prompt_tokens: u32,
    output_tokens: u32,
}

const NOBODY: u32 = u32::MAX;

const EMPTY: Seat = Seat { member: NOBODY, entered: 0, first_at: Nanos::MAX, prompt_tokens: 0, output_tokens: 0 };

/// A mean in which each newer value counts an eighth; the first one counts in full.
fn ease(mean: &mut Nanos, value: Nanos) {
    *mean = if *mean == 0 { value } else { *mean - *mean / 8 + value / 8 };
}

impl Group {
    pub(super) fn of(settings: &Replicas) -> Self {
        let most = settings.most() as usize;
        let backend = |index: usize| Backend {
            weight: settings.weights.get(index).copied().unwrap_or(1),
            healthy: index < settings.count as usize,
            ..Backend::default()
        };
        Self {
            members: (0..most).map(|_| Member::new(&settings.replica)).collect(),
            replica: settings.replica.clone(),
            balancer: Balancer::new(settings.balancer, most),
            view: (0..most).map(backend).collect(),
            sights: Vec::new(),
            seats: Vec::new(),
            keeps_seats: settings.has_chooser || settings.autoscale.is_some(),
            choices: Choices::default(),
            woken: None,
            scaling: settings.autoscale.as_ref().map(|autoscale| Box::new(Scaling::new(autoscale, settings.count, most))),
        }
    }

    /// Brings a visitor to the stage `stage` of its way, which has tried that so many times before.
    pub(super) fn enter(&mut self, now: Nanos, visitor: Visitor, work: &Work, stage: &Stage, tries: u8) -> Entered {
        let entered = self.choose(now, work, stage, tries).and_then(|member| {
            let job = replica::Job {
                visitor,
                prompt_tokens: work.prompt_tokens,
                output_tokens: work.output_tokens,
                prefix: work.prefix.clone(),
            };
            let replica = &mut self.members[member].replica;
            if let Some(step) = &work.step {
                replica.set_step(now, **step);
            }
            match replica.enter(now, job) {
                Entry::Refused(refusal) => Err(refusal),
                Entry::In | Entry::Waits => Ok(member),
            }
        });
        if let Some(scaling) = &mut self.scaling {
            scaling.came(entered.is_ok());
        }
        match entered {
            Ok(member) => {
                self.sit(now, visitor, member, work);
                Entered::Waits(member as u32)
            }
            Err(refusal) => Entered::Refused(refusal),
        }
    }

    /// The member that takes the visitor. While nobody is ready it may be one that starts, in whose queue it waits.
    fn choose(&mut self, now: Nanos, work: &Work, stage: &Stage, tries: u8) -> Result<usize, Refusal> {
        let starters = self.starters(now);
        starters.iter().for_each(|member| self.open(*member, true));
        let chosen = self.choose_open(now, work, stage, tries);
        starters.iter().for_each(|member| self.open(*member, false));
        chosen
    }

    /// The one of those that are open.
    fn choose_open(&mut self, now: Nanos, work: &Work, stage: &Stage, tries: u8) -> Result<usize, Refusal> {
        for (backend, member) in self.view.iter_mut().zip(&self.members) {
            let load = member.replica.load();
            (backend.running, backend.waiting) = (load.running, load.waiting);
        }
        let draw = work.draws.named("balancer").with(u64::from(stage.index)).with(u64::from(tries));
        let station = usize::from(stage.through.unwrap_or_default());
        let chooser = work.asker.as_ref().and_then(|asker| asker.choosers.get(station)?.as_ref().map(|chooser| (asker, chooser)));
        if let Some((asker, chooser)) = chooser.filter(|_| self.view.iter().any(Backend::is_open)) {
            self.look(work);
            let question = Question {
                now,
                seed: draw.bits(),
                asker,
                identity: work.affinity,
                stage: asker.stages.get(usize::from(stage.index)).copied().unwrap_or(0),
                input_tokens: work.prompt_tokens,
                prefix: work.prefix.first(),
                priority: work.priority,
                backends: &self.sights,
            };
            self.choices.asked += 1;
            match chooser.pick(&question) {
                Ok(Choice::Backend(place)) if self.view.get(place as usize).is_some_and(Backend::is_open) => {
                    return Ok(place as usize);
                }
                Ok(Choice::Refuse(retry_after_ns)) => return Err(Refusal { cause: Cause::NoReplica, retry_after_ns }),
                Ok(Choice::Any) => {}
                Ok(Choice::Backend(_)) | Err(_) => self.choices.fell_back += 1,
            }
        }
        let prefix: &[u64] = match &work.prefix {
            replica::Prefix::None => &[],
            replica::Prefix::Blocks(hashes) => hashes,
            replica::Prefix::Group { group, .. } => std::slice::from_ref(group),
        };
        self.balancer.pick(now, &self.view, work.affinity, prefix, draw.unit()).ok_or(Refusal::of(Cause::NoReplica))
    }

    /// Writes down what a chooser sees of each member.
    fn look(&mut self, work: &Work) {
        self.sights.clear();
        self.sights.extend(self.view.iter().zip(&self.members).map(|(backend, member)| {
            let load = member.replica.load();
            Sight {
                open: backend.is_open(),
                weight: backend.weight,
                running: backend.running,
                waiting: backend.waiting,
                pending_tokens: member.pending_tokens,
                cached_tokens: member.replica.cached_tokens(&work.prefix).min(work.prompt_tokens),
                kv_used: (f64::from(load.kv_used) / f64::from(load.kv_blocks.max(1))) as f32,
                first_token_ns: member.first_token_ns,
                gap_ns: member.gap_ns,
            }
        }));
    }

    fn sit(&mut self, now: Nanos, visitor: Visitor, member: usize, work: &Work) {
        if !self.keeps_seats {
            return;
        }
        let index = visitor as usize;
        if index >= self.seats.len() {
            self.seats.resize(index + 1, EMPTY);
        }
        let Work { prompt_tokens, output_tokens, .. } = *work;
        self.seats[index] = Seat { member: member as u32, entered: now, prompt_tokens, output_tokens, ..EMPTY };
        self.members[member].pending_tokens += u64::from(prompt_tokens);
    }

    /// The first token of a visitor was out at `at`.
    pub(super) fn first_token(&mut self, at: Nanos, visitor: Visitor) {
        let Some(seat) = self.seats.get_mut(visitor as usize).filter(|seat| seat.member != NOBODY) else { return };
        seat.first_at = at;
        let took_ns = at.saturating_sub(seat.entered);
        let member = &mut self.members[seat.member as usize];
        member.pending_tokens -= u64::from(seat.prompt_tokens);
        ease(&mut member.first_token_ns, took_ns);
        if let Some(scaling) = &mut self.scaling {
            scaling.first_token(took_ns);
        }
    }

    /// The last token of a visitor was out at `at`.
    pub(super) fn written(&mut self, at: Nanos, visitor: Visitor) {
        let Some(seat) = self.seats.get(visitor as usize).filter(|seat| seat.member != NOBODY) else { return };
        if seat.output_tokens > 1 && seat.first_at < Nanos::MAX {
            let gap_ns = at.saturating_sub(seat.first_at) / u64::from(seat.output_tokens - 1);
            ease(&mut self.members[seat.member as usize].gap_ns, gap_ns);
        }
    }

    /// A visitor leaves its `member`.
    pub(super) fn leave(&mut self, now: Nanos, visitor: Visitor, member: u32) {
        self.members[member as usize].replica.leave(now, visitor);
        let Some(seat) = self.seats.get_mut(visitor as usize).filter(|seat| seat.member != NOBODY) else { return };
        if seat.first_at == Nanos::MAX {
            self.members[seat.member as usize].pending_tokens -= u64::from(seat.prompt_tokens);
        }
        *seat = EMPTY;
    }

    /// Notes at the balancer that `member` needed so long for a visitor.
    pub(super) fn answered(&mut self, now: Nanos, member: u32, took_ns: Nanos) {
        self.balancer.served(now, member as usize, took_ns);
    }

    /// What `member` is doing, and has done with those that had its place before.
    pub(super) fn load(&self, member: u32) -> Option<replica::Load> {
        self.members.get(member as usize).map(|member| member.before.and(member.replica.load()))
    }

    /// Opens `member` for new visitors, or closes it.
    pub(super) fn open(&mut self, member: usize, is_open: bool) {
        self.view[member].healthy = is_open;
    }

    /// Puts a new replica into the place of `member`.
    pub(super) fn renew(&mut self, member: usize) {
        let before = self.load(member as u32).unwrap_or_default();
        // What is going on ends with the old one.
        let before = replica::Load { running: 0, waiting: 0, kv_used: 0, kv_blocks: 0, ..before };
        self.members[member] = Member { before, ..Member::new(&self.replica) };
    }
}

impl Member {
    fn new(settings: &replica::Settings) -> Self {
        let replica = Replica::new(settings.clone());
        Self { replica, before: replica::Load::default(), pending_tokens: 0, first_token_ns: 0, gap_ns: 0 }
    }

    /// Has it nothing to do, and nothing to say?
    pub(super) fn is_idle(&self) -> bool {
        let load = self.replica.load();
        (load.running, load.waiting) == (0, 0) && self.replica.next_at().is_none()
    }
}
