//! Whom packs are taken from: `trust.toml` in the user's folder for configuration.
//!
//! Without one, a pack from a registry needs a signature and there is nobody who could give it, so none is taken; a pack from a folder is
//! the user's own and needs none. The file names publishers with their keys and the places that they may publish to.
//!
//! ```toml
//! unsigned = ["localhost:5000/*"]       # places whose packs need no signature
//! folders = "required"                  # do folders need one, too? `optional` unless said
//!
//! [[publisher]]
//! name = "Acme platform team"
//! keys = ["RW…"]
//! places = ["ghcr.io/acme/*"]           # `*` alone for everywhere
//! packs = ["acme", "acme-*"]            # all of them unless said
//! digests = ["sha256:…"]                # any unless said
//! ```

use std::fmt;
use std::path::{Path, PathBuf};

use crate::grammar::toml::{Document, Mistakes};
use crate::pack::Artifact;
use crate::pack::digest::Digest;
use crate::pack::manifest::Manifest;
use crate::pack::signature::{self, Fault, Key};
use crate::pack::store::folder_of;
use crate::types::fields::Fields;
use crate::types::limits::PACK_SIGNATURES_MAX;
use crate::types::problem::Problem;

/// Where a pack comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A folder on this machine.
    Folder,
    /// A repository of a registry, `host/name` without a tag.
    Registry(String),
}

/// Who vouches for a pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Voucher {
    /// A publisher of the policy.
    Publisher {
        /// Its name.
        name: String,
        /// The number of its key.
        key_id: String,
    },
    /// Nobody, and nobody needs to.
    Nobody,
}

/// Why a pack must not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// Nobody who is trusted has signed it. Who takes it all the same knows what they do.
    #[error("nobody that `trust.toml` trusts has signed it: {0}")]
    Unknown(String),
    /// Somebody who is trusted has signed something else, or no longer vouches for it: it is never taken.
    #[error("{0}")]
    Bad(String),
}

impl fmt::Display for Voucher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Publisher { name, key_id } => write!(f, "signed by {name} (key {key_id})"),
            Self::Nobody => f.write_str("signed by nobody trusted, and needs no signature"),
        }
    }
}

/// A trust policy.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    publishers: Vec<Publisher>,
    unsigned: Vec<String>,
    folders_too: bool,
}

#[derive(Debug, Clone)]
struct Publisher {
    name: String,
    keys: Vec<Key>,
    places: Vec<String>,
    packs: Vec<String>,
    digests: Vec<Digest>,
}

impl Policy {
    /// The user's file: `trust.toml` in `SIMWRIGHT_HOME`, or in `simwright` in the user's folder for configuration.
    pub fn file() -> Option<PathBuf> {
        let config = || folder_of("XDG_CONFIG_HOME").or_else(|| folder_of("HOME").map(|home| home.join(".config")));
        let home = folder_of("SIMWRIGHT_HOME").or_else(|| config().map(|config| config.join("simwright")))?;
        Some(home.join("trust.toml"))
    }

    /// The user's policy. A file with mistakes is an error and no policy.
    pub fn of_user() -> Result<Self, Mistakes> {
        Self::file().map_or_else(|| Ok(Self::default()), |file| Self::read(&file))
    }

