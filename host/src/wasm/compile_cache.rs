//! Compiled code on disk, so that a start does not wait for the compiler.
//!
//! Loading compiled code means running it, so nobody else may put it there: the folder is private, and each file carries an HMAC
//! under a key that lies beside it, over its name and its content, checked before wasmtime sees a byte. A file's name is the
//! digest of the component and of everything that the engine's code depends on. Whatever is wrong with the folder or a file only
//! means that the compiler runs; the cache never makes a start fail. It is bounded: files carry the time of their last use.

use std::fs::{self, File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use hmac::{Hmac, KeyInit, Mac};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, utimensat};
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::types::limits::COMPILE_CACHE_BYTES_MAX;
use crate::wasm::code::Code;

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

    /// The compiled component of `bytes`, if it is there and authentic.
    pub(super) fn component(&self, engine: &Engine, bytes: &[u8]) -> Option<Component> {
        let (folder, key) = self.place.as_ref()?;
        let name = file_name(engine, bytes);
        let path = folder.join(&name);
        let component = load(&path, &name, key)?.component(engine).ok()?;
        touch(&path);
        Some(component)
    }

    /// Keeps `code`, the compiled component of `bytes`. A cache that grew too large loses what was not used for longest.
    pub(super) fn keep(&self, engine: &Engine, bytes: &[u8], code: &Code) {
        let Some((folder, key)) = &self.place else { return };
        let kept = store(folder, &file_name(engine, bytes), key, code.bytes());
        if let Err(error) = kept.and_then(|()| prune(folder, COMPILE_CACHE_BYTES_MAX)) {
            tracing::warn!("a compiled plugin is not kept: `{}`: {error}", folder.display());
        }
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

/// The code in `path`, if it is there, ours and unchanged.
fn load(path: &Path, name: &str, key: &[u8; 32]) -> Option<Code> {
    let bytes = match read_private(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            tracing::warn!("a compiled plugin is compiled again: {error}");
            return None;
        }
    };
    let code = authentic(bytes, name, key);
    if code.is_none() {
        tracing::warn!("a compiled plugin is compiled again: `{}` has been changed", path.display());
    }
    code
}

/// The code in a file's `bytes`, if their tag says that this program wrote them under `name`.
fn authentic(mut bytes: Vec<u8>, name: &str, key: &[u8; 32]) -> Option<Code> {
    let (tag, code) = bytes.split_at_checked(TAG_BYTES)?;
    sign(name, key, code).verify_slice(tag).ok()?;
    // The holder of the key wrote exactly these bytes under this name, and only `store` does that, with what a compiler gave.
    bytes.drain(..TAG_BYTES);
    Some(Code::vouched(bytes))
}

/// Notes that `path` has been used. Where that cannot be noted it is only forgotten earlier.
fn touch(path: &Path) {
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    let _ = utimensat(CWD, path, &Timestamps { last_access: now, last_modification: now }, AtFlags::SYMLINK_NOFOLLOW);
}

/// Removes what was not used for longest until `folder` has at most `most` bytes, and what processes that died have left half-written.
fn prune(folder: &Path, most: u64) -> io::Result<()> {
    let mut kept = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (Some(name), Ok(meta)) = (entry.file_name().to_str().map(str::to_owned), entry.metadata()) else { continue };
        if let Some(writer) = name.strip_prefix('.') {
            if is_abandoned(writer) {
                remove(&entry.path())?;
            }
        } else if name != KEY_FILE {
            kept.push(((meta.mtime(), meta.mtime_nsec()), meta.len(), entry.path()));
        }
    }
    kept.sort();
    let mut bytes: u64 = kept.iter().map(|(_, length, _)| length).sum();
    for (_, length, path) in kept {
        if bytes <= most {
            break;
        }
        remove(&path)?;
        bytes -= length;
    }
    Ok(())
}

