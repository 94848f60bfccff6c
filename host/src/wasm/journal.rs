//! What a plugin says while it is tried out: kept for whoever tries it, in place of the program's log and metrics.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::types::limits;

/// What one plugin said.
#[derive(Debug, Default)]
pub(super) struct Journal {
    said: Mutex<Said>,
    looked_at_clock: AtomicBool,
}

/// What a plugin said since somebody asked last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// Its log: the word for the level and the line.
    pub lines: Vec<(&'static str, String)>,
    /// Lines that were too many to be kept.
    pub dropped: u64,
    /// What it counted, by name.
    pub counts: BTreeMap<String, u64>,
}

impl Journal {
    pub(super) fn say(&self, level: &'static str, line: &str) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.lines.len() < limits::TRIAL_LINES_MAX {
            said.lines.push((level, line.to_owned()));
        } else {
            said.dropped += 1;
        }
    }

    pub(super) fn count(&self, name: &str, by: u64) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let room = said.counts.len() < limits::PLUGIN_COUNTERS_MAX;
        if let Some(count) = said.counts.get_mut(name) {
            *count = count.saturating_add(by);
        } else if room && name.len() <= limits::PLUGIN_NAME_BYTES {
            said.counts.insert(name.to_owned(), by);
        }
    }

    pub(super) fn clock(&self) {
        self.looked_at_clock.store(true, Ordering::Relaxed);
    }

    pub(super) fn take(&self) -> Said {
        std::mem::take(&mut *self.said.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn looked_at_clock(&self) -> bool {
        self.looked_at_clock.load(Ordering::Relaxed)
    }
}
