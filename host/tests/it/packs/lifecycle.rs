use std::io::Read;

use serde_json::Value;

use super::desk::{Desk, component, files};
use crate::support::client;
use crate::support::host::eventually;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn a_new_pack_passes_its_own_checks_at_once() {
    let desk = Desk::new();
    desk.done(&["pack", "init", "noon-time"]);
    assert!(desk.done(&["pack", "check", "noon-time"]).contains("no mistakes"));
    desk.done(&["pack", "test", "noon-time"]);
    let built = desk.done(&["pack", "build", "noon-time"]);
    assert!(built.starts_with("noon-time/build/noon-time-0.1.0\nsha256:"), "{built}");
    assert!(desk.fails(1, &["pack", "init", "noon-time"]).contains("--dir"));
    assert!(desk.fails(1, &["pack", "init", "Noon"]).contains("lower-case"));
}

#[test]
fn equal_files_make_equal_bytes_wherever_they_lie() {
    let desk = Desk::new();
    for folder in ["one", "two/deeper"] {
        desk.acme(folder, "1.0.0");
    }
    let digests: Vec<String> = ["one", "two/deeper"]
        .iter()
        .map(|folder| desk.done(&["pack", "build", folder, "--output", &format!("{folder}/out")]))
        .map(|printed| printed.lines().last().expect("a digest").to_owned())
        .collect();
    assert_eq!(digests[0], digests[1]);
    let content = |folder: &str| -> Vec<(String, Vec<u8>)> {
        let root = desk.path(folder).join("out");
        let name = |path: &std::path::Path| path.strip_prefix(&root).expect("below").display().to_string();
        files(&root).into_iter().map(|(path, bytes)| (name(&path), bytes)).collect()
    };
    assert_eq!(content("one"), content("two/deeper"));
    // A folder with other things in it is left alone.
    desk.write("mine/file", "x");
    assert!(desk.fails(1, &["pack", "build", "one", "--output", "mine"]).contains("holds other things"));
}

