//! From one team's folder through a registry into another team's scenario, with the commands; and starts when the registry is gone (K8).

use std::net::TcpListener;
use std::process::Stdio;

use super::desk::Desk;
use super::real_registry::RealRegistry;
use crate::support::client;
use crate::support::process::Server;

/// A built and signed pack, and the key that others would trust.
fn published(desk: &Desk, version: &str) -> String {
    desk.acme("acme", version);
    desk.done(&["pack", "build", "acme", "--output", "out"]);
    if !desk.path("me.key").exists() {
        desk.done(&["pack", "keygen", "me"]);
    }
    desk.done(&["pack", "sign", "out", "--key", "me.key"]);
    desk.read("me.pub").lines().last().expect("a key").to_owned()
}

#[test]
fn a_signed_pack_goes_through_a_registry_into_a_scenario_that_starts_without_it() {
    let Some(registry) = RealRegistry::open() else { return };
    let place = registry.place("acme/acme");
    let publisher = Desk::new();
    let key = published(&publisher, "1.0.0");
    let pushed = publisher.done(&["pack", "push", "out", &place]);
    assert!(pushed.starts_with(&format!("{place}:1.0.0@sha256:")), "{pushed}");
    publisher.done(&["pack", "push", "out", &format!("{place}:stable")]);

    // Somebody else, who trusts nobody yet.
    let desk = Desk::new();
    desk.scenario("state, log");
    desk.edit("scenario.yaml", "./acme", &format!("{place}:stable"));
    let said = desk.fails(1, &["pack", "install", "scenario.yaml"]);
    assert!(said.contains("is not taken") && said.contains("trust.toml"), "{said}");
    assert!(!desk.path("home/packs/blobs").exists() || super::desk::files(&desk.path("home/packs/blobs")).is_empty());
    let host = place.split('/').next().expect("a host");
    desk.write("home/trust.toml", format!("[[publisher]]\nname = \"Acme\"\nkeys = [\"{key}\"]\nplaces = [\"{host}/acme/*\"]\n"));
    let said = desk.done(&["pack", "install", "scenario.yaml"]);
    assert!(said.contains("acme 1.0.0") && said.contains("signed by Acme"), "{said}");
    desk.done(&["check", "scenario.yaml"]);

    // To look at it, nobody need be trusted.
    let looker = Desk::new();
    looker.done(&["pack", "pull", &format!("{place}:1.0.0")]);
    assert_eq!(looker.read("acme-1.0.0/pack.json"), publisher.read("out/pack.json"));
    assert_eq!(looker.read("acme-1.0.0/pack.json.minisig"), publisher.read("out/pack.json.minisig"));

    // A tag that moves changes nothing that is locked, until somebody says so.
    let lock = desk.read("simwright.lock");
    published(&publisher, "1.1.0");
    publisher.done(&["pack", "push", "out", &format!("{place}:stable")]);
    desk.done(&["pack", "install", "scenario.yaml"]);
    assert_eq!(desk.read("simwright.lock"), lock);
    assert!(desk.done(&["pack", "update", "scenario.yaml"]).contains("acme 1.1.0"));
    assert_ne!(desk.read("simwright.lock"), lock);

    // Who has the lock of then gets the bytes of then, wherever the tag leads by now.
    let later = Desk::new();
    later.write("home/trust.toml", desk.read("home/trust.toml"));
    later.write("scenario.yaml", desk.read("scenario.yaml"));
    later.write("simwright.lock", &lock);
    let said = later.done(&["pack", "install", "scenario.yaml"]);
    assert!(said.contains("acme 1.0.0") && said.contains("as locked"), "{said}");
    assert_eq!(later.read("simwright.lock"), lock);

    // The registry goes; starts do not notice, and who asks it is told.
    drop(registry);
    desk.done(&["check", "scenario.yaml"]);
    assert!(desk.done(&["pack", "install", "scenario.yaml"]).contains("as locked"));
    let said = desk.fails(1, &["pack", "update", "scenario.yaml"]);
    assert!(said.contains("error[unreachable]: ") && said.contains("tried 4 times"), "{said}");
}

