use h2::Reason;
use serde_json::Value;

use super::support::h2_client::{H2Client, StreamEnd, read_out, reset_of, run};
use super::support::host::{TestHost, ask, ask_streamed};
use super::support::stream::{chunks, content, events};

const SCENARIO: &str = "
simwright: 1
tokens: exact
defaults:
  latency: { constant: { first: 1ms, between: 1ms } }
  reply: { text: { tokens: 10 } }
models:
  - match: h2
  - match: h2-slow
    latency: { constant: { first: 1ms, between: 30ms } }
  - match: h2-endless
    latency: { constant: { first: 1ms, between: 20ms } }
    reply: { text: { tokens: 100000 } }
    max-output-tokens: 200000
    context-window: 400000
  - match: h2-busy
    latency: { constant: { first: 1ms, between: 20ms } }
    reply: { text: { tokens: 100000 } }
    max-output-tokens: 200000
    context-window: 400000
  - match: h2-late
    latency: { constant: { first: 600s, between: 1s } }
  - match: h2-reset
    faults: [{ cut: { how: reset, at: token 4 } }]
  - match: h2-close
    faults: [{ cut: { how: close, at: token 4 } }]
  - match: h2-end
    faults: [{ cut: { how: end, at: token 4 } }]
  - match: h2-reset-start
    faults: [{ cut: { how: reset, at: start } }]
  - match: h2-close-start
    faults: [{ cut: { how: close, at: start } }]
  - match: h2-hang
    faults: [{ hang: { for: 20ms } }]
  - match: h2-long
    latency: { constant: { first: 0, between: 0 } }
    reply: { text: { tokens: 3000 } }
    faults: [{ cut: { how: reset, at: token 2000 } }]
";

fn running(host: &TestHost, model: &str) -> f64 {
    host.metric("simwright_requests_running", &[&format!("model=\"{model}\"")])
}

#[test]
fn a_whole_reply_and_a_stream_have_one_text() {
    let host = TestHost::start(SCENARIO);
    run(async {
        let mut client = H2Client::open(host.api).await;
        let reply = client.chat(&ask("h2", "x")).await.expect("an answer");
        assert_eq!(reply.status(), 200);
        let (body, end) = read_out(reply.into_body()).await;
        assert_eq!(end, StreamEnd::Complete);
        let whole: Value = serde_json::from_str(&body).expect("JSON");
        let reply = client.chat(&ask_streamed("h2", "x")).await.expect("an answer");
        assert_eq!(reply.headers()["content-type"], "text/event-stream; charset=utf-8");
        let (body, end) = read_out(reply.into_body()).await;
        assert_eq!(end, StreamEnd::Complete);
        assert_eq!(whole["choices"][0]["message"]["content"], content(&chunks(&body), 0));
    });
}

#[test]
fn many_streams_run_side_by_side_on_one_connection() {
    let host = TestHost::start(SCENARIO);
    run(async {
        let mut client = H2Client::open(host.api).await;
        let mut streams = tokio::task::JoinSet::new();
        for number in 0..100 {
            let answer = client.begin(&ask_streamed("h2", &format!("number {number}"))).await.expect("taken");
            // All are read at once: they share the connection's window.
            streams.spawn(async { read_out(answer.await.expect("an answer").into_body()).await });
        }
        for (body, end) in streams.join_all().await {
            assert_eq!((chunks(&body).len(), end), (12, StreamEnd::Complete));
        }
    });
}

#[test]
fn a_client_that_resets_a_stream_takes_only_that_one_with_it() {
    let host = TestHost::start(SCENARIO);
    let cancelled = || host.metric("simwright_requests_cancelled_total", &["model=\"h2-endless\""]);
    let before = cancelled();
    run(async {
        let mut client = H2Client::open(host.api).await;
        let other = client.begin(&ask_streamed("h2-slow", "x")).await.expect("taken");
        let answer = client.chat(&ask_streamed("h2-endless", "x")).await.expect("an answer");
        let mut body = answer.into_body();
        body.data().await.expect("the stream begins").expect("data");
        assert_eq!(running(&host, "h2-endless"), 1.0);
        // Dropped before its end, a stream is reset with CANCEL.
        drop(body);
        let late = client.begin(&ask_streamed("h2-late", "x")).await.expect("taken");
        let (body, end) = read_out(other.await.expect("an answer").into_body()).await;
        assert_eq!((chunks(&body).len(), end), (12, StreamEnd::Complete));
        drop(late);
        // The connection is still open and still works.
        let (_, end) = read_out(client.chat(&ask("h2", "x")).await.expect("an answer").into_body()).await;
        assert_eq!(end, StreamEnd::Complete);
        // The connection's task goes on between the looks.
        for model in ["h2-endless", "h2-late"] {
            while running(&host, model) > 0.0 {
                tokio::task::yield_now().await;
            }
        }
    });
    assert_eq!(cancelled() - before, 1.0);
}

