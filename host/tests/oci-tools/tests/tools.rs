//! The clients of other tools, `oci-client` and `oci-wasm` (which `wkg` is built on), against what `simwright pack push` sends and what
//! `simwright pack pull` takes. `SIMWRIGHT_BIN` names the program.

#[path = "../../it/packs/real_registry.rs"]
#[allow(dead_code, reason = "the other tests that share it need more of it")]
mod real_registry;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use oci_client::Reference;
use oci_client::client::{Client, ClientConfig, ClientProtocol, Config, ImageLayer};
use oci_client::manifest::OciImageManifest;
use oci_client::secrets::RegistryAuth;
use oci_wasm::{WasmClient, WasmConfig};
use real_registry::RealRegistry;
use sha2::Digest;

const ANONYMOUS: RegistryAuth = RegistryAuth::Anonymous;
const TYPES: [(&str, &str); 3] = [("md", "text/markdown"), ("wasm", "application/wasm"), ("yaml", "application/yaml")];

/// A component that imports one interface and exports another.
fn component() -> Vec<u8> {
    let text = r#"(component
        (import "acme:clock/now@1.0.0" (instance $now))
        (instance $out)
        (export "acme:slow/latency@1.2.0" (instance $out)))"#;
    wat::parse_str(text).expect("a component")
}

fn hex(bytes: &[u8]) -> String {
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A built pack in a folder, with these files.
struct Built {
    folder: tempfile::TempDir,
    config: Vec<u8>,
    files: Vec<(String, String, Vec<u8>)>,
}

impl Built {
    fn new(files: &[(&str, Vec<u8>)]) -> Self {
        let kind = |title: &str| TYPES.iter().find(|(ending, _)| title.ends_with(ending)).expect("a known ending").1;
        let files: Vec<_> =
            files.iter().map(|(title, bytes)| ((*title).to_owned(), kind(title).to_owned(), bytes.clone())).collect();
        let layers: Vec<_> = files
            .iter()
            .map(|(title, kind, bytes)| {
                serde_json::json!({"title": title, "media_type": kind, "digest": format!("sha256:{}", hex(bytes)), "size": bytes.len()})
            })
            .collect();
        let manifest = serde_json::json!({
            "format": 1, "name": "one", "version": "1.0.0", "licence": "MIT", "description": "One.", "interface": "^1.0.0",
            "plugins": [{
                "name": "slow", "file": "plugins/slow.wasm", "summary": "Slow.", "kinds": ["latency"], "capabilities": [],
                "memory_bytes": 16_777_216, "time_us": 20_000, "options_schema": "",
            }],
            "scenarios": [],
            "tests": files.iter().filter(|(_, kind, _)| kind == "application/yaml").map(|(title, ..)| title).collect::<Vec<_>>(),
            "files": layers,
        });
        let config = serde_json::to_vec(&manifest).expect("JSON");
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("blobs")).expect("a folder");
        std::fs::write(folder.path().join("pack.json"), &config).expect("written");
        for (_, _, bytes) in &files {
            std::fs::write(folder.path().join("blobs").join(hex(bytes)), bytes).expect("written");
        }
        Self { folder, config, files }
    }

    fn of_three() -> Self {
        let readme = b"# one\n".to_vec();
        Self::new(&[("README.md", readme), ("plugins/slow.wasm", component()), ("tests/a.yaml", b"[]\n".to_vec())])
    }
}

/// Runs `simwright pack`, with a store of its own.
fn pack(arguments: &[&str]) -> Output {
    let program = std::env::var_os("SIMWRIGHT_BIN")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../target/debug/simwright"), PathBuf::from);
    let home = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(&program);
    command.arg("pack").args(arguments).env("SIMWRIGHT_HOME", home.path()).env("DOCKER_CONFIG", home.path());
    command.output().unwrap_or_else(|error| panic!("`{}`: {error}", program.display()))
}

