//! Texts to tokens and back, as vLLM has it: `POST /tokenize` and `POST /detokenize`.
//!
//! The tokens are those of the vendor's vocabularies, whatever the scenario counts with; a conversation has the marks around its messages
//! that the counts of prompts assume.

use std::borrow::Cow;

use bytes::{BufMut, Bytes, BytesMut};

use super::chat::{self, Messages};
use super::prompts::Tokens;
use super::vocabulary::{IM_END, IM_SEP, IM_START, Vocabulary};
use crate::dialect::json::given::{Given, object};
use crate::dialect::json::path::{Path, read as read_json};
use crate::dialect::json::splice::{push_each, push_number, push_string};
use crate::types::api_error::ApiError;
use crate::types::manners::Manners;
use crate::types::request::{Message, Role};

object! {
    /// What is to be cut into tokens.
    TokenizeBody<'de> {
        model "model": Given<Cow<'de, str>>,
        prompt "prompt": Given<Cow<'de, str>>,
        messages "messages": Given<Messages<'de>>,
        add_generation_prompt "add_generation_prompt": Given<bool>,
        return_token_strs "return_token_strs": Given<bool>,
        _ "add_special_tokens" "continue_final_message" "chat_template" "chat_template_kwargs" "mm_processor_kwargs" "tools"
    }
}

object! {
    /// What is to be put together.
    DetokenizeBody<'de> {
        model "model": Given<Cow<'de, str>>,
        tokens "tokens": Given<Tokens>,
    }
}

/// What is asked of a model's tokens.
#[derive(Debug)]
pub struct TokenQuestion {
    /// The model, if one is named.
    pub model: Option<Box<str>>,
    what: What,
}

#[derive(Debug)]
enum What {
    /// The tokens of a text.
    Text { text: Box<str>, strings: bool },
    /// The tokens of a conversation, and of the beginning of the next message if `open`.
    Messages { messages: Vec<Message>, open: bool, strings: bool },
    /// The text of tokens.
    Tokens(Vec<u32>),
}

/// Reads a request to cut a text.
pub fn tokenize(body: &[u8], manners: Manners) -> Result<TokenQuestion, ApiError> {
    let root = Path::root(manners.is_strict);
    let body: TokenizeBody<'_> = read_json(body, root)?;
    let strings = body.return_token_strs.optional(root.field("return_token_strs"))?.unwrap_or(false);
    let open = body.add_generation_prompt.optional(root.field("add_generation_prompt"))?.unwrap_or(true);
    let model = body.model.optional(root.field("model"))?.map(Into::into);
    let what = match body.messages.optional(root.field("messages"))? {
        Some(messages) => What::Messages { messages: chat::messages(messages, root.field("messages"))?, open, strings },
        None => What::Text { text: body.prompt.required(root.field("prompt"))?.into(), strings },
    };
    Ok(TokenQuestion { model, what })
}

/// Reads a request to put tokens together.
pub fn detokenize(body: &[u8], manners: Manners) -> Result<TokenQuestion, ApiError> {
    let root = Path::root(manners.is_strict);
    let body: DetokenizeBody<'_> = read_json(body, root)?;
    let model = body.model.optional(root.field("model"))?.map(Into::into);
    let Tokens(tokens) = body.tokens.required(root.field("tokens"))?;
    Ok(TokenQuestion { model, what: What::Tokens(tokens) })
}

impl TokenQuestion {
    /// The answer of `model`, which reads `window` tokens. The vocabulary is unpacked at its first use, and long texts take their time: no
    /// work for a thread that streams wait for.
    pub fn answer(&self, model: &str, window: u32) -> Bytes {
        let vocabulary = Vocabulary::of(model);
        let mut out = BytesMut::new();
        let mut ids = Vec::new();
        let strings = match &self.what {
            What::Tokens(tokens) => {
                out.put_slice(b"{\"prompt\":");
                push_string(&mut out, &vocabulary.decode(tokens));
                out.put_u8(b'}');
                return out.freeze();
            }
            What::Text { text, strings } => {
                vocabulary.encode(text, &mut ids);
                *strings
            }
            What::Messages { messages, open, strings } => {
                messages.iter().for_each(|message| push_message(vocabulary, message, &mut ids));
                if *open {
                    push_beginning(vocabulary, "assistant", &mut ids);
                }
                *strings
            }
        };
        push_tokens(&mut out, vocabulary, &ids, strings, window);
        out.freeze()
    }
}

