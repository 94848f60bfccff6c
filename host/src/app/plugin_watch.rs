//! Follows a folder of plugins: a saved source becomes a component, and the component answers, while the server runs.
//!
//! The folder is a plugin's project, or holds projects and `.wasm` files. Whatever is saved is looked at once it has been quiet for a
//! moment; projects are built one at a time, and what was saved during a build is built again before anything is swapped. A component
//! takes the one path of every change (`reload`): checked, its vectors run, swapped or refused. A line says what happened.
//!
//! Plugins are known by their projects' names, or by their files'. One that the scenario declares takes the place of the file that is
//! written there; any other can be named in the scenario as if it were declared.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Weak};
use std::time::Duration;

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use crate::app::StartError;
use crate::app::plugin_project::{BuildFailure, build};
use crate::app::reload::Reloader;
use crate::app::trial::{Subject, test};
use crate::app::workshop::{Offer, Workshop};
use crate::clock::real::monotonic_ns;
use crate::engine::change::{Change, Changes, Declined, Terms};
use crate::project::{FILE, Project};
use crate::types::limits::{WATCH_QUIET_MS, WATCHED_BUILD_LINES};
use crate::vectors::read::files_of;

/// Folders that toolchains fill: what happens there is no reason to look.
const MADE: [&str; 4] = ["build", "target", "node_modules", "__pycache__"];

/// A folder that is followed. Dropping it ends that; a build that is under way then comes to nothing.
pub(super) struct PluginWatch {
    signals: Sender<Signal>,
    /// Held, because dropping it stops the events.
    _system: RecommendedWatcher,
}

/// A folder whose plugins have been offered, and from where on changes are noted.
pub(super) struct Prepared {
    watch: PluginWatch,
    folder: PathBuf,
    received: Receiver<Signal>,
    prints: Prints,
}

enum Signal {
    Touched,
    Stop,
}

/// A plugin in the folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Found {
    /// A project's folder.
    Project(PathBuf),
    /// A component.
    Component(PathBuf),
}

/// What a plugin was made of when it was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Print {
    made_of: u128,
    vectors: u128,
}

type Prints = BTreeMap<Found, Print>;

impl Found {
    fn print(&self) -> Print {
        match self {
            Self::Component(file) => Print { made_of: digest(std::slice::from_ref(file)), vectors: 0 },
            Self::Project(folder) => {
                let made_of = match Project::open(folder) {
                    Ok(project) => digest(&project.sources()),
                    Err(error) => xxh3_128(error.to_string().as_bytes()),
                };
                Print { made_of, vectors: digest(&files_of(folder)) }
            }
        }
    }

    /// Its name, and what can be offered by it.
    fn offer(&self) -> Result<(String, Offer), String> {
        match self {
            Self::Project(folder) => {
                let project = Project::open(folder).map_err(|error| error.to_string())?;
                let manifest = project.manifest();
                let (memory_bytes, time_us) = (manifest.memory_bytes, manifest.time_us);
                Ok((manifest.name.clone(), Offer { file: project.component(), memory_bytes, time_us }))
            }
            Self::Component(file) => {
                let name = file.file_stem().map(|stem| stem.to_string_lossy().replace('_', "-")).unwrap_or_default();
                Ok((name, Offer { file: file.clone(), memory_bytes: None, time_us: None }))
            }
        }
    }

    /// Builds it, if it is a project: how long that took, or what the toolchain says.
    fn build(&self) -> Result<Option<Duration>, String> {
        let Self::Project(folder) = self else { return Ok(None) };
        let from = monotonic_ns();
        let mut said: Vec<String> = Vec::new();
        match build(folder, false, &mut |line| said.push(line.to_owned())) {
            Ok(_) => Ok(Some(Duration::from_nanos(monotonic_ns().saturating_sub(from)))),
            Err(error @ BuildFailure::Build(_)) => {
                let shown = &said[..said.len().min(WATCHED_BUILD_LINES)];
                Err(format!("it does not build\n{}\n{error}", shown.join("\n")))
            }
            Err(error) => Err(error.to_string()),
        }
    }
}

/// The plugins in `folder`, which may be one itself.
fn find(folder: &Path) -> Vec<Found> {
    let is_project = |folder: &Path| folder.join(FILE).is_file();
    if is_project(folder) {
        return vec![Found::Project(folder.to_owned())];
    }
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let of = |path: PathBuf| match &path {
        _ if is_project(&path) => Some(Found::Project(path)),
        _ if path.extension().is_some_and(|ending| ending == "wasm") && path.is_file() => Some(Found::Component(path)),
        _ => None,
    };
    entries.flatten().filter_map(|entry| of(entry.path())).collect()
}

fn prints(folder: &Path) -> Prints {
    find(folder).into_iter().map(|found| (found.print(), found)).map(|(print, found)| (found, print)).collect()
}

