//! A registry that lies on command, and what becomes of those who ask it: nothing in the store, and one word for what went wrong.

/// Who is asked, who learns the password, and who is never connected to.
mod addresses;
/// Cuts, drips, silence, and registries that are down.
mod bounds;
/// Bytes that are not what they are called.
mod digests;
/// Manifests of other tools and other times.
mod formats;
/// The registry.
mod server;
/// Certificates.
mod tls;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use simwright::pack::digest::Digest;
use simwright::pack::registry::bounds::Bounds;
use simwright::pack::registry::error::RegistryError;
use simwright::pack::registry::manifest::{MANIFEST_TYPE, World, config_of, manifest_of};
use simwright::pack::registry::network::{Answer, Network};
use simwright::pack::registry::pull::{Fetched, Offer};
use simwright::pack::registry::reference::Reference;
use simwright::pack::registry::{Access, Registry, Trust};
use simwright::pack::store::Store;
use simwright::pack::{Artifact, COMPONENT_TYPE, Layer, TEXT_TYPE};
use tokio::net::TcpStream;

use server::{LyingRegistry, Reply, Seen};

/// A pack as an honest registry has it.
#[derive(Clone)]
pub struct Shelf {
    pub artifact: Artifact,
    pub config: Vec<u8>,
    pub manifest: Vec<u8>,
    pub blobs: BTreeMap<Digest, Vec<u8>>,
}

impl Shelf {
    /// One with a component and a text.
    pub fn new() -> Self {
        Self::with(&[("plugins/one.wasm", COMPONENT_TYPE, vec![7; 5_000]), ("README.md", TEXT_TYPE, b"# one\n".to_vec())])
    }

    pub fn with(files: &[(&str, &str, Vec<u8>)]) -> Self {
        let layer = |(title, media_type, bytes): &(&str, &str, Vec<u8>)| Layer {
            title: (*title).to_owned(),
            media_type: (*media_type).to_owned(),
            digest: Digest::of(bytes),
            size: bytes.len() as u64,
        };
        let layers: Vec<Layer> = files.iter().map(layer).collect();
        let blobs = files.iter().map(|(_, _, bytes)| (Digest::of(bytes), bytes.clone())).collect();
        let artifact = Artifact { config: Vec::new(), layers, signatures: Vec::new() };
        Self { artifact, config: Vec::new(), manifest: Vec::new(), blobs }.again()
    }

    /// The same files with manifests that say what the layers are now.
    pub fn again(mut self) -> Self {
        self.artifact.config = super::registry::manifest_for(&self.artifact.layers);
        self.config = config_of(&self.artifact, World::default()).expect("a config");
        self.manifest = manifest_of(&self.artifact, &self.config);
        self.blobs.insert(Digest::of(&self.config), self.config.clone());
        self
    }

    /// The digest of the component.
    pub fn first(&self) -> Digest {
        self.artifact.layers[0].digest
    }

    /// What an honest registry answers.
    pub fn answer(&self, seen: &Seen) -> Reply {
        let Some((_, rest)) = seen.path.split_once("/v2/acme/one/") else { return Reply::new(404, "") };
        match rest.split_once('/') {
            Some(("manifests", asked)) => {
                let digest = Digest::of(&self.manifest).to_string();
                if asked.starts_with("sha256:") && asked != digest {
                    return Reply::new(404, r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#);
                }
                let reply = Reply::new(200, self.manifest.clone()).with("content-type", MANIFEST_TYPE);
                reply.with("docker-content-digest", digest)
            }
            Some(("blobs", digest)) => match digest.parse().ok().and_then(|digest| self.blobs.get(&digest)) {
                Some(bytes) => part(bytes, seen.header("range")).with("docker-content-digest", digest),
                None => Reply::new(404, ""),
            },
            _ => Reply::new(404, ""),
        }
    }
}

fn part(bytes: &[u8], range: Option<&str>) -> Reply {
    let from = range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    match from {
        None => Reply::new(200, bytes),
        Some(from) => {
            let range = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
            Reply::new(206, &bytes[from..]).with("content-range", range)
        }
    }
}

/// Names that lead where a test says, and addresses that all lead to one listener.
#[derive(Default)]
pub struct Paper {
    pub names: BTreeMap<String, Vec<Vec<IpAddr>>>,
    pub asked: Mutex<Vec<String>>,
    pub connected: Mutex<Vec<SocketAddr>>,
    /// Where connections to addresses that are not this machine's end.
    pub leads_to: Option<SocketAddr>,
}

impl Network for Paper {
    fn resolve<'a>(&'a self, name: &'a str) -> Answer<'a, Vec<IpAddr>> {
        let mut asked = self.asked.lock().expect("no panic");
        let before = asked.iter().filter(|other| *other == name).count();
        asked.push(name.to_owned());
        let answers = self.names.get(name).cloned().unwrap_or_default();
        let answer = answers.get(before).or(answers.last()).cloned();
        Box::pin(async move { answer.ok_or_else(|| std::io::ErrorKind::NotFound.into()) })
    }

