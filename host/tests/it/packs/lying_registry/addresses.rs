//! A7: a registry's name, its redirects and its realms lead nobody into networks that are not theirs, and no password leaves its host.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, TcpListener};

use simwright::pack::registry::credentials::{Credentials, Source};
use simwright::pack::registry::error::RegistryError;
use simwright::pack::registry::{Access, Registry};

use super::server::{LyingRegistry, Reply};
use super::{Paper, Shelf, place, pull, quick, store, visitor};

/// A public address; connections to it end at the test's own registry.
const PUBLIC: &str = "140.82.121.34";

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// Names of one address each.
fn names(pairs: &[(&str, &str)]) -> BTreeMap<String, Vec<Vec<IpAddr>>> {
    pairs.iter().map(|(name, address)| ((*name).to_owned(), vec![vec![ip(address)]])).collect()
}

/// A client that speaks plain HTTP, because the names of these tests have no certificates.
fn abroad(credentials: Source, paper: Paper) -> (Registry, std::sync::Arc<Paper>) {
    visitor(Access { credentials, plain_http: true, ..Access::default() }, quick(), paper)
}

fn secret() -> Source {
    Source::Given(Credentials::new("alice", "hunter2").expect("credentials"))
}

fn error_of(registry: &Registry, reference: &str) -> RegistryError {
    let (_folder, store) = store();
    pull(registry, reference, &store).expect_err("a trap")
}

/// A listener that must never be connected to.
struct Canary(TcpListener);

impl Canary {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a listener");
        Self(listener)
    }

    fn address(&self) -> SocketAddr {
        self.0.local_addr().expect("an address")
    }

    fn was_left_alone(&self) -> bool {
        self.0.accept().is_err()
    }
}

#[test]
fn a_public_name_that_leads_inwards_is_never_connected_to() {
    let inwards =
        ["127.0.0.2", "169.254.169.254", "10.0.0.1", "192.168.1.1", "::1", "::ffff:127.0.0.1", "0.0.0.0", "fe80::1", "fd00::1"];
    for address in inwards {
        let (registry, paper) =
            abroad(Source::Anonymous, Paper { names: names(&[("evil.example", address)]), ..Paper::default() });
        let error = error_of(&registry, "evil.example/acme/one:1");
        assert_eq!(
            (error.code(), paper.connected.lock().expect("no panic").len()),
            ("forbidden_address", 0),
            "{address}: {error}"
        );
    }
    // Addresses that nobody should write either.
    for host in ["169.254.169.254", "[fe80::1]", "0.0.0.0"] {
        let (registry, paper) = abroad(Source::Anonymous, Paper::default());
        let error = error_of(&registry, &format!("{host}:80/acme/one:1"));
        assert_eq!((error.code(), paper.connected.lock().expect("no panic").len()), ("forbidden_address", 0), "{host}: {error}");
    }
}

#[test]
fn the_address_that_was_judged_is_the_one_that_is_connected_to() {
    let honest = Shelf::new();
    // Every answer ends its connection, so that the name is looked up again and again.
    let server = LyingRegistry::start(move |seen| honest.answer(seen).with("connection", "close"));
    let mut names = names(&[]);
    names.insert("rebind.example".to_owned(), vec![vec![ip(PUBLIC)], vec![ip(PUBLIC)], vec![ip("127.0.0.1")]]);
    let (registry, paper) = abroad(Source::Anonymous, Paper { names, leads_to: Some(server.address), ..Paper::default() });
    let error = error_of(&registry, "rebind.example/acme/one:1");
    assert_eq!(error.code(), "forbidden_address", "{error}");
    let connected = paper.connected.lock().expect("no panic").clone();
    assert_eq!(
        paper.asked.lock().expect("no panic").len(),
        connected.len() + 1,
        "once a connection, and once for what was refused"
    );
    assert!(connected.iter().all(|address| address.ip() == ip(PUBLIC)), "{connected:?}");
}

