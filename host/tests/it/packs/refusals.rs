use std::io::Read;

use serde_json::Value;

use super::desk::{Desk, files};
use crate::support::client;
use crate::support::host::eventually;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// YAML may end with a mark, or be written in a way in which nothing can be added.
#[test]
fn a_scenario_that_cannot_be_added_to_is_given_away_by_nobody() {
    let desk = Desk::new();
    desk.acme("acme", "1.0.0");
    desk.write("acme/noon.yaml", "# noon\nsimwright: 1\nmodels: [{ match: m, latency: { acme/brown-out: {} } }]\n...\n");
    desk.done(&["pack", "install", "./acme"]);
    let text = desk.done(&["pack", "scenario", "acme/noon"]);
    assert!(text.starts_with("# noon\npacks:\n  acme: ") && text.ends_with("...\n"), "{text}");
    desk.write("mine.yaml", text);
    desk.done(&["pack", "install", "mine.yaml"]);
    desk.done(&["check", "mine.yaml"]);
    desk.acme("acme", "1.1.0");
    desk.write("acme/noon.yaml", "{ simwright: 1, models: [{ match: m, latency: { acme/brown-out: {} } }] }\n");
    desk.done(&["pack", "install", "./acme"]);
    let said = desk.fails(1, &["pack", "scenario", "acme/noon"]);
    assert!(said.contains("copy it by hand from") && said.contains("packs:\n  acme: "), "{said}");
}

/// A folder of one's own needs no signature, so nothing that only lies around may pass for one.
#[test]
fn a_folder_that_is_called_like_a_registry_is_none() {
    let desk = Desk::new();
    desk.acme("169.254.1.1/acme", "1.0.0");
    desk.acme("acme/acme", "1.0.0");
    let said = desk.fails(1, &["pack", "install", "169.254.1.1/acme"]);
    assert!(said.contains("error[forbidden_address]"), "{said}");
    desk.scenario("state, log");
    desk.edit("scenario.yaml", "./acme", "acme/acme");
    let said = desk.fails(1, &["pack", "install", "scenario.yaml"]);
    assert!(said.contains("no reference") && said.contains("the folder of that name is written `./acme/acme`"), "{said}");
    assert_eq!(desk.done(&["pack", "list"]), "");
}

#[test]
fn what_is_refused_is_not_installed() {
    let desk = Desk::new();
    desk.acme("acme", "1.0.0");
    desk.scenario("state, log");
    desk.edit("scenario.yaml", "^1.0", "^2.0");
    assert!(desk.fails(1, &["pack", "install", "scenario.yaml"]).contains("leaves out"));
    assert_eq!(desk.done(&["pack", "list"]), "");
    desk.edit("scenario.yaml", "^2.0", "^1.0");
    desk.done(&["pack", "install", "scenario.yaml"]);
    // What nobody has agreed to, and what is a step back.
    desk.acme("acme", "1.1.0");
    desk.edit("acme/pack.toml", "capabilities = [\"state\", \"log\"]", "capabilities = [\"state\", \"log\"]\nmemory = \"32MiB\"");
    assert!(desk.fails(1, &["pack", "update", "scenario.yaml"]).contains("nothing was changed"));
    desk.acme("acme", "0.9.0");
    desk.edit("scenario.yaml", "^1.0", ">=0.1");
    assert!(desk.fails(1, &["pack", "update", "scenario.yaml"]).contains("a step back"));
    let listed = json(&desk.done(&["pack", "list", "--json"]));
    assert_eq!((listed.as_array().map(Vec::len), &listed[0]["version"]), (Some(1), &Value::from("1.0.0")));
}

/// Where the old version is not known, the lock still says what it asked for.
#[test]
fn what_grew_needs_consent_also_on_a_machine_that_never_had_the_old_version() {
    let desk = Desk::new();
    desk.acme("acme", "1.0.0");
    desk.scenario("state, log");
    desk.done(&["pack", "install", "scenario.yaml"]);
    let locked = desk.read("simwright.lock");
    std::fs::remove_dir_all(desk.path("home")).expect("removed");
    desk.acme("acme", "1.1.0");
    desk.edit("acme/pack.toml", "capabilities = [\"state\", \"log\"]", "capabilities = [\"state\", \"log\"]\nmemory = \"32MiB\"");
    let said = desk.fails(1, &["pack", "update", "scenario.yaml"]);
    assert!(said.contains("! its plugins, beyond: new: memory: 32MiB") && said.contains("--yes"), "{said}");
    assert_eq!(desk.read("simwright.lock"), locked);
    desk.done(&["pack", "update", "scenario.yaml", "--yes"]);
}

