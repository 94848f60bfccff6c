//! A tree of stages → the flat list of steps that is walked.
//!
//! Steps are written with labels in place of the places to which they go; at the end each label becomes the index of its step.

use super::ways::writes;
use super::{Item, Way, What, Written};
use crate::station::pipeline::route::{ReplyBy, Stage, Step};

/// A place to go to that may lie ahead: index in [`Writer::labels`].
type Label = u16;

#[derive(Default)]
struct Writer {
    steps: Vec<Step>,
    /// The step of each label.
    labels: Vec<u16>,
}

/// Where to go on from a list, besides its end.
#[derive(Debug, Clone, Copy, Default)]
struct Onward {
    /// When a stage fails.
    failure: Option<Label>,
    /// When a cache has the answer: behind the stage that would have written it.
    hit: Option<Label>,
}

/// The steps of `items`, which have no mistakes.
pub(super) fn steps(items: &[Item]) -> Vec<Step> {
    let mut writer = Writer::default();
    writer.list(items, Onward::default());
    writer.steps.push(Step::End);
    writer.resolve();
    writer.number_retries();
    writer.steps
}

/// Who writes the reply at `step`.
pub(super) fn reply_of(step: &Step) -> Option<ReplyBy> {
    if let Step::Stage(stage) = step { stage.reply } else { None }
}

impl Writer {
    fn label(&mut self) -> Label {
        self.labels.push(u16::MAX);
        self.labels.len() as Label - 1
    }

    /// The next step is where `label` leads.
    fn place(&mut self, label: Label) {
        self.labels[usize::from(label)] = self.steps.len() as u16;
    }

    fn list(&mut self, items: &[Item], onward: Onward) {
        let after: Vec<Label> = items.iter().map(|_| self.label()).collect();
        for (index, item) in items.iter().enumerate() {
            let writer = (index + 1..items.len()).find(|later| writes(&items[*later]));
            let hit = writer.map(|later| after[later]).or(onward.hit);
            let onward = Onward { hit, ..onward };
            match &item.what {
                What::Stage(written) => self.stage(written, onward),
                What::Fork(need, branches) => self.fork(*need, branches, onward),
                What::FirstOf(ways) => self.first_of(ways, after[index], onward),
                What::Route(choice, ways) => self.route(*choice, ways, after[index], onward),
            }
            self.place(after[index]);
        }
    }

    fn stage(&mut self, written: &Written, onward: Onward) {
        let on_hit = onward.hit.filter(|_| written.is_cache);
        let on_failure = onward.failure.filter(|_| written.may_fail);
        self.steps.push(Step::Stage(Stage { on_failure, on_hit, ..written.stage }));
    }

    fn fork(&mut self, need: u16, ways: &[Way], onward: Onward) {
        let join = self.label();
        let branches: Vec<Label> = ways.iter().map(|_| self.label()).collect();
        self.steps.push(Step::Fork { branches: branches.clone().into(), join, need, on_failure: onward.failure });
        for (branch, way) in branches.into_iter().zip(ways) {
            self.place(branch);
            self.list(&way.items, Onward::default());
            self.steps.push(Step::Jump(join));
        }
        self.place(join);
        self.steps.push(Step::Join);
    }

    fn first_of(&mut self, ways: &[Way], end: Label, onward: Onward) {
        for (index, way) in ways.iter().enumerate() {
            let is_last = index + 1 == ways.len();
            let next = self.label();
            let failure = if is_last { onward.failure } else { Some(next) };
            self.list(&way.items, Onward { failure, ..onward });
            if !is_last {
                self.steps.push(Step::Jump(end));
            }
            self.place(next);
        }
    }

    fn route(&mut self, choice: u16, ways: &[Way], end: Label, onward: Onward) {
        let labels: Vec<Label> = ways.iter().map(|_| self.label()).collect();
        self.steps.push(Step::Switch { choice, ways: labels.clone().into() });
        for (label, way) in labels.into_iter().zip(ways) {
            self.place(label);
            self.list(&way.items, onward);
            self.steps.push(Step::Jump(end));
        }
    }

    /// The times of retries follow those of the stages, in the order of the steps.
    fn number_retries(&mut self) {
        let mut next = self.steps.iter().filter(|step| matches!(step, Step::Stage(_))).count() as u16;
        for step in &mut self.steps {
            if let Step::Stage(Stage { retry: Some(retry), .. }) = step {
                retry.takes_from = next;
                next += u16::from(retry.times);
            }
        }
    }

    fn resolve(&mut self) {
        let labels = &self.labels;
        let lead = |label: &mut Label| *label = labels[usize::from(*label)];
        for step in &mut self.steps {
            match step {
                Step::Stage(stage) => [&mut stage.on_failure, &mut stage.on_hit].into_iter().flatten().for_each(lead),
                Step::Fork { branches, join, on_failure, .. } => {
                    branches.iter_mut().chain([join]).chain(on_failure).for_each(lead);
                }
                Step::Switch { ways, .. } => ways.iter_mut().for_each(lead),
                Step::Jump(to) => lead(to),
                Step::Join | Step::End => {}
            }
        }
    }
}
