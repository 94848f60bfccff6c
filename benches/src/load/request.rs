//! Requests, built once before the clock starts.
//!
//! Bodies of one set differ in their text and not in their length, so that a cache of one request's result on the server's side
//! flatters nobody.

use std::net::SocketAddr;

use crate::load::dialect::{Asked, Dialect};

/// What all requests of a set have in common.
#[derive(Debug, Clone)]
pub struct Chat {
    /// The model's name.
    pub model: String,
    /// Streamed or whole?
    pub stream: bool,
    /// The most tokens of the reply.
    pub max_tokens: u32,
    /// In whose words it is put.
    pub dialect: Dialect,
}

impl Chat {
    /// The JSON body of request `number`.
    pub fn body(&self, number: usize) -> Vec<u8> {
        let user = format!(
            "Ticket {number:08}: a customer writes that the invoice of last month was charged twice and asks for the second \
             amount to be returned. Say what you would check first, which of the two payments you would return, and how long \
             it usually takes until the money is back on the account. Answer in at most five sentences."
        );
        let system = "You are a friendly and exact assistant of a small software company.";
        let asked = Asked { model: &self.model, system, user: &user, max_tokens: self.max_tokens, stream: self.stream };
        self.dialect.body(asked).to_string().into_bytes()
    }

    /// Request `number` as HTTP/1.1 bytes, with the header fields that a vendor's SDK sends.
    pub fn http1(&self, to: SocketAddr, number: usize) -> Vec<u8> {
        let body = self.body(number);
        let accept = if self.stream { "text/event-stream" } else { "application/json" };
        let head = format!(
            "POST {} HTTP/1.1\r\nhost: {to}\r\naccept: {accept}\r\ncontent-type: application/json\r\n\
             user-agent: simwright-bench\r\n{}\r\ncontent-length: {}\r\n\r\n",
            self.dialect.path(&self.model, self.stream),
            self.dialect.credentials(),
            body.len()
        );
        [head.into_bytes(), body].concat()
    }

    /// `count` requests as HTTP/1.1 bytes.
    pub fn http1_set(&self, to: SocketAddr, count: usize) -> Vec<Vec<u8>> {
        (0..count).map(|number| self.http1(to, number)).collect()
    }
}

/// A GET of `path` as HTTP/1.1 bytes.
pub fn get(to: SocketAddr, path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: {to}\r\nuser-agent: simwright-bench\r\n\r\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn chat(model: &str, stream: bool, dialect: Dialect) -> Chat {
        Chat { model: model.to_owned(), stream, max_tokens: 32, dialect }
    }

    #[test]
    fn requests_of_a_set_differ_and_have_one_length() {
        let chat = chat("bench", false, Dialect::Openai);
        let set = chat.http1_set("127.0.0.1:1".parse().unwrap(), 3);
        assert_ne!(set[0], set[1]);
        assert!(set.iter().all(|request| request.len() == set[0].len()));
    }

    #[test]
    fn a_body_is_json_with_the_chosen_model() {
        let chat = chat("a \"b\"", true, Dialect::Openai);
        let body: serde_json::Value = serde_json::from_slice(&chat.body(0)).unwrap();
        assert_eq!((&body["model"], &body["stream"]), (&json!("a \"b\""), &json!(true)));
    }

    #[test]
    fn a_vendor_that_names_the_model_in_its_path_is_asked_there() {
        let request = String::from_utf8(chat("bench", true, Dialect::Gemini).http1("127.0.0.1:1".parse().unwrap(), 0)).unwrap();
        let line = request.lines().next().unwrap();
        assert_eq!(line, "POST /v1beta/models/bench:streamGenerateContent?alt=sse HTTP/1.1");
        assert!(!request.contains("\"model\""), "{request}");
    }
}