#[test]
fn vectors_of_a_plugin_that_the_pack_has_not_are_mistakes() {
    let desk = Desk::new();
    desk.acme("acme", "1.0.0");
    desk.edit("acme/tests/brown-out.yaml", "plugin: brown-out", "plugin: brown-uot");
    let said = desk.fails(3, &["pack", "check", "acme"]);
    assert!(said.contains("tests/brown-out.yaml:") && said.contains("no plugin `brown-uot`"), "{said}");
    assert!(said.contains("did you mean `brown-out`?"), "{said}");
    // Nor is it sent to anybody.
    assert!(desk.fails(3, &["pack", "push", "./acme", "169.254.1.1/acme"]).contains("no plugin `brown-uot`"));
}

#[test]
fn a_build_leaves_alone_what_it_did_not_write() {
    let desk = Desk::new();
    desk.acme("acme", "1.0.0");
    desk.write("x/pack.json", "{ \"of\": \"another tool\" }");
    desk.write("x/blobs/mine", "mine");
    assert!(desk.fails(1, &["pack", "build", "acme", "--output", "x"]).contains("holds other things"));
    assert_eq!(desk.read("x/blobs/mine"), "mine");
    desk.done(&["pack", "build", "acme", "--output", "out"]);
    desk.write("out/blobs/mine", "mine");
    let draft = format!("out/blobs/.{}.0123456789abcdef", "0".repeat(64));
    desk.write(&draft, "left by a build that was killed");
    desk.acme("acme", "1.1.0");
    desk.write("acme/README.md", "# Acme");
    desk.done(&["pack", "build", "acme", "--output", "out"]);
    assert_eq!(desk.read("out/blobs/mine"), "mine");
    assert!(!desk.path(&draft).exists());
    assert_eq!(files(&desk.path("out/blobs")).len(), 1 + 5);
}

#[test]
fn one_lock_that_cannot_be_read_keeps_nobody_from_seeing_what_is_installed() {
    let desk = Desk::new();
    desk.acme("acme", "1.0.0");
    desk.scenario("state, log");
    desk.done(&["pack", "install", "scenario.yaml"]);
    desk.write("simwright.lock", "format = ");
    let listed = desk.run(&["pack", "list"]);
    assert_eq!(listed.code, Some(0), "{listed:?}");
    assert!(listed.out.contains("used by perhaps `") && listed.out.contains("which cannot be read"), "{listed:?}");
    assert!(listed.err.contains("is damaged") && listed.err.contains("hint: mend it"), "{listed:?}");
    assert!(desk.fails(1, &["pack", "remove", "acme"]).contains("cannot be read"));
}

#[test]
fn a_pack_is_removed_only_where_it_is_clear_which() {
    let desk = Desk::new();
    for (version, text) in [("1.0.0", "Acme."), ("1.1.0", "Acme."), ("1.1.0", "Acme!"), ("2.0.0-rc.1", "Acme.")] {
        desk.acme("src", version);
        desk.edit("src/pack.toml", "Acme.", text);
        desk.done(&["pack", "install", "./src"]);
    }
    let said = desk.fails(1, &["pack", "remove", "acme"]);
    assert!(said.contains("`acme@1.0.0`") && said.contains("`acme@2.0.0-rc.1`") && said.contains("(acme 1.1.0)"), "{said}");
    // Two packs of the newest release, so that it is not clear either which is looked at.
    let said = desk.fails(1, &["pack", "inspect", "acme"]);
    let digest = said.split("`sha256:").nth(1).and_then(|rest| rest.split('`').next()).expect("a digest");
    assert!(!said.contains("rc.1") && !said.contains("1.0.0"), "{said}");
    assert!(desk.done(&["pack", "remove", &format!("sha256:{digest}")]).contains("removed acme 1.1.0"));
    assert!(desk.done(&["pack", "inspect", "acme"]).contains("acme 1.1.0"), "a candidate is no newest release");
    desk.done(&["pack", "remove", "acme@2.0.0-rc.1"]);
    assert_eq!(json(&desk.done(&["pack", "list", "--json"])).as_array().map(Vec::len), Some(2));
}

#[test]
fn a_server_notices_when_a_pack_is_trusted_no_more_and_when_it_is_again() {
    let desk = Desk::new();
    desk.acme("acme", "1.0.0");
    desk.scenario("state, log");
    desk.done(&["pack", "install", "scenario.yaml"]);
    let (mut server, admin) = desk.serve();
    let told = |outcome: &str| {
        let line = format!("simwright_reloads_total{{outcome=\"{outcome}\"}} 1");
        client::send(admin, "GET", "/metrics", &[], b"").text().lines().any(|other| other == line)
    };
    desk.write("home/trust.toml", "folders = \"required\"\n");
    eventually("what runs is trusted no more", || told("refused"));
    desk.write("home/trust.toml", "folders = \"optional\"\n");
    eventually("it is trusted again", || told("applied"));
    server.kill().expect("it runs");
    let mut said = String::new();
    server.stderr.take().expect("piped").read_to_string(&mut said).expect("text");
    server.wait().expect("it ends");
    assert!(said.contains("nobody that `trust.toml` trusts has signed it"), "{said}");
}
