//! What generations are made from: the scenario's file or a text in its place, and components in place of plugins' files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use xxhash_rust::xxh3::Xxh3;

use crate::app::workshop::{Need, Sent, Workshop};
use crate::behavior::catalog::files_of;
use crate::engine::change::{Change, Declined};
use crate::scenario::read::DEFAULT_FILE;
use crate::scenario::refusal::Refusal;
use crate::scenario::watch::Watcher;
use crate::scenario::{Draft, Scenario, read};
use crate::types::problem::did_you_mean;

/// Where a scenario and its plugins come from.
#[derive(Debug, Clone, Default)]
pub(super) struct Sources {
    /// A text in place of the scenario's file.
    text: Option<Arc<str>>,
    /// Components in place of plugins' files, each with the file whose place it takes.
    sent: BTreeMap<String, (PathBuf, Bytes)>,
}

impl Sources {
    /// The sources after `change` was made to a generation of these, which `running` is of and whose file is `file`. `offered` knows the
    /// files of followed plugins.
    pub(super) fn after(
        &self,
        change: &Change,
        file: Option<&Path>,
        running: &Scenario,
        offered: Offered<'_>,
    ) -> Result<Self, Declined> {
        let mut sources = self.clone();
        match change {
            Change::Files | Change::Rollback { .. } => sources = Self::default(),
            Change::Saved(files) if file.is_some_and(|file| files.iter().any(|saved| saved == file)) => sources = Self::default(),
            Change::Saved(files) => sources.sent.retain(|_, (file, _)| !files.contains(file)),
            Change::Offered { name } => drop(sources.sent.remove(name)),
            Change::Scenario(text) => sources.text = Some(text.as_str().into()),
            Change::Plugin { name, component } => {
                let declared = running.plugins.iter().find(|plugin| plugin.name == *name).map(|plugin| &plugin.file);
                let is_used = || running.behaviours().any(|used| used.name == *name);
                let followed = offered(name).filter(|_| declared.is_some() || is_used());
                let place = followed.or_else(|| declared.cloned()).ok_or_else(|| no_plugin(name, running))?;
                sources.sent.insert(name.clone(), (place, component.clone()));
            }
        }
        Ok(sources)
    }

    /// Leaves out the components of plugins that `scenario` does not have, or has in another file. Those of packs, `PACK/PLUGIN`, are not
    /// known yet; one that no pack has is needed by nobody. Followed ones are there whether they are declared or not.
    pub(super) fn fit(&mut self, scenario: &Scenario, offered: Offered<'_>) {
        let has = |name: &str, file: &Path| match offered(name) {
            Some(followed) => followed == file,
            None => scenario.plugins.iter().any(|plugin| plugin.name == name && plugin.file == file),
        };
        self.sent.retain(|name, (file, _)| name.contains('/') || has(name, file));
    }

    /// The components that are not what the files say.
    pub(super) fn sent(&self) -> Sent {
        self.sent.iter().map(|(name, (_, component))| (name.clone(), component.clone())).collect()
    }

    /// How long these last, in a few words; `file` is the scenario's.
    pub(super) fn last(&self, file: Option<&Path>) -> String {
        let saved = |file: &Path| format!("`{}` is saved", file.display());
        let mut ends: Vec<String> = Vec::new();
        if self.text.is_some() || !self.sent.is_empty() {
            ends.extend(self.sent.values().map(|(file, _)| saved(file)));
            ends.extend(file.map(saved));
        } else if file.is_some() {
            return "until the next change; a restart reads the same files".to_owned();
        }
        ends.push("the server restarts".to_owned());
        format!("until the next change, or until {}; nothing was written to the disk", ends.join(" or "))
    }

    /// Reads the scenario. With a `watcher` every file is watched from before it is read, so that nothing saved meanwhile is lost; and
    /// even if the scenario is refused, the plugins that it names are, so that building a missing one is enough.
    pub(super) fn read(&self, file: Option<&Path>, watcher: Option<&Watcher>, workshop: &Workshop) -> Result<Draft, Refusal> {
        let also = |path: &Path| {
            if let Some(watcher) = watcher {
                watcher.watch_also([path.to_owned()]);
            }
        };
        let draft = match (&self.text, file) {
            (Some(text), file) => {
                let name = file.unwrap_or(Path::new(DEFAULT_FILE)).file_name().unwrap_or_default();
                let folder = file.and_then(Path::parent).unwrap_or(Path::new(""));
                read::parse_telling(&format!("(admin)/{}", name.display()), text, folder, &mut |included| also(included))
            }
            (None, None) => read::built_in(),
            (None, Some(file)) => {
                also(file);
                let read = read::read_telling(file, &mut |included| also(included));
                if let Some(watcher) = watcher {
                    let files = match &read {
                        Ok(draft) => &draft.scenario.source.files,
                        Err(refusal) => &refusal.files,
                    };
                    watcher.were_read(files.iter().map(|file| (PathBuf::from(&file.name), file.text.as_bytes())));
                }
                read
            }
        }?;
        named(&draft.scenario, workshop).iter().for_each(|path| also(path));
        Ok(draft)
    }
}

/// The file of a followed plugin, by its name.
pub(super) type Offered<'a> = &'a dyn Fn(&str) -> Option<PathBuf>;

fn no_plugin(name: &str, running: &Scenario) -> Declined {
    let names = || running.plugins.iter().map(|plugin| plugin.name.as_str());
    let hint = match did_you_mean(name, names()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if running.plugins.is_empty() => "it declares none".to_owned(),
        None => format!("it declares {}", names().collect::<Vec<_>>().join(", ")),
    };
    Declined::NoPlugin { name: name.to_owned(), hint }
}

