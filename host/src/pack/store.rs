//! The packs of this machine, by digest: what a start reads, so that it never needs a network.
//!
//! `blobs/` holds bytes by digest, `installed/` one small file a pack, which is written last: a pack is there as a whole or not at
//! all, also after `kill -9` and on a full disk. Every write is a temporary file, `fsync`, rename, `fsync` of the folder. Who brings
//! something in holds the store's lock together with others ([`Intake`]); who throws something out holds it alone. Locks end with
//! their process. Bytes are checked against their digest as they come in and whenever they are read.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::pack::digest::{Checked, Checker, Digest, Mismatch};

const BLOBS: &str = "blobs";
const STAGING: &str = "staging";
/// Hexadecimal digits of a draft's own name.
const SECRET_DIGITS: usize = 16;
const LOCK: &str = "lock";
/// Who has this one alone writes locks of scenarios: they are read, changed and written as one.
const TURN: &str = "turn";

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The user has no home, so there is no place for a store.
    #[error("there is no folder for packs: neither `SIMWRIGHT_HOME` nor `XDG_DATA_HOME` nor `HOME` names one")]
    NoHome,
    /// Something of it cannot be read or written.
    #[error("`{}`: {error}", path.display())]
    Io {
        /// What.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Bytes are not those of their digest.
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
    /// It is not there.
    #[error("`{0}` is not in the store")]
    Missing(Digest),
    /// A file that only this program writes cannot be understood.
    #[error("`{}` is damaged: {message}", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
}

impl StoreError {
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |error| Self::Io { path: path.to_owned(), error }
    }

    pub(super) fn damaged(path: &Path, error: &dyn std::fmt::Display) -> Self {
        Self::Damaged { path: path.to_owned(), message: error.to_string() }
    }

    /// What went wrong while the bytes of `path` were read: also that they are others.
    pub(super) fn of_bytes(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |error| match error.downcast::<Mismatch>() {
            Ok(mismatch) => mismatch.into(),
            Err(error) => Self::Io { path: path.to_owned(), error },
        }
    }
}

/// Packs on this machine.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
    tell: fn(&str),
}

impl Store {
    /// The store in the folder `root`, which need not be there yet.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), tell: |_| {} }
    }

    /// The same, which tells when it has to wait for somebody, and for whom.
    #[must_use]
    pub fn telling(self, tell: fn(&str)) -> Self {
        Self { tell, ..self }
    }

    /// The user's store: `packs` in `SIMWRIGHT_HOME`, or `simwright/packs` in the user's folder for data.
    pub fn of_user() -> Result<Self, StoreError> {
        let data = || folder_of("XDG_DATA_HOME").or_else(|| folder_of("HOME").map(|home| home.join(".local/share")));
        let home = folder_of("SIMWRIGHT_HOME").or_else(|| data().map(|data| data.join("simwright")));
        Ok(Self::at(home.ok_or(StoreError::NoHome)?.join("packs")))
    }

    /// Its folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Are the bytes of `digest` here?
    pub fn has(&self, digest: &Digest) -> bool {
        self.blob(digest).is_file()
    }

    /// The bytes of `digest`: the reader fails at its end if they are others.
    pub fn open(&self, digest: &Digest) -> Result<Checked<File>, StoreError> {
        let path = self.blob(digest);
        let file = File::open(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => StoreError::Missing(*digest),
            _ => StoreError::Io { path: path.clone(), error },
        })?;
        let size = file.metadata().map_err(StoreError::io(&path))?.len();
        Ok(Checked::new(file, *digest, size))
    }

    /// All bytes of `digest`, checked.
    pub fn read(&self, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        let mut bytes = Vec::new();
        self.open(digest)?.read_to_end(&mut bytes).map_err(StoreError::of_bytes(&self.blob(digest)))?;
        Ok(bytes)
    }

    /// Begins to bring something in; makes the store if it is not there. Until the intake is dropped, nothing is thrown out.
    pub fn intake(&self) -> Result<Intake, StoreError> {
        let (lock, path) = self.lock()?;
        // Nobody else is at work, so whatever is half-written belongs to nobody.
        if lock.try_lock().is_ok() {
            self.sweep()?;
        }
        if let Err(TryLockError::WouldBlock) = lock.try_lock_shared() {
            self.tell_of(&path, "throws packs out");
        }
        lock.lock_shared().map_err(StoreError::io(&path))?;
        Ok(Intake { store: self.clone(), _lock: lock })
    }

    /// Waits until nobody brings something in, and keeps it so until the file is dropped.
    pub(super) fn alone(&self) -> Result<File, StoreError> {
        let (lock, path) = self.lock()?;
        if let Err(TryLockError::WouldBlock) = lock.try_lock() {
            self.tell_of(&path, "installs packs");
        }
        lock.lock().map_err(StoreError::io(&path))?;
        Ok(lock)
    }

    fn tell_of(&self, path: &Path, does: &str) {
        (self.tell)(&format!("waiting for another simwright that {does} (it holds `{}`)", path.display()));
    }

    /// The file whose lock says who is at work. Makes the folders.
    fn lock(&self) -> Result<(File, PathBuf), StoreError> {
        for folder in [self.root.clone(), self.root.join(BLOBS), self.root.join(STAGING)] {
            DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(StoreError::io(&folder))?;
        }
        let path = self.root.join(LOCK);
        let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        Ok((lock.map_err(StoreError::io(&path))?, path))
    }

    /// Removes what processes left half-written when they died. Only for who holds the lock alone.
    pub(super) fn sweep(&self) -> Result<(), StoreError> {
        let folder = self.root.join(STAGING);
        for entry in fs::read_dir(&folder).map_err(StoreError::io(&folder))? {
            let path = entry.map_err(StoreError::io(&folder))?.path();
            fs::remove_file(&path).map_err(StoreError::io(&path))?;
        }
        Ok(())
    }

    /// A draft that the next who is alone removes if this process dies. It may be removed earlier where no intake is held.
    pub(super) fn draft(&self) -> Result<Draft, StoreError> {
        Draft::begin(&self.root.join(STAGING), "", 0o600)
    }

    /// Where the bytes of `digest` are, if they are here. Who reads them there checks them.
    pub fn blob(&self, digest: &Digest) -> PathBuf {
        self.root.join(BLOBS).join(digest.hex())
    }

    /// Every digest that is here, with its file.
    pub(super) fn blobs(&self) -> Result<Vec<(Digest, PathBuf)>, StoreError> {
        let folder = self.root.join(BLOBS);
        let mut blobs = Vec::new();
        for entry in fs::read_dir(&folder).map_err(StoreError::io(&folder))? {
            let path = entry.map_err(StoreError::io(&folder))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
            if let Ok(digest) = format!("sha256:{name}").parse() {
                blobs.push((digest, path));
            }
        }
        Ok(blobs)
    }
}

