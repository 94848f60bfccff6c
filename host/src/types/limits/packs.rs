//! Of packs and of the registries that they come from.

limits! {
PACKS

/// Bytes of all files of one pack: some Python or JavaScript components with their tests.
pub const PACK_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Size of a pack's manifest, in bytes, before and after the build: as much as registries take for one.
pub const PACK_MANIFEST_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Files of one pack, and its plugins and scenarios: more than anybody keeps an overview of.
pub const PACK_LAYERS_MAX: usize = 256;
/// Names of packs and of what is in them, and titles of their files, in bytes: they stand in URLs, paths and lines of a table.
pub const PACK_NAME_BYTES_MAX: usize = 128;
/// Packs that one scenario may name.
pub const SCENARIO_PACKS_MAX: usize = 32;
/// Size of one signature, in bytes: four lines, of which minisign bounds the longest to 8 KiB.
pub const PACK_SIGNATURE_BYTES_MAX: usize = 16 * 1024;
/// Signatures of one pack: one a publisher, and some while keys change.
pub const PACK_SIGNATURES_MAX: usize = 16;
/// A reference to a pack in a registry: the longest name and tag that registries take, and a digest.
pub const REFERENCE_BYTES_MAX: usize = 512;
/// A URL that a registry names: links of object stores carry a signature of some kilobytes.
pub const REGISTRY_URL_BYTES_MAX: usize = 8 * 1024;
/// Time to reach a registry, TLS included, in seconds.
pub const REGISTRY_CONNECT_S: u64 = 10;
/// Time from a request to the head of a registry's answer, in seconds; what is sent up has its own time besides.
pub const REGISTRY_HEAD_S: u64 = 10;
/// Time without a byte of a registry's answer, in seconds.
pub const REGISTRY_IDLE_S: u64 = 30;
/// The slowest rate at which bytes of a pack may come or go, in bytes a second, after half a minute: a slow modem's.
pub const REGISTRY_RATE_BYTES_PER_S: u64 = 8 * 1024;
/// The head of a registry's answer, in bytes: what most proxies pass, eightfold.
pub const REGISTRY_HEAD_BYTES_MAX: usize = 64 * 1024;
/// A registry's words about an error, and its token, in bytes.
pub const REGISTRY_WORDS_BYTES_MAX: u64 = 64 * 1024;
/// Redirects of one request: to a store of objects, with one for each of two proxies before it.
pub const REGISTRY_REDIRECTS_MAX: usize = 3;
/// Tags that a registry is asked for at once, which most of them give.
pub const REGISTRY_TAGS_ASKED: usize = 1_000;
/// A part of a registry's list of tags, in bytes: so many tags of the longest kind, eightfold.
pub const REGISTRY_TAGS_BYTES_MAX: u64 = 1024 * 1024;
/// Parts of a registry's list of tags: tens of thousands of versions of one pack.
pub const REGISTRY_TAG_PAGES_MAX: usize = 32;
/// Tries of one request to a registry that fails for now.
pub const REGISTRY_TRIES_MAX: u32 = 4;
/// Time before the second try, in milliseconds; each later one doubles it, and half of each is drawn.
pub const REGISTRY_WAIT_MS: u64 = 500;
/// The longest time that a registry may ask to wait, in seconds; one that asks for more is told of at once.
pub const REGISTRY_WAIT_S_MAX: u64 = 30;
/// A file of a user's credentials for registries, in bytes: thousands of registries.
pub const CREDENTIALS_BYTES_MAX: u64 = 1024 * 1024;
}
