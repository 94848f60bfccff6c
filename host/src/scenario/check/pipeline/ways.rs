//! What a request may meet on its way: notes what can never be reached, ways on which no stage writes the reply, and ways on which two
//! do.
//!
//! The tree is gone through once with what may be true of a request as it comes to each place: is its reply written already, or not?
//! A stage whose failures are certain counts as one that may pass, because that is how outages are written.

use super::{Item, Way, What, Written};
use crate::types::problem::Problem;

/// What may be true of the requests that come to a place: one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct States(u8);

const NOBODY: States = States(0);
const UNWRITTEN: States = States(1);
const WRITTEN: States = States(2);

impl States {
    fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// Who comes out of something, and how.
#[derive(Debug, Clone, Copy, Default)]
struct Outcome {
    passes: States,
    fails: States,
}

struct Judge {
    context_window: u32,
    problems: Vec<Problem>,
    /// Ways without a reply beside ways with one.
    lacking: Vec<String>,
}

/// Around the place that is looked at.
#[derive(Debug, Clone, Copy)]
struct Around {
    /// Is it in a fork?
    forked: bool,
    /// Does a way with conditions lead here, or is there something to go on with if it fails?
    covered: bool,
    /// Is there a stage behind it, in an outer list, that writes the reply?
    writes_later: bool,
}

/// Everything that is wrong with the ways through `items`, the pipeline at `pointer`.
pub(super) fn judge(items: &[Item], pointer: &str, context_window: u32) -> Vec<Problem> {
    let mut judge = Judge { context_window, problems: Vec::new(), lacking: Vec::new() };
    let outcome = judge.list(items, UNWRITTEN, Around { forked: false, covered: false, writes_later: false });
    if outcome.passes.has(UNWRITTEN) && judge.problems.is_empty() {
        let hint =
            "the reply is written by a stage called `model` or with `reply: true`, by one through replicas, or as a `text`";
        let some = outcome.passes.has(WRITTEN);
        let message = if some { "no stage writes the reply on this way" } else { "no stage writes the reply" };
        let places = if judge.lacking.is_empty() { vec![pointer.to_owned()] } else { judge.lacking };
        return places.into_iter().map(|place| Problem::new(place, message).hint(hint)).collect();
    }
    judge.problems
}

/// Does something in `item` write the reply?
pub(super) fn writes(item: &Item) -> bool {
    match &item.what {
        What::Stage(written) => written.stage.reply.is_some(),
        What::Fork(_, ways) | What::FirstOf(ways) | What::Route(_, ways) => ways.iter().any(|way| way.items.iter().any(writes)),
    }
}

impl Judge {
    fn note(&mut self, pointer: &str, message: &str, hint: &str) {
        self.problems.push(Problem::new(pointer, message).hint(hint));
    }

    fn list(&mut self, items: &[Item], mut comes: States, around: Around) -> Outcome {
        let mut fails = NOBODY;
        for (index, item) in items.iter().enumerate() {
            let writes_later = around.writes_later || items[index + 1..].iter().any(writes);
            let around = Around { writes_later, ..around };
            let outcome = match &item.what {
                What::Stage(written) => self.stage(item, written, comes, around),
                What::Fork(need, branches) => self.fork(usize::from(*need), branches, comes, around),
                What::FirstOf(ways) => self.first_of(ways, comes, around),
                What::Route(_, ways) => self.route(ways, comes, around),
            };
            fails = fails.or(outcome.fails);
            comes = outcome.passes;
        }
        Outcome { passes: comes, fails }
    }

    fn stage(&mut self, item: &Item, written: &Written, comes: States, around: Around) -> Outcome {
        let place = &item.pointer;
        let fails = if written.may_fail { comes } else { NOBODY };
        if let Some(tokens) = written.fits.filter(|_| !around.covered) {
            let window = self.context_window;
            let message =
                format!("a prompt may have up to the {window} tokens of the context window, and the KV cache holds {tokens}");
            let hint = format!(
                "say `context-window: {tokens}` in this entry, give the replicas more `kv-blocks`, or go on with `first-of`"
            );
            self.note(place, &message, &hint);
        }
        if written.is_cache {
            if around.forked {
                self.note(place, "a cache in a fork cannot answer: its branches meet again", "put the stage before the fork");
            } else if comes.has(WRITTEN) {
                self.note(
                    place,
                    "the reply is written when this is reached, so a hit has nothing to answer",
                    "put the stage before",
                );
            } else if !around.writes_later {
                let hint = "put the stage that writes the reply behind it: a miss goes there, and a hit goes on after it";
                self.note(place, "no stage behind this cache writes the reply", hint);
            }
        }
        if written.stage.reply.is_none() {
            return Outcome { passes: comes, fails };
        }
        if around.forked {
            self.note(place, "a reply cannot be written inside a fork: its branches meet again", "put the stage behind the fork");
        } else if comes.has(WRITTEN) {
            let message = "the reply may be written already when this is reached, and it cannot be written twice";
            let hint = "let each way have one stage that writes it; stages that may fail after it stand behind the `first-of`";
            self.note(place, message, hint);
        }
        Outcome { passes: WRITTEN, fails }
    }

    fn fork(&mut self, need: usize, branches: &[Way], comes: States, around: Around) -> Outcome {
        let around = Around { forked: true, ..around };
        let outcomes: Vec<_> = branches.iter().map(|branch| self.list(&branch.items, comes, around)).collect();
        let sure = outcomes.iter().filter(|outcome| outcome.fails == NOBODY).count();
        Outcome { passes: comes, fails: if sure < need { comes } else { NOBODY } }
    }

    fn first_of(&mut self, ways: &[Way], comes: States, around: Around) -> Outcome {
        let (mut passes, mut next, mut replies) = (NOBODY, comes, Vec::new());
        for (index, way) in ways.iter().enumerate() {
            if next == NOBODY {
                let hint = "it fails if it has `fails`, `within`, `unless-waiting` or a `guard`, or if its station can turn somebody away";
                self.note(&way.pointer, "this is never reached: the alternative above it cannot fail", hint);
                break;
            }
            let covered = around.covered || index + 1 < ways.len();
            let outcome = self.list(&way.items, next, Around { covered, ..around });
            replies.push((&way.pointer, outcome.passes));
            passes = passes.or(outcome.passes);
            next = outcome.fails;
        }
        self.compare(&replies);
        Outcome { passes, fails: next }
    }

    fn route(&mut self, ways: &[Way], comes: States, around: Around) -> Outcome {
        let (mut all, mut replies) = (Outcome::default(), Vec::new());
        for way in ways {
            let outcome = self.list(&way.items, comes, Around { covered: true, ..around });
            replies.push((&way.pointer, outcome.passes));
            all = Outcome { passes: all.passes.or(outcome.passes), fails: all.fails.or(outcome.fails) };
        }
        self.compare(&replies);
        all
    }

    /// Remembers the ways that have no reply while others have one.
    fn compare(&mut self, replies: &[(&String, States)]) {
        if replies.iter().any(|(_, passes)| *passes == WRITTEN) {
            let without = replies.iter().filter(|(_, passes)| *passes == UNWRITTEN);
            self.lacking.extend(without.map(|(pointer, _)| (*pointer).clone()));
        }
    }
}