/// Something is being brought into a store.
#[derive(Debug)]
pub struct Intake {
    store: Store,
    _lock: File,
}

impl Intake {
    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Begins to write the `size` bytes of `digest`. They are there once [`Stage::commit`] has said so, and not before.
    pub fn stage(&self, digest: Digest, size: u64) -> Result<Stage, StoreError> {
        let draft = self.draft()?;
        Ok(Stage { draft, checker: Checker::new(digest, size), target: self.store.blob(&digest) })
    }

    pub(super) fn draft(&self) -> Result<Draft, StoreError> {
        self.store.draft()
    }

    /// The turn to write locks of scenarios, until the file is dropped. It is held for some file accesses and never over a network.
    pub fn turn(&self) -> Result<File, StoreError> {
        let path = self.store.root.join(TURN);
        let turn = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let turn = turn.map_err(StoreError::io(&path))?;
        turn.lock().map_err(StoreError::io(&path))?;
        Ok(turn)
    }
}

/// Bytes on their way into the store. Dropped before its commit, it leaves nothing behind.
#[derive(Debug)]
pub struct Stage {
    draft: Draft,
    checker: Checker,
    target: PathBuf,
}

impl Stage {
    /// Writes the next bytes. The first byte too many is an error.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.checker.update(bytes)?;
        self.draft.write(bytes)
    }

    /// Are all bytes there, and are they what was announced?
    pub fn check(&self) -> Result<(), StoreError> {
        Ok(self.checker.clone().finish()?)
    }

    /// Makes the bytes part of the store if they are what was announced.
    pub fn commit(self) -> Result<(), StoreError> {
        self.checker.finish()?;
        self.draft.commit(&self.target)
    }
}

/// The user's folder that the variable `name` says. A path that starts where somebody happens to be is none.
pub(in crate::pack) fn folder_of(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute())
}

/// Writes `bytes` to `path`, in place of what is there: all of them or none. For files of people, outside of the store.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let mut draft = Draft::begin(folder_around(path), &draft_prefix(path), 0o666)?;
    draft.write(bytes)?;
    draft.commit(path)
}

