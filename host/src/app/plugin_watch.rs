//! Follows a folder of plugins: a saved source becomes a component, and the component answers, while the server runs.
//!
//! The folder is a plugin's project, or holds projects and `.wasm` files. Whatever is saved is looked at once it has been quiet for a
//! moment; projects are built one at a time, and a build is given up when its sources are saved again, or the server stops. A component
//! takes the one path of every change (`reload`): checked, its vectors run, swapped or refused. A line says what happened.
//!
//! Plugins are known by their projects' names, or by their files'. One that the scenario declares takes the place of the file that is
//! written there; any other can be named in the scenario as if it were declared.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use crossbeam::select;
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use crate::app::StartError;
use crate::app::plugin_found::{Found, Print, Prints, Unbuilt, prints};
use crate::app::reload::Reloader;
use crate::app::trial::{Subject, test};
use crate::app::workshop::{Offer, Workshop};
use crate::engine::change::{Change, Changes, Declined, Terms};
use crate::interest::Interest;
use crate::project::{Project, is_made};
use crate::types::limits::WATCH_QUIET_MS;

/// A folder that is followed. Dropping it ends that, and waits until nothing of a build is left.
pub(super) struct PluginWatch {
    signals: Sender<Signal>,
    /// Held, because dropping it stops the events.
    _system: RecommendedWatcher,
    /// Who follows, once somebody does.
    thread: Option<JoinHandle<()>>,
}

/// A folder whose plugins have been offered, and from where on changes are noted.
pub(super) struct Prepared {
    watch: PluginWatch,
    folder: PathBuf,
    received: Receiver<Signal>,
    prints: Prints,
    owners: Owners,
}

enum Signal {
    Touched,
    Stop,
}

/// Who has which name.
type Owners = BTreeMap<String, Found>;

/// May `event` be a change of a plugin in `folder`?
fn concerns(event: &Event, folder: &Path) -> bool {
    let is_below_made = |path: &PathBuf| {
        let below = path.strip_prefix(folder).unwrap_or(path);
        below.components().any(|step| is_made(&step.as_os_str().to_string_lossy()))
    };
    event.need_rescan() || (!matches!(event.kind, EventKind::Access(_)) && !event.paths.iter().all(is_below_made))
}

/// Offers what is in `folder` to the scenarios of `workshop`. Projects without a component, or with younger sources, are built first,
/// unless `interest` is lost; `say` hears of each, and at last of none.
pub(super) fn prepare(
    folder: &Path,
    workshop: &Workshop,
    interest: &Interest,
    say: &dyn Fn(Option<&str>),
) -> Result<Prepared, StartError> {
    let failed = |error: io::Error| StartError::WatchPlugins { folder: folder.to_owned(), error };
    let mut prepared = follow(folder).map_err(failed)?;
    for found in prepared.prints.keys() {
        let offered = found.offer().and_then(|(name, offer)| {
            claim(&mut prepared.owners, &name, found)?;
            if let Found::Project(folder) = found
                && Project::open(folder).is_ok_and(|project| project.is_stale())
            {
                tracing::info!("plugin `{name}`: is being built");
                say(Some(&name));
                match found.build(interest) {
                    Err(Unbuilt::Wrong(why)) if offer.file.is_file() => {
                        tracing::error!("plugin `{name}`: {why}\nits older component answers");
                    }
                    Err(Unbuilt::Wrong(why)) => return Err(format!("`{name}`: {why}")),
                    // Who gave it up knows.
                    Err(Unbuilt::Unwanted) | Ok(_) => {}
                }
            }
            Ok((name, offer))
        });
        match offered {
            Ok((name, offer)) => workshop.offer_file(&name, offer),
            Err(why) => tracing::error!("plugin {why}"),
        }
    }
    say(None);
    Ok(prepared)
}

/// Gives `name` to `found`, unless another plugin in the folder has it: whoever had it first keeps it.
fn claim(owners: &mut Owners, name: &str, found: &Found) -> Result<(), String> {
    let owner = owners.entry(name.to_owned()).or_insert_with(|| found.clone());
    if owner == found {
        return Ok(());
    }
    let (kept, refused) = (owner.path().display(), found.path().display());
    Err(format!(
        "`{name}`: `{refused}` has the name of `{kept}`, which keeps it\n  hint: rename one of them, or take it out of the folder"
    ))
}

/// Notes from now on what is changed in `folder`.
fn follow(folder: &Path) -> io::Result<Prepared> {
    let folder = folder.canonicalize()?;
    // That it is no folder is known before anything is built.
    std::fs::read_dir(&folder)?;
    let (signals, received) = unbounded();
    let (touched, place) = (signals.clone(), folder.clone());
    let mut system = notify::recommended_watcher(move |event: notify::Result<Event>| {
        // If something was missed, everything is looked at.
        // One note is enough until somebody has read it.
        if event.map_or(true, |event| concerns(&event, &place)) && touched.is_empty() {
            // A closed channel means that nobody follows any more.
            let _ = touched.send(Signal::Touched);
        }
    })
    .map_err(io::Error::other)?;
    system.watch(&folder, RecursiveMode::Recursive).map_err(io::Error::other)?;
    let prints = prints(&folder);
    Ok(Prepared {
        watch: PluginWatch { signals, _system: system, thread: None },
        folder,
        received,
        prints,
        owners: Owners::new(),
    })
}

impl Prepared {
    /// From now on what is changed is built, and goes to `reloader`.
    pub(super) fn start(self, reloader: &Arc<Reloader>) -> io::Result<PluginWatch> {
        let Self { mut watch, folder, received, prints, owners } = self;
        let follower = Follower { folder, received, reloader: Arc::downgrade(reloader), prints, owners, left: Left::Nothing };
        watch.thread = Some(std::thread::Builder::new().name("plugins".to_owned()).spawn(move || follower.run())?);
        Ok(watch)
    }
}