#[test]
fn a_redirect_leads_outwards_or_nowhere() {
    let canary = Canary::new();
    let targets = [
        (format!("http://{}/x", canary.address()), "forbidden_address"),
        (format!("http://localhost:{}/x", canary.address().port()), "forbidden_address"),
        (format!("http://inside.example:{}/x", canary.address().port()), "forbidden_address"),
        (format!("http://[::ffff:127.0.0.1]:{}/x", canary.address().port()), "forbidden_address"),
        ("http://169.254.169.254/latest/meta-data".to_owned(), "forbidden_address"),
        (format!("http://alice@{}/x", canary.address()), "forbidden_redirect"),
        (format!("http://127.1:{}/x", canary.address().port()), "forbidden_redirect"),
        ("file:///etc/passwd".to_owned(), "forbidden_redirect"),
        ("gopher://127.0.0.1/".to_owned(), "forbidden_redirect"),
        (String::new(), "forbidden_redirect"),
    ];
    for (location, code) in targets {
        let shelf = Shelf::new();
        let to = location.clone();
        let server = LyingRegistry::start(move |seen| match seen.path.contains("/blobs/") {
            true => Reply::new(307, "").with("location", to.clone()),
            false => shelf.answer(seen),
        });
        let names = names(&[("r.example", PUBLIC), ("inside.example", "127.0.0.1"), ("localhost", "127.0.0.1")]);
        let (registry, _) = abroad(secret(), Paper { names, leads_to: Some(server.address), ..Paper::default() });
        let error = error_of(&registry, "r.example/acme/one:1");
        assert_eq!(error.code(), code, "{location}: {error}");
        assert!(canary.was_left_alone(), "{location}");
    }
}

#[test]
fn a_redirect_to_a_store_of_objects_is_followed_without_credentials() {
    let shelf = Shelf::new();
    let (front, back) = (shelf.clone(), shelf);
    let store_of_objects = LyingRegistry::start(move |seen| {
        let path = seen.path.trim_start_matches("/bucket").to_owned();
        back.answer(&super::server::Seen { path, ..seen.clone() })
    });
    let bucket = store_of_objects.address;
    let server = LyingRegistry::start(move |seen| match (seen.header("authorization"), seen.path.contains("/blobs/")) {
        (None, _) => Reply::new(401, "").with("www-authenticate", "Basic realm=\"r\""),
        (Some(_), true) => Reply::new(307, "").with("location", format!("http://{bucket}/bucket{}", seen.path)),
        (Some(_), false) => front.answer(seen),
    });
    let (registry, _) = visitor(Access { credentials: secret(), ..Access::default() }, quick(), Paper::default());
    let (_folder, store) = store();
    pull(&registry, &place(&server, ":1"), &store).expect("a pack");
    assert_eq!(store_of_objects.seen().len(), 3);
    assert!(store_of_objects.seen().iter().all(|seen| seen.header("authorization").is_none()));
    assert!(server.seen().iter().any(|seen| seen.header("authorization") == Some("Basic YWxpY2U6aHVudGVyMg==")));
}

/// A registry that wants a token from `realm`, and takes `Bearer t`.
fn wants_token(realm: String) -> LyingRegistry {
    let shelf = Shelf::new();
    LyingRegistry::start(move |seen| match seen.header("authorization") {
        Some("Bearer t") => shelf.answer(seen),
        _ => Reply::new(401, "").with("www-authenticate", format!("Bearer realm=\"{realm}\",service=\"s x\"")),
    })
}

