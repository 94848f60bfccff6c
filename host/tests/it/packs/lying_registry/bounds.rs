//! K2: a registry that cuts, drips, stalls or never ends costs a bounded time and memory. K8: so does one that is down.

use std::time::Duration;

use simwright::pack::registry::bounds::Bounds;
use simwright::pack::registry::error::RegistryError;

use super::server::{Body, LyingRegistry, Reply, Seen};
use super::{Shelf, files_in, place, plain, pull, quick, run, store};

/// Bounds that run out soon, for registries that would not let them.
fn short() -> Bounds {
    let soon = Duration::from_secs(1);
    Bounds { head: soon, idle: soon, slowest: u64::MAX, ..quick() }
}

/// What comes of a registry that answers `lie` to requests for the component, and honestly else.
fn spoilt(bounds: Bounds, lie: impl Fn(&Seen, Reply) -> Reply + Send + Sync + 'static) -> (Result<(), RegistryError>, Vec<Seen>) {
    let shelf = Shelf::new();
    let wanted = format!("/blobs/{}", shelf.first());
    let honest = shelf.clone();
    let registry = LyingRegistry::start(move |seen| {
        let reply = honest.answer(seen);
        if seen.path.ends_with(&wanted) { lie(seen, reply) } else { reply }
    });
    let (_folder, store) = store();
    let done = pull(&plain(bounds), &place(&registry, ":1"), &store).map(drop);
    match &done {
        Ok(()) => assert_eq!(store.read(&shelf.first()).expect("bytes"), shelf.blobs[&shelf.first()]),
        Err(error) => assert_eq!(files_in(&store), Vec::<String>::new(), "{error}"),
    }
    let wanted = |seen: &Seen| seen.path.ends_with(&shelf.first().to_string());
    (done, registry.seen().into_iter().filter(wanted).collect())
}

fn refused(bounds: Bounds, lie: impl Fn(&Seen, Reply) -> Reply + Send + Sync + 'static) -> String {
    let (done, seen) = spoilt(bounds, lie);
    let error = done.expect_err("a registry that fails");
    format!("{} after {}: {error}", error.code(), seen.len())
}

#[test]
fn a_file_that_breaks_off_goes_on_where_it_was() {
    for cut in [0, 1, 2_500, 4_999] {
        let (done, seen) =
            spoilt(quick(), move |seen, reply| if seen.before == 0 { reply.body(|bytes| Body::Cut(bytes, cut)) } else { reply });
        done.unwrap_or_else(|error| panic!("{cut}: {error}"));
        let ranges: Vec<Option<&str>> = seen.iter().map(|seen| seen.header("range")).collect();
        let rest = format!("bytes={cut}-");
        assert_eq!(ranges, [None, (cut > 0).then_some(rest.as_str())]);
    }
}

#[test]
fn a_registry_that_knows_no_ranges_begins_anew() {
    let whole = Shelf::new();
    let bytes = whole.blobs[&whole.first()].clone();
    let (done, seen) = spoilt(quick(), move |seen, reply| match seen.before {
        0 => reply.body(|bytes| Body::Cut(bytes, 2_500)),
        _ => Reply::new(200, bytes.clone()),
    });
    done.expect("a pack");
    assert_eq!(seen.len(), 2);
    // One that sends another part than was asked for is asked for the whole.
    let (done, seen) = spoilt(Bounds { tries: 3, ..quick() }, move |seen, reply| match seen.before {
        0 => reply.body(|bytes| Body::Cut(bytes, 2_500)),
        1 => reply.with("content-range", "bytes 0-2499/5000"),
        _ => reply,
    });
    done.expect("a pack");
    assert_eq!(seen.iter().map(|seen| seen.header("range").is_some()).collect::<Vec<_>>(), [false, true, false]);
    // One that has no such part.
    let (done, _) = spoilt(Bounds { tries: 3, ..quick() }, move |seen, reply| match seen.before {
        0 => reply.body(|bytes| Body::Cut(bytes, 2_500)),
        1 => Reply::new(416, ""),
        _ => reply,
    });
    done.expect("a pack");
}

#[test]
fn a_file_that_always_breaks_off_is_given_up() {
    let whole = Shelf::new();
    for cut in [0, 1, 2_500, 4_999] {
        // Whatever part is asked for, it sends the whole, and breaks off there.
        let bytes = whole.blobs[&whole.first()].clone();
        let said = refused(quick(), move |_, _| Reply::new(200, bytes.clone()).body(|bytes| Body::Cut(bytes, cut)));
        assert!(said.starts_with("cut after 2: ") && said.contains("tried 2 times"), "{said}");
    }
}

#[test]
fn silence_and_drips_and_endless_bytes_are_bounded() {
    // Only the head's time may run out: that for the whole file would end at the same moment.
    let silent = refused(Bounds { head: short().head, ..quick() }, |_, reply| reply.body(|_| Body::Silence));
    assert!(silent.starts_with("timed_out after 2: the head of the answer"), "{silent}");
    // A byte now and then is not silence, and still the whole has its time.
    let drip = refused(short(), |_, reply| reply.body(|bytes| Body::Drip(bytes, Duration::from_millis(50))));
    assert!(drip.starts_with("timed_out after 2: a file"), "{drip}");
    let slow = refused(short(), |_, reply| reply.body(|bytes| Body::Drip(bytes, Duration::from_secs(60))));
    assert!(slow.starts_with("timed_out after 2: a file"), "{slow}");
    let endless = refused(quick(), |_, reply| Reply { headers: Vec::new(), ..reply.body(|_| Body::Endless) });
    assert!(endless.starts_with("digest_mismatch after 1: "), "{endless}");
    let head = refused(quick(), |_, reply| reply.body(|_| Body::LargeHead(1 << 30)));
    assert!(head.starts_with("too_large after 1: the head of the answer"), "{head}");
}

