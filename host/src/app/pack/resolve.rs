//! The packs of a scenario become plugins to load: by the lock and the store, never by a network.
//!
//! A lock says which bytes; the store has them; the trust policy is asked again, as it is now; the scenario's grant is compared with what
//! the pack asks for. Each thing that does not fit is a mistake at its place in the scenario that names the command to run.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use semver::Version;

use crate::pack::installed::{Record, Use};
use crate::pack::lock::{Lock, Locked, file_in};
use crate::pack::store::{Store, StoreError};
use crate::pack::trust::{Distrust, Policy};
use crate::pack::whole::Pack;
use crate::scenario::{PackPart, PackUse, PluginSource, Scenario};
use crate::types::capability::{Capability, Reach};
use crate::types::problem::Problem;
use crate::wasm::CONTRACT;

/// Where packs of scenarios are looked for.
pub struct Shelf {
    /// The store; `None` where the user has no home.
    store: Option<Store>,
    /// The trust policy's file.
    policy: Option<PathBuf>,
    /// What this program uses, as soon as it uses a pack.
    using: Mutex<Option<Use>>,
}

/// What a scenario's packs come to.
#[derive(Debug, Default)]
pub struct Resolved {
    /// The plugins that the scenario uses.
    pub plugins: Vec<PluginSource>,
    /// Names of all plugins in the packs, for suggestions.
    pub known: Vec<String>,
    /// Used names of packs that could not be resolved: why has been said.
    pub unresolved: Vec<String>,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// How many of the packs were installed although nobody who is trusted has signed them.
    pub insecure: usize,
}

/// The lock beside a scenario that names packs.
pub fn lock_of(scenario: &Scenario) -> Option<PathBuf> {
    let folder = &scenario.source.files.first()?.folder;
    (!scenario.packs.is_empty()).then(|| file_in(folder))
}

impl Shelf {
    /// The user's own.
    pub fn of_user() -> Self {
        Self { store: Store::of_user().ok(), policy: Policy::file(), using: Mutex::default() }
    }

    /// The store in `store` under the policy in `policy`.
    pub fn at(store: Store, policy: Option<PathBuf>) -> Self {
        Self { store: Some(store), policy, using: Mutex::default() }
    }

    /// The trust policy's file, which need not be there.
    pub fn policy(&self) -> Option<&Path> {
        self.policy.as_deref()
    }

    /// Resolves the packs of `scenario`.
    pub fn resolve(&self, scenario: &Scenario) -> Resolved {
        let mut resolved = Resolved::default();
        let Some(path) = lock_of(scenario) else { return resolved };
        let used: BTreeSet<&str> = scenario.behaviours().map(|used| used.name.as_str()).collect();
        let shared = self.shared(&path);
        for pack in &scenario.packs {
            let found = match &shared {
                Ok((lock, policy, store)) => self.find(pack, scenario, lock, policy, store),
                Err(problem) => Err(vec![problem.clone().under(&pack.pointer)]),
            };
            match found {
                Ok((found, record)) => {
                    resolved.insecure += usize::from(record.insecure);
                    add(&mut resolved, pack, &found, self.store.as_ref(), &used);
                }
                Err(problems) => {
                    resolved.problems.extend(problems);
                    let of_pack = |name: &&&str| name.split_once('/').is_some_and(|(first, _)| first == pack.name);
                    resolved.unresolved.extend(used.iter().filter(of_pack).map(|name| (*name).to_owned()));
                }
            }
        }
        resolved
    }

    /// What all packs of a scenario need: the lock, the policy, the store.
    fn shared(&self, path: &Path) -> Result<(Lock, Policy, &Store), Problem> {
        let lock = Lock::read(path).map_err(|mistakes| Problem::new("", mistakes.to_string().replace('\n', " ")))?;
        let policy = self.policy.as_ref().map_or_else(|| Ok(Policy::default()), |file| Policy::read(file));
        let policy = policy.map_err(|mistakes| Problem::new("", mistakes.to_string().replace('\n', " ")))?;
        let store = self.store.as_ref();
        Ok((lock, policy, store.ok_or_else(|| Problem::new("", StoreError::NoHome.to_string()))?))
    }

