//! Compiled code on disk, so that a start does not wait for the compiler.
//!
//! Loading compiled code means running it, so nobody else may put it there: the folder is private, and each file carries an HMAC
//! under a key that lies beside it, over its name and its content, checked before wasmtime sees a byte. A file's name is the
//! digest of the component and of everything that the engine's code depends on. Whatever is wrong with the folder or a file only
//! means that the compiler runs; the cache never makes a start fail.

use std::fs::{self, File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

const TAG_BYTES: usize = 32;
const KEY_FILE: &str = "key";

/// The cache's folder with its key, or nothing if there can be none.
#[derive(Debug)]
pub(super) struct CompileCache {
    place: Option<(PathBuf, [u8; 32])>,
}

impl CompileCache {
    /// The cache in `folder`, which is made if it is not there. A folder that cannot be trusted or used is a warning, not an
    /// error.
    pub(super) fn open(folder: Option<&Path>) -> Self {
        let place = folder.and_then(|folder| match prepare(folder) {
            Ok(key) => Some((folder.to_owned(), key)),
            Err(error) => {
                tracing::warn!("compiled plugins are not kept: `{}`: {error}", folder.display());
                None
            }
        });
        Self { place }
    }

    /// The compiled component of `bytes`: from the cache if it is there and authentic, else from the compiler.
    pub(super) fn compile(&self, engine: &Engine, bytes: &[u8]) -> wasmtime::Result<Component> {
        let Some((folder, key)) = &self.place else { return Component::from_binary(engine, bytes) };
        let name = file_name(engine, bytes);
        if let Some(component) = load(engine, &folder.join(&name), &name, key) {
            return Ok(component);
        }
        let component = Component::from_binary(engine, bytes)?;
        let kept = component.serialize().map_err(io::Error::other).and_then(|code| store(folder, &name, key, &code));
        if let Err(error) = kept {
            tracing::warn!("a compiled plugin is not kept: `{}`: {error}", folder.display());
        }
        Ok(component)
    }
}

/// The folder that is used if none is named: `simwright` in the user's cache folder. `None` if the user has no home.
pub fn default_folder() -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")))?;
    Some(base.join("simwright"))
}

/// Makes the folder and the key, or checks that both are the user's alone.
fn prepare(folder: &Path) -> io::Result<[u8; 32]> {
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent)?;
    }
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let meta = fs::symlink_metadata(folder)?;
    if !meta.is_dir() || meta.mode() & 0o077 != 0 || meta.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other("it must be a folder of yours that nobody else may enter (`chmod 700`)"));
    }
    let path = folder.join(KEY_FILE);
    match read_private(&path) {
        Ok(bytes) => bytes.try_into().map_err(|_| io::Error::other("its file `key` is damaged; remove the folder")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => make_key(folder, &path),
        Err(error) => Err(error),
    }
}

fn make_key(folder: &Path, path: &Path) -> io::Result<[u8; 32]> {
    let key = crate::random::secret()?;
    let temporary = write_private(folder, &[&key])?;
    // A link does not replace: of several processes that start at once, one key wins and all use it.
    let linked = fs::hard_link(&temporary, path);
    fs::remove_file(&temporary)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => read_private(path)?.try_into().map_err(|_| io::Error::other("its file `key` is damaged; remove the folder")),
    }
}

/// The content of a file that belongs to the user alone and is no link.
fn read_private(path: &Path) -> io::Result<Vec<u8>> {
    let no_follow = rustix::fs::OFlags::NOFOLLOW.bits() as i32;
    let mut file = OpenOptions::new().read(true).custom_flags(no_follow).open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() || meta.mode() & 0o077 != 0 || meta.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other(format!("`{}` must be a file that only you may read", path.display())));
    }
    let mut bytes = Vec::with_capacity(meta.len() as usize);
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Writes `parts` to a new file with a name of its own in `folder`.
fn write_private(folder: &Path, parts: &[&[u8]]) -> io::Result<PathBuf> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let path = folder.join(format!(".{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
    // A process of the same number may have died here; what it left is of no use.
    let _ = fs::remove_file(&path);
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    let written = parts.iter().try_for_each(|part| file.write_all(part)).and_then(|()| file.sync_all());
    if let Err(error) = written {
        // The disk may be full: leave nothing half-written behind.
        let _ = fs::remove_file(&path);
        return Err(error);
    }
    Ok(path)
}

fn store(folder: &Path, name: &str, key: &[u8; 32], code: &[u8]) -> io::Result<()> {
    let tag = sign(name, key, code).finalize().into_bytes();
    let temporary = write_private(folder, &[&tag, code])?;
    fs::rename(temporary, folder.join(name))
}

/// The component in `path`, if it is there, ours and unchanged.
fn load(engine: &Engine, path: &Path, name: &str, key: &[u8; 32]) -> Option<Component> {
    let bytes = match read_private(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            tracing::warn!("a compiled plugin is compiled again: {error}");
            return None;
        }
    };
    let (tag, code) = bytes.split_at_checked(TAG_BYTES)?;
    if sign(name, key, code).verify_slice(tag).is_err() {
        tracing::warn!("a compiled plugin is compiled again: `{}` has been changed", path.display());
        return None;
    }
    // SAFETY: `deserialize` trusts its input to be what `serialize` gave. The tag shows that the holder of the key wrote exactly
    // these bytes under this name, and only `store` does that, with the result of `serialize`. wasmtime checks engine and
    // version itself.
    #[allow(unsafe_code, reason = "the only way to load compiled code; its input is authenticated above")]
    unsafe { Component::deserialize(engine, code) }.ok()
}

