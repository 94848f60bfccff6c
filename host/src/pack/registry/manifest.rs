//! A pack as registries keep it: an OCI image manifest with one layer a file, in the layout of the CNCF's Wasm artifacts.
//!
//! The registry's config says what that layout wants to know and holds the pack's own config, byte for byte, as a text. So a pack of
//! one component and nothing else is one layer of `application/wasm`, which any tool for Wasm artifacts reads; with more files it
//! is one that any tool for OCI artifacts copies and lists. Signatures are annotations: they are over the pack's digest, not over the
//! manifest's, so they travel inside it, also to a registry that knows no referrers, and a mirror cannot lose them. What is accepted, and
//! how what is not is called, stands in docs/registry.md, with a fixture each.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::pack::digest::Digest;
use crate::pack::registry::error::{RegistryError, printable};
use crate::pack::{ARTIFACT_TYPE, Artifact, COMPONENT_TYPE, CONFIG_TYPE, Layer};
use crate::types::limits;
use crate::types::quantity::show_bytes;

/// Media type of an image manifest.
pub const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of the config of a Wasm artifact.
pub const WASM_CONFIG_TYPE: &str = "application/vnd.wasm.config.v0+json";
/// The annotation that names a file.
const TITLE: &str = "org.opencontainers.image.title";
/// The annotations that hold signatures begin with this; a number follows.
const SIGNATURE: &str = "vnd.simwright.signature.";
const INDEX_TYPES: &[&str] =
    &["application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"];

/// What is asked for: also what is then refused by name.
pub(super) const ACCEPTED: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json";

/// Something that a manifest refers to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What it is.
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Places elsewhere, which are never asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// What is said about it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "unique")]
    pub annotations: BTreeMap<String, String>,
}

/// A manifest that may be a pack's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The config.
    pub config: Descriptor,
    /// One layer a file.
    pub layers: Vec<Layer>,
    /// Signatures over the pack's digest.
    pub signatures: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    media_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    artifact_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    config: Option<Descriptor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    layers: Option<Vec<Descriptor>>,
    #[serde(default, skip_serializing)]
    manifests: Option<Vec<serde::de::IgnoredAny>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "unique")]
    annotations: BTreeMap<String, String>,
}

/// The config of a Wasm artifact (CNCF TAG Runtime, Wasm OCI artifact layout), and the pack's own in it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WasmConfig {
    created: String,
    architecture: String,
    os: String,
    layer_digests: Vec<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    component: Option<World>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    simwright: Option<String>,
}

/// What a component imports and exports, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct World {
    /// Exports.
    pub exports: Vec<String>,
    /// Imports.
    pub imports: Vec<String>,
}

/// A map whose keys are all different: two readers must not see two manifests in the same bytes.
fn unique<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    struct Unique;
    impl<'de> Visitor<'de> for Unique {
        type Value = BTreeMap<String, String>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a map of texts")
        }
        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(BTreeMap::new())
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut all = BTreeMap::new();
            while let Some((key, value)) = map.next_entry::<String, String>()? {
                if all.contains_key(&key) {
                    return Err(A::Error::custom(format_args!("`{key}` is there twice")));
                }
                all.insert(key, value);
            }
            Ok(all)
        }
    }
    deserializer.deserialize_any(Unique)
}

/// The registry's config for a pack whose components have these worlds together.
pub fn config_of(artifact: &Artifact, world: World) -> Result<Vec<u8>, RegistryError> {
    let inner =
        String::from_utf8(artifact.config.clone()).map_err(|_| no_pack("", "its config is no text".to_owned(), PUSH_HINT))?;
    let config = WasmConfig {
        // When it was made is no part of what it is: equal packs are equal bytes.
        created: "1970-01-01T00:00:00Z".to_owned(),
        architecture: "wasm".to_owned(),
        os: "wasip2".to_owned(),
        layer_digests: artifact.layers.iter().map(|layer| layer.digest).collect(),
        component: artifact.layers.iter().any(|layer| layer.media_type == COMPONENT_TYPE).then_some(world),
        simwright: Some(inner),
    };
    Ok(serde_json::to_vec(&config).expect("texts and digests are JSON"))
}

