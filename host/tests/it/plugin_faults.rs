use super::support::guests::adversary;
use super::support::host::{TestHost, ask, ask_streamed};
use super::support::stream::{chunks, content};

/// A server whose one model does what the header `x-adversary` says.
fn serve() -> TestHost {
    TestHost::start(&format!(
        "simwright: 1\ntokens: exact\nplugins: {{ adversary: {{ file: {} }} }}\nmodels:\n  - match: plugged\n    faults: [adversary]\n    \
         latency: {{ constant: {{ first: 1ms, between: 1ms }} }}\n    reply: {{ fixed: {{ text: one two three four }} }}\n",
        adversary().display()
    ))
}

#[test]
fn a_plugin_can_ask_for_damage_a_drip_and_an_early_finish() {
    let host = serve();
    let streamed = |deed: &str| chunks(host.chat_with(&ask_streamed("plugged", "x"), &[("x-adversary", deed)]).text());
    assert_eq!(content(&streamed("301"), 0), "one two three three four");
    assert_eq!(content(&streamed("302"), 0), "one two three four");
    let finished = streamed("303");
    assert_eq!(content(&finished, 0), "one two");
    assert_eq!(finished.last().expect("a finish")["choices"][0]["finish_reason"], "length");
    for kind in ["duplicate-chunk", "drip", "length"] {
        assert_eq!(host.metric("simwright_faults_total", &["model=\"plugged\"", &format!("kind=\"{kind}\"")]), 1.0, "{kind}");
    }
}

#[test]
fn a_verdict_of_a_kind_that_nobody_knows_is_refused_by_name() {
    let host = serve();
    for (deed, words) in
        [("304", "`boredom`, but it is length, content-filter or refusal"), ("999", "the verdict `meteor` is not one")]
    {
        let reply = host.chat_with(&ask("plugged", "x"), &[("x-adversary", deed)]);
        assert_eq!(reply.status, 500);
        let message = reply.json()["error"]["message"].to_string();
        assert!(message.contains(words), "{message}");
    }
}
