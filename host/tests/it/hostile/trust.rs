use super::super::support::guests::adversary;
use super::super::support::host::{TestHost, ask, eventually, full};
use super::{scenario, status};

// P18: after twenty failures the plugin is not asked, which is seen in the metrics; once a mended one is loaded it is asked at once.
#[test]
fn a_plugin_that_fails_again_and_again_is_not_asked_until_a_mended_one_is_loaded() {
    let folder = tempfile::tempdir().expect("a folder");
    let good = std::fs::read(adversary()).expect("a component");
    std::fs::write(folder.path().join("guest.wasm"), &good).expect("written");
    let names = ["live-fails", "live-works"];
    let host = TestHost::start_in(folder, &scenario(&names, "./guest.wasm"), None);
    let open = |name: &str| host.metric("simwright_plugin_breakers_open", &[&format!("plugin=\"{name}\"")]);
    let refused = || host.metric("simwright_plugin_failures_total", &["plugin=\"live-fails\"", "cause=\"breaker\""]);

    for _ in 0..20 {
        assert_eq!(status(&host, "live-fails", "6"), 500);
    }
    assert_eq!((open("live-fails"), open("live-works")), (1.0, 0.0));
    let reply = host.chat_with(&ask("live-fails", "x"), &[("x-adversary", "0")]);
    let message = reply.json()["error"]["message"].to_string();
    assert_eq!(reply.status, 500);
    assert!(
        message.contains("it is not asked, because it failed 20 times") && message.contains("see its earlier failures"),
        "{message}"
    );
    assert_eq!(refused(), 1.0);
    assert_eq!(status(&host, "live-works", "0"), 200, "another plugin from the same file has a breaker of its own");

    // Mended: another file, whose words differ.
    let mut mended = good;
    let places: Vec<usize> = memchr::memmem::find_iter(&mended, "misbehaves on request").collect();
    assert!(!places.is_empty());
    places.into_iter().for_each(|at| mended[at..at + 21].copy_from_slice(b"behaves on request..."));
    std::fs::write(host.scenario_file().with_file_name("guest.wasm"), mended).expect("written");
    eventually("it is asked again", || status(&host, "live-fails", "0") == 200);
    eventually("and no breaker is open", || open("live-fails") == 0.0);
}

// P18: without help it is tried again after five seconds, with one call; a good answer is enough.
#[test]
#[allow(clippy::print_stderr, reason = "what a run leaves out must be seen")]
fn a_plugin_that_works_again_is_found_out_by_one_call() {
    if !full() {
        eprintln!("not tested without SIMWRIGHT_FULL: it takes the five seconds that a breaker stays open");
        // The same in plan time is `wasm::tests::conduct`'s.
        return;
    }
    let host = super::serve(&["live-returns"]);
    for _ in 0..20 {
        assert_eq!(status(&host, "live-returns", "6"), 500);
    }
    assert_eq!(status(&host, "live-returns", "0"), 500);
    eventually("a call is let through", || status(&host, "live-returns", "0") == 200);
    assert_eq!(status(&host, "live-returns", "0"), 200);
    assert_eq!(host.metric("simwright_plugin_breakers_open", &["plugin=\"live-returns\""]), 0.0);
}