/// Removes what processes left beside `path` when they died in [`replace`]. For who knows that nobody else writes it now.
pub(super) fn sweep_beside(path: &Path) -> Result<(), StoreError> {
    let (folder, prefix) = (folder_around(path), draft_prefix(path));
    for entry in fs::read_dir(folder).map_err(StoreError::io(folder))? {
        let path = entry.map_err(StoreError::io(folder))?.path();
        let secret =
            path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_prefix('.')?.strip_prefix(&*prefix));
        if secret.is_some_and(|secret| secret.len() == SECRET_DIGITS && secret.bytes().all(|byte| byte.is_ascii_hexdigit())) {
            fs::remove_file(&path).map_err(StoreError::io(&path))?;
        }
    }
    Ok(())
}

fn folder_around(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// What drafts of `path` are called before their own digits.
fn draft_prefix(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| format!("{}.", name.to_string_lossy()))
}

/// A file that is not there yet: it gets its name when it is whole. Dropped before, it is removed.
#[derive(Debug)]
pub(super) struct Draft {
    path: PathBuf,
    file: File,
}

impl Draft {
    /// A new file with a name of its own in `folder`.
    fn begin(folder: &Path, prefix: &str, mode: u32) -> Result<Self, StoreError> {
        // Process numbers are not enough: containers that share a folder have the same ones.
        let secret = crate::random::secret().map_err(StoreError::io(folder))?;
        let path = folder.join(format!(".{prefix}{}", &Digest::of(&secret).hex()[..SECRET_DIGITS]));
        let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path).map_err(StoreError::io(&path))?;
        Ok(Self { path, file })
    }

    /// Its file, to be locked before it has its name.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.file.write_all(bytes).map_err(StoreError::io(&self.path))
    }

    /// Gives the file its name, in place of what had it before. When this returns, it survives a loss of power.
    pub(super) fn commit(self, target: &Path) -> Result<(), StoreError> {
        self.file.sync_all().map_err(StoreError::io(&self.path))?;
        fs::rename(&self.path, target).map_err(StoreError::io(target))?;
        let folder = folder_around(target);
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(StoreError::io(folder))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // After a commit there is nothing of this name.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::at(folder.path().join("packs"));
        (folder, store)
    }

    fn files(folder: &Path) -> Vec<PathBuf> {
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect()
    }

    #[test]
    fn bytes_come_back_as_they_went_in() {
        let (_folder, store) = store();
        let digest = Digest::of(b"abc");
        assert!(!store.has(&digest));
        assert!(matches!(store.read(&digest), Err(StoreError::Missing(_))));
        let intake = store.intake().expect("an intake");
        let mut stage = intake.stage(digest, 3).expect("a stage");
        stage.write(b"a").and_then(|()| stage.write(b"bc")).expect("written");
        assert!(!store.has(&digest), "not before the commit");
        stage.commit().expect("committed");
        assert_eq!(store.read(&digest).expect("read"), b"abc");
        assert_eq!(fs::metadata(store.root()).expect("a folder").mode() & 0o777, 0o700);
    }

    #[test]
    fn other_bytes_than_announced_leave_nothing() {
        let (_folder, store) = store();
        let intake = store.intake().expect("an intake");
        let digest = Digest::of(b"abc");
        for (size, bytes) in [(3, &b"abd"[..]), (3, b"ab"), (2, b"abc"), (4, b"abc"), (3, b"abcd")] {
            let mut stage = intake.stage(digest, size).expect("a stage");
            let refused = stage.write(bytes).and_then(|()| stage.commit());
            assert!(matches!(refused, Err(StoreError::Mismatch(_))), "{refused:?}");
            assert!(files(&store.root().join(BLOBS)).is_empty() && files(&store.root().join(STAGING)).is_empty());
        }
    }

    #[test]
    fn a_flipped_bit_is_noticed_when_bytes_are_read() {
        let (_folder, store) = store();
        let intake = store.intake().expect("an intake");
        let digest = Digest::of(b"abc");
        let mut stage = intake.stage(digest, 3).expect("a stage");
        stage.write(b"abc").and_then(|()| stage.commit()).expect("committed");
        fs::write(store.blob(&digest), b"abb").expect("spoilt");
        assert!(matches!(store.read(&digest), Err(StoreError::Mismatch(Mismatch::Digest { .. }))));
    }

    #[test]
    fn what_a_dead_process_left_is_swept_by_the_next_alone() {
        let (_folder, store) = store();
        let first = store.intake().expect("an intake");
        let left = store.root().join(STAGING).join("1-1");
        fs::write(&left, b"half").expect("written");
        let second = store.intake().expect("a second one");
        assert!(left.exists(), "somebody else may be writing it");
        drop((first, second));
        drop(store.intake().expect("a third one"));
        assert!(!left.exists());
    }
}
