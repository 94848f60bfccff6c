//! The data door: HTTP/1.1 and cleartext HTTP/2, for clients of the simulated services.
//!
//! [`server`] accepts and hands connections to workers, each with a runtime and a pacer of its own. [`wire`] wraps the socket: honest
//! write times, deadlines, and the place where faults cut. [`routes`] is the table of paths. [`handler`] is the life of a request:
//! parse, plan, wait for the head's deadline, send a [`body`] that plays, or that [`drip`]s. [`error_reply`] alone turns refusals into
//! responses; `server_timing` says in a header what stages of a pipeline took. `socket` is a realtime session over a WebSocket, and
//! `turn` one response of it.

pub mod body;
pub mod drip;
pub mod error_reply;
pub mod handler;
pub mod routes;
pub mod server;
mod server_timing;
mod socket;
mod turn;
pub mod wire;
