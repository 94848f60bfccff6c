//! A server moves to another version of a pack: its vectors run first, although they ran when it was installed. Here the store is given packs
//! that no command would install.

use simwright::pack::digest::Digest;
use simwright::pack::installed::Record;
use simwright::pack::store::Store;
use simwright::pack::whole::Pack;

use super::desk::Desk;
use crate::support::client;
use crate::support::host::{eventually, sooner_or_later};

const TESTS: &str = "tests/brown-out.yaml";

/// Installs `acme` in `version`, with the vectors of its folder, but for those where `old` stands, without trying it; gives its digest.
fn smuggle(desk: &Desk, version: &str, old: &str, new: &str) -> Digest {
    desk.acme("acme", version);
    desk.done(&["pack", "build", "acme", "--output", version]);
    let built = Pack::in_folder(&desk.path(version)).expect("a pack");
    let mut manifest = built.manifest.clone();
    let mut bytes: Vec<Vec<u8>> = manifest.files.iter().map(|file| built.read(file).expect("its bytes")).collect();
    let index = manifest.files.iter().position(|file| file.title == TESTS).expect("vectors");
    bytes[index] = desk.read(&format!("acme/{TESTS}")).replace(old, new).into_bytes();
    (manifest.files[index].digest, manifest.files[index].size) = (Digest::of(&bytes[index]), bytes[index].len() as u64);
    let pack = Pack::in_memory(manifest, bytes);
    let record = Record {
        digest: pack.digest(),
        name: "acme".to_owned(),
        version: pack.manifest.version.clone(),
        source: "./acme".to_owned(),
        repository: None,
        insecure: false,
        signatures: Vec::new(),
    };
    let store = Store::at(desk.path("home/packs"));
    store.intake().expect("a store").install(&pack, &record).expect("installed");
    pack.digest()
}

/// Writes another digest and version into the lock, in one step.
fn lock(desk: &Desk, version: &str, digest: Digest) {
    let line = |line: &str| match line.split_once(" = ") {
        Some(("version", _)) => format!("version = \"{version}\""),
        Some(("digest", _)) => format!("digest = \"{digest}\""),
        _ => line.to_owned(),
    };
    let text: Vec<String> = desk.read("simwright.lock").lines().map(line).collect();
    desk.write("next.lock", format!("{}\n", text.join("\n")));
    std::fs::rename(desk.path("next.lock"), desk.path("simwright.lock")).expect("moved");
}

#[test]
fn a_pack_whose_vectors_fail_is_refused_and_what_ran_stays() {
    let desk = Desk::new();
    desk.acme("acme", "1.0.0");
    desk.scenario("state, log");
    desk.done(&["pack", "install", "scenario.yaml"]);
    let failing = smuggle(&desk, "1.1.0", "at-least: 1us", "at-most: 1us");
    let passing = smuggle(&desk, "1.2.0", "at-least: 1us", "at-least: 2us");
    let unreadable = smuggle(&desk, "1.3.0", "cases:", "caess:");

    let (mut server, admin) = desk.serve();
    let ask = |path: &str| client::send(admin, "GET", path, &[], b"").text().to_owned();
    let reloads = |outcome: &str, count: u32| {
        ask("/metrics").lines().any(|line| line == format!("simwright_reloads_total{{outcome=\"{outcome}\"}} {count}"))
    };
    // The components are those that run: only the vectors are others.
    lock(&desk, "1.1.0", failing);
    sooner_or_later("the pack is refused", || reloads("refused", 1));
    let said = ask("/generations");
    assert!(said.contains("`acme/brown-out`, case `it decides when tokens leave`: ttft is "), "{said}");
    assert!(said.contains(TESTS) && said.contains("\"running\":1") || said.contains("\"running\": 1"), "{said}");
    assert!(!reloads("applied", 1), "{said}");
    let checked = desk.fails(3, &["check", "scenario.yaml"]);
    assert!(checked.contains("case `it decides when tokens leave`"), "{checked}");

    lock(&desk, "1.3.0", unreadable);
    eventually("it is refused, too", || reloads("refused", 2));
    assert!(ask("/generations").contains("did you mean `cases`?"), "{}", ask("/generations"));

    lock(&desk, "1.2.0", passing);
    sooner_or_later("the good one answers", || reloads("applied", 1));
    server.kill().expect("it runs");
    server.wait().expect("it ends");
}