#[test]
fn a_realm_elsewhere_sees_no_password_unless_it_is_named() {
    let realm = LyingRegistry::start(|seen| match seen.header("authorization") {
        Some("Basic YWxpY2U6aHVudGVyMg==") => Reply::new(200, r#"{"access_token":"t"}"#),
        _ => Reply::new(403, r#"{"errors":[{"code":"DENIED","message":"members only"}]}"#),
    });
    let server = wants_token(format!("http://{}/token", realm.address));
    let mut access = Access { credentials: secret(), ..Access::default() };
    let (registry, _) = visitor(access.clone(), quick(), Paper::default());
    let error = error_of(&registry, &place(&server, ":1"));
    assert_eq!(error.code(), "denied");
    let said = error.to_string();
    assert!(
        said.contains("members only") && said.contains(&format!("--token-host {}", realm.address)) && !said.contains("hunter2"),
        "{said}"
    );
    assert!(realm.seen().iter().all(|seen| seen.header("authorization").is_none()));
    assert_eq!(realm.seen()[0].path, "/token?service=s%20x&scope=repository%3Aacme%2Fone%3Apull");

    access.token_host = Some(realm.address.to_string());
    let (registry, _) = visitor(access, quick(), Paper::default());
    let (_folder, store) = store();
    pull(&registry, &place(&server, ":1"), &store).expect("a pack");
    assert!(server.seen().iter().all(|seen| seen.header("authorization").is_none_or(|value| value == "Bearer t")));
}

#[test]
fn a_realm_at_home_sees_the_password_and_one_inside_sees_nobody() {
    let shelf = Shelf::new();
    let server = LyingRegistry::start(move |seen| match (seen.path.starts_with("/token"), seen.header("authorization")) {
        (true, Some("Basic YWxpY2U6aHVudGVyMg==")) => Reply::new(200, r#"{"token":"t"}"#),
        (false, Some("Bearer t")) => shelf.answer(seen),
        (false, _) => {
            let realm = format!("http://{}/token", seen.header("host").expect("a host"));
            Reply::new(401, "").with("www-authenticate", format!("Bearer realm=\"{realm}\""))
        }
        (true, _) => Reply::new(401, ""),
    });
    let (registry, _) = visitor(Access { credentials: secret(), ..Access::default() }, quick(), Paper::default());
    let (_folder, store) = store();
    pull(&registry, &place(&server, ":1"), &store).expect("a pack");

    let canary = Canary::new();
    for realm in [format!("http://{}/t", canary.address()), "http://169.254.169.254/t".to_owned(), "file:///t".to_owned()] {
        let server = wants_token(realm.clone());
        let names = names(&[("r.example", PUBLIC)]);
        let (registry, _) = abroad(secret(), Paper { names, leads_to: Some(server.address), ..Paper::default() });
        let error = error_of(&registry, "r.example/acme/one:1");
        assert!(error.code().starts_with("forbidden_") && canary.was_left_alone(), "{realm}: {error}");
    }
}

#[test]
fn tokens_that_are_none_are_refused_and_never_told() {
    for (token, code) in [
        (Reply::new(200, r#"{"token":"hunter\r\n2"}"#), "no_registry"),
        (Reply::new(200, r#"{"secret":"hunter2"}"#), "no_registry"),
        (Reply::new(200, "hunter2"), "no_registry"),
        (Reply::new(200, vec![b' '; 70_000]), "too_large"),
        (Reply::new(302, "").with("location", "http://127.0.0.1:1/"), "status"),
    ] {
        let realm = LyingRegistry::start(move |_| token.clone());
        let server = wants_token(format!("http://{}/token", realm.address));
        let (registry, _) = visitor(Access::default(), quick(), Paper::default());
        let error = error_of(&registry, &place(&server, ":1"));
        assert_eq!(error.code(), code, "{error}");
        assert!(!error.to_string().contains("hunter"), "{error}");
    }
}

#[test]
fn layers_lead_nowhere() {
    // A layer that names another place for its bytes (CVE-2020-15157).
    let canary = Canary::new();
    let mut shelf = Shelf::new();
    let text = String::from_utf8(shelf.manifest).expect("text");
    let elsewhere = format!("\"size\":5000,\"urls\":[\"http://{}/x\"]", canary.address());
    shelf.manifest = text.replace("\"size\":5000", &elsewhere).into_bytes();
    let server = LyingRegistry::start(move |seen| shelf.answer(seen));
    let (registry, _) = visitor(Access { credentials: secret(), ..Access::default() }, quick(), Paper::default());
    let error = error_of(&registry, &place(&server, ":1"));
    assert!(error.code() == "no_pack" && error.to_string().contains("from elsewhere") && canary.was_left_alone(), "{error}");
}
