//! Which packs are in the store, and which of them somebody needs.
//!
//! A pack is installed once its record is written, after all its bytes; two versions, or two builds of one version, lie side by side. Who
//! uses a pack says so: a lock by its place (`roots/`), a running program by a file that it keeps locked (`users/`). What is in a
//! record or is needed is never thrown out.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use semver::Version;
use serde::{Deserialize, Serialize};

use crate::pack::Artifact;
use crate::pack::digest::Digest;
use crate::pack::lock::Lock;
use crate::pack::manifest::Manifest;
use crate::pack::store::{Intake, Store, StoreError};
use crate::pack::trust::Origin;
use crate::pack::whole::{Pack, PackError};
use crate::types::limits::PACK_SIGNATURES_MAX;

const RECORDS: &str = "installed";
const ROOTS: &str = "roots";
const USERS: &str = "users";

/// What the store knows of a pack besides its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Which pack.
    pub digest: Digest,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: Version,
    /// Where it came from, for people.
    pub source: String,
    /// The repository that it came from; none for a folder.
    pub repository: Option<String>,
    /// Was it taken although nobody who is trusted has signed it?
    pub insecure: bool,
    /// The signatures that came with it.
    pub signatures: Vec<String>,
}

impl Record {
    /// Where it came from, for the trust policy.
    pub fn origin(&self) -> Origin {
        self.repository.clone().map_or(Origin::Folder, Origin::Registry)
    }

    /// The same pack came again, from a folder and with `signatures`. It stays one from its registry: a folder, which the policy may
    /// believe without a signature, is no way around what the policy says of that place.
    #[must_use]
    pub fn with_signatures(mut self, signatures: &[String]) -> Self {
        let new = signatures.iter().filter(|signature| !self.signatures.contains(signature)).cloned().collect::<Vec<_>>();
        self.signatures.extend(new);
        self.signatures.truncate(PACK_SIGNATURES_MAX);
        self
    }
}

/// What was thrown out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    /// How many files.
    pub files: u64,
    /// Their size in bytes.
    pub bytes: u64,
}

impl Store {
    /// Everything that is installed, by name and version.
    pub fn records(&self) -> Result<Vec<Record>, StoreError> {
        let mut records = Vec::new();
        for path in entries(&self.root().join(RECORDS))? {
            let bytes = match fs::read(&path) {
                // Somebody has removed it meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                bytes => bytes.map_err(StoreError::io(&path))?,
            };
            let record: Record = serde_json::from_slice(&bytes).map_err(|error| StoreError::damaged(&path, &error))?;
            records.push(record);
        }
        records.sort_by(|a, b| (&a.name, &a.version, a.digest).cmp(&(&b.name, &b.version, b.digest)));
        Ok(records)
    }

