//! HTTP/1.1 and HTTP/2 on one connection with every deadline and bound set, for both doors: the defaults of the layers below leave
//! some open.

use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto;

use crate::types::limits;

/// A builder of connections. Deadlines of HTTP/1.1 (heads, idle connections) are the caller's: a timer set and cleared for each
/// request would cost as much as a plugin call.
pub fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().max_buf_size(limits::H1_BUFFER_BYTES).max_headers(limits::HEADERS_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(limits::H2_PING_S))
        .keep_alive_timeout(Duration::from_secs(limits::H2_PING_S))
        .max_concurrent_streams(limits::H2_STREAMS_MAX)
        .max_send_buf_size(limits::H2_SEND_BUFFER_BYTES)
        .max_pending_accept_reset_streams(limits::H2_PENDING_RESETS_MAX);
    builder
}
