//! Packs: plugins, scenarios and their tests as one thing with a version, for other teams. Knows nothing of wasmtime.
//!
//! A pack that was built is an [`Artifact`]: a config, which is the manifest with the digest of every file, and one layer a file. The
//! digest of the config is the digest of the pack ([`Artifact::digest`]): whoever knows it knows every byte. A [`store::Store`] keeps
//! artifacts on this machine by digest; a built folder and a registry are the other two places where they lie. There is no archive
//! format, and the title of a layer is a label that is never used as a path.
//!
//! [`recipe`] is what an author writes, `pack.toml`; [`manifest`] what a build makes of it; [`whole`] a pack with its bytes. [`installed`]
//! says what is in the store and who needs it, [`mod@lock`] which bytes a scenario uses, [`signature`] and [`trust`] from whom they
//! may come.

use serde::{Deserialize, Serialize};

pub mod diff;
pub mod digest;
pub mod installed;
pub mod interface;
pub mod lock;
pub mod manifest;
pub mod recipe;
pub mod registry;
pub mod signature;
pub mod store;
pub mod title;
pub mod trust;
pub mod whole;

use digest::Digest;

/// Media type of the config: the manifest of a built pack, JSON.
pub const CONFIG_TYPE: &str = "application/vnd.simwright.pack.config.v1+json";
/// The type of the whole artifact, for registries that list it.
pub const ARTIFACT_TYPE: &str = "application/vnd.simwright.pack.v1";
/// Media type of a component.
pub const COMPONENT_TYPE: &str = "application/wasm";
/// Media type of scenarios and test vectors.
pub const YAML_TYPE: &str = "application/yaml";
/// Media type of the README.
pub const TEXT_TYPE: &str = "text/markdown";

/// A pack as it is stored, signed and sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// The manifest, byte for byte; every layer stands in it, too.
    pub config: Vec<u8>,
    /// One layer a file.
    pub layers: Vec<Layer>,
    /// Signatures over [`Artifact::digest`] in minisign's format, each the text of a `.minisig` file. They are no part of what is signed.
    pub signatures: Vec<String>,
}

/// One file of a pack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// What people call it, such as `plugins/brown-out.wasm`: a label, never a path.
    pub title: String,
    /// What it is.
    pub media_type: String,
    /// The digest of its bytes.
    pub digest: Digest,
    /// How many bytes it has.
    pub size: u64,
}

impl Artifact {
    /// The digest of the pack: that of its config.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.config)
    }
}

#[cfg(test)]
pub(crate) mod samples;