#[test]
fn a_cut_stream_delivers_what_came_before_and_is_reset_as_planned() {
    let host = TestHost::start(SCENARIO);
    let cases = [
        ("h2-reset", StreamEnd::Reset(Reason::INTERNAL_ERROR)),
        ("h2-close", StreamEnd::Reset(Reason::NO_ERROR)),
        ("h2-end", StreamEnd::Complete),
    ];
    run(async {
        let mut client = H2Client::open(host.api).await;
        let (uncut, _) = read_out(client.chat(&ask_streamed("h2", "x")).await.expect("an answer").into_body()).await;
        assert_eq!(events(&uncut).len(), 13);
        for (model, ended) in cases {
            let answer = client.chat(&ask_streamed(model, "x")).await.expect("an answer");
            assert_eq!(answer.status(), 200);
            let (body, end) = read_out(answer.into_body()).await;
            assert_eq!(end, ended, "{model}");
            let events = events(&body);
            assert_eq!(events.len(), 5, "{model}: {events:?}");
            assert!(events.iter().all(|event| serde_json::from_str::<Value>(event).is_ok()), "{model}");
            // The same connection goes on.
            let (body, end) = read_out(client.chat(&ask_streamed("h2", "y")).await.expect("an answer").into_body()).await;
            assert_eq!((chunks(&body).len(), end), (12, StreamEnd::Complete));
        }
    });
}

#[test]
fn a_cut_whole_reply_delivers_its_share_before_the_reset() {
    let host = TestHost::start(SCENARIO);
    run(async {
        let mut client = H2Client::open(host.api).await;
        for (model, reason) in [("h2-reset", Reason::INTERNAL_ERROR), ("h2-close", Reason::NO_ERROR)] {
            let answer = client.chat(&ask(model, "x")).await.expect("an answer");
            let announced: usize = answer.headers()["content-length"].to_str().expect("text").parse().expect("a number");
            let (body, end) = read_out(answer.into_body()).await;
            assert_eq!((body.len(), end), (announced * 4 / 10, StreamEnd::Reset(reason)), "{model}");
        }
    });
}

#[test]
fn a_cut_at_the_start_and_a_hang_reset_the_stream_without_a_head() {
    let host = TestHost::start(SCENARIO);
    let cases = [("h2-reset-start", Reason::INTERNAL_ERROR), ("h2-close-start", Reason::NO_ERROR), ("h2-hang", Reason::NO_ERROR)];
    run(async {
        let mut client = H2Client::open(host.api).await;
        for (model, reason) in cases {
            for body in [ask(model, "x"), ask_streamed(model, "x")] {
                let error = client.chat(&body).await.expect_err("no answer");
                assert_eq!(reset_of(&error), StreamEnd::Reset(reason), "{model}");
            }
            let (_, end) = read_out(client.chat(&ask("h2", "x")).await.expect("an answer").into_body()).await;
            assert_eq!(end, StreamEnd::Complete);
        }
    });
}

#[test]
fn a_client_with_a_narrow_window_gets_every_byte_before_the_reset() {
    let host = TestHost::start(SCENARIO);
    run(async {
        let mut client = H2Client::open_narrow(host.api, 1_000).await;
        // Others write meanwhile: that bytes leave does not mean that this stream's do.
        let busy = client.chat(&ask_streamed("h2-busy", "x")).await.expect("an answer");
        let answer = client.chat(&ask_streamed("h2-long", "x")).await.expect("an answer");
        let (body, end) = read_out(answer.into_body()).await;
        assert_eq!(end, StreamEnd::Reset(Reason::INTERNAL_ERROR));
        assert_eq!(events(&body).len(), 2_001);
        drop(busy);
    });
}

#[test]
fn a_draining_server_says_goaway_and_finishes_its_streams() {
    let host = TestHost::start(SCENARIO);
    run(async {
        let mut client = H2Client::open(host.api).await;
        let answer = client.chat(&ask_streamed("h2-slow", "x")).await.expect("an answer");
        let app = host.into_app();
        let stopped = tokio::task::spawn_blocking(move || app.stop(std::time::Duration::from_secs(15)));
        let (body, end) = read_out(answer.into_body()).await;
        assert_eq!((chunks(&body).len(), end), (12, StreamEnd::Complete));
        assert!(stopped.await.expect("it stops"), "some were cut off");
        let refused = client.begin(&ask("h2", "x")).await.expect_err("no more requests");
        assert!(refused.is_go_away() && refused.is_remote(), "{refused:?}");
        assert_eq!(refused.reason(), Some(Reason::NO_ERROR));
        client.connection.await.expect("no panic").expect("it closes in order");
    });
}
