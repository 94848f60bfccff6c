//! Bodies of requests: read within a limit, and read to their end even where the answer is known before. A client that still sends when
//! its connection ends would be told of a broken connection instead of what is wrong.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::middleware::Next;
use http::{HeaderMap, Response, header};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Frame, SizeHint};
use tokio::sync::oneshot;

use crate::admin::terms::Refused;
use crate::types::limits::{BODY_DISCARDED_BYTES_MAX, BODY_DISCARDED_S, BODY_IDLE_S};

/// All of `body`, which is `what` and has at most `bytes_max` bytes.
pub(super) async fn read(mut body: Body, bytes_max: u64, what: &str) -> Result<Bytes, Refused> {
    let too_large = || Err((413, format!("{what} has at most {bytes_max} bytes")));
    if body.size_hint().lower() > bytes_max {
        return too_large();
    }
    let mut bytes = Vec::new();
    let idle = Duration::from_secs(BODY_IDLE_S);
    let slow = |_| (408, format!("the body has paused for {BODY_IDLE_S} s"));
    while let Some(frame) = tokio::time::timeout(idle, body.frame()).await.map_err(slow)? {
        let frame = frame.map_err(|error| (400, format!("the body cannot be read: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        if (bytes.len() + data.len()) as u64 > bytes_max {
            return too_large();
        }
        bytes.extend_from_slice(&data);
    }
    if bytes.is_empty() { Err((400, format!("the body is empty; send {what}"))) } else { Ok(bytes.into()) }
}

/// Answers with `next`, and before that reads what is left of the request, within bounds. A client that waits to be asked for its body
/// (`expect: 100-continue`) and has not been asked sends none.
pub(super) async fn read_out(request: Request, next: Next) -> Response<Body> {
    let waits = expects(request.headers());
    let (give_back, given_back) = oneshot::channel();
    let request = request.map(|body| Body::new(Lent { body, was_asked_for: false, give_back: Some(give_back) }));
    let response = next.run(request).await;
    // Every route has let go of the body when it answers.
    if let Ok((mut body, was_asked_for)) = given_back.await
        && (was_asked_for || !waits)
    {
        let limit = Duration::from_secs(BODY_DISCARDED_S);
        // Who sends more, or takes longer, is cut off after all.
        let _ = tokio::time::timeout(limit, discard(&mut body)).await;
    }
    response
}

fn expects(headers: &HeaderMap) -> bool {
    headers.get(header::EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

async fn discard(body: &mut Body) {
    let mut left = BODY_DISCARDED_BYTES_MAX;
    while let Some(Ok(frame)) = body.frame().await {
        let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
        let Some(less) = left.checked_sub(bytes) else { return };
        left = less;
    }
}

/// A body that goes back when it is dropped.
struct Lent {
    body: Body,
    was_asked_for: bool,
    give_back: Option<oneshot::Sender<(Body, bool)>>,
}

impl hyper::body::Body for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.was_asked_for = true;
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(give_back) = self.give_back.take() {
            // Nobody waits for it if the connection is gone.
            let _ = give_back.send((std::mem::take(&mut self.body), self.was_asked_for));
        }
    }
}
