//! Simwright from outside: the real server on port 0, looked at through its sockets.
#![allow(clippy::disallowed_methods, reason = "tests may look at the machine's clock")]
#![allow(missing_docs, unreachable_pub, reason = "nobody imports a test")]

/// Starts the server and speaks to it.
mod support;

/// What `/metrics`, `/healthz` and `/readyz` say.
mod admin;
/// Every folder in `examples/` checks and answers.
mod examples;
/// Every native fault, on the bytes of HTTP/1.1.
mod faults;
/// HTTP/2 in clear text: streams side by side, cuts, clients that leave, draining.
mod http2;
/// Plugins behind the real server.
mod plugins;
/// What the READMEs promise.
mod readme;
/// New generations under load.
mod reload;
/// Every native responder through the real server, and the examples of its documentation.
mod responders;
/// Streams: pacing, cuts, clients that leave, draining.
mod streaming;
/// Floors, sizes, names: the rules of the house.
mod tidy;
/// OpenAI's wire format.
mod wire;
