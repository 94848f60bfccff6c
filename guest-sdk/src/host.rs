//! The host's services: the real ones in a component, the fake of [`testing`](crate::testing) everywhere else.
//!
//! This is the only place where a plugin's two lives differ; authors meet the services as methods of a call, and in `state` and `log`.

#[cfg(target_arch = "wasm32")]
mod component {
    use crate::bindings::base::simwright::plugin::{log as log_service, request, state};
    use crate::log::Level;

    pub(crate) fn body() -> Vec<u8> {
        request::body()
    }

    pub(crate) fn header(name: &str) -> Option<String> {
        request::header(name)
    }

    pub(crate) fn last_user_text() -> String {
        request::last_user_text()
    }

    pub(crate) fn attribute(name: &str) -> Option<String> {
        request::attribute(name)
    }

    pub(crate) fn add(key: &str, delta: i64, ttl_ms: Option<u32>) -> i64 {
        state::add(key, delta, ttl_ms)
    }

    pub(crate) fn get(key: &str) -> Option<Vec<u8>> {
        state::get(key)
    }

    pub(crate) fn set(key: &str, value: &[u8], ttl_ms: Option<u32>) {
        state::set(key, value, ttl_ms);
    }

    pub(crate) fn log(level: Level, message: &str) {
        log_service::write(level, message);
    }

    pub(crate) fn count(metric: &str, by: u64) {
        log_service::count(metric, by);
    }
}

#[cfg(target_arch = "wasm32")]
pub(crate) use component::{add, attribute, body, count, get, header, last_user_text, log, set};

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use crate::testing::fake::{add, attribute, body, count, get, header, last_user_text, log, set};