    /// The record of the pack `digest`, if that is installed.
    pub fn record(&self, digest: &Digest) -> Result<Option<Record>, StoreError> {
        let path = self.record_file(digest);
        match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::Io { path, error }),
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| StoreError::damaged(&path, &error)),
        }
    }

    /// The pack of `record`. Its manifest is checked against its digest here, its files when they are read.
    pub fn pack(&self, record: &Record) -> Result<Pack, PackError> {
        let config = self.read(&record.digest)?;
        let bad = |message| PackError::Bad { place: record.digest.to_string(), message };
        let layers = Manifest::parse(&config).map_err(bad)?.files;
        Pack::in_store(Artifact { config, layers, signatures: record.signatures.clone() }, self)
    }

    /// Begins to use packs: until the use is dropped, or its process ends, they are not thrown out.
    pub fn begin_use(&self) -> Result<Use, StoreError> {
        let users = self.make(USERS)?;
        for _ in 0..100 {
            // It has its lock before it has its name, so that who collects never takes it for one that a dead process left, and nobody
            // need wait for who collects.
            let draft = self.draft()?;
            draft.file().lock().map_err(StoreError::io(&users))?;
            let file = draft.file().try_clone().map_err(StoreError::io(&users))?;
            let secret = crate::random::secret().map_err(StoreError::io(self.root()))?;
            let path = users.join(Digest::of(&secret).hex());
            match draft.commit(&path) {
                Ok(()) => return Ok(Use { path, file, digests: Mutex::default() }),
                // Somebody has swept the draft away meanwhile.
                Err(StoreError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Io { path: users, error: io::ErrorKind::NotFound.into() })
    }

    /// Who needs which packs now.
    pub fn users(&self) -> Result<Users, StoreError> {
        Ok(Users { locks: self.locks()?, running: self.used_now()? })
    }

    /// Forgets the pack `digest`, unless somebody needs it, and throws its bytes out. The error names who does.
    pub fn remove(&self, digest: &Digest) -> Result<Result<Collected, Vec<String>>, PackError> {
        let alone = self.alone()?;
        let users = self.users()?.of(digest);
        if !users.is_empty() {
            return Ok(Err(users));
        }
        let path = self.record_file(digest);
        fs::remove_file(&path).map_err(StoreError::io(&path))?;
        self.collect_under(&alone).map(Ok)
    }

    /// Throws out every file that belongs to no installed pack and to none that somebody needs.
    pub fn collect(&self) -> Result<Collected, PackError> {
        self.collect_under(&self.alone()?)
    }

    fn collect_under(&self, _alone: &File) -> Result<Collected, PackError> {
        self.sweep()?;
        let mut packs: BTreeSet<Digest> = self.records()?.into_iter().map(|record| record.digest).collect();
        // What a lock needs that cannot be read is not known.
        for (_, digests) in self.locks()? {
            packs.extend(digests?);
        }
        packs.extend(self.used_now()?);
        let mut needed = packs.clone();
        for digest in packs.iter().filter(|digest| self.has(digest)) {
            // What a damaged manifest names is not known: better nothing is thrown out than something of it.
            let bad = |message| PackError::Bad { place: digest.to_string(), message };
            let manifest = Manifest::parse(&self.read(digest)?).map_err(bad)?;
            needed.extend(manifest.files.iter().map(|file| file.digest));
        }
        let mut collected = Collected::default();
        for (digest, path) in self.blobs()? {
            if !needed.contains(&digest) {
                collected.bytes += fs::metadata(&path).map_err(StoreError::io(&path))?.len();
                collected.files += 1;
                fs::remove_file(&path).map_err(StoreError::io(&path))?;
            }
        }
        Ok(collected)
    }

    /// Locks that are still there, with the packs that they name, or why that is not known.
    fn locks(&self) -> Result<Vec<Noted>, StoreError> {
        let mut locks = Vec::new();
        for root in entries(&self.root().join(ROOTS))? {
            let path = match fs::read(&root) {
                // Somebody else has forgotten it meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                bytes => PathBuf::from(std::ffi::OsStr::from_bytes(&bytes.map_err(StoreError::io(&root))?)),
            };
            let digests = match path.try_exists() {
                Ok(true) => Lock::read(&path)
                    .map(|lock| lock.packs.iter().map(|pack| pack.digest).collect())
                    .map_err(|mistakes| StoreError::damaged(&path, &mistakes)),
                Ok(false) => {
                    // Where the folder is gone, too, it may be on a disk that comes back, and is remembered.
                    if path.parent().is_some_and(|folder| folder.try_exists().is_ok_and(|is_there| is_there)) {
                        let _ = fs::remove_file(&root);
                    }
                    continue;
                }
                Err(error) => Err(StoreError::Io { path: path.clone(), error }),
            };
            locks.push((path, digests));
        }
        Ok(locks)
    }

    /// What running programs use. Files of those that have ended are removed: nobody holds their lock any more.
    fn used_now(&self) -> Result<BTreeSet<Digest>, StoreError> {
        let mut used = BTreeSet::new();
        for path in entries(&self.root().join(USERS))? {
            let file = match File::open(&path) {
                // Its program has just ended.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                file => file.map_err(StoreError::io(&path))?,
            };
            if file.try_lock().is_ok() {
                let _ = fs::remove_file(&path);
                continue;
            }
            let text = fs::read_to_string(&path).map_err(StoreError::io(&path))?;
            used.extend(text.lines().filter_map(|line| line.parse::<Digest>().ok()));
        }
        Ok(used)
    }

    fn make(&self, name: &str) -> Result<PathBuf, StoreError> {
        let folder = self.root().join(name);
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(StoreError::io(&folder))?;
        Ok(folder)
    }

    fn record_file(&self, digest: &Digest) -> PathBuf {
        self.root().join(RECORDS).join(digest.hex())
    }
}

/// A lock that is there, with the packs that it names, or why that is not known.
type Noted = (PathBuf, Result<Vec<Digest>, StoreError>);

/// Who needs which packs.
#[derive(Debug)]
pub struct Users {
    locks: Vec<Noted>,
    running: BTreeSet<Digest>,
}

impl Users {
    /// Who needs the pack `digest`, for people. A lock that cannot be read may need any.
    pub fn of(&self, digest: &Digest) -> Vec<String> {
        let lock = |(path, digests): &Noted| match digests {
            Ok(digests) => digests.contains(digest).then(|| format!("`{}`", path.display())),
            Err(_) => Some(format!("perhaps `{}`, which cannot be read", path.display())),
        };
        let mut users: Vec<String> = self.locks.iter().filter_map(lock).collect();
        if self.running.contains(digest) {
            users.push("a running simwright".to_owned());
        }
        users
    }

    /// Why locks that are there cannot be read.
    pub fn unreadable(&self) -> impl Iterator<Item = &StoreError> {
        self.locks.iter().filter_map(|(_, digests)| digests.as_ref().err())
    }
}

impl Intake {
    /// Lets the lock at `path` count as a use of what it names, as long as it is there.
    pub fn note_lock(&self, path: &Path) -> Result<(), StoreError> {
        let path = std::path::absolute(path).map_err(StoreError::io(path))?;
        let bytes = path.as_os_str().as_bytes();
        let folder = self.store().make(ROOTS)?;
        let mut draft = self.draft()?;
        draft.write(bytes)?;
        draft.commit(&folder.join(Digest::of(bytes).hex()))
    }

    /// Installs `pack`: copies what is not here yet, then writes the record.
    pub fn install(&self, pack: &Pack, record: &Record) -> Result<(), PackError> {
        for layer in &pack.artifact.layers {
            // Bytes that have rotted here are written anew.
            if self.store().read(&layer.digest).is_err() {
                let mut stage = self.stage(layer.digest, layer.size)?;
                stage.write(&pack.read(layer)?)?;
                stage.commit()?;
            }
        }
        self.finish(&pack.artifact, record)
    }

    /// Ends the intake of `artifact`, whose files are here: writes its config and then its record, which makes it installed.
    pub fn finish(&self, artifact: &Artifact, record: &Record) -> Result<(), PackError> {
        if let Some(missing) = artifact.layers.iter().find(|layer| !self.store().has(&layer.digest)) {
            return Err(StoreError::Missing(missing.digest).into());
        }
        let mut stage = self.stage(artifact.digest(), artifact.config.len() as u64)?;
        stage.write(&artifact.config)?;
        stage.commit()?;
        self.store().make(RECORDS)?;
        let path = self.store().record_file(&record.digest);
        let bytes = serde_json::to_vec_pretty(record).map_err(|error| StoreError::damaged(&path, &error))?;
        let mut draft = self.draft()?;
        draft.write(&bytes)?;
        Ok(draft.commit(&path)?)
    }
}

/// Packs that a program uses while it runs.
#[derive(Debug)]
pub struct Use {
    path: PathBuf,
    file: File,
    digests: Mutex<BTreeSet<Digest>>,
}

impl Use {
    /// Uses the pack `digest`, too.
    pub fn add(&self, digest: &Digest) -> Result<(), StoreError> {
        let mut digests = self.digests.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if digests.insert(*digest) {
            (&self.file).write_all(format!("{digest}\n").as_bytes()).map_err(StoreError::io(&self.path))?;
        }
        Ok(())
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// The files of `folder`, which need not be there.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let found = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        found => found.map_err(StoreError::io(folder))?,
    };
    let mut paths = Vec::new();
    for entry in found {
        let entry = entry.map_err(StoreError::io(folder))?;
        // What begins with a dot is still being written.
        if !entry.file_name().as_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
#[path = "installed_tests.rs"]
mod tests;
