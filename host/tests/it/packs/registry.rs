//! Debian's `docker-registry` (distribution 2.8), which is old and strict and knows no referrers.

use simwright::pack::digest::Digest;
use simwright::pack::registry::credentials::{Credentials, Source};
use simwright::pack::registry::error::RegistryError;
use simwright::pack::registry::push::Pushed;
use simwright::pack::registry::reference::Reference;
use simwright::pack::registry::{Access, Registry};
use simwright::pack::{Artifact, COMPONENT_TYPE, Layer, TEXT_TYPE, YAML_TYPE};

use super::lying_registry::{files_in, pull, run, store};
use super::real_registry::{RealRegistry, WITH_PASSWORDS};
use crate::support::guests;

/// The config of a pack with these files; every component is a plugin.
pub fn manifest_for(layers: &[Layer]) -> Vec<u8> {
    let of = |media_type: &'static str| layers.iter().filter(move |layer| layer.media_type == media_type);
    let plugin = |layer: &Layer| {
        let name = layer.title.trim_start_matches("plugins/").trim_end_matches(".wasm").to_owned();
        serde_json::json!({
            "name": name, "file": layer.title, "summary": "One.", "kinds": ["latency"], "capabilities": [],
            "memory_bytes": 16_777_216, "time_us": 20_000, "options_schema": "",
        })
    };
    let manifest = serde_json::json!({
        "format": 1, "name": "one", "version": "1.0.0", "licence": "MIT", "description": "One.", "interface": "^1.0.0",
        "plugins": of(COMPONENT_TYPE).map(plugin).collect::<Vec<_>>(),
        "scenarios": [],
        "tests": of(YAML_TYPE).map(|layer| &layer.title).collect::<Vec<_>>(),
        "files": layers,
    });
    serde_json::to_vec(&manifest).expect("JSON")
}

/// A pack and the bytes of its files.
struct Bundle {
    artifact: Artifact,
    files: Vec<Vec<u8>>,
}

impl Bundle {
    fn new(files: &[(&str, &str, Vec<u8>)]) -> Self {
        let layer = |(title, media_type, bytes): &(&str, &str, Vec<u8>)| Layer {
            title: (*title).to_owned(),
            media_type: (*media_type).to_owned(),
            digest: Digest::of(bytes),
            size: bytes.len() as u64,
        };
        let layers: Vec<Layer> = files.iter().map(layer).collect();
        let artifact = Artifact { config: manifest_for(&layers), layers, signatures: Vec::new() };
        Self { artifact, files: files.iter().map(|(_, _, bytes)| bytes.clone()).collect() }
    }

    /// One with a component, a text and a test.
    fn of_three() -> Self {
        Self::new(&[
            ("README.md", TEXT_TYPE, b"# one\n".to_vec()),
            ("plugins/adversary.wasm", COMPONENT_TYPE, component()),
            ("tests/a.yaml", YAML_TYPE, b"[]\n".to_vec()),
        ])
    }

    fn push(&self, registry: &Registry, reference: &str) -> Result<Pushed, RegistryError> {
        let reference: Reference = reference.parse().expect("a reference");
        let at = |layer: &Layer| self.artifact.layers.iter().position(|other| other == layer).expect("a layer of the pack");
        run(registry.push(&reference, &self.artifact, |layer| Ok(self.files[at(layer)].clone())))
    }
}

fn component() -> Vec<u8> {
    std::fs::read(guests::adversary()).expect("a component")
}

fn client() -> Registry {
    Registry::new(Access::default())
}

#[test]
fn a_pack_comes_back_from_a_real_registry_as_it_went_with_its_signatures() {
    let Some(registry) = RealRegistry::open() else { return };
    let mut bundle = Bundle::of_three();
    bundle.artifact.signatures = vec!["untrusted comment: a\nRWQ=\n".to_owned(), "untrusted comment: b\nRWR=\n".to_owned()];
    let pushed = bundle.push(&client(), &registry.place("acme/team/one:1.0.0")).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((pushed.sent, pushed.kept), (4, 0));

    for reference in [registry.place("acme/team/one:1.0.0"), pushed.reference.to_string()] {
        let (_folder, store) = store();
        let (offer, fetched) = pull(&client(), &reference, &store).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((&offer.artifact, fetched.files), (&bundle.artifact, 3));
        assert_eq!((offer.artifact.digest(), offer.reference.digest()), (bundle.artifact.digest(), pushed.reference.digest()));
        for (layer, bytes) in bundle.artifact.layers.iter().zip(&bundle.files) {
            assert_eq!(&store.read(&layer.digest).expect("bytes"), bytes);
        }
    }
    let reference: Reference = registry.place("acme/team/one:1.0.0").parse().expect("a reference");
    assert_eq!(run(client().look(&reference)).expect("an offer").reference.digest(), pushed.reference.digest());

    // Another signature is another manifest of the same pack, and no file is sent again.
    bundle.artifact.signatures.pop();
    let again = bundle.push(&client(), &registry.place("acme/team/one:1.0.1")).expect("pushed");
    assert_eq!((again.sent, again.kept), (0, 4));
    assert_ne!(again.reference.digest(), pushed.reference.digest());
    // And the same is the same, byte for byte.
    assert_eq!(
        bundle.push(&client(), &registry.place("acme/team/one:1.0.2")).expect("pushed").reference.digest(),
        again.reference.digest()
    );
}

#[test]
fn a_pack_that_is_not_there_is_named() {
    let Some(registry) = RealRegistry::open() else { return };
    let (_folder, store) = store();
    let error = pull(&client(), &registry.place("acme/none:1"), &store).expect_err("nothing there");
    assert_eq!((error.code(), files_in(&store)), ("not_found", Vec::new()));
    assert!(error.to_string().contains("manifest unknown"), "{error}");
}

#[test]
fn who_asks_is_told_by_password_or_by_dockers_file() {
    let Some(registry) = RealRegistry::start(WITH_PASSWORDS) else { return };
    let bundle = Bundle::of_three();
    let reference = registry.place("acme/one:1");
    let with = |credentials| Registry::new(Access { credentials, ..Access::default() });
    let given = |password| Source::Given(Credentials::new("alice", password).expect("credentials"));
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("config.json");
    let config = format!(r#"{{"auths":{{"{}":{{"auth":"YWxpY2U6aHVudGVyMg=="}}}}}}"#, registry.address);
    std::fs::write(&file, config).expect("written");

    for (credentials, hint) in
        [(Source::Anonymous, "give `--username`"), (given("hunter3"), "see that name and password are right")]
    {
        let error = bundle.push(&with(credentials), &reference).expect_err("a stranger");
        assert!(error.code() == "denied" && error.to_string().contains(hint) && !error.to_string().contains("hunter"), "{error}");
    }
    bundle.push(&with(given("hunter2")), &reference).unwrap_or_else(|error| panic!("{error}"));
    let (_folder, store) = store();
    pull(&with(Source::File(file)), &reference, &store).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(pull(&client(), &reference, &store).expect_err("a stranger").code(), "denied");
}

#[test]
fn what_is_spoilt_here_is_not_spread() {
    let Some(registry) = RealRegistry::open() else { return };
    let mut bundle = Bundle::of_three();
    bundle.files[0].push(b'x');
    let error = bundle.push(&client(), &registry.place("acme/one:1")).expect_err("spoilt");
    assert_eq!(error.code(), "store");
    let (_folder, store) = store();
    assert_eq!(pull(&client(), &registry.place("acme/one:1"), &store).expect_err("nothing there").code(), "not_found");
}