/// Has the process ended that began to write the file `.PID-N`?
fn is_abandoned(writer: &str) -> bool {
    let pid = writer.split('-').next().and_then(|pid| pid.parse().ok()).and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process(pid) == Err(Errno::SRCH))
}

/// Removes a file that another process may have removed already.
fn remove(path: &Path) -> io::Result<()> {
    fs::remove_file(path).or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
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
    use crate::wasm::engine_config::{self, Meter, Room};

    fn scene() -> (Engine, tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("cache");
        (engine_config::engine_in(Meter::Cpu, Room::for_workers(1)).expect("an engine"), folder, path)
    }

    fn kept(path: &Path) -> PathBuf {
        let mut files = fs::read_dir(path).expect("a folder").map(|entry| entry.expect("an entry").path());
        files.find(|file| !file.ends_with(KEY_FILE)).expect("a kept file")
    }

    /// The eight bytes of an empty component.
    const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

    /// Compiles the component and keeps it.
    fn fill(cache: &CompileCache, engine: &Engine) {
        let code = engine.precompile_component(COMPONENT).expect("it compiles");
        cache.keep(engine, COMPONENT, &Code::vouched(code));
    }

    #[test]
    fn a_second_process_loads_what_the_first_compiled() {
        let (engine, _guard, path) = scene();
        fill(&CompileCache::open(Some(&path)), &engine);
        assert!(CompileCache::open(Some(&path)).component(&engine, COMPONENT).is_some());
        assert!(CompileCache::open(Some(&path)).component(&engine, b"another").is_none());
    }

    // P17: every bit that may be turned, in size at least one of every byte; and what is cut or grown.
    #[test]
    fn every_changed_byte_is_noticed_and_repaired() {
        let (engine, _guard, path) = scene();
        let cache = CompileCache::open(Some(&path));
        fill(&cache, &engine);
        let (file, (_, key)) = (kept(&path), cache.place.as_ref().expect("a usable folder"));
        let name = file.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        let good = fs::read(&file).expect("readable");
        assert!(authentic(good.clone(), &name, key).is_some());
        for index in 0..good.len() {
            let mut bad = good.clone();
            bad[index] ^= 1 << (index % 8);
            assert!(authentic(bad, &name, key).is_none(), "byte {index}");
        }
        for length in (0..good.len()).step_by(61).chain([TAG_BYTES - 1, TAG_BYTES, good.len() - 1]) {
            assert!(authentic(good[..length].to_vec(), &name, key).is_none(), "cut to {length}");
        }
        assert!(authentic([&good[..], &[0]].concat(), &name, key).is_none());
        // And on disk: found out, compiled anew by whoever asked, and well again.
        let mut bad = good.clone();
        bad[good.len() / 2] ^= 1;
        fs::write(&file, &bad).expect("writable");
        assert!(cache.component(&engine, COMPONENT).is_none());
        fill(&cache, &engine);
        assert!(cache.component(&engine, COMPONENT).is_some());
    }

    // P17: two good files in each other's place.
    #[test]
    fn files_that_changed_places_are_refused() {
        let (engine, _guard, path) = scene();
        let cache = CompileCache::open(Some(&path));
        fill(&cache, &engine);
        let first = kept(&path);
        let other: &[u8] = b"\0asm\x0d\0\x01\0\0\x03\x01xy";
        let code = engine.precompile_component(other).expect("an empty component with a note in it");
        cache.keep(&engine, other, &Code::vouched(code));
        let second = path.join(file_name(&engine, other));
        assert!(cache.component(&engine, COMPONENT).is_some() && cache.component(&engine, other).is_some());
        let aside = path.join("aside");
        fs::rename(&first, &aside)
            .and_then(|()| fs::rename(&second, &first))
            .and_then(|()| fs::rename(&aside, &second))
            .expect("renamed");
        assert!(cache.component(&engine, COMPONENT).is_none() && cache.component(&engine, other).is_none());
    }

    // P17: code of an engine of another version has another name. Under the name of ours, and even with a good tag, it is not loaded.
    #[test]
    fn code_of_another_engine_is_not_loaded() {
        let (engine, _guard, path) = scene();
        let cache = CompileCache::open(Some(&path));
        let other = engine_config::engine_in(Meter::Fuel, Room::for_workers(1)).expect("an engine");
        let code = other.precompile_component(COMPONENT).expect("it compiles");
        cache.keep(&other, COMPONENT, &Code::vouched(code.clone()));
        assert!(cache.component(&other, COMPONENT).is_some() && cache.component(&engine, COMPONENT).is_none());
        let (folder, key) = cache.place.as_ref().expect("a usable folder");
        store(folder, &file_name(&engine, COMPONENT), key, &code).expect("kept");
        assert!(cache.component(&engine, COMPONENT).is_none());
    }

    #[test]
    fn a_folder_open_to_others_is_not_used() {
        let (engine, _guard, path) = scene();
        fs::create_dir(&path).expect("a folder");
        for mode in [0o777, 0o755, 0o770, 0o702] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("permissions");
            let cache = CompileCache::open(Some(&path));
            assert!(cache.place.is_none(), "{mode:o}");
            fill(&cache, &engine);
            assert!(cache.component(&engine, COMPONENT).is_none());
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("permissions");
        assert!(CompileCache::open(Some(&path)).place.is_some());
    }

    // P17: a file that others may read or write, and a link to a good file.
    #[test]
    fn a_file_that_is_not_ours_alone_is_not_read() {
        let (engine, guard, path) = scene();
        let cache = CompileCache::open(Some(&path));
        fill(&cache, &engine);
        let file = kept(&path);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o606)).expect("permissions");
        assert!(cache.component(&engine, COMPONENT).is_none());
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("permissions");
        assert!(cache.component(&engine, COMPONENT).is_some());
        let elsewhere = guard.path().join("elsewhere");
        fs::rename(&file, &elsewhere).expect("renamed");
        std::os::unix::fs::symlink(&elsewhere, &file).expect("linked");
        assert!(cache.component(&engine, COMPONENT).is_none());
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

    fn length(path: &Path) -> u64 {
        path.metadata().expect("a file").len()
    }

    /// Makes `path` a file that was not used for decades.
    fn age(path: &Path) {
        let then = Timespec { tv_sec: 1, tv_nsec: 0 };
        let times = Timestamps { last_access: then, last_modification: then };
        utimensat(CWD, path, &times, AtFlags::empty()).expect("set");
    }

    #[test]
    fn what_was_not_used_for_longest_goes_first_and_the_key_stays() {
        let (engine, _guard, path) = scene();
        let cache = CompileCache::open(Some(&path));
        fill(&cache, &engine);
        let (used, unused) = (kept(&path), path.join("unused"));
        fs::write(&unused, "old").expect("written");
        [&used, &unused].into_iter().for_each(|file| age(file));
        assert!(cache.component(&engine, COMPONENT).is_some(), "used, and so young again");
        prune(&path, length(&used)).expect("pruned");
        assert!(used.exists() && !unused.exists());
        prune(&path, 0).expect("pruned");
        assert!(!used.exists() && path.join(KEY_FILE).exists());
    }

    #[test]
    fn half_written_files_of_the_dead_are_removed_and_those_of_the_living_are_not() {
        let (_engine, _guard, path) = scene();
        CompileCache::open(Some(&path));
        let mut dead = std::process::Command::new("true").spawn().expect("a process");
        dead.wait().expect("it ends");
        let (dead, alive) = (path.join(format!(".{}-0", dead.id())), path.join(format!(".{}-99", std::process::id())));
        for file in [&dead, &alive] {
            fs::write(file, "half").expect("written");
        }
        prune(&path, u64::MAX).expect("pruned");
        assert!(!dead.exists() && alive.exists());
    }
}
