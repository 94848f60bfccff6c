//! Simwright from outside: the real server on port 0, looked at through its sockets.
#![allow(clippy::disallowed_methods, reason = "tests may look at the machine's clock")]
#![allow(missing_docs, unreachable_pub, reason = "nobody imports a test")]

/// Starts the server and speaks to it.
mod support;

/// What `/metrics`, `/healthz` and `/readyz` say.
mod admin;
/// Components are compiled in a process with limits.
mod compiler;
/// Every folder in `examples/` checks and answers.
mod examples;
/// Every native fault, on the bytes of HTTP/1.1.
mod faults;
/// Scenarios with random mistakes.
mod fuzz;
/// HTTP/2 in clear text: streams side by side, cuts, clients that leave, draining.
mod http2;
/// Plugins behind the real server.
mod plugins;
/// What the READMEs promise.
mod readme;
/// New generations: saved files, plugins that come later, streams that go on.
mod reload;
/// Bad scenarios between good ones.
mod reload_bad;
/// The ways in which files change on real machines.
mod reload_files;
/// Reloads under load.
mod reload_load;
/// Streams: pacing, cuts, clients that leave, draining.
mod streaming;
/// Floors, sizes, names: the rules of the house.
mod tidy;
/// OpenAI's wire format.
mod wire;