fn sign(name: &str, key: &[u8; 32], code: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("an HMAC takes a key of any length");
    mac.update(name.as_bytes());
    mac.update(&[0]);
    mac.update(code);
    mac
}

fn file_name(engine: &Engine, bytes: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    let digest: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{digest}-{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::wasm::engine_config::{self, Meter};

    fn scene() -> (Engine, tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("cache");
        (engine_config::engine(Meter::Cpu).expect("an engine"), folder, path)
    }

    fn kept(path: &Path) -> PathBuf {
        let mut files = fs::read_dir(path).expect("a folder").map(|entry| entry.expect("an entry").path());
        files.find(|file| !file.ends_with(KEY_FILE)).expect("a kept file")
    }

    fn component() -> Vec<u8> {
        // The eight bytes of an empty component.
        b"\0asm\x0d\0\x01\0".to_vec()
    }

    #[test]
    fn a_second_process_loads_what_the_first_compiled() {
        let (engine, _guard, path) = scene();
        CompileCache::open(Some(&path)).compile(&engine, &component()).expect("compiles");
        let cache = CompileCache::open(Some(&path));
        let (_, key) = cache.place.as_ref().expect("a usable folder");
        let file = kept(&path);
        let name = file.file_name().and_then(|name| name.to_str()).expect("a name");
        assert!(load(&engine, &file, name, key).is_some());
    }

    #[test]
    fn every_changed_byte_is_noticed_and_repaired() {
        let (engine, _guard, path) = scene();
        let cache = CompileCache::open(Some(&path));
        cache.compile(&engine, &component()).expect("compiles");
        let (file, (_, key)) = (kept(&path), cache.place.as_ref().expect("a usable folder"));
        let name = file.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        let good = fs::read(&file).expect("readable");
        for index in (0..good.len()).step_by(good.len() / 97 + 1).chain([good.len() - 1]) {
            let mut bad = good.clone();
            bad[index] ^= 1;
            fs::write(&file, &bad).expect("writable");
            assert!(load(&engine, &file, &name, key).is_none(), "byte {index}");
        }
        cache.compile(&engine, &component()).expect("compiles again");
        assert!(load(&engine, &file, &name, key).is_some());
    }

    #[test]
    fn a_file_under_another_name_is_refused() {
        let (engine, _guard, path) = scene();
        let cache = CompileCache::open(Some(&path));
        cache.compile(&engine, &component()).expect("compiles");
        let (_, key) = cache.place.as_ref().expect("a usable folder");
        let other = path.join("other");
        fs::rename(kept(&path), &other).expect("renamed");
        assert!(load(&engine, &other, "other", key).is_none());
    }

    #[test]
    fn a_folder_open_to_others_is_not_used() {
        let (engine, _guard, path) = scene();
        fs::create_dir(&path).expect("a folder");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("permissions");
        let cache = CompileCache::open(Some(&path));
        assert!(cache.place.is_none());
        cache.compile(&engine, &component()).expect("compiles all the same");
    }

    #[test]
    fn a_link_in_place_of_a_file_is_not_followed() {
        let (_engine, guard, path) = scene();
        let target = guard.path().join("elsewhere");
        fs::write(&target, [0; 32]).expect("writable");
        fs::set_permissions(&target, fs::Permissions::from_mode(0o600)).expect("permissions");
        CompileCache::open(Some(&path));
        fs::remove_file(path.join(KEY_FILE)).expect("removed");
        std::os::unix::fs::symlink(&target, path.join(KEY_FILE)).expect("linked");
        assert!(CompileCache::open(Some(&path)).place.is_none());
    }
}
