//! A support desk: it looks things up with the client's tools when it has them, answers from what they return, and otherwise
//! from what the user wrote.
//!
//! Each text of the request is asked for only where it decides something. A desk that is not `attentive` asks for none.

use simwright_sdk::prelude::*;

options! {
    /// A word and what the desk says to it.
    pub struct Topic {
        /// The word, found anywhere in what the user wrote, in any case.
        pub word: String = String::new();
        /// The reply.
        pub reply: String = String::new();
    }
}

options! {
    /// How the desk behaves.
    pub struct Options {
        /// Whether it reads what the user wrote and calls tools. If not, every reply is text of `tokens` tokens.
        pub attentive: bool = true;
        /// Whether it calls the client's tools before it answers.
        pub tools: bool = true;
        /// What it can answer by itself; the first topic whose word occurs decides.
        pub topics: Vec<Topic> = default_topics();
        /// Tokens of a reply to anything else.
        pub tokens: u32 = 60, in 1..=100_000;
        /// Tokens of reasoning before each answer; 0 for none.
        pub thinking: u32 = 0, in 0..=100_000;
        /// How much of a tool's result it quotes, in characters.
        pub quote: u32 = 400, in 1..=100_000;
    }
}

fn default_topics() -> Vec<Topic> {
    let topics = [
        ("refund", "I have started your refund. It reaches your account within five working days."),
        ("password", "I have sent you a link to reset your password. It is valid for one hour."),
        ("order", "Your order is on its way. You will get a message with the tracking number today."),
        ("cancel", "I have cancelled it. You will not be charged again."),
    ];
    topics.map(|(word, reply)| Topic { word: word.to_owned(), reply: reply.to_owned() }).to_vec()
}

/// The desk, its words in lower case.
#[derive(Debug)]
pub struct SupportDesk {
    options: Options,
}

impl Plugin for SupportDesk {
    type Options = Options;

    fn configure(mut options: Options, _setting: &Setting) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        for (index, topic) in options.topics.iter_mut().enumerate() {
            topic.word = topic.word.to_lowercase();
            if topic.word.is_empty() {
                let problem = Problem::at(format!("/topics/{index}/word"), "the field `word` is missing or empty");
                problems.push(problem.hint("an empty word would answer everything; raise `tokens` for that"));
            }
        }
        if problems.is_empty() { Ok(Self { options }) } else { Err(problems) }
    }
}

impl Responder for SupportDesk {
    fn answer(&self, call: &Call) -> Answer {
        let answer = if self.options.attentive { self.listen(call) } else { Answer::generate(self.options.tokens) };
        if self.options.thinking > 0 { answer.thinking(self.options.thinking) } else { answer }
    }
}

impl SupportDesk {
    fn listen(&self, call: &Call) -> Answer {
        if self.options.tools && call.has_tools() {
            if let Some(result) = call.tool_result() {
                return Answer::text(self.quote(&result));
            }
            let text = call.last_user_text().to_lowercase();
            if let Some(tool) = best_tool(call.tool_names(), &text) {
                return Answer::tool_call(tool, None);
            }
            return self.talk(&text);
        }
        if call.wants_json() {
            return Answer::structured();
        }
        self.talk(&call.last_user_text().to_lowercase())
    }

    /// Answers by itself. `text` is in lower case.
    fn talk(&self, text: &str) -> Answer {
        match self.options.topics.iter().find(|topic| text.contains(&topic.word)) {
            Some(topic) => Answer::text(&topic.reply),
            None => Answer::generate(self.options.tokens),
        }
    }

    fn quote(&self, result: &str) -> String {
        let result = result.trim();
        let end = result.char_indices().nth(self.options.quote as usize).map_or(result.len(), |(at, _)| at);
        let dots = if end < result.len() { " …" } else { "" };
        format!("Thank you for waiting. I looked it up for you: {}{dots}\n\nIs there anything else I can do?", &result[..end])
    }
}

/// The tool whose name has the most words in common with `text`; the first one if none has any.
fn best_tool(names: Vec<String>, text: &str) -> Option<String> {
    let score = |name: &String| {
        // Words of three letters and less (`get`, `by`, `id`) would match anything.
        let words = name.split(|c: char| !c.is_alphanumeric()).filter(|word| word.len() > 3);
        words.filter(|word| text.contains(&word.to_lowercase())).count()
    };
    // The last of equals would win, so the list is walked from its end.
    names.into_iter().rev().max_by_key(score)
}

export!(SupportDesk: responder);

#[cfg(test)]
mod tests {
    use super::*;
    use simwright_sdk::call::Traits;
    use simwright_sdk::testing::{self, FakeHost};

    fn desk(options: &str) -> SupportDesk {
        testing::plugin(options).unwrap()
    }

    fn with_tools() -> Call {
        testing::call().traits(Traits::TOOLS).build()
    }

    #[test]
    fn it_calls_the_tool_that_fits_what_the_user_wrote() {
        let _host = FakeHost::new().attribute("tools", "get_weather,get_order_status").last_user_text("Where is my ORDER?");
        assert_eq!(desk("{}").answer(&with_tools()), Answer::tool_call("get_order_status", None));
        let _host = FakeHost::new().attribute("tools", "get_weather,get_order_status").last_user_text("Hello");
        assert_eq!(desk("{}").answer(&with_tools()), Answer::tool_call("get_weather", None));
    }

    #[test]
    fn it_answers_from_a_tools_result_and_cuts_it_between_characters() {
        let _host = FakeHost::new().attribute("tools", "get_order_status").attribute("tool-result", "ärrives Tuesday");
        let answer = desk(r#"{"quote": 7}"#).answer(&with_tools());
        let [Item::Text(text)] = &answer.items[..] else { panic!("not one text: {answer:?}") };
        assert!(text.contains("for you: ärrives …\n"), "{text}");
        assert_eq!(answer.finish, Finish::Stop);
    }

    #[test]
    fn without_tools_a_topic_decides_and_anything_else_is_written_by_the_host() {
        let call = testing::call().build();
        let _host = FakeHost::new().last_user_text("I forgot my Password");
        assert!(matches!(&desk("{}").answer(&call).items[..], [Item::Text(text)] if text.contains("reset")));
        let _host = FakeHost::new().last_user_text("Good morning");
        assert_eq!(desk(r#"{"tokens": 12, "thinking": 3}"#).answer(&call), Answer::generate(12).thinking(3));
    }

    #[test]
    fn a_client_that_wants_json_gets_json() {
        let _host = FakeHost::new();
        assert_eq!(desk("{}").answer(&testing::call().traits(Traits::JSON).build()), Answer::structured());
    }

    #[test]
    fn a_desk_that_is_not_attentive_asks_the_host_for_nothing() {
        let host = FakeHost::new();
        assert_eq!(desk(r#"{"attentive": false, "tokens": 32}"#).answer(&with_tools()), Answer::generate(32));
        assert_eq!(host.questions(), 0);
    }

    #[test]
    fn topics_without_a_word_are_refused() {
        let problems = testing::plugin::<SupportDesk>(r#"{"topics": [{"reply": "x"}]}"#).unwrap_err();
        assert_eq!(problems[0].path, "/topics/0/word");
    }
}