    fn find(
        &self,
        used: &PackUse,
        scenario: &Scenario,
        lock: &Lock,
        policy: &Policy,
        store: &Store,
    ) -> Result<(Pack, Record), Vec<Problem>> {
        let install = format!("run `simwright pack install {}`", scenario.source.name());
        let update = format!("run `simwright pack update {} {}`", scenario.source.name(), used.name);
        let at =
            |field: &str, message: String, hint: &str| vec![Problem::new(format!("{}{field}", used.pointer), message).hint(hint)];
        let name = &used.name;
        let Some(locked) = lock.find(name) else {
            return Err(at("", format!("the pack `{name}` is not locked yet"), &install));
        };
        if locked.source != used.from {
            return Err(at("/from", format!("the pack `{name}` is locked as one from `{}`", locked.source), &install));
        }
        if let Some(range) = used.version.as_ref().filter(|range| !range.matches(&locked.version)) {
            return Err(at(
                "/version",
                format!("the pack `{name}` is locked at {}, which `{range}` leaves out", locked.version),
                &update,
            ));
        }
        let digest = locked.digest;
        let missing = || at("", format!("the pack `{name}` {} is not installed here ({digest})", locked.version), &install);
        let record = store
            .record(&digest)
            .map_err(|error| at("", format!("the pack `{name}`: {error}"), &install))?
            .ok_or_else(missing)?;
        self.use_it(store, &record);
        let pack = store.pack(&record).map_err(|error| at("", format!("the pack `{name}`: {error}"), &install))?;
        check_interface(&pack).map_err(|message| at("", format!("the pack `{name}` {message}"), &update))?;
        match policy.judge(&record.origin(), &pack.manifest, &pack.artifact, None) {
            Ok(_) => {}
            Err(reason @ Distrust::Unknown(_)) if record.insecure => {
                tracing::warn!(pack = %name, "the pack is used although {reason}; it was installed with `--insecure`");
            }
            Err(reason) => {
                let hint = format!("if you trust its publisher, add the key to `trust.toml`; else {install} from another source");
                return Err(at("", format!("the pack `{name}` must not be used: {reason}"), &hint));
            }
        }
        check_grant(used, locked, &pack)?;
        Ok((pack, record))
    }

    /// Lets the store know that this program uses the pack. A store that cannot be written is no reason not to start: what may not
    /// write there does not throw out, either.
    fn use_it(&self, store: &Store, record: &Record) {
        let mut using = self.using.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let noted = match &mut *using {
            Some(using) => using.add(&record.digest),
            none => store.begin_use().and_then(|using| {
                let added = using.add(&record.digest);
                *none = Some(using);
                added
            }),
        };
        if let Err(error) = noted {
            tracing::debug!("the store does not know that a pack is used: {error}");
        }
    }
}

/// Says why this release cannot run the pack, if it cannot.
pub fn check_interface(pack: &Pack) -> Result<(), String> {
    let range = &pack.manifest.interface;
    match CONTRACT.parse::<Version>() {
        Ok(version) if range.has(&version) => Ok(()),
        _ => Err(format!("is for version `{range}` of the plugin contract, and this release speaks {CONTRACT}")),
    }
}

/// Compares what each plugin asks for with the grant. What lacks is said with its meaning, and whether it is new.
fn check_grant(used: &PackUse, locked: &Locked, pack: &Pack) -> Result<(), Vec<Problem>> {
    let asked = pack.manifest.reach();
    let lacking = asked.beyond(used.granted);
    if lacking.is_empty() {
        return Ok(());
    }
    let meaning = |word: &str| match word.parse::<Capability>() {
        Ok(capability) => format!("`{word}` ({})", capability.meaning()),
        Err(_) => format!("`{word}`"),
    };
    let meanings: Vec<String> = lacking.iter().map(|word| meaning(word)).collect();
    let new = match &locked.before {
        Some((version, reach)) => {
            let grown = asked.beyond(*reach);
            let new: Vec<&str> = lacking.iter().filter(|word| grown.contains(word)).map(String::as_str).collect();
            if new.is_empty() { String::new() } else { format!("; {version} did not ask for {}", new.join(", ")) }
        }
        None => String::new(),
    };
    let plural = if lacking.len() == 1 { "it was" } else { "they were" };
    let message =
        format!("the pack `{}` {} asks for {}, and {plural} not granted{new}", used.name, locked.version, meanings.join(", "));
    let all = asked.beyond(Reach::default()).join(", ");
    Err(vec![Problem::new(used.pointer.clone(), message).hint(format!("if it should have that, write `grant: [{all}]`"))])
}

fn add(resolved: &mut Resolved, used: &PackUse, pack: &Pack, store: Option<&Store>, names: &BTreeSet<&str>) {
    for plugin in &pack.manifest.plugins {
        let name = format!("{}/{}", used.name, plugin.name);
        if let (Some(file), Some(store), true) = (pack.manifest.file(&plugin.file), store, names.contains(name.as_str())) {
            let reach = plugin.reach();
            let vectors = pack.manifest.tests_of(&plugin.name);
            let vectors = vectors.map(|layer| (layer.title.clone(), store.blob(&layer.digest), layer.digest));
            resolved.plugins.push(PluginSource {
                name: name.clone(),
                file: store.blob(&file.digest),
                memory_bytes: reach.memory_bytes as usize,
                time_us: reach.time_us,
                fresh_per_call: false,
                granted: reach.capabilities,
                pack: Some(PackPart {
                    pack: pack.digest(),
                    name: plugin.name.clone(),
                    component: file.digest,
                    vectors: vectors.collect(),
                }),
                pointer: used.pointer.clone(),
            });
        }
        resolved.known.push(name);
    }
}
