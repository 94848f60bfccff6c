//! Packs for tests.

use semver::Version;

use crate::pack::digest::Digest;
use crate::pack::installed::Record;
use crate::pack::manifest::{FORMAT, Manifest, PluginPart};
use crate::pack::whole::Pack;
use crate::pack::{COMPONENT_TYPE, Layer};

/// A pack with one plugin, whose component is no component but `bytes`.
pub(crate) fn pack(name: &str, version: &str, bytes: &[u8]) -> Pack {
    let file = "plugins/slow.wasm".to_owned();
    let manifest = Manifest {
        format: FORMAT,
        name: name.to_owned(),
        version: version.parse::<Version>().expect("a version"),
        licence: "MIT".to_owned(),
        description: "For a test.".to_owned(),
        interface: "^1.0".parse().expect("a range"),
        plugins: vec![PluginPart {
            name: "slow".to_owned(),
            file: file.clone(),
            summary: "Slow.".to_owned(),
            kinds: vec!["latency".to_owned()],
            capabilities: Vec::new(),
            memory_bytes: 16 << 20,
            time_us: 20_000,
            options_schema: String::new(),
        }],
        scenarios: Vec::new(),
        tests: Vec::new(),
        files: vec![Layer {
            title: file,
            media_type: COMPONENT_TYPE.to_owned(),
            digest: Digest::of(bytes),
            size: bytes.len() as u64,
        }],
    };
    Pack::in_memory(manifest, [bytes.to_vec()])
}

/// The record of `pack` as one from a folder.
pub(crate) fn record(pack: &Pack) -> Record {
    Record {
        digest: pack.digest(),
        name: pack.manifest.name.clone(),
        version: pack.manifest.version.clone(),
        source: "./pack".to_owned(),
        repository: None,
        insecure: false,
        signatures: pack.artifact.signatures.clone(),
    }
}
