//! K1: whatever a registry says wrongly of its bytes, nothing of them gets into the store. K7: tags that move.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use simwright::pack::digest::Digest;

use super::server::{Body, LyingRegistry, Reply, Seen};
use super::{Shelf, files_in, place, plain, pull, quick, run, store};

type Lie = Box<dyn Fn(&Shelf, &Seen, Reply) -> Reply + Send + Sync>;

/// A lie about blobs with this digest.
fn about(digest: Digest, lie: impl Fn(Reply) -> Reply + Send + Sync + 'static) -> Lie {
    Box::new(move |_, seen, reply| if seen.path.ends_with(&format!("/blobs/{digest}")) { lie(reply) } else { reply })
}

fn about_manifests(lie: impl Fn(&Seen, Reply) -> Reply + Send + Sync + 'static) -> Lie {
    Box::new(move |_, seen, reply| if seen.path.contains("/manifests/") { lie(seen, reply) } else { reply })
}

fn flip_last(mut bytes: Vec<u8>) -> Body {
    *bytes.last_mut().expect("a byte") ^= 1;
    Body::Whole(bytes)
}

/// What came of asking for `rest` a registry that lies.
fn refused(honest: Shelf, rest: &str, lie: Lie) -> String {
    let registry = LyingRegistry::start(move |seen| lie(&honest, seen, honest.answer(seen)));
    let (_folder, store) = store();
    let error = pull(&plain(quick()), &place(&registry, rest), &store).expect_err("a lie");
    assert_eq!(files_in(&store), Vec::<String>::new(), "{error}");
    assert!(!error.to_string().contains('\n') || error.to_string().contains("hint: "), "{error}");
    format!("{}: {error}", error.code())
}

/// The manifest with the size of the first layer written as `size`.
fn with_size(shelf: &Shelf, size: &str) -> Vec<u8> {
    let text = String::from_utf8(shelf.manifest.clone()).expect("text");
    let changed = text.replace("\"size\":5000", &format!("\"size\":{size}"));
    assert_ne!(text, changed);
    changed.into_bytes()
}

#[test]
fn a_manifest_that_is_not_what_was_asked_for_is_refused() {
    let shelf = Shelf::new();
    let pinned = format!("@{}", Digest::of(&shelf.manifest));
    let flipped = |_: &Seen, reply: Reply| {
        reply.body(|bytes| Body::Whole(String::from_utf8(bytes).expect("text").replace("one", "two").into()))
    };
    // By digest, by tag with the header of another, and by digest with no header at all.
    for (rest, headers) in [(pinned.as_str(), true), (":1", true), (pinned.as_str(), false)] {
        let lie = about_manifests(move |seen, reply| {
            let mut reply = flipped(seen, reply);
            reply.headers.retain(|(name, _)| headers || name != "docker-content-digest");
            reply
        });
        let said = refused(shelf.clone(), rest, lie);
        assert!(said.starts_with("digest_mismatch: ") && said.contains("the manifest"), "{said}");
    }
    let other = Digest::of(b"other").to_string();
    let said = refused(shelf, &pinned, about_manifests(move |_, reply| reply.with("docker-content-digest", other.clone())));
    assert!(said.starts_with("digest_mismatch: "), "{said}");
}

#[test]
fn a_config_or_a_file_that_is_not_what_was_announced_is_refused() {
    let shelf = Shelf::new();
    let config = Digest::of(&shelf.config);
    let readme = shelf.artifact.layers[1].digest;
    let other = Digest::of(b"other").to_string();
    let lies: Vec<(&str, Lie)> = vec![
        ("the config", about(config, |reply| reply.body(flip_last))),
        ("`plugins/one.wasm`", about(shelf.first(), |reply| reply.body(flip_last))),
        ("`README.md`", about(readme, |reply| reply.body(flip_last))),
        (
            "`plugins/one.wasm`",
            about(shelf.first(), |reply| {
                reply.body(|mut bytes| {
                    // The right beginning, another end.
                    bytes[2_500..].fill(9);
                    Body::Chunked(bytes)
                })
            }),
        ),
        ("`plugins/one.wasm`", about(shelf.first(), |reply| reply.body(|bytes| Body::Chunked(bytes[..4_999].to_vec())))),
        ("`plugins/one.wasm`", about(shelf.first(), |reply| reply.body(|bytes| Body::Chunked([bytes, vec![7]].concat())))),
        ("`plugins/one.wasm`", about(shelf.first(), |reply| reply.with("content-length", "4999"))),
        ("`plugins/one.wasm`", about(shelf.first(), |reply| reply.with("content-length", "5001"))),
        ("`plugins/one.wasm`", about(shelf.first(), move |reply| reply.with("docker-content-digest", other.clone()))),
    ];
    for (index, (what, lie)) in lies.into_iter().enumerate() {
        let said = refused(shelf.clone(), ":1", lie);
        assert!(said.starts_with("digest_mismatch: ") && said.contains(what), "{index}: {said}");
    }
}