/// A digest of `files`, so that what is saved without a change is none.
fn digest(files: &[PathBuf]) -> u128 {
    let mut hash = Xxh3::new();
    for file in files {
        // One that is gone meanwhile is another set of files at the next look.
        let bytes = std::fs::read(file).unwrap_or_default();
        hash.update(file.as_os_str().as_encoded_bytes());
        hash.update(&bytes.len().to_le_bytes());
        hash.update(&bytes);
    }
    hash.digest128()
}

/// May `event` be a change of a plugin in `folder`?
fn concerns(event: &Event, folder: &Path) -> bool {
    let is_made = |path: &PathBuf| {
        let below = path.strip_prefix(folder).unwrap_or(path);
        let mut steps = below.components().map(|step| step.as_os_str().to_string_lossy());
        steps.any(|step| step.starts_with('.') || MADE.contains(&&*step))
    };
    event.need_rescan() || (!matches!(event.kind, EventKind::Access(_)) && !event.paths.iter().all(is_made))
}

/// Offers what is in `folder` to the scenarios of `workshop`. Projects without a component, or with younger sources, are built first.
pub(super) fn prepare(folder: &Path, workshop: &Workshop) -> Result<Prepared, StartError> {
    let failed = |error: io::Error| StartError::WatchPlugins { folder: folder.to_owned(), error };
    let prepared = follow(folder).map_err(failed)?;
    for found in prepared.prints.keys() {
        let offered = found.offer().and_then(|(name, offer)| {
            if let Found::Project(folder) = found
                && Project::open(folder).is_ok_and(|project| project.is_stale())
            {
                tracing::info!("plugin `{name}`: is being built");
                match found.build() {
                    Err(why) if offer.file.is_file() => tracing::error!("plugin `{name}`: {why}\nits older component answers"),
                    Err(why) => return Err(format!("`{name}`: {why}")),
                    Ok(_) => {}
                }
            }
            Ok((name, offer))
        });
        match offered {
            Ok((name, offer)) => workshop.offer_file(&name, offer),
            Err(why) => tracing::error!("plugin {why}"),
        }
    }
    Ok(prepared)
}

/// Notes from now on what is changed in `folder`.
fn follow(folder: &Path) -> io::Result<Prepared> {
    let folder = folder.canonicalize()?;
    // That it is no folder is known before anything is built.
    std::fs::read_dir(&folder)?;
    let (signals, received) = channel();
    let (touched, place) = (signals.clone(), folder.clone());
    let mut system = notify::recommended_watcher(move |event: notify::Result<Event>| {
        // If something was missed, everything is looked at.
        if event.map_or(true, |event| concerns(&event, &place)) {
            // A closed channel means that nobody follows any more.
            let _ = touched.send(Signal::Touched);
        }
    })
    .map_err(io::Error::other)?;
    system.watch(&folder, RecursiveMode::Recursive).map_err(io::Error::other)?;
    let prints = prints(&folder);
    Ok(Prepared { watch: PluginWatch { signals, _system: system }, folder, received, prints })
}

impl Prepared {
    /// From now on what is changed is built, and goes to `reloader`.
    pub(super) fn start(self, reloader: &Arc<Reloader>) -> io::Result<PluginWatch> {
        let Self { watch, folder, received, prints } = self;
        let follower = Follower { folder, received, reloader: Arc::downgrade(reloader), prints };
        std::thread::Builder::new().name("plugins".to_owned()).spawn(move || follower.run())?;
        Ok(watch)
    }
}

impl Drop for PluginWatch {
    fn drop(&mut self) {
        // Its end is not waited for: a toolchain may take minutes, and the reloader makes no change any more.
        let _ = self.signals.send(Signal::Stop);
    }
}

/// Who looks, builds and changes, one thing after the other.
struct Follower {
    folder: PathBuf,
    received: Receiver<Signal>,
    reloader: Weak<Reloader>,
    prints: Prints,
}

impl Follower {
    fn run(mut self) {
        // What is changed during the work is in the channel after it.
        while let Ok(Signal::Touched) = self.received.recv() {
            let Some(now) = self.settle() else { return };
            let before = std::mem::replace(&mut self.prints, now);
            for (found, print) in &self.prints {
                let Some(reloader) = self.reloader.upgrade() else { return };
                match before.get(found) {
                    Some(before) if before == print => {}
                    Some(before) if before.made_of == print.made_of => try_vectors(&reloader, found),
                    _ => bring(&reloader, found, print),
                }
            }
        }
    }

    /// Waits until nothing has been touched for a moment and all looks the same twice; `None` to stop.
    fn settle(&self) -> Option<Prints> {
        let mut seen = None;
        loop {
            match self.received.recv_timeout(Duration::from_millis(WATCH_QUIET_MS)) {
                Ok(Signal::Touched) => seen = None,
                Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {
                    let now = prints(&self.folder);
                    if now == self.prints || seen.as_ref() == Some(&now) {
                        return Some(now);
                    }
                    seen = Some(now);
                }
            }
        }
    }
}