#[test]
fn every_mistake_of_a_recipe_and_its_components_is_told_at_once_with_its_place() {
    let desk = Desk::new();
    desk.acme("acme", "1.0.0");
    desk.edit(
        "acme/pack.toml",
        "capabilities = [\"state\", \"log\"]",
        "capabilities = [\"request\", \"log\"]\nkinds = [\"latency\"]",
    );
    desk.write("acme/brown_out.wasm", "PK\x03\x04....");
    desk.edit("acme/pack.toml", "noon.yaml", "none.yaml");
    let said = desk.fails(3, &["pack", "check", "acme"]);
    for part in [
        "pack.toml:9:8: `brown_out.wasm` is a zip archive",
        "pack.toml:14:16: its component imports `state` (memory in the host",
        "pack.toml:14:16: it asks for request, which its component does not import",
        "write `capabilities = [\"state\", \"log\"]`",
        "it says that it decides latency, and its component decides fault",
        "there is no file `none.yaml` in the pack's folder",
        "error: 5 mistakes",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn vectors_that_fail_and_scenarios_that_are_wrong_stop_a_build_and_an_install() {
    let desk = Desk::new();
    desk.acme("acme", "1.0.0");
    desk.edit("acme/tests/brown-out.yaml", "at-least: 1us", "at-most: 1us");
    desk.scenario("state, log");
    for command in [&["pack", "build", "acme"][..], &["pack", "install", "./acme"], &["pack", "install", "scenario.yaml"]] {
        let said = desk.fails(3, command);
        assert!(said.contains("tests/brown-out.yaml") && said.contains("it decides when tokens leave"), "{said}");
    }
    desk.edit("acme/tests/brown-out.yaml", "at-most: 1us", "at-least: 1us");
    desk.edit("acme/noon.yaml", "acme/brown-out: {}", "acme/brown-out: { dept: 1 }");
    let said = desk.fails(3, &["pack", "check", "acme"]);
    assert!(said.contains("scenarios/noon.yaml:2:") && said.contains("did you mean `depth`?"), "{said}");
    assert_eq!(desk.done(&["pack", "list"]), "");
}

#[test]
fn a_scenario_uses_what_its_lock_says_and_nothing_that_it_has_not_granted() {
    let desk = Desk::new();
    desk.acme("acme", "1.0.0");
    desk.scenario("state");
    let said = desk.fails(3, &["check", "scenario.yaml"]);
    assert!(said.contains("scenario.yaml:3:9: the pack `acme` is not locked yet"), "{said}");
    assert!(said.contains("run `simwright pack install scenario.yaml`"), "{said}");

    assert!(desk.done(&["pack", "install", "scenario.yaml"]).contains("acme 1.0.0"));
    let said = desk.fails(3, &["check", "scenario.yaml"]);
    assert!(said.contains("asks for `log` (lines in the log") && said.contains("write `grant: [state, log]`"), "{said}");
    desk.scenario("state, log");
    desk.done(&["check", "scenario.yaml"]);

    // The start needs the lock and the store, and neither the folder nor a network.
    std::fs::rename(desk.path("acme"), desk.path("elsewhere")).expect("moved");
    desk.done(&["check", "scenario.yaml"]);
    assert!(desk.done(&["pack", "install", "scenario.yaml"]).contains("as locked"));
    let said = desk.fails(1, &["pack", "remove", "acme"]);
    assert!(said.contains("is used by") && said.contains("simwright.lock"), "{said}");

    // Names of packs have suggestions, too.
    desk.edit("scenario.yaml", "acme/brown-out", "acme/brown-uot");
    assert!(desk.fails(3, &["check", "scenario.yaml"]).contains("did you mean `acme/brown-out`?"));
    desk.edit("scenario.yaml", "acme/brown-uot", "acme/brown-out");

    // Another machine, where nothing is installed.
    std::fs::remove_dir_all(desk.path("home")).expect("removed");
    let said = desk.fails(3, &["check", "scenario.yaml"]);
    assert!(said.contains("`acme` 1.0.0 is not installed here (sha256:") && said.contains("simwright pack install"), "{said}");
}

#[test]
fn a_scenario_of_a_pack_becomes_a_file_of_ones_own_with_what_it_grants_in_plain_sight() {
    let desk = Desk::new();
    desk.acme("acme", "1.0.0");
    desk.done(&["pack", "install", "./acme"]);
    let text = desk.done(&["pack", "scenario", "acme/noon"]);
    let place = desk.path("acme").canonicalize().expect("a folder").display().to_string();
    let section = format!("packs:\n  acme: {{ from: \"{place}\", version: \"^1.0.0\", grant: [state, log] }}\nsimwright: 1\n");
    assert!(text.starts_with(&section), "{text}");
    // Wherever that is.
    desk.write("elsewhere/mine.yaml", text);
    desk.done(&["pack", "install", "elsewhere/mine.yaml"]);
    desk.done(&["check", "elsewhere/mine.yaml"]);
    let listed = json(&desk.done(&["pack", "list", "--json"]));
    assert_eq!(listed[0]["source"], place.as_str());
    assert!(desk.fails(1, &["pack", "scenario", "acme/moon"]).contains("did you mean `noon`?"));
    assert!(desk.fails(1, &["pack", "scenario", "acne/noon"]).contains("did you mean `acme`?"));
}

/// A folder, which the policy believes without a signature, is no way around what it says of the place that a pack came from.
#[test]
fn a_pack_from_a_registry_stays_one_when_a_folder_has_the_same_bytes() {
    let desk = Desk::new();
    desk.acme("acme", "1.0.0");
    desk.done(&["pack", "install", "./acme"]);
    let (record, text) = files(&desk.path("home/packs/installed")).pop().expect("a record");
    let afar = String::from_utf8(text).expect("text").replace("\"./acme\"", "\"registry.example/acme:1.0.0\"");
    let afar = afar.replace("\"repository\": null", "\"repository\": \"registry.example/acme\"");
    let afar = afar.replace("\"insecure\": false", "\"insecure\": true");
    std::fs::write(&record, &afar).expect("written");
    desk.done(&["pack", "install", "./acme"]);
    assert_eq!(std::fs::read_to_string(&record).expect("text"), afar);
    assert!(afar.contains("registry.example/acme\"") && afar.contains("true"), "{afar}");

    // Signatures that come with the folder are kept: they may be what the policy asks for.
    desk.done(&["pack", "build", "acme", "--output", "out"]);
    desk.done(&["pack", "keygen", "me"]);
    desk.done(&["pack", "sign", "out", "--key", "me.key"]);
    desk.done(&["pack", "install", "./out"]);
    let record = json(&std::fs::read_to_string(&record).expect("text"));
    assert_eq!(record["repository"], "registry.example/acme");
    assert_eq!(record["signatures"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_lock_moves_by_update_alone_and_what_grew_needs_consent() {
    let desk = Desk::new();
    desk.acme("acme", "1.0.0");
    desk.scenario("state, log");
    desk.done(&["pack", "install", "scenario.yaml"]);
    let locked = desk.read("simwright.lock");

    // K7: the same place has other bytes now.
    desk.acme("acme", "1.1.0");
    desk.edit("acme/pack.toml", "capabilities = [\"state\", \"log\"]", "capabilities = [\"state\", \"log\"]\nmemory = \"32MiB\"");
    assert!(desk.done(&["pack", "install", "scenario.yaml"]).contains("as locked"));
    desk.done(&["check", "scenario.yaml"]);
    let said = desk.fails(1, &["pack", "update", "scenario.yaml"]);
    assert!(said.contains("! plugin storm, memory: 16MiB → 32MiB") && said.contains("--yes"), "{said}");
    assert_eq!(desk.read("simwright.lock"), locked, "nothing was changed");
    assert!(desk.done(&["pack", "update", "scenario.yaml", "--yes"]).contains("moved"));
    let said = desk.fails(3, &["check", "scenario.yaml"]);
    assert!(said.contains("asks for `memory: 32MiB`") && said.contains("1.0.0 did not ask for memory: 32MiB"), "{said}");
    desk.scenario("state, log, memory: 32MiB");
    desk.done(&["check", "scenario.yaml"]);

    // Other bytes under the same number: told, and not taken in silence.
    desk.edit("acme/pack.toml", "at Acme.", "at Acme!");
    assert!(desk.fails(1, &["pack", "update", "scenario.yaml"]).contains("--yes"));
    // A step back is refused, even where its signature would be good; who wants it says so.
    desk.acme("acme", "1.0.5");
    let said = desk.fails(1, &["pack", "update", "scenario.yaml", "--yes"]);
    assert!(said.contains("a step back") && said.contains("`version: \"=1.0.5\"`"), "{said}");
    desk.edit("scenario.yaml", "^1.0", "=1.0.5");
    assert!(desk.fails(3, &["check", "scenario.yaml"]).contains("simwright pack update scenario.yaml acme"));
    desk.done(&["pack", "update", "scenario.yaml"]);
    desk.done(&["check", "scenario.yaml"]);
    desk.edit("scenario.yaml", "=1.0.5", "^2.0");
    assert!(desk.fails(1, &["pack", "update", "scenario.yaml"]).contains("leaves out"));

    // On another machine the folder has other bytes than the lock says.
    desk.edit("scenario.yaml", "^2.0", "=1.0.5");
    desk.edit("acme/pack.toml", "at Acme.", "at Acme?");
    std::fs::remove_dir_all(desk.path("home")).expect("removed");
    let said = desk.fails(1, &["pack", "install", "scenario.yaml"]);
    assert!(said.contains("has other bytes than the lock says"), "{said}");
}

#[test]
fn a_server_follows_the_lock_and_keeps_what_it_uses_from_being_removed() {
    let desk = Desk::new();
    desk.acme("acme", "1.0.0");
    desk.scenario("state, log");
    desk.done(&["pack", "install", "scenario.yaml"]);
    desk.write("home/trust.toml", "folders = \"required\"\n");
    let said = desk.fails(3, &["check", "scenario.yaml"]);
    assert!(said.contains("must not be used: nobody that `trust.toml` trusts has signed it: it has no signature"), "{said}");
    assert!(desk.fails(1, &["pack", "install", "./acme"]).contains("--insecure"));
    desk.done(&["pack", "install", "./acme", "--insecure"]);

    let (mut server, admin) = desk.serve();
    let answer = client::send(admin, "GET", "/metrics", &[], b"");
    let metrics = answer.text();
    assert!(metrics.lines().any(|line| line == "simwright_packs_insecure 1"), "{metrics}");
    // A try that is not made changes no figure.
    let tried = client::send(admin, "PUT", "/scenario?dry-run=true", &[], b"simwright: 1\nmodels: [{ match: m }]\n");
    assert_eq!(tried.status, 200, "{}", tried.text());
    let answer = client::send(admin, "GET", "/metrics", &[], b"");
    let metrics = answer.text();
    assert!(metrics.lines().any(|line| line == "simwright_packs_insecure 1"), "{metrics}");
    let listed = json(&desk.done(&["pack", "list", "--json"]));
    let users = listed[0]["used_by"].as_array().expect("a list");
    assert_eq!((users.len(), &users[1]), (2, &Value::from("a running simwright")));

    // The lock moves, and the server with it.
    desk.acme("acme", "1.1.0");
    desk.done(&["pack", "update", "scenario.yaml", "--insecure"]);
    eventually("the server follows the lock", || {
        let answer = client::send(admin, "GET", "/metrics", &[], b"");
        answer.text().lines().any(|line| line == "simwright_reloads_total{outcome=\"applied\"} 1")
    });
    std::fs::remove_file(desk.path("simwright.lock")).expect("removed");
    for version in ["1.0.0", "1.1.0"] {
        assert!(desk.fails(1, &["pack", "remove", &format!("acme@{version}")]).contains("used by a running simwright"));
    }
    server.kill().expect("it runs");
    let mut said = String::new();
    server.stderr.take().expect("piped").read_to_string(&mut said).expect("text");
    server.wait().expect("it ends");
    assert!(said.contains("--insecure"), "{said}");
    for version in ["1.1.0", "1.0.0"] {
        desk.done(&["pack", "remove", &format!("acme@{version}")]);
    }
    assert_eq!(files(&desk.path("home/packs/blobs")).len(), 0);
}

#[test]
fn a_signed_pack_is_believed_and_a_tampered_one_never() {
    let desk = Desk::new();
    desk.acme("acme", "1.0.0");
    desk.done(&["pack", "build", "acme", "--output", "out"]);
    desk.done(&["pack", "keygen", "me"]);
    assert!(desk.fails(1, &["pack", "keygen", "me"]).contains("me.key"), "a key is never overwritten");
    desk.write("half.pub", "");
    assert!(desk.fails(1, &["pack", "keygen", "half"]).contains("half.pub"));
    assert!(!desk.path("half.key").exists(), "half a pair helps nobody");
    desk.done(&["pack", "sign", "out", "--key", "me.key"]);
    desk.done(&["pack", "sign", "out", "--key", "me.key", "--expires", "1h"]);
    let key = desk.read("me.pub").lines().last().expect("a key").to_owned();
    let trust = format!("folders = \"required\"\n[[publisher]]\nname = \"Me\"\nkeys = [\"{key}\"]\nplaces = [\"*\"]\n");
    desk.write("home/trust.toml", trust);
    assert!(desk.done(&["pack", "verify", "out"]).contains("signed by Me"));
    desk.done(&["pack", "install", "./out"]);
    assert!(desk.done(&["pack", "verify"]).contains("good  acme 1.0.0"));

    // One bit of any stored file, and of the manifest, is noticed.
    for (path, bytes) in files(&desk.path("home/packs/blobs")) {
        let mut spoilt = bytes.clone();
        spoilt[bytes.len() / 2] ^= 1;
        std::fs::write(&path, &spoilt).expect("written");
        let said = desk.fails(1, &["pack", "verify"]);
        assert!(said.contains("bad   acme 1.0.0") && said.contains("digest mismatch"), "{said}");
        std::fs::write(&path, &bytes).expect("mended");
    }
    let manifest = desk.read("out/pack.json");
    desk.write("out/pack.json", manifest.replace("at Acme", "at acme"));
    let said = desk.fails(1, &["pack", "install", "./out", "--insecure"]);
    assert!(said.contains("its signature by Me") && said.contains("is bad"), "{said}");
    desk.write("out/pack.json", manifest);
    desk.write("home/trust.toml", "folders = \"maybe\"\n");
    assert!(desk.fails(3, &["pack", "install", "./out"]).contains("trust.toml:1:11"));
}

#[test]
fn a_built_pack_that_says_less_than_its_component_does_is_refused() {
    let desk = Desk::new();
    desk.acme("acme", "1.0.0");
    desk.done(&["pack", "build", "acme", "--output", "out"]);
    let manifest = desk.read("out/pack.json");
    let liar = manifest.replacen("\"state\",", "", 1);
    assert_ne!(liar, manifest);
    desk.write("out/pack.json", liar);
    let said = desk.fails(3, &["pack", "install", "./out"]);
    assert!(said.contains("plugin `storm`: it imports `state`") && said.contains("not granted"), "{said}");
    assert_eq!(desk.done(&["pack", "list"]), "");
}

#[test]
fn archives_are_refused_by_name_wherever_they_are_given() {
    let desk = Desk::new();
    let mut tar = vec![0; 1024];
    tar[257..262].copy_from_slice(b"ustar");
    let gzip = [0x1f, 0x8b, 8, 0];
    for (name, bytes, what) in [
        ("acme.zip", &b"PK\x03\x04rest"[..], "a zip archive"),
        ("acme.tar", &tar, "a tar archive"),
        ("acme.tgz", &gzip, "compressed by gzip"),
        ("acme.wasm", component("brown-out"), "a file"),
    ] {
        desk.write(name, bytes);
        let said = desk.fails(1, &["pack", "install", &format!("./{name}")]);
        assert!(said.contains(what) && said.contains("packs are never archives"), "{said}");
    }
    // A folder whose manifest is one.
    desk.write("built/pack.json", gzip);
    assert!(desk.fails(1, &["pack", "inspect", "./built"]).contains("compressed by gzip"));
}

#[test]
fn what_differs_between_two_packs_is_told_with_what_they_reach_first() {
    let desk = Desk::new();
    desk.acme("old", "1.0.0");
    desk.acme("new", "1.1.0");
    desk.edit("new/pack.toml", "file = \"brown_out.wasm\"", "file = \"brown_out.wasm\"\ntime = \"40ms\"");
    desk.edit("old/pack.toml", "capabilities = [\"state\", \"log\"]", "capabilities = [\"state\", \"log\"]\ntime = \"30ms\"");
    let said = desk.fails(1, &["pack", "diff", "./old", "./new"]);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "! plugin brown-out, time: 20ms → 40ms", "{said}");
    assert!(lines.contains(&"  plugin storm, time: 30ms → 20ms") && lines.contains(&"  version: 1.0.0 → 1.1.0"), "{said}");
    assert_eq!(desk.done(&["pack", "diff", "./old", "./old"]), "no difference\n");
    let changes = desk.run(&["pack", "diff", "./old", "./new", "--json"]).out;
    assert_eq!(json(&changes)[0]["grew"], true);
}
