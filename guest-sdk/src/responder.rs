//! Responders: what is answered? Asked second, unless the verdict leaves nothing to answer.
//!
//! An [`Answer`] is a list of [`Item`]s: text of the plugin's own, text for the host to write from the seed, tool calls,
//! reasoning. The host cuts it at `max_tokens` and stop texts and counts its tokens.

use crate::call::Call;
use crate::plugin::Plugin;

pub use crate::bindings::responder::exports::simwright::plugin::responder::{Answer, Finish, Generate, Item, ToolCall};

/// A plugin that decides what is answered.
pub trait Responder: Plugin {
    /// One answer.
    fn answer(&self, call: &Call) -> Answer;

    /// The answers to a request for several `choices`, at most so many; the last one repeats. Unless defined, one for all: what
    /// the host writes still differs from choice to choice.
    fn answers(&self, call: &Call, choices: u32) -> Vec<Answer> {
        let _ = choices;
        vec![self.answer(call)]
    }
}

impl Answer {
    /// An answer of these parts, in order.
    pub fn of(items: impl Into<Vec<Item>>) -> Self {
        Self { items: items.into(), finish: Finish::Stop }
    }

    /// This text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::of([Item::Text(text.into())])
    }

    /// So many tokens of text for the host to write, in its default style.
    pub fn generate(tokens: u32) -> Self {
        Self::styled(tokens, "")
    }

    /// So many tokens of text for the host to write, in a style it knows; an empty style is the default.
    pub fn styled(tokens: u32, style: &str) -> Self {
        Self::of([Item::generate(tokens, style)])
    }

    /// One tool call. Without arguments (`None`) the host writes some that satisfy the tool's schema.
    pub fn tool_call(name: impl Into<String>, arguments_json: Option<String>) -> Self {
        let call = ToolCall { name: name.into(), arguments_json };
        Self { items: vec![Item::ToolCall(call)], finish: Finish::ToolCalls }
    }

    /// JSON in the form that the request asks for, written by the host.
    pub fn structured() -> Self {
        Self::of([Item::Structured])
    }

    /// A refusal with this text.
    pub fn refusal(text: impl Into<String>) -> Self {
        Self::of([Item::Refusal(text.into())])
    }

    /// The same with so many tokens of reasoning in front, written by the host.
    #[must_use]
    pub fn thinking(mut self, tokens: u32) -> Self {
        self.items.insert(0, Item::Think(Generate { tokens, style: String::new() }));
        self
    }

    /// The same with one more part at its end.
    #[must_use]
    pub fn and(mut self, item: Item) -> Self {
        self.items.push(item);
        self
    }

    /// The same with another reason to end.
    #[must_use]
    pub fn finish(mut self, finish: Finish) -> Self {
        self.finish = finish;
        self
    }
}

impl Item {
    /// So many tokens of text for the host to write, in a style it knows; an empty style is the default.
    pub fn generate(tokens: u32, style: &str) -> Self {
        Self::Generate(Generate { tokens, style: style.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasoning_comes_before_the_answer() {
        let answer = Answer::text("Yes.").thinking(12).and(Item::generate(3, "prose"));
        assert!(matches!(&answer.items[..], [Item::Think(_), Item::Text(_), Item::Generate(_)]));
        assert_eq!(answer.finish, Finish::Stop);
    }

    #[test]
    fn a_tool_call_finishes_as_one() {
        assert_eq!(Answer::tool_call("look_up", None).finish, Finish::ToolCalls);
        assert_eq!(Answer::generate(5).finish(Finish::Length).finish, Finish::Length);
    }
}