#[test]
fn a_size_that_is_wrong_is_refused_even_where_the_digest_is_right() {
    // The pack's own manifest says the same, so that only the bytes contradict it.
    for (size, code) in [
        (4_999, "digest_mismatch"),
        (5_001, "digest_mismatch"),
        (64 << 20, "digest_mismatch"),
        ((64 << 20) + 1, "too_large"),
        (1 << 63, "too_large"),
    ] {
        let mut shelf = Shelf::new();
        shelf.artifact.layers[0].size = size;
        let said = refused(shelf.again(), ":1", Box::new(|_, _, reply| reply));
        assert!(said.starts_with(code), "{size}: {said}");
    }
    // What is no size, and what the pack's own manifest says otherwise.
    for size in ["-1", "18446744073709551616", "5e3", "\"5000\"", "4999"] {
        let mut shelf = Shelf::new();
        shelf.manifest = with_size(&shelf, size);
        let said = refused(shelf, ":1", Box::new(|_, _, reply| reply));
        assert!(said.starts_with("no_pack"), "{size}: {said}");
    }
}

#[test]
fn a_media_type_that_is_swapped_is_refused() {
    let shelf = Shelf::new();
    let index = "application/vnd.oci.image.index.v1+json";
    let said = refused(shelf.clone(), ":1", about_manifests(move |_, reply| reply.with("content-type", index)));
    assert!(said.starts_with("no_pack: ") && said.contains("it calls itself"), "{said}");
    // A text that is sold as a component: the pack's own manifest knows better.
    let mut swapped = shelf;
    let text = String::from_utf8(swapped.manifest).expect("text");
    swapped.manifest = text.replace("text/markdown", "application/wasm").into_bytes();
    let said = refused(swapped, ":1", Box::new(|_, _, reply| reply));
    assert!(said.starts_with("no_pack: "), "{said}");
}

#[test]
fn a_tag_that_moves_changes_nothing_that_was_looked_at() {
    let (old, new) = (Shelf::new(), Shelf::with(&[("plugins/one.wasm", "application/wasm", vec![8; 5_000])]));
    let moved: Arc<AtomicBool> = Arc::default();
    let (before, after, has_moved) = (old.clone(), new.clone(), Arc::clone(&moved));
    let registry = LyingRegistry::start(move |seen| {
        let current = if has_moved.load(Ordering::SeqCst) { &after } else { &before };
        let by_digest = [&before, &after].into_iter().map(|shelf| shelf.answer(seen)).find(|reply| reply.status != 404);
        if seen.path.contains("sha256:") { by_digest.unwrap_or_else(|| Reply::new(404, "")) } else { current.answer(seen) }
    });
    let client = plain(quick());
    let (_folder, store) = store();
    let reference = place(&registry, ":1").parse().expect("a reference");
    let offer = run(client.look(&reference)).expect("an offer");
    moved.store(true, Ordering::SeqCst);
    // Between the look and the fetch: what was looked at is what is fetched.
    run(async { client.fetch(&offer, &store.intake().expect("an intake")).await }).expect("fetched");
    assert_eq!(offer.artifact, old.artifact);
    assert!(store.has(&old.first()) && !store.has(&new.first()));
    // And afterwards the pin still leads to it, while the tag leads to the other.
    assert_eq!(run(client.look(&offer.reference)).expect("an offer").artifact, old.artifact);
    assert_eq!(run(client.look(&reference)).expect("an offer").artifact, new.artifact);
}
