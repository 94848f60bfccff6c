//! The load generator: one thread, as little work per response as an exact answer allows.
//!
//! [`request`] builds the bytes once, [`response`] and [`sse`] scan what returns, [`fetch`] is for single questions. Three
//! drivers make load: [`requests`] keeps HTTP/1.1 connections busy or sends at a fixed rate, [`streams_h1`] and [`streams_h2`]
//! hold many paced streams open and note in a [`timeline`] when each token arrives.

pub mod dialect;
pub mod fetch;
pub mod request;
pub mod requests;
pub mod response;
pub mod sse;
pub mod streams_h1;
pub mod streams_h2;
pub mod timeline;
