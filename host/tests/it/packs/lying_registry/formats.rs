//! K10: manifests of other tools and other times, each with the exact result that docs/registry.md promises.

use std::path::{Path, PathBuf};

use simwright::pack::registry::manifest::{MANIFEST_TYPE, read};

use super::server::LyingRegistry;
use super::{Shelf, files_in, place, plain, pull, quick, store};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/oci")
}

/// What comes of a fixture: the number of its files, or what is said.
fn result(name: &str, content_type: Option<&str>) -> Result<usize, String> {
    let bytes = std::fs::read(folder().join(format!("{name}.json"))).unwrap_or_else(|error| panic!("{name}: {error}"));
    read("r.io/p:1", content_type, &bytes).map(|manifest| manifest.layers.len()).map_err(|error| {
        let said = error.to_string();
        let said = said.strip_prefix("`r.io/p:1` is no pack: ").unwrap_or_else(|| panic!("{name}: {said}"));
        said.split_once("\n  hint: ").unwrap_or_else(|| panic!("{name}: no hint: {said}")).0.to_owned()
    })
}

const LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const DOCKER: &str = "application/vnd.docker.distribution.manifest.v2+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const SCHEMA_1: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";

#[test]
fn every_manifest_has_the_result_that_is_documented() {
    let taken = [
        ("one-component", 1),
        ("several-files", 3),
        ("oci-1.0", 1),
        ("oci-1.1", 1),
        ("unknown-annotations", 1),
        ("oras-built-folder", 2),
    ];
    let refused = [
        ("oras-no-config", MANIFEST_TYPE, "its config is `application/vnd.oci.empty.v1+json`"),
        ("docker-image", DOCKER, "it is in Docker's format, not in OCI's"),
        ("docker-list", LIST, "it is an index of 2 manifests"),
        ("index", INDEX, "it is an index of 1 manifests"),
        ("container-image", MANIFEST_TYPE, "it is an image for containers"),
        (
            "archive-layer",
            MANIFEST_TYPE,
            "layer 2 is an archive (`application/vnd.oci.image.layer.v1.tar+gzip`), and packs have none",
        ),
        ("helm-chart", MANIFEST_TYPE, "its config is `application/vnd.cncf.helm.config.v1+json`"),
        ("schema-1", SCHEMA_1, "its manifest has the schema 1, not 2"),
        ("manifest-and-index", MANIFEST_TYPE, "it is a manifest and an index at once"),
        ("twice-a-field", MANIFEST_TYPE, "its manifest cannot be read: duplicate field `layers`"),
        ("twice-an-annotation", MANIFEST_TYPE, "its manifest cannot be read: `org.opencontainers.image.title` is there twice"),
        ("foreign-layer", MANIFEST_TYPE, "layer 1 is to be fetched from elsewhere"),
        ("other-digest", MANIFEST_TYPE, "its manifest cannot be read: expected a digest"),
        ("no-layers", MANIFEST_TYPE, "its manifest has no config or no layers"),
    ];
    let documented =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/registry.md")).expect("documentation");
    for (name, files) in taken {
        for content_type in [Some(MANIFEST_TYPE), Some("application/vnd.oci.image.manifest.v1+json; charset=utf-8"), None] {
            assert_eq!(result(name, content_type), Ok(files), "{name}");
        }
        assert!(documented.contains(&format!("| `{name}` |")), "{name} is not in docs/registry.md");
    }
    for (name, content_type, said) in refused {
        let found = result(name, Some(content_type)).expect_err(name);
        assert!(found.starts_with(said), "{name}: {found}");
        assert!(
            documented.lines().any(|line| line.contains(&format!("| `{name}` |")) && line.contains(said)),
            "{name}: docs/registry.md says something else"
        );
    }
    let fixtures = std::fs::read_dir(folder()).expect("a folder").count();
    assert_eq!(fixtures, taken.len() + refused.len(), "every fixture has its result");
}

#[test]
fn bytes_that_two_readers_would_read_differently_are_refused() {
    // What the header says and what the document says of itself must agree (CVE-2021-41190).
    for (name, content_type) in [("one-component", INDEX), ("index", MANIFEST_TYPE), ("one-component", DOCKER)] {
        let said = result(name, Some(content_type)).expect_err(name);
        assert!(said.starts_with(&format!("the registry calls it `{content_type}`")), "{said}");
    }
}

#[test]
fn a_file_that_the_packs_own_manifest_does_not_name_is_refused() {
    let named = Shelf::new();
    let mut with_more = Shelf::with(&[
        ("plugins/one.wasm", "application/wasm", vec![7; 5_000]),
        ("README.md", "text/markdown", b"# one\n".to_vec()),
        ("extra.bin", "application/vnd.example.extra", vec![1]),
    ]);
    // The registry's manifest has a third file; the pack's has two, and is what is signed.
    with_more.artifact.config = named.artifact.config;
    with_more.config = simwright::pack::registry::manifest::config_of(&with_more.artifact, Default::default()).expect("a config");
    with_more.manifest = simwright::pack::registry::manifest::manifest_of(&with_more.artifact, &with_more.config);
    with_more.blobs.insert(simwright::pack::digest::Digest::of(&with_more.config), with_more.config.clone());
    let registry = LyingRegistry::start(move |seen| with_more.answer(seen));
    let (_folder, store) = store();
    let error = pull(&plain(quick()), &place(&registry, ":1"), &store).expect_err("one file too many");
    assert!(error.code() == "no_pack" && error.to_string().contains("extra.bin"), "{error}");
    assert_eq!(files_in(&store), Vec::<String>::new());
}
