//! Says when watched files have changed: once per change, after they have been quiet, and only if their contents differ.
//!
//! Folders are watched, not files, because editors and Kubernetes replace files instead of writing them. Every step of a path counts:
//! each folder above the file and each symbolic link on the way, so that a ConfigMap's `..data` swap, a renamed folder, and a file
//! that is deleted and written again are all seen. A file that is gone is no change: what was loaded last stays.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use crate::types::limits::WATCH_QUIET_MS;

/// Symbolic links on one path; the kernel's own bound.
const LINKS_MAX: usize = 40;

/// The contents of a file; `None` if there is no such file, or if it is no plain one.
type Fingerprint = Option<u128>;

/// A set of files under watch. Dropping it stops the watching.
#[derive(Debug)]
pub struct Watcher {
    signals: Sender<Signal>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    /// Watches no file yet. `on_change` is called on a thread of its own with the files that changed, as they were given to
    /// [`Watcher::watch_also`]; it may take its time, and changes meanwhile are reported after it. The error is the system's, such as too
    /// many watches.
    pub fn start(on_change: impl FnMut(&[PathBuf]) + Send + 'static) -> io::Result<Self> {
        let (signals, received) = channel();
        let steps = Arc::new(Mutex::new(BTreeSet::new()));
        let (touched, watched) = (signals.clone(), Arc::clone(&steps));
        let system = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if event.map_or(true, |event| concerns(&event, &watched.lock().unwrap_or_else(PoisonError::into_inner))) {
                // A closed channel means that the watching has stopped: nobody is left to tell.
                let _ = touched.send(Signal::Touched);
            }
        })
        .map_err(io::Error::other)?;
        let watching = Watching {
            signals: received,
            system,
            steps,
            folders: BTreeSet::new(),
            files: BTreeMap::new(),
            on_change: Box::new(on_change),
        };
        let thread = std::thread::Builder::new().name("watch".to_owned()).spawn(move || watching.run())?;
        Ok(Self { signals, thread: Some(thread) })
    }

    /// Watches none but `files` of those under watch; what is known of them stays.
    pub fn keep(&self, files: impl IntoIterator<Item = PathBuf>) {
        let _ = self.signals.send(Signal::Keep(files.into_iter().collect()));
    }

    /// Tells with which contents watched files have been read. Between [`Watcher::watch_also`] and the reading a file may have changed, and
    /// after it changed back: only who knows what was read sees that the two differ.
    pub fn were_read<'a>(&self, files: impl IntoIterator<Item = (PathBuf, &'a [u8])>) {
        let print = |(file, bytes): (PathBuf, &[u8])| (file, Some(xxh3_128(bytes)));
        let _ = self.signals.send(Signal::WereRead(files.into_iter().map(print).collect()));
    }

    /// Watches `files` too: any change after this call is reported. Call it before the files are read, so that a change between the two is
    /// not lost, and one that is read anyhow is not reported again. Those that are under watch already stay as they are.
    pub fn watch_also(&self, files: impl IntoIterator<Item = PathBuf>) {
        // The thread lives as long as `self`.
        let _ = self.signals.send(Signal::WatchAlso(with_fingerprints(files)));
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.signals.send(Signal::Stop);
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
        {
            // A panic in the callback has been printed by its thread.
            let _ = thread.join();
        }
    }
}

enum Signal {
    Touched,
    WatchAlso(BTreeMap<PathBuf, Fingerprint>),
    Keep(BTreeSet<PathBuf>),
    WereRead(BTreeMap<PathBuf, Fingerprint>),
    Stop,
}

type OnChange = Box<dyn FnMut(&[PathBuf]) + Send>;

struct Watching {
    signals: Receiver<Signal>,
    system: RecommendedWatcher,
    steps: Arc<Mutex<BTreeSet<PathBuf>>>,
    folders: BTreeSet<PathBuf>,
    files: BTreeMap<PathBuf, Fingerprint>,
    on_change: OnChange,
}

impl Watching {
    fn run(mut self) {
        while let Ok(signal) = self.signals.recv() {
            if !self.take(signal) || !self.settle() {
                return;
            }
        }
    }

    /// Notes one signal; `false` to stop.
    fn take(&mut self, signal: Signal) -> bool {
        match signal {
            Signal::Touched => true,
            Signal::WatchAlso(files) => {
                for (file, print) in files {
                    self.files.entry(file).or_insert(print);
                }
                true
            }
            Signal::Keep(files) => {
                self.files.retain(|file, _| files.contains(file));
                true
            }
            Signal::WereRead(files) => {
                for (file, print) in files {
                    self.files.entry(file).and_modify(|known| *known = print);
                }
                true
            }
            Signal::Stop => false,
        }
    }