#[test]
fn a_manifest_without_an_end_is_bounded() {
    for lie in [Body::Endless, Body::Whole(vec![b' '; 4 * 1024 * 1024 + 1])] {
        let registry = LyingRegistry::start(move |_| Reply { body: lie.clone(), ..Reply::new(200, "") });
        let (_folder, store) = store();
        let error = pull(&plain(quick()), &place(&registry, ":1"), &store).expect_err("too much");
        assert_eq!((error.code(), registry.seen().len()), ("too_large", 1), "{error}");
    }
}

/// Tags come in parts, each of which says where the next is.
#[test]
fn a_list_of_tags_is_read_to_its_end_and_has_one() {
    let page = |tags: &str, next: Option<&str>| {
        let reply = Reply::new(200, format!("{{\"name\":\"acme/one\",\"tags\":{tags}}}"));
        next.map_or(reply.clone(), |next| reply.with("link", format!("<{next}>; rel=\"next\"")))
    };
    let cases: [(&str, Vec<Reply>, Result<&str, &str>); 7] = [
        (
            "in two parts",
            vec![page("[\"1.0.0\",\"latest\"]", Some("/v2/acme/one/tags/list?n=2&last=latest")), page("[\"1.1.0\"]", None)],
            Ok("1.1.0"),
        ),
        ("none", vec![page("null", None)], Ok("latest")),
        ("no such list", vec![Reply::new(404, "")], Ok("latest")),
        ("without an end", vec![page("[\"1.0.0\"]", Some("/v2/acme/one/tags/list?again"))], Err("too_large")),
        ("elsewhere", vec![page("[\"1.0.0\"]", Some("http://127.0.0.1:9/v2/acme/one/tags/list"))], Err("forbidden_redirect")),
        ("another document", vec![Reply::new(200, "[]")], Err("no_registry")),
        ("endless", vec![Reply { body: Body::Endless, ..Reply::new(200, "") }], Err("too_large")),
    ];
    for (case, pages, expected) in cases {
        let count = std::sync::atomic::AtomicUsize::new(0);
        let registry = LyingRegistry::start(move |_| {
            let at = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            pages[at.min(pages.len() - 1)].clone()
        });
        let reference = place(&registry, "").parse().expect("a reference");
        let found = run(plain(quick()).newest(&reference, None));
        let found = found.map(|reference| reference.tag().unwrap_or("").to_owned()).map_err(|error| error.code());
        assert_eq!(found, expected.map(str::to_owned), "{case}");
        assert!(registry.seen().len() <= 32, "{case}");
    }
}

#[test]
fn redirects_end() {
    let registry = LyingRegistry::start(|seen| Reply::new(307, "").with("location", format!("/again/{}", seen.path.len())));
    let (_folder, store) = store();
    let error = pull(&plain(quick()), &place(&registry, ":1"), &store).expect_err("a circle");
    assert_eq!((error.code(), registry.seen().len()), ("forbidden_redirect", 4), "{error}");
}

#[test]
fn a_registry_that_is_down_is_asked_a_few_times_and_then_named() {
    let cases: [(Reply, &str, usize, &str); 6] = [
        (Reply::new(500, ""), "status", 2, "answers 500; tried 2 times"),
        (Reply::new(429, "").with("retry-after", "0"), "status", 2, "answers 429; it asks to come back in 0 s; tried 2 times"),
        (Reply::new(429, "").with("retry-after", "86400"), "status", 1, "it asks to come back in 86400 s"),
        (
            Reply::new(401, r#"{"errors":[{"code":"UNAUTHORIZED","message":"who\u001b are you"}]}"#),
            "denied",
            1,
            "anonymous clients",
        ),
        (Reply::new(403, ""), "denied", 1, "read `acme/one`"),
        (Reply::new(404, ""), "not_found", 1, "is not in its registry"),
    ];
    for (reply, code, asked, part) in cases {
        let status = reply.status;
        let registry = LyingRegistry::start(move |_| reply.clone());
        let (_folder, store) = store();
        let error = pull(&plain(quick()), &place(&registry, ":1"), &store).expect_err("down");
        assert_eq!((error.code(), registry.seen().len()), (code, asked), "{status}: {error}");
        let said = error.to_string();
        assert!(said.contains(part) && !said.contains('\u{1b}'), "{status}: {said}");
    }
}

#[test]
fn a_registry_that_fails_once_is_asked_again() {
    let honest = Shelf::new();
    let registry = LyingRegistry::start(move |seen| match seen.before {
        0 => Reply::new(503, "").with("retry-after", "0"),
        _ => honest.answer(seen),
    });
    let (_folder, store) = store();
    pull(&plain(quick()), &place(&registry, ":1"), &store).expect("a pack");
    assert_eq!(registry.seen().len(), 2 * 4);
}

#[test]
fn nobody_at_all_is_named_too() {
    // A port that nobody listens at: it was free a moment ago.
    let address = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let (_folder, store) = store();
    let error = pull(&plain(quick()), &format!("{address}/acme/one"), &store).expect_err("nobody");
    assert_eq!(error.code(), "unreachable");
    assert!(error.to_string().contains("refused") && error.to_string().contains("tried 2 times"), "{error}");
}