impl PluginWatch {
    /// Ends the following, and what toolchains are at.
    pub(super) fn stop(&self) {
        // A closed channel means that nobody follows any more.
        let _ = self.signals.send(Signal::Stop);
    }
}

impl Drop for PluginWatch {
    fn drop(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            // A panic has been printed by its thread.
            let _ = thread.join();
        }
    }
}

/// Who looks, builds and changes, one thing after the other.
struct Follower {
    folder: PathBuf,
    received: Receiver<Signal>,
    reloader: Weak<Reloader>,
    prints: Prints,
    owners: Owners,
    left: Left,
}

/// What came during a piece of work and is still to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    Nothing,
    /// Something was touched.
    Look,
    Stop,
}

impl Follower {
    fn run(mut self) {
        while self.is_touched() {
            let Some(now) = self.settle() else { return };
            let mut before = std::mem::replace(&mut self.prints, now.clone());
            let free = self.disown(&now);
            if !free.is_empty() {
                // Who was refused for the sake of a name is new.
                before.retain(|found, _| self.owners.values().any(|owner| owner == found));
            }
            for (found, print) in &now {
                let Some(reloader) = self.reloader.upgrade() else { return };
                match before.get(found) {
                    Some(before) if before == print => {}
                    Some(before) if before.made_of == print.made_of => try_vectors(&reloader, found),
                    _ => self.bring(&reloader, found, print),
                }
                if self.left == Left::Stop {
                    return;
                }
            }
            let Some(reloader) = self.reloader.upgrade() else { return };
            free.iter().filter(|name| !self.owners.contains_key(*name)).for_each(|name| withdraw(&reloader, name));
        }
    }

    /// Takes their names from plugins that are not in the folder `now`, or have another name: those names.
    fn disown(&mut self, now: &Prints) -> BTreeSet<String> {
        let is_gone = |name: &String, found: &Found| match now.contains_key(found) {
            // What cannot be read for now keeps its name.
            true => found.offer().is_ok_and(|(other, _)| other != *name),
            false => true,
        };
        self.owners.extract_if(.., |name, found| is_gone(name, found)).map(|(name, _)| name).collect()
    }

    /// Waits until something is touched; `false` to stop.
    fn is_touched(&mut self) -> bool {
        match std::mem::replace(&mut self.left, Left::Nothing) {
            Left::Look => true,
            Left::Nothing => matches!(self.received.recv(), Ok(Signal::Touched)),
            Left::Stop => false,
        }
    }

    /// Builds what must be built, and lets it answer. If it is saved again meanwhile that is given up, and the next look brings it.
    fn bring(&mut self, reloader: &Reloader, found: &Found, print: &Print) {
        let (name, offer) = match found.offer() {
            Ok(offer) => offer,
            Err(why) => return tracing::error!("a plugin cannot be followed\n{why}"),
        };
        if let Err(why) = claim(&mut self.owners, &name, found) {
            return reloader.not_built(&name, format!("plugin {why}"));
        }
        let (hold, interest) = Interest::begin();
        let (done, is_done) = bounded::<()>(0);
        let is_whole = std::thread::scope(|scope| {
            let bring = || {
                bring(reloader, &name, offer, found, &interest);
                drop(done);
            };
            let bringing = std::thread::Builder::new().name("plugin-bring".to_owned()).spawn_scoped(scope, bring);
            if let Err(error) = &bringing {
                tracing::error!(%error, "plugin `{name}`: cannot start a thread for its build; save it again");
                return true;
            }
            let mut hold = Some(hold);
            loop {
                let signal = select! {
                    recv(is_done) -> _ => return hold.is_some(),
                    recv(self.received) -> signal => signal,
                };
                self.left = if matches!(signal, Ok(Signal::Touched)) { Left::Look } else { Left::Stop };
                if self.left == Left::Stop || found.print().made_of != print.made_of {
                    drop(hold.take());
                    reloader.give_up(&name);
                }
                if self.left == Left::Stop {
                    let _ = is_done.recv();
                    return false;
                }
            }
        });
        if !is_whole {
            tracing::info!("plugin `{name}`: saved again meanwhile, so the newer one is taken");
            // Even if the next look finds what this one found.
            self.prints.remove(found);
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

/// Builds what must be built while `interest` is there, and lets it answer.
fn bring(reloader: &Reloader, name: &str, offer: Offer, found: &Found, interest: &Interest) {
    match found.build(interest) {
        Ok(took) => {
            let took = took.map_or_else(String::new, |took| format!("built in {:.1} s, ", took.as_secs_f64()));
            if interest.is_there() {
                let_answer(reloader, name, offer, &took);
            }
        }
        Err(Unbuilt::Unwanted) => {}
        Err(Unbuilt::Wrong(why)) => reloader.not_built(name, format!("plugin `{name}`: {why}")),
    }
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

/// The plugin called `name` is in the folder no more: what the scenario declares, or the standard pack has, counts again.
fn withdraw(reloader: &Reloader, name: &str) {
    tracing::info!("plugin `{name}`: is in the folder no more");
    reloader.withdraw_offer(name);
    // Refused where what runs needs it: then that stays, and the reload has said so.
    let _ = reloader.change(Change::Offered { name: name.to_owned() }, &Terms::default());
}

/// Runs the vectors that were saved, and says how they end. A component that they refused before may answer now.
fn try_vectors(reloader: &Reloader, found: &Found) {
    let path = found.path();
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
    use crate::app::plugin_found::find;
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
        ["brown_out.wasm", "notes.txt", "q/deep/plugin.toml", "build/plugin.toml", ".old.wasm"]
            .into_iter()
            .for_each(|path| write(path, path));
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
