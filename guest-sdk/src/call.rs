//! The request in hand: numbers that came with the call, and texts that are fetched from the host when asked for.
//!
//! Numbers are free. Each text costs one question to the host and a copy, so ask only where the answer matters.

use std::time::Duration;

use crate::host;
use crate::random::{Key, Rng};

pub use crate::bindings::base::simwright::plugin::types::{Call, Traits};

impl Call {
    /// Time since the run began, on whichever clock runs.
    pub fn now(&self) -> Duration {
        Duration::from_nanos(self.now_ns)
    }

    /// Is this a repeated attempt of the same request?
    pub fn is_retry(&self) -> bool {
        self.attempt > 0 || self.traits.contains(Traits::RETRY)
    }

    /// Does the client want a stream?
    pub fn is_streaming(&self) -> bool {
        self.traits.contains(Traits::STREAMING)
    }

    /// Did the client declare tools that may be called?
    pub fn has_tools(&self) -> bool {
        self.traits.contains(Traits::TOOLS)
    }

    /// Does the client want JSON?
    pub fn wants_json(&self) -> bool {
        self.traits.contains(Traits::JSON)
    }

    /// A generator for draws that come in a row. The same call draws the same numbers everywhere.
    pub fn rng(&self) -> Rng {
        self.key().rng()
    }

    /// The root of this call's named draws: `call.key().named("length").unit()` is not shifted by other draws.
    pub fn key(&self) -> Key {
        Key::of_seed(self.seed)
    }

    /// The body as the client sent it.
    pub fn body(&self) -> Vec<u8> {
        host::body()
    }

    /// A header by its lower-case name. Credentials are never shown.
    pub fn header(&self, name: &str) -> Option<String> {
        host::header(name)
    }

    /// The text of the newest user message; empty if there is none.
    pub fn last_user_text(&self) -> String {
        host::last_user_text()
    }

    /// The model's name as the client wrote it.
    pub fn requested_model(&self) -> String {
        self.attribute("model").unwrap_or_default()
    }

    /// The system text, if there is one.
    pub fn system_text(&self) -> Option<String> {
        self.attribute("system").filter(|text| !text.is_empty())
    }

    /// Names of the tools that the client declared, in its order.
    pub fn tool_names(&self) -> Vec<String> {
        let names = self.attribute("tools").unwrap_or_default();
        names.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
    }

    /// The texts of the tool results that the conversation ends with, one a line. If there are any, the client waits for words and
    /// not for another call.
    pub fn tool_result(&self) -> Option<String> {
        self.attribute("tool-result")
    }

    /// A fact about the request by name, for what has no function here.
    pub fn attribute(&self, name: &str) -> Option<String> {
        host::attribute(name)
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{self, FakeHost};

    #[test]
    fn tool_names_are_split_and_empty_without_tools() {
        let call = testing::call().build();
        let _host = FakeHost::new().attribute("tools", "look_up_order, refund");
        assert_eq!(call.tool_names(), ["look_up_order", "refund"]);
        let _host = FakeHost::new();
        assert_eq!(call.tool_names(), Vec::<String>::new());
    }

    #[test]
    fn draws_depend_on_the_seed_alone() {
        let first = testing::call().seed(7).attempt(1).build();
        let again = testing::call().seed(7).build();
        assert_eq!(first.rng().bits(), again.rng().bits());
        assert_ne!(first.rng().bits(), testing::call().seed(8).build().rng().bits());
    }
}
