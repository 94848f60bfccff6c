//! The data door: HTTP/1.1 and cleartext HTTP/2, for clients of the simulated services.
//!
//! [`server`] accepts and hands connections to workers, each with a runtime and a pacer of its own. [`wire`] wraps the socket: honest
//! write times, deadlines, and the place where faults cut. [`routes`] is the table of paths. [`handler`] is the life of a request:
//! parse, plan, wait for the head's deadline, send a [`body`] that plays, or that [`drip`]s. [`error_reply`] alone turns refusals into
//! responses; `written` is a whole reply before it leaves; `server_timing` says in a header what stages of a pipeline took. [`service`]
//! is what a model server says of itself, and `vllm_metrics` how vLLM would measure it. [`batches`] asks without a socket; [`keeping`]
//! keeps replies that clients come back to. Both have a bounded [`shelf`].
//! `listing` tells which models there are. `socket` is a realtime session over a WebSocket, and `turn` one response of it.

pub mod batches;
pub mod body;
pub mod drip;
pub mod error_reply;
pub mod handler;
pub mod keeping;
mod listing;
pub mod routes;
pub mod server;
mod server_timing;
pub mod service;
pub mod shelf;
mod socket;
mod turn;
mod vllm_metrics;
pub mod wire;
mod written;