/// Builds what must be built, and lets it answer.
fn bring(reloader: &Reloader, found: &Found, print: &Print) {
    let (name, offer) = match found.offer() {
        Ok(offer) => offer,
        Err(why) => return tracing::error!("a plugin cannot be followed\n{why}"),
    };
    let took = match found.build() {
        Ok(took) => took.map_or_else(String::new, |took| format!("built in {:.1} s, ", took.as_secs_f64())),
        Err(why) => return reloader.not_built(&name, format!("plugin `{name}`: {why}")),
    };
    if found.print().made_of != print.made_of {
        // The next look builds it, and only that one is swapped in.
        return tracing::info!("plugin `{name}`: {took}saved again meanwhile, so the newer one is taken");
    }
    let_answer(reloader, &name, offer, &took);
}

/// Lets the component of `offer` answer, which `took` so long to build, and says what came of it.
fn let_answer(reloader: &Reloader, name: &str, offer: Offer, took: &str) {
    let before = reloader.head();
    reloader.offer(name, offer);
    match reloader.change(Change::Offered { name: name.to_owned() }, &Terms::default()) {
        Ok(_) if !reloader.uses(name) => {
            tracing::info!("plugin `{name}`: {took}ready; nothing that runs uses it, name it in the scenario as `{name}`");
        }
        Ok(applied) if applied.is_canary => {
            tracing::info!("plugin `{name}`: {took}checked, on trial as generation {}", applied.generation);
        }
        Ok(applied) if applied.generation > before => {
            tracing::info!("plugin `{name}`: {took}checked, swapped as generation {}", applied.generation);
        }
        Ok(applied) => tracing::info!("plugin `{name}`: {took}the same as before, generation {} stays", applied.generation),
        // The reload has said why.
        Err(Declined::Refused(_)) => tracing::error!("plugin `{name}`: {took}refused"),
        Err(declined) => tracing::info!("plugin `{name}`: {took}not taken: {declined}"),
    }
}

/// Runs the vectors that were saved, and says how they end. A component that they refused before may answer now.
fn try_vectors(reloader: &Reloader, found: &Found) {
    let (Found::Project(path) | Found::Component(path)) = found;
    match Subject::find(path, &mut |_| {}).and_then(|subject| test(&subject, &subject.vectors(&[])?)) {
        Ok(report) if report.is_good() => {
            tracing::info!("plugin {}", report.sum());
            if let Ok((name, offer)) = found.offer() {
                let_answer(reloader, &name, offer, "");
            }
        }
        Ok(report) => tracing::error!("plugin {}\n{}", report.sum(), report.text()),
        Err(error) => tracing::error!("the vectors in `{}` cannot be run\n{error}", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::{Lang, Template};

    #[test]
    fn what_toolchains_write_is_no_reason_to_look() {
        let folder = Path::new("/build/plugins");
        let event = |path: &str| Event::new(EventKind::Any).add_path(folder.join(path));
        assert!(["a.wasm", "p/src/lib.rs", "p/tests/a.yaml", "p"].into_iter().all(|path| concerns(&event(path), folder)));
        let made = ["p/target/release/x", "p/build/p.wasm", "p/.git/index", "p/src/.lib.rs.swp", "p/node_modules/a/b.js"];
        assert!(!made.into_iter().any(|path| concerns(&event(path), folder)));
    }

    #[test]
    fn a_folder_is_a_project_or_holds_projects_and_components() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |path: &str, text: &str| {
            let file = folder.path().join(path);
            std::fs::create_dir_all(file.parent().expect("a folder")).expect("made");
            std::fs::write(file, text).expect("written");
        };
        ["brown_out.wasm", "notes.txt", "q/deep/plugin.toml"].into_iter().for_each(|path| write(path, path));
        let template = Template { name: "own", kinds: vec!["latency"], lang: Lang::Rust };
        template.write(&folder.path().join("p")).expect("written");
        let (project, component) = (folder.path().join("p"), folder.path().join("brown_out.wasm"));
        let before = prints(folder.path());
        let all: Vec<&Found> = before.keys().collect();
        assert_eq!(all, [&Found::Project(project.clone()), &Found::Component(component.clone())]);
        assert_eq!(find(&project), [Found::Project(project)]);
        assert_eq!(Found::Component(component).offer().expect("an offer").0, "brown-out");
        let source = std::fs::read_to_string(folder.path().join("p/src/lib.rs")).expect("a source");
        write("p/src/lib.rs", &source);
        write("p/Cargo.lock", "written by a build");
        assert_eq!(prints(folder.path()), before, "the same content again is no change");
        let changed = |now: &Prints| -> Vec<(bool, bool)> {
            now.iter().map(|(found, now)| (now.made_of != before[found].made_of, now.vectors != before[found].vectors)).collect()
        };
        write("p/tests/more.yaml", "cases: []");
        assert_eq!(changed(&prints(folder.path())), [(false, true), (false, false)]);
        write("p/src/lib.rs", "// another");
        write("brown_out.wasm", "another");
        assert_eq!(changed(&prints(folder.path())), [(true, true), (true, false)]);
    }
}
