//! Packs in OCI registries: one layer a file, in the layout of Wasm artifacts.
//!
//! A registry is a stranger: what it says is bounded, timed and checked, and only bytes with the digest that was announced get into
//! the store. [`reference`] is how a place is written, [`network`] which addresses are connected to, [`credentials`] who asks.
//! `wire` is one connection, `session` a visit with redirects, tokens (`token`, `challenge`) and other tries ([`bounds`]).
//! [`manifest`] turns a pack into what registries keep and back; [`pull`] and [`push`] move it, [`tags`] says which versions there are. Nothing here runs unless a person asks
//! for it: a start reads the store and this module never.
//!
//! It is a client of its own because `oci-client` 0.17 builds its HTTP client itself: it resolves names, follows redirects, reads
//! manifests of any size and shows passwords to any realm, and a caller cannot change that. Tests exchange packs with it and with
//! `oci-wasm` in both directions.

use std::fmt;
use std::sync::Arc;

mod challenge;
mod session;
pub mod tags;
mod token;
mod url;
mod wire;

pub mod bounds;
pub mod credentials;
pub mod error;
pub mod manifest;
pub mod network;
pub mod pull;
pub mod push;
pub mod reference;
mod world;

use bounds::Bounds;
use credentials::Source;
use network::{Machine, Network};
pub use wire::Trust;

/// How registries are visited.
#[derive(Clone)]
pub struct Registry {
    /// What the person who asks allows.
    pub access: Access,
    /// Deadlines and tries.
    pub bounds: Bounds,
    network: Arc<dyn Network>,
    trust: Option<Trust>,
}

/// What the person who asks allows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// Who asks.
    pub credentials: Source,
    /// Speak plain HTTP also with a registry that is not this machine.
    pub plain_http: bool,
    /// The registry's name may lead into a private network.
    pub private_network: bool,
    /// Another host and port that may see the credentials, because the registry's tokens come from there.
    pub token_host: Option<String>,
}

impl Registry {
    /// Over this machine's network, with the certificate authorities that it trusts.
    pub fn new(access: Access) -> Self {
        Self { access, bounds: Bounds::default(), network: Arc::new(Machine), trust: None }
    }

    /// Over another network, with other certificate authorities.
    pub fn over(access: Access, bounds: Bounds, network: Arc<dyn Network>, trust: Trust) -> Self {
        Self { access, bounds, network, trust: Some(trust) }
    }

    fn trust(&self) -> Trust {
        self.trust.clone().unwrap_or_else(Trust::of_system)
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("access", &self.access).field("bounds", &self.bounds).finish_non_exhaustive()
    }
}