    /// Waits until nothing has moved for a while, then reports what differs; `false` to stop.
    ///
    /// What differs must look the same twice, a quiet time apart. Signals alone do not show that a file is at rest: a folder that is
    /// new, or under watch only since the last look, has told nothing yet of who is writing in it.
    fn settle(&mut self) -> bool {
        let mut seen = None;
        loop {
            match self.signals.recv_timeout(Duration::from_millis(WATCH_QUIET_MS)) {
                Ok(signal) => {
                    seen = None;
                    if !self.take(signal) {
                        return false;
                    }
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return false,
                Err(RecvTimeoutError::Timeout) => {}
            }
            // Links may lead elsewhere now. Follow them first: what changes later than this raises a signal.
            self.follow();
            let prints: Vec<_> = self.files.keys().map(|file| fingerprint(file)).collect();
            if seen.as_ref() != Some(&prints) && self.files.values().zip(&prints).any(|(known, print)| differs(known, print)) {
                seen = Some(prints);
                continue;
            }
            match self.signals.try_recv() {
                // Something moved while the files were read: they may be half of one version and half of the next.
                Ok(signal) => {
                    seen = None;
                    if !self.take(signal) {
                        return false;
                    }
                }
                Err(TryRecvError::Disconnected) => return false,
                Err(TryRecvError::Empty) => {
                    let changed = renew(&mut self.files, prints);
                    if !changed.is_empty() {
                        (self.on_change)(&changed);
                    }
                    return true;
                }
            }
        }
    }

    /// Watches the folders that matter now, and only those.
    fn follow(&mut self) {
        let steps: BTreeSet<PathBuf> = self.files.keys().flat_map(|file| steps(file)).collect();
        let folders: BTreeSet<PathBuf> = steps.iter().filter_map(|step| step.parent()).map(Path::to_owned).collect();
        *self.steps.lock().unwrap_or_else(PoisonError::into_inner) = steps;
        for folder in self.folders.difference(&folders) {
            // It may be gone already.
            let _ = self.system.unwatch(folder);
        }
        for folder in &folders {
            // Again each time: a folder that was deleted and made anew is another one under the same name. One that cannot be watched
            // is missing or not ours to read, and then the nearest one above it tells when that changes.
            if let Err(error) = self.system.watch(folder, RecursiveMode::NonRecursive) {
                tracing::debug!(folder = %folder.display(), %error, "a folder cannot be watched");
            }
        }
        self.folders = folders;
    }
}

/// Is `print` news to whoever knows `known`? A file that is gone is none.
fn differs(known: &Fingerprint, print: &Fingerprint) -> bool {
    print.is_some() && known != print
}

/// Replaces what is known of `files` by `prints`, in the same order, and gives the files that differ. Files that are gone keep theirs.
fn renew(files: &mut BTreeMap<PathBuf, Fingerprint>, prints: Vec<Fingerprint>) -> Vec<PathBuf> {
    let mut changed = Vec::new();
    for ((file, known), print) in files.iter_mut().zip(prints) {
        if differs(known, &print) {
            *known = print;
            changed.push(file.clone());
        }
    }
    changed
}

/// Can `event` have changed what lies behind one of `steps`? Reading does not; our own would be an endless loop.
fn concerns(event: &Event, steps: &BTreeSet<PathBuf>) -> bool {
    let reads = match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => false,
        EventKind::Access(_) => true,
        _ => false,
    };
    event.need_rescan() || (!reads && event.paths.iter().any(|path| steps.contains(path)))
}

/// Every folder, link and file that the system passes on its way to `path`, each with no link above it.
fn steps(path: &Path) -> Vec<PathBuf> {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut ahead: VecDeque<OsString> = whole.components().map(|part| part.as_os_str().to_owned()).collect();
    let (mut real, mut passed, mut links) = (PathBuf::new(), Vec::new(), 0);
    while let Some(part) = ahead.pop_front() {
        match Path::new(&part).components().next() {
            Some(Component::ParentDir) => {
                real.pop();
            }
            Some(Component::Normal(_)) => {
                let step = real.join(&part);
                match std::fs::read_link(&step) {
                    Ok(target) if links < LINKS_MAX => {
                        links += 1;
                        for part in target.components().rev() {
                            ahead.push_front(part.as_os_str().to_owned());
                        }
                    }
                    _ => real.clone_from(&step),
                }
                passed.push(step);
            }
            // The root, where an absolute link starts again.
            Some(Component::RootDir | Component::Prefix(_)) => real.push(&part),
            Some(Component::CurDir) | None => {}
        }
    }
    passed
}

fn with_fingerprints(files: impl IntoIterator<Item = PathBuf>) -> BTreeMap<PathBuf, Fingerprint> {
    files.into_iter().map(|file| (fingerprint(&file), file)).map(|(print, file)| (file, print)).collect()
}

/// A digest of what is in `file`; `None` if there is no such file, or if it is no plain one.
pub fn fingerprint(file: &Path) -> Option<u128> {
    // A pipe gives its contents once, and not to us; a device may have no end.
    if !file.metadata().is_ok_and(|meta| meta.is_file()) {
        return None;
    }
    let mut reader = BufReader::with_capacity(64 * 1024, File::open(file).ok()?);
    let mut hash = Xxh3::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Some(hash.digest128()),
            Ok(bytes) => hash.update(&buffer[..bytes]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
}

#[cfg(all(test, unix))]
#[path = "watch_tests.rs"]
mod tests;