/// The manifest of a pack with this config of [`config_of`].
pub fn manifest_of(artifact: &Artifact, config: &[u8]) -> Vec<u8> {
    let titled = |layer: &Layer| Descriptor {
        media_type: layer.media_type.clone(),
        digest: layer.digest,
        size: layer.size,
        urls: Vec::new(),
        annotations: BTreeMap::from([(TITLE.to_owned(), layer.title.clone())]),
    };
    let signatures = artifact.signatures.iter().enumerate();
    let document = Document {
        schema_version: 2,
        media_type: Some(MANIFEST_TYPE.to_owned()),
        artifact_type: Some(ARTIFACT_TYPE.to_owned()),
        config: Some(Descriptor {
            media_type: WASM_CONFIG_TYPE.to_owned(),
            digest: Digest::of(config),
            size: config.len() as u64,
            urls: Vec::new(),
            annotations: BTreeMap::new(),
        }),
        layers: Some(artifact.layers.iter().map(titled).collect()),
        manifests: None,
        annotations: signatures.map(|(index, text)| (format!("{SIGNATURE}{}", index + 1), text.clone())).collect(),
    };
    serde_json::to_vec(&document).expect("texts and digests are JSON")
}

pub(super) const PUSH_HINT: &str = "packs come from `simwright pack push`";
const ONE_HINT: &str = "name the one that is meant by its digest: `@sha256:…`";
const PLAIN_HINT: &str = "make a pack of it: `simwright pack init` writes a manifest to begin with";

pub(super) fn no_pack(reference: &str, problem: String, hint: &'static str) -> RegistryError {
    RegistryError::NoPack { reference: reference.to_owned(), problem: printable(&problem), hint }
}

/// Reads the manifest at `reference`, which the registry calls a `content_type`.
pub fn read(reference: &str, content_type: Option<&str>, bytes: &[u8]) -> Result<Manifest, RegistryError> {
    let refuse = |problem: String, hint| Err(no_pack(reference, problem, hint));
    let document: Document = match serde_json::from_slice(bytes) {
        Ok(document) => document,
        Err(error) => return refuse(format!("its manifest cannot be read: {error}"), PUSH_HINT),
    };
    let said = content_type.map(|text| text.split(';').next().unwrap_or("").trim().to_ascii_lowercase());
    if document.schema_version != 2 {
        return refuse(format!("its manifest has the schema {}, not 2", document.schema_version), PUSH_HINT);
    }
    // Bytes that are a manifest to one reader and an index to another are refused (CVE-2021-41190).
    if let (Some(said), Some(own)) = (&said, &document.media_type)
        && said != own
        && said != "application/json"
        && said != "application/octet-stream"
    {
        return refuse(format!("the registry calls it `{said}`, and it calls itself `{own}`"), PUSH_HINT);
    }
    if document.manifests.is_some() && (document.layers.is_some() || document.config.is_some()) {
        return refuse("it is a manifest and an index at once".to_owned(), PUSH_HINT);
    }
    let kind = document.media_type.or(said).unwrap_or_default();
    if let Some(entries) = document.manifests.filter(|_| kind.is_empty() || INDEX_TYPES.contains(&kind.as_str())) {
        return refuse(format!("it is an index of {} manifests", entries.len()), ONE_HINT);
    }
    if kind.starts_with("application/vnd.docker.") {
        return refuse("it is in Docker's format, not in OCI's".to_owned(), PUSH_HINT);
    }
    if !matches!(kind.as_str(), MANIFEST_TYPE | "" | "application/json" | "application/octet-stream") {
        return refuse(format!("it is `{kind}`"), PUSH_HINT);
    }
    let (Some(config), Some(layers)) = (document.config, document.layers) else {
        return refuse("its manifest has no config or no layers".to_owned(), PUSH_HINT);
    };
    match config.media_type.as_str() {
        WASM_CONFIG_TYPE | CONFIG_TYPE => {}
        "application/vnd.oci.image.config.v1+json" => return refuse("it is an image for containers".to_owned(), PUSH_HINT),
        other => return refuse(format!("its config is `{other}`"), PUSH_HINT),
    }
    check_sizes(reference, &config, &layers)?;
    let layers =
        layers.into_iter().enumerate().map(|(index, layer)| titled(reference, index, layer)).collect::<Result<_, _>>()?;
    Ok(Manifest { config, layers, signatures: signatures(reference, &document.annotations)? })
}