/// Does `change` come by itself and leave the scenario as it is? Such a one is made to the newest generation, even if that is on trial: what
/// an operator has begun is neither ended nor left out by it. `file` is the scenario's.
pub(super) fn comes_by_itself(change: &Change, file: Option<&Path>) -> bool {
    match change {
        Change::Offered { .. } => true,
        Change::Saved(files) => !file.is_some_and(|file| files.iter().any(|saved| saved == file)),
        _ => false,
    }
}

/// The files that `scenario` names: plugins', those of options, and those that say which packs it uses. Plugins that were offered come from
/// elsewhere, and whoever offers them follows them.
fn named(scenario: &Scenario, workshop: &Workshop) -> Vec<PathBuf> {
    let source = &scenario.source;
    let plugins =
        scenario.plugins.iter().filter(|plugin| workshop.offered(&plugin.name).is_none()).map(|plugin| plugin.file.clone());
    let options = scenario.behaviours().flat_map(|used| files_of(&used.options, source.folder_of(&used.pointer)));
    plugins.chain(options).chain(workshop.files_of_packs(scenario)).collect()
}

/// Every file that `scenario` was read from or names, which must be followed while it runs.
pub(super) fn followed(scenario: &Scenario, workshop: &Workshop) -> Vec<PathBuf> {
    let files = scenario.source.files.iter().filter(|file| !file.name.starts_with('(')).map(|file| PathBuf::from(&file.name));
    files.chain(named(scenario, workshop)).collect()
}

/// A digest of everything that a generation of `scenario` with the plugins `needs` is made from, so that equal ones are recognized.
pub(super) fn digest(scenario: &Scenario, needs: &[Need], workshop: &Workshop) -> u128 {
    let mut hash = Xxh3::new();
    hash.update(&scenario.source.digest().to_le_bytes());
    for need in needs {
        hash.update(need.name.as_bytes());
        hash.update(need.key.digest().as_bytes());
    }
    let source = &scenario.source;
    let options = scenario.behaviours().flat_map(|used| files_of(&used.options, source.folder_of(&used.pointer)));
    // Another version of a pack may have the same components, and may be trusted no more. A file that cannot be read is the mistake of
    // who needs it.
    options.chain(workshop.files_of_packs(scenario)).for_each(|file| hash.update(&std::fs::read(file).unwrap_or_default()));
    hash.digest128()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::real::RealClock;

    fn scenario(text: &str) -> Scenario {
        read::parse("s.yaml", text, Path::new("")).expect("readable").scenario
    }

    const TWO: &str = "simwright: 1\nplugins: { a: { file: ./a.wasm }, b: { file: ./b.wasm } }\nmodels: [{ match: m }]\n";

    #[test]
    fn a_saved_file_takes_back_what_was_sent_in_its_place() {
        let (running, file) = (scenario(TWO), Some(Path::new("s.yaml")));
        let send = |sources: &Sources, name: &str| {
            let change = Change::Plugin { name: name.to_owned(), component: vec![1].into() };
            sources.after(&change, file, &running, &|_| None).expect("declared")
        };
        let both = send(&send(&Sources::default(), "a"), "b");
        let saved = |name: &str| Change::Saved(vec![PathBuf::from(name)]);
        let names = |sources: &Sources| sources.sent().into_keys().collect::<Vec<_>>();
        assert_eq!(names(&both.after(&saved("./a.wasm"), file, &running, &|_| None).expect("fine")), ["b"]);
        assert_eq!(names(&both.after(&saved("other"), file, &running, &|_| None).expect("fine")), ["a", "b"]);
        assert_eq!(names(&both.after(&saved("s.yaml"), file, &running, &|_| None).expect("fine")), Vec::<String>::new());
        let text = both.after(&Change::Scenario(TWO.to_owned()), file, &running, &|_| None).expect("fine");
        assert_eq!(names(&text), ["a", "b"], "another text keeps the components that it still declares");
        let mut moved = text;
        moved.fit(&scenario(&TWO.replace("./b.wasm", "./c.wasm")), &|_| None);
        assert_eq!(names(&moved), ["a"]);
        assert!(moved.last(file).contains("`./a.wasm` is saved or `s.yaml` is saved or the server restarts"));
    }

    #[test]
    fn a_plugin_that_is_not_declared_is_named_with_the_nearest() {
        let change = Change::Plugin { name: "zzz".to_owned(), component: Bytes::new() };
        let error = Sources::default().after(&change, None, &scenario(TWO), &|_| None).unwrap_err().to_string();
        assert!(error.contains("has no plugin `zzz`") && error.contains("it declares a, b"), "{error}");
    }

    #[test]
    fn a_text_may_include_the_file_that_it_stands_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("s.yaml");
        std::fs::write(&file, "simwright: 1\nmodels: [{ match: m }]\n").expect("written");
        let change = Change::Scenario("simwright: 1\ninclude: ./s.yaml\nseed: 3\n".to_owned());
        let sources = Sources::default().after(&change, Some(&file), &scenario(TWO), &|_| None).expect("fine");
        let workshop = Workshop::open(RealClock::start(), None, 1).expect("a workshop");
        let draft = sources.read(Some(&file), None, &workshop).unwrap_or_else(|refusal| panic!("{refusal}"));
        assert!(draft.problems.is_empty() && draft.scenario.seed == Some(3), "{:?}", draft.problems);
    }
}