    /// The policy in `path`; the one without a file if there is none.
    pub fn read(path: &Path) -> Result<Self, Mistakes> {
        let file = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&file, &text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(Mistakes::one(&file, Problem::new("", format!("`{file}` cannot be read: {error}")))),
        }
    }

    /// Reads `text`, which `file` names in messages.
    pub fn parse(file: &str, text: &str) -> Result<Self, Mistakes> {
        let document = Document::parse(file, text)?;
        let mut fields = Fields::of(&document.value, "");
        let unsigned = patterns(&mut fields, "unsigned", fault_of_place);
        let folders_too = fields.word("folders", &["required", "optional"]) == Some("required");
        let mut publishers = Vec::new();
        for (index, item) in fields.list("publisher").iter().enumerate() {
            let mut own = Fields::of(item, format!("/publisher/{index}"));
            publishers.push(publisher(&mut own));
            fields.extend(own.finish());
        }
        let problems = fields.finish();
        if problems.is_empty() { Ok(Self { publishers, unsigned, folders_too }) } else { Err(document.mistakes(problems)) }
    }

    /// Says who vouches for `artifact`, whose manifest is `manifest`, from `origin`; the error says why it must not be used. Every
    /// signature is looked at, so that their order says nothing: one bad one by a key of the policy is enough to refuse, and else one
    /// good one to accept. With `now_unix_s`, signatures that have expired count for nothing: for installs, and not for starts, which no
    /// passing of time may break.
    pub fn judge(
        &self,
        origin: &Origin,
        manifest: &Manifest,
        artifact: &Artifact,
        now_unix_s: Option<u64>,
    ) -> Result<Voucher, Distrust> {
        if artifact.signatures.len() > PACK_SIGNATURES_MAX {
            let message = format!("it has {} signatures, and a pack may have {PACK_SIGNATURES_MAX}", artifact.signatures.len());
            return Err(Distrust::Bad(message));
        }
        let digest = artifact.digest();
        let may_publish = |publisher: &&Publisher| publisher.may_publish(origin, &manifest.name, &digest);
        let (mut reasons, mut voucher) = (Vec::new(), None);
        for signature in &artifact.signatures {
            let id = match signature::key_id(signature) {
                Ok(id) => id,
                Err(reason) => {
                    reasons.push(reason);
                    continue;
                }
            };
            let mut of_key = self.publishers.iter().filter_map(|publisher| Some((publisher, publisher.key(&id)?)));
            match of_key.clone().find(|(publisher, _)| may_publish(publisher)).or_else(|| of_key.next()) {
                None => reasons.push(format!("key {id} is not in `trust.toml`")),
                Some((publisher, key)) => match signature::verify(signature, key, manifest, &artifact.config, now_unix_s) {
                    // A signature by a key that is trusted, and that does not fit: somebody has tampered.
                    Err(Fault::Bad(reason)) => {
                        return Err(Distrust::Bad(format!("its signature by {} (key {id}) is bad: {reason}", publisher.name)));
                    }
                    Err(Fault::Expired(reason)) => {
                        reasons.push(format!("its signature by {} (key {id}): {reason}", publisher.name));
                    }
                    Ok(()) if may_publish(&publisher) => {
                        voucher.get_or_insert(Voucher::Publisher { name: publisher.name.clone(), key_id: id });
                    }
                    Ok(()) => reasons.push(format!(
                        "{} (key {id}) may not publish this: `trust.toml` names other places, packs or digests",
                        publisher.name
                    )),
                },
            }
        }
        if let Some(voucher) = voucher {
            return Ok(voucher);
        }
        if !self.is_required(origin) {
            return Ok(Voucher::Nobody);
        }
        let why = if reasons.is_empty() { "it has no signature".to_owned() } else { reasons.join("; ") };
        Err(Distrust::Unknown(why))
    }

    fn is_required(&self, origin: &Origin) -> bool {
        match origin {
            Origin::Folder => self.folders_too,
            Origin::Registry(place) => !self.unsigned.iter().any(|pattern| fits(pattern, place)),
        }
    }
}

impl Publisher {
    fn key(&self, id: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.id() == id)
    }

    fn may_publish(&self, origin: &Origin, pack: &str, digest: &Digest) -> bool {
        let place = match origin {
            Origin::Folder => true,
            Origin::Registry(place) => self.places.iter().any(|pattern| fits(pattern, place)),
        };
        let named = self.packs.is_empty() || self.packs.iter().any(|pattern| fits(pattern, pack));
        place && named && (self.digests.is_empty() || self.digests.contains(digest))
    }
}

fn publisher(fields: &mut Fields<'_>) -> Publisher {
    for field in ["name", "keys", "places"] {
        fields.require(field);
    }
    let name = fields.text("name").unwrap_or("").to_owned();
    let mut keys = Vec::new();
    for text in fields.texts("keys") {
        match Key::parse(text) {
            Ok(key) => keys.push(key),
            Err(message) => fields.problem("keys", message),
        }
    }
    let places = patterns(fields, "places", fault_of_place);
    let packs = patterns(fields, "packs", |_| None);
    let mut digests = Vec::new();
    for text in fields.texts("digests") {
        match text.parse() {
            Ok(digest) => digests.push(digest),
            Err(message) => fields.problem("digests", message),
        }
    }
    Publisher { name, keys, places, packs, digests }
}

fn patterns(fields: &mut Fields<'_>, field: &'static str, fault: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let texts = fields.texts(field);
    for text in &texts {
        if text.is_empty() || text.find('*').is_some_and(|at| at + 1 < text.len()) {
            fields.problem(field, format!("`{text}` is no pattern; `*` stands at its end"));
        } else if let Some(message) = fault(text) {
            fields.problem(field, message);
        }
    }
    texts.into_iter().map(str::to_owned).collect()
}

/// `ghcr.io/acme*` would let `ghcr.io/acme-evil` in.
fn fault_of_place(pattern: &str) -> Option<String> {
    let bare = pattern.strip_suffix('*').filter(|before| !before.is_empty() && !before.ends_with('/'))?;
    Some(format!("`{pattern}` is also `{bare}-of-somebody-else`; write `{bare}/*` or the whole place"))
}

fn fits(pattern: &str, text: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(before) => text.starts_with(before),
        None => pattern == text,
    }
}

#[cfg(test)]
#[path = "trust_tests.rs"]
mod tests;
