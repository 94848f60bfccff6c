use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::super::support::bystander::beside_a_bystander;
use super::super::support::client::{self, Connection};
use super::super::support::guests::adversary;
use super::super::support::h2_client::H2Client;
use super::super::support::host::{TestHost, ask, ask_streamed, eventually, full};
use super::serve;

/// Asks for a slow call as `tenant`, again and again until `stop`, and counts answers.
fn insist(host: &TestHost, model: &str, tenant: &str, stop: &AtomicBool, answers: &AtomicU64) {
    let mut connection = Connection::open(host.api);
    while !stop.load(Ordering::Acquire) {
        let headers = [("x-adversary", "14"), ("x-simwright-tenant", tenant)];
        let reply = connection.send("POST", "/v1/chat/completions", &headers, ask(model, "x").to_string().as_bytes());
        assert_eq!(reply.status, 200, "{}", reply.text());
        answers.fetch_add(1, Ordering::Relaxed);
    }
}

// P13: a tenant that asks ten times as much as another gets no more of the threads that slow plugins have.
#[test]
fn two_tenants_of_unequal_demand_share_slow_plugins_equally() {
    let host = TestHost::start(&super::scenario(&["live-shared"], &adversary().display().to_string()));
    // The first slow call sends all others to the slow lane.
    eventually("it is known to be slow", || {
        super::status(&host, "live-shared", "14");
        host.metric("simwright_plugin_calls_total", &["plugin=\"live-shared\""]) >= 40.0
    });
    let (stop, many, few) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let enough = if full() { 5_000 } else { 200 };
    beside_a_bystander(&host, || {
        std::thread::scope(|scope| {
            for _ in 0..60 {
                scope.spawn(|| insist(&host, "live-shared", "many", &stop, &many));
            }
            for _ in 0..6 {
                scope.spawn(|| insist(&host, "live-shared", "few", &stop, &few));
            }
            // Counted once both wait.
            eventually("both are served", || few.load(Ordering::Relaxed) > 6);
            let before = [&many, &few].map(|answers| answers.load(Ordering::Relaxed));
            let start = Instant::now();
            while few.load(Ordering::Relaxed) + many.load(Ordering::Relaxed) < before[0] + before[1] + enough {
                assert!(start.elapsed() < Duration::from_secs(300), "it does not end");
                std::thread::sleep(Duration::from_millis(2));
            }
            let [many, few] = [(&many, before[0]), (&few, before[1])].map(|(now, before)| now.load(Ordering::Relaxed) - before);
            stop.store(true, Ordering::Release);
            let share = few as f64 / (many + few) as f64;
            assert!(share >= 0.4, "the smaller tenant had {few} of {}", many + few);
        });
    });
}

// P13: what does not fit is refused at once with when to come again, and everybody else is answered in turn. Nothing hangs.
#[test]
fn more_slow_calls_than_fit_are_refused_with_when_to_come_again() {
    let host = serve(&["live-full"]);
    eventually("it is known to be slow", || {
        super::status(&host, "live-full", "14");
        host.metric("simwright_plugin_calls_total", &["plugin=\"live-full\""]) >= 40.0
    });
    let asked = if full() { 5_000_u64 } else { 1_400 };
    let [answered, refused] = [0, 0].map(AtomicU64::new);
    beside_a_bystander(&host, || {
        // Over HTTP/2, so that so many need no thread each.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut waiting = Vec::new();
            for _ in 0..asked.div_ceil(200) {
                let mut client = H2Client::open(host.api).await;
                for _ in 0..200.min(asked - waiting.len() as u64) {
                    let reply = client.begin_with(&ask("live-full", "x"), &[("x-adversary", "14")]).await.expect("sent");
                    waiting.push(tokio::spawn(async move { reply.await.expect("an answer") }));
                }
                // The connection lives as long as its streams.
                drop(client.sender);
            }
            for reply in waiting {
                let reply = reply.await.expect("no panic");
                match reply.status().as_u16() {
                    200 => answered.fetch_add(1, Ordering::Relaxed),
                    503 => {
                        assert!(reply.headers().contains_key("retry-after"), "{reply:?}");
                        refused.fetch_add(1, Ordering::Relaxed)
                    }
                    other => panic!("neither answered nor refused: {other}"),
                };
            }
        });
    });
    let [answered, refused] = [answered, refused].map(AtomicU64::into_inner);
    assert_eq!(answered + refused, asked);
    // As many as may wait, and those that were served meanwhile.
    assert!(answered >= 1_024 && refused > 0, "{answered} answered, {refused} refused");
    eventually("nobody waits", || host.metric("simwright_slow_lane_waiting", &[]) == 0.0);
}

// P14: a plugin says when tokens leave and is not there while they wait. So more streams than there can be instances sleep at once.
#[test]
fn sleeping_streams_hold_no_instance() {
    let host = TestHost::start(&format!(
        "simwright: 1\nplugins: {{ live-sleeps: {{ file: {} }} }}\nmodels:\n  - {{ match: bystander, latency: {{ constant: {{ first: 0ms, \
         between: 0ms }} }}, reply: {{ fixed: {{ text: fine }} }} }}\n  - {{ match: live-sleeps, latency: live-sleeps, reply: {{ fixed: \
         {{ text: fine }} }} }}\n",
        adversary().display()
    ));
    let streams = if full() { 100_000_u64 } else { 1_500 };
    let running = || host.metric("simwright_requests_running", &["model=\"live-sleeps\""]);
    let ready = || host.metric("simwright_plugin_instances_ready", &["plugin=\"live-sleeps\""]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    beside_a_bystander(&host, || {
        let sleeping = runtime.block_on(async {
            let mut sleeping = Vec::new();
            for _ in 0..streams.div_ceil(250) {
                let mut client = H2Client::open(host.api).await;
                let mut replies = Vec::new();
                for _ in 0..250.min(streams - 250 * sleeping.len() as u64) {
                    let body = ask_streamed("live-sleeps", "x");
                    replies.push(client.begin_with(&body, &[("x-adversary", "130")]).await.expect("sent"));
                }
                sleeping.push((client, replies));
            }
            let start = Instant::now();
            while running() < streams as f64 {
                assert!(start.elapsed() < Duration::from_secs(120), "only {} of {streams} sleep", running());
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            sleeping
        });
        // One for each of two workers, and spares. What awaits its place counts until the janitor has been there.
        eventually("the instances rest", || (1.0..=8.0).contains(&ready()));
        let awake = client::send(
            host.api,
            "POST",
            "/v1/chat/completions",
            &[("x-adversary", "0")],
            ask("live-sleeps", "x").to_string().as_bytes(),
        );
        assert_eq!(awake.status, 200, "{}", awake.text());
        drop(sleeping);
        // Their connections end with the runtime's tasks.
        runtime.block_on(tokio::task::yield_now());
    });
    drop(runtime);
    eventually("they have all left", || running() == 0.0);
}