#[test]
fn the_newest_version_in_the_range_is_installed_where_no_tag_is_named() {
    let Some(registry) = RealRegistry::open() else { return };
    let (place, publisher, desk) = (registry.place("acme/acme"), Desk::new(), Desk::new());
    let publish = |version: &str| {
        publisher.acme("acme", version);
        publisher.done(&["pack", "push", "./acme", &place]);
    };
    publish("1.0.0");
    desk.write("home/trust.toml", format!("unsigned = [\"{}/*\"]\n", place.split('/').next().expect("a host")));
    // As the help of `pack` has it: pushed without a tag, installed without one.
    assert!(desk.done(&["pack", "install", &place]).contains("acme 1.0.0"));
    desk.scenario("state, log");
    desk.edit("scenario.yaml", "./acme", &place);
    desk.done(&["pack", "install", "scenario.yaml"]);
    for version in ["1.10.0", "1.9.0", "2.0.0", "1.11.0-rc.1"] {
        publish(version);
    }
    assert!(desk.done(&["pack", "install", "scenario.yaml"]).contains("acme 1.0.0"), "only `update` moves a lock");
    assert!(desk.done(&["pack", "update", "scenario.yaml"]).contains("acme 1.10.0"));
    desk.edit("scenario.yaml", "^1.0", "^3.0");
    let said = desk.fails(1, &["pack", "update", "scenario.yaml"]);
    assert!(said.contains("error[not_found]") && said.contains("in `^3.0`; it has 2.0.0, 1.11.0-rc.1"), "{said}");
    desk.done(&["pack", "pull", &place]);
    assert!(desk.path("acme-2.0.0/pack.json").exists());
}

#[test]
fn references_and_credentials_that_are_none_are_told_before_anybody_is_asked() {
    let desk = Desk::new();
    let said = desk.fails(2, &["pack", "pull", "acme/one"]);
    assert!(said.contains("`acme` is no host") && said.contains("hint: name the registry, too"), "{said}");
    let said = desk.fails(2, &["pack", "pull", "https://r.io/p"]);
    assert!(said.contains("begins with `https://`"), "{said}");
    let said = desk.fails(2, &["pack", "pull", "127.0.0.1:1/one", "--username", "alice"]);
    assert!(said.contains("SIMWRIGHT_REGISTRY_PASSWORD"), "{said}");
    let said = desk.fails(1, &["pack", "pull", "169.254.169.254/one"]);
    assert!(said.starts_with("error[forbidden_address]: "), "{said}");
}

// R8, K8: a registry that takes connections and never answers holds up who asks it, and no reload: those find everything in the store.
#[test]
fn a_registry_that_hangs_keeps_no_reload_waiting() {
    let hanging = TcpListener::bind("127.0.0.1:0").expect("an address");
    let place = format!("{}/acme/other:1", hanging.local_addr().expect("an address"));
    let desk = Desk::new();
    desk.acme("acme", "1.0.0");
    desk.done(&["pack", "build", "acme", "--output", "out"]);
    desk.scenario("state, log");
    desk.edit("scenario.yaml", "./acme", "./out");
    desk.done(&["pack", "install", "scenario.yaml"]);
    let server = Server::start_by(desk.command(env!("CARGO_BIN_EXE_simwright"), &["serve", "scenario.yaml"]));
    let mut asking = desk
        .command(env!("CARGO_BIN_EXE_simwright"), &["pack", "install", &place])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    // It waits for an answer from here on.
    let _asked = hanging.accept().expect("a connection");
    let text = desk.read("scenario.yaml");
    let put = |text: &str| client::send(server.admin, "PUT", "/scenario", &[("content-type", "text/yaml")], text.as_bytes());
    for round in 2..12 {
        let reply = put(&format!("seed: {round}\n{text}"));
        assert_eq!((reply.status, &reply.json()["generation"]), (200, &round.into()), "{}", reply.text());
    }
    // One that is in no store is refused at once, and nobody is asked for it.
    let unknown = text.replace("./out", &place);
    let reply = put(&unknown);
    assert!(reply.status == 422 && reply.text().contains("simwright pack install"), "{}", reply.text());
    hanging.set_nonblocking(true).expect("it is ours");
    assert!(hanging.accept().is_err(), "the server asked the registry");
    assert!(asking.try_wait().expect("ours").is_none(), "who asks still waits");
    asking.kill().expect("ended");
    asking.wait().expect("ended");
}