fn done(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn push(built: &Built, place: &str) {
    done(&pack(&["push", built.folder.path().to_str().expect("text"), place]));
}

fn reference(place: &str) -> Reference {
    place.parse().expect("a reference")
}

fn client() -> Client {
    Client::new(ClientConfig { protocol: ClientProtocol::Http, ..ClientConfig::default() })
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

#[test]
fn a_pack_of_one_component_is_an_artifact_that_tools_for_wasm_read() {
    let Some(registry) = RealRegistry::open() else { return };
    let built = Built::new(&[("plugins/slow.wasm", component())]);
    let place = registry.place("acme/one:1");
    push(&built, &place);
    let tool = WasmClient::new(client());
    let (pulled, config) = run(async {
        let pulled = tool.pull(&reference(&place), &ANONYMOUS).await.expect("a component");
        let (_, config, _) = tool.pull_manifest_and_config(&reference(&place), &ANONYMOUS).await.expect("a config");
        (pulled, config)
    });
    assert_eq!(pulled.layers[0].data, component());
    assert_eq!((config.os.as_str(), config.layer_digests), ("wasip2", vec![format!("sha256:{}", hex(&component()))]));
    // It sees the same imports and exports in the component as stand in the config.
    let (own, _) = WasmConfig::from_raw_component(component(), None).expect("a component");
    let (said, own) = (config.component.expect("a component"), own.component.expect("a component"));
    assert_eq!(said.exports, ["acme:slow/latency@1.2.0"]);
    assert_eq!((sorted(said.exports), sorted(said.imports)), (sorted(own.exports), sorted(own.imports)));
}

#[test]
fn a_pack_of_many_files_is_an_artifact_that_other_tools_copy() {
    let Some(registry) = RealRegistry::open() else { return };
    let built = Built::of_three();
    let (from, to) = (registry.place("acme/one:1"), registry.place("mirror/one:1"));
    push(&built, &from);
    run(async {
        let kinds = TYPES.map(|(_, kind)| kind).to_vec();
        let data = client().pull(&reference(&from), &ANONYMOUS, kinds).await.expect("an artifact");
        client().push(&reference(&to), &data.layers, data.config, &ANONYMOUS, data.manifest).await.expect("a copy");
        let single = WasmClient::new(client()).pull_manifest_and_config(&reference(&from), &ANONYMOUS).await;
        assert!(single.is_err_and(|error| error.to_string().contains("exactly one layer")), "it says that there are more");
    });
    let folder = tempfile::tempdir().expect("a folder");
    let target = folder.path().join("pulled");
    done(&pack(&["pull", &to, "--to", target.to_str().expect("text")]));
    assert_eq!(std::fs::read(target.join("pack.json")).expect("a manifest"), built.config);
    for (_, _, bytes) in &built.files {
        assert_eq!(&std::fs::read(target.join("blobs").join(hex(bytes))).expect("a file"), bytes);
    }
}

#[test]
fn what_other_tools_push_is_a_pack_if_it_has_a_packs_manifest() {
    let Some(registry) = RealRegistry::open() else { return };
    let (plain, built_place) = (registry.place("acme/component:1"), registry.place("acme/built:1"));
    let built = Built::of_three();
    run(async {
        let (config, layer) = WasmConfig::from_raw_component(component(), None).expect("a component");
        WasmClient::new(client()).push(&reference(&plain), &ANONYMOUS, layer, config, None).await.expect("pushed");
        // As `oras push --config pack.json:application/vnd.simwright.pack.config.v1+json README.md:text/markdown …` does.
        let layer = |(title, kind, bytes): &(String, String, Vec<u8>)| {
            let annotations = [("org.opencontainers.image.title".to_owned(), title.clone())];
            ImageLayer::new(bytes.clone(), kind.clone(), Some(annotations.into()))
        };
        let layers: Vec<ImageLayer> = built.files.iter().map(layer).collect();
        let config = Config::new(built.config.clone(), "application/vnd.simwright.pack.config.v1+json".to_owned(), None);
        let manifest = OciImageManifest::build(&layers, &config, None);
        client().push(&reference(&built_place), &layers, config, &ANONYMOUS, Some(manifest)).await.expect("pushed");
    });
    let folder = tempfile::tempdir().expect("a folder");
    let target = folder.path().join("pulled");
    let target = target.to_str().expect("text");
    let refused = pack(&["pull", &plain, "--to", target]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("without a pack's manifest"), "{said}");
    assert!(!Path::new(target).exists());
    done(&pack(&["pull", &built_place, "--to", target]));
    assert_eq!(std::fs::read(Path::new(target).join("pack.json")).expect("a manifest"), built.config);
}