fn push_message(vocabulary: Vocabulary, message: &Message, ids: &mut Vec<u32>) {
    let role = match message.role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    };
    push_beginning(vocabulary, role, ids);
    vocabulary.encode(&message.text, ids);
    for (name, arguments) in message.tool_calls() {
        vocabulary.encode(name, ids);
        vocabulary.encode(arguments, ids);
    }
    ids.extend(vocabulary.mark(IM_END));
}

fn push_beginning(vocabulary: Vocabulary, role: &str, ids: &mut Vec<u32>) {
    ids.extend(vocabulary.mark(IM_START));
    vocabulary.encode(role, ids);
    ids.extend(vocabulary.mark(IM_SEP));
}

fn push_tokens(out: &mut BytesMut, vocabulary: Vocabulary, ids: &[u32], strings: bool, window: u32) {
    out.put_slice(b"{\"count\":");
    push_number(out, ids.len() as u64);
    out.put_slice(b",\"max_model_len\":");
    push_number(out, u64::from(window));
    out.put_slice(b",\"tokens\":[");
    push_each(out, ids.iter(), |out, id| push_number(out, u64::from(*id)));
    out.put_slice(b"],\"token_strs\":");
    if strings {
        for (index, id) in ids.iter().enumerate() {
            out.put_u8(if index == 0 { b'[' } else { b',' });
            push_string(out, &vocabulary.decode(&[*id]));
        }
        out.put_slice(if ids.is_empty() { b"[]" } else { b"]" });
    } else {
        out.put_slice(b"null");
    }
    out.put_u8(b'}');
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn ask(question: Result<TokenQuestion, ApiError>) -> Value {
        serde_json::from_slice(&question.expect("a good request").answer("m", 4_096)).expect("JSON")
    }

    fn of(body: Value) -> Value {
        ask(tokenize(body.to_string().as_bytes(), Manners::default()))
    }

    #[test]
    fn a_text_is_cut_and_put_together_again() {
        let text = "Grüße, 東京! \"x\"\n";
        let cut = of(json!({"prompt": text, "return_token_strs": true}));
        assert_eq!(
            (&cut["max_model_len"], cut["count"].as_u64()),
            (&json!(4_096), cut["tokens"].as_array().map(|ids| ids.len() as u64))
        );
        assert_eq!(cut["token_strs"].as_array().map(Vec::len), cut["tokens"].as_array().map(Vec::len));
        let body = json!({"model": "m", "tokens": cut["tokens"]}).to_string();
        assert_eq!(ask(detokenize(body.as_bytes(), Manners::default())), json!({"prompt": text}));
        assert_eq!(of(json!({"prompt": ""})), json!({"count": 0, "max_model_len": 4_096, "tokens": [], "token_strs": null}));
    }

    #[test]
    fn a_conversation_has_as_many_tokens_as_its_prompt_counts() {
        let messages = json!([{"role": "system", "content": "Be brief"}, {"role": "user", "content": "Hello there"}]);
        // Four around each message, and three before the reply.
        assert_eq!(of(json!({"messages": messages}))["count"], 2 + 2 + 2 * 4 + 3);
        assert_eq!(of(json!({"messages": messages, "add_generation_prompt": false}))["count"], 2 + 2 + 2 * 4);
        let tokens = of(json!({"messages": messages, "return_token_strs": true}));
        assert_eq!((&tokens["token_strs"][0], &tokens["token_strs"][1]), (&json!("<|im_start|>"), &json!("system")));
    }

    #[test]
    fn bad_requests_are_named() {
        let param = |refused: Result<TokenQuestion, ApiError>| refused.expect_err("refused").param.map(String::from);
        assert_eq!(param(tokenize(b"{}", Manners::default())).as_deref(), Some("prompt"));
        assert_eq!(param(tokenize(br#"{"messages":[{}]}"#, Manners::default())).as_deref(), Some("messages[0].role"));
        assert_eq!(param(detokenize(br#"{"tokens":[-1]}"#, Manners::default())).as_deref(), Some("tokens"));
        assert_eq!(param(detokenize(b"{", Manners::default())), None);
    }
}