    fn connect(&self, address: SocketAddr) -> Answer<'_, TcpStream> {
        self.connected.lock().expect("no panic").push(address);
        let target = if address.ip().is_loopback() { address } else { self.leads_to.unwrap_or(address) };
        Box::pin(TcpStream::connect(target))
    }
}

/// Bounds under which tests of patience do not take long, and others do not run out of it.
pub fn quick() -> Bounds {
    Bounds { tries: 2, wait: Duration::from_millis(1), ..Bounds::default() }
}

pub fn visitor(access: Access, bounds: Bounds, network: Paper) -> (Registry, Arc<Paper>) {
    let network = Arc::new(network);
    (Registry::over(access, bounds, Arc::<Paper>::clone(&network), Trust::of([])), network)
}

pub fn plain(bounds: Bounds) -> Registry {
    visitor(Access::default(), bounds, Paper::default()).0
}

pub fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

/// Looks and fetches, as `pack pull` does.
pub fn pull(registry: &Registry, reference: &str, store: &Store) -> Result<(Offer, Fetched), RegistryError> {
    let reference: Reference = reference.parse().expect("a reference");
    run(async {
        let offer = registry.look(&reference).await?;
        let fetched = registry.fetch(&offer, &store.intake()?).await?;
        Ok((offer, fetched))
    })
}

/// A store in a folder of its own.
pub fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::at(folder.path().join("packs"));
    (folder, store)
}

/// Every file below the store but its lock, in words.
pub fn files_in(store: &Store) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![store.root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.ends_with("lock") {
                found.push(path.strip_prefix(store.root()).expect("below").display().to_string());
            }
        }
    }
    found
}

/// Where a registry is, as people write it.
pub fn place(registry: &LyingRegistry, rest: &str) -> String {
    format!("{}/acme/one{rest}", registry.address)
}

#[test]
fn an_honest_registry_is_believed_and_asked_no_more_than_is_needed() {
    let shelf = Shelf::new();
    let honest = shelf.clone();
    let registry = LyingRegistry::start(move |seen| honest.answer(seen));
    let (_folder, store) = store();
    let (offer, fetched) = pull(&plain(quick()), &place(&registry, ":1"), &store).expect("a pack");
    assert_eq!(offer.artifact, shelf.artifact);
    assert_eq!(offer.reference.digest(), Some(Digest::of(&shelf.manifest)));
    assert_eq!((fetched.files, fetched.kept), (2, 0));
    for layer in &shelf.artifact.layers {
        assert_eq!(store.read(&layer.digest).expect("bytes"), shelf.blobs[&layer.digest]);
    }
    let asked: Vec<String> = registry.seen().iter().map(|seen| format!("{} {}", seen.method, seen.path)).collect();
    assert_eq!(asked.len(), 4, "{asked:?}");
    assert!(registry.seen().iter().all(|seen| seen.header("authorization").is_none()));

    // What is here is not fetched again, and what is spoilt here is.
    let spoilt = store.root().join("blobs").join(shelf.first().hex());
    std::fs::write(&spoilt, b"spoilt").expect("written");
    let (_, fetched) = pull(&plain(quick()), &place(&registry, ":1"), &store).expect("a pack");
    assert_eq!((fetched.files, fetched.kept), (1, 1));
    assert_eq!(store.read(&shelf.first()).expect("bytes"), shelf.blobs[&shelf.first()]);
}