fn check_sizes(reference: &str, config: &Descriptor, layers: &[Descriptor]) -> Result<(), RegistryError> {
    let too_large = |what, limit: String| Err(RegistryError::TooLarge { what, place: reference.to_owned(), limit });
    if layers.len() > limits::PACK_LAYERS_MAX {
        return too_large("the number of files", limits::PACK_LAYERS_MAX.to_string());
    }
    if config.size > limits::PACK_MANIFEST_BYTES_MAX {
        return too_large("the config", show_bytes(limits::PACK_MANIFEST_BYTES_MAX));
    }
    if layers.iter().any(|layer| layer.size > limits::COMPONENT_BYTES_MAX) {
        return too_large("a file", show_bytes(limits::COMPONENT_BYTES_MAX));
    }
    // Each is bounded, so the sum cannot overflow.
    if layers.iter().map(|layer| layer.size).sum::<u64>() > limits::PACK_BYTES_MAX {
        return too_large("the pack", show_bytes(limits::PACK_BYTES_MAX));
    }
    Ok(())
}

fn titled(reference: &str, index: usize, mut layer: Descriptor) -> Result<Layer, RegistryError> {
    let number = index + 1;
    if !layer.urls.is_empty() {
        return Err(no_pack(reference, format!("layer {number} is to be fetched from elsewhere"), PUSH_HINT));
    }
    let kind = layer.media_type.to_ascii_lowercase();
    if ["tar", "gzip", "zip", "zstd", "bzip2", "xz"].iter().any(|word| kind.split(['.', '+', '/', '-']).any(|part| part == *word))
    {
        return Err(no_pack(reference, format!("layer {number} is an archive (`{kind}`), and packs have none"), PUSH_HINT));
    }
    let title = layer.annotations.remove(TITLE).unwrap_or_default();
    Ok(Layer { title, media_type: layer.media_type, digest: layer.digest, size: layer.size })
}

fn signatures(reference: &str, annotations: &BTreeMap<String, String>) -> Result<Vec<String>, RegistryError> {
    let found: Vec<&String> = annotations.iter().filter(|(key, _)| key.starts_with(SIGNATURE)).map(|(_, text)| text).collect();
    let too_large = |what, limit: String| Err(RegistryError::TooLarge { what, place: reference.to_owned(), limit });
    if found.len() > limits::PACK_SIGNATURES_MAX {
        return too_large("the number of signatures", limits::PACK_SIGNATURES_MAX.to_string());
    }
    if found.iter().any(|text| text.len() > limits::PACK_SIGNATURE_BYTES_MAX) {
        return too_large("a signature", show_bytes(limits::PACK_SIGNATURE_BYTES_MAX as u64));
    }
    Ok(found.into_iter().cloned().collect())
}

/// The pack's own config in the registry's, whose media type is `kind`.
pub fn inner_config(reference: &str, kind: &str, bytes: Vec<u8>) -> Result<Vec<u8>, RegistryError> {
    if kind == CONFIG_TYPE {
        return Ok(bytes);
    }
    let config: WasmConfig = serde_json::from_slice(&bytes)
        .map_err(|error| no_pack(reference, format!("its config cannot be read: {error}"), PUSH_HINT))?;
    match config.simwright {
        Some(inner) => Ok(inner.into_bytes()),
        None => Err(no_pack(reference, "it is a component of WebAssembly without a pack's manifest".to_owned(), PLAIN_HINT)),
    }
}
