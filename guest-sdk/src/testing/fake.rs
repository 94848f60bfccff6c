//! The fake host: one per thread, reached by the functions of [`host`](crate::host), looked into through [`FakeHost`].
//!
//! Without a [`FakeHost`] the services answer like a host with nothing to tell: no body, no headers, empty state.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use crate::log::Level;

#[derive(Debug, Default)]
struct Services {
    now_ms: u64,
    body: Vec<u8>,
    last_user_text: String,
    headers: BTreeMap<String, String>,
    attributes: BTreeMap<String, String>,
    counters: BTreeMap<String, Kept<i64>>,
    values: BTreeMap<String, Kept<Vec<u8>>>,
    questions: u32,
    logs: Vec<(Level, String)>,
    metrics: BTreeMap<String, u64>,
}

#[derive(Debug, Clone)]
struct Kept<T> {
    value: T,
    until_ms: Option<u64>,
}

impl<T> Kept<T> {
    fn is_alive(&self, now_ms: u64) -> bool {
        self.until_ms.is_none_or(|until| now_ms < until)
    }
}

thread_local! {
    static SERVICES: RefCell<Services> = RefCell::default();
}

/// What the plugins of this thread see of a host. Making one begins afresh.
#[derive(Debug)]
pub struct FakeHost(());

impl FakeHost {
    /// A host with an empty request and empty state.
    #[allow(clippy::new_without_default, reason = "making one has an effect on the thread, which a default should not have")]
    pub fn new() -> Self {
        SERVICES.take();
        Self(())
    }

    /// The same with this request body.
    #[must_use]
    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        change(|services| services.body = body.into());
        self
    }

    /// The same with this header.
    #[must_use]
    pub fn header(self, name: &str, value: &str) -> Self {
        change(|services| services.headers.insert(name.to_ascii_lowercase(), value.to_owned()));
        self
    }

    /// The same with this text of the newest user message.
    #[must_use]
    pub fn last_user_text(self, text: &str) -> Self {
        change(|services| services.last_user_text = text.to_owned());
        self
    }

    /// The same with this attribute of the request: `model`, `tools`, `system`, `tool-result` …
    #[must_use]
    pub fn attribute(self, name: &str, value: &str) -> Self {
        change(|services| services.attributes.insert(name.to_owned(), value.to_owned()));
        self
    }

    /// Lets time pass for what the state keeps.
    pub fn advance(&self, time: Duration) {
        change(|services| services.now_ms += u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    }

    /// The counter that the plugin keeps under `key` in the host's state.
    pub fn state_counter(&self, key: &str) -> Option<i64> {
        change(|services| services.counters.get(key).filter(|kept| kept.is_alive(services.now_ms)).map(|kept| kept.value))
    }

    /// The value that the plugin keeps under `key` in the host's state.
    pub fn state_value(&self, key: &str) -> Option<Vec<u8>> {
        change(|services| services.values.get(key).filter(|kept| kept.is_alive(services.now_ms)).map(|kept| kept.value.clone()))
    }

    /// How often the plugin has asked the host for something since the fake was made. A cheap path asks for nothing.
    pub fn questions(&self) -> u32 {
        change(|services| services.questions)
    }

    /// Lines that the plugin has written, oldest first.
    pub fn logs(&self) -> Vec<(Level, String)> {
        change(|services| services.logs.clone())
    }

    /// The plugin's own counter in the host's metrics; 0 if it has never counted.
    pub fn counter(&self, metric: &str) -> u64 {
        change(|services| services.metrics.get(metric).copied().unwrap_or(0))
    }
}

fn change<R>(with: impl FnOnce(&mut Services) -> R) -> R {
    SERVICES.with_borrow_mut(with)
}

fn ask<R>(with: impl FnOnce(&mut Services) -> R) -> R {
    change(|services| {
        services.questions += 1;
        with(services)
    })
}

pub(crate) fn body() -> Vec<u8> {
    ask(|services| services.body.clone())
}

pub(crate) fn header(name: &str) -> Option<String> {
    ask(|services| services.headers.get(name).cloned())
}

pub(crate) fn last_user_text() -> String {
    ask(|services| services.last_user_text.clone())
}

pub(crate) fn attribute(name: &str) -> Option<String> {
    ask(|services| services.attributes.get(name).cloned())
}

pub(crate) fn add(key: &str, delta: i64, ttl_ms: Option<u32>) -> i64 {
    ask(|services| {
        let now_ms = services.now_ms;
        let fresh = Kept { value: 0, until_ms: None };
        let kept = services.counters.entry(key.to_owned()).or_insert_with(|| fresh.clone());
        if !kept.is_alive(now_ms) {
            *kept = fresh;
        }
        kept.value = kept.value.saturating_add(delta);
        kept.until_ms = ttl_ms.map(|ttl| now_ms + u64::from(ttl));
        kept.value
    })
}

pub(crate) fn get(key: &str) -> Option<Vec<u8>> {
    ask(|services| services.values.get(key).filter(|kept| kept.is_alive(services.now_ms)).map(|kept| kept.value.clone()))
}

pub(crate) fn set(key: &str, value: &[u8], ttl_ms: Option<u32>) {
    ask(|services| {
        let until_ms = ttl_ms.map(|ttl| services.now_ms + u64::from(ttl));
        services.values.insert(key.to_owned(), Kept { value: value.to_owned(), until_ms });
    });
}

pub(crate) fn log(level: Level, message: &str) {
    ask(|services| services.logs.push((level, message.to_owned())));
}

pub(crate) fn count(metric: &str, by: u64) {
    ask(|services| *services.metrics.entry(metric.to_owned()).or_default() += by);
}
