//! Tries a pack out before anybody relies on it: loads its plugins, compares them with its manifest, checks its scenarios, runs its
//! vectors. Whatever is wrong is told at once. Loading also compiles, so that the first start with a pack does not wait.

use std::path::Path;
use std::sync::Arc;

use crate::app::StartError;
use crate::app::pack::resolve::check_interface;
use crate::app::pack::{Failure, Flaws};
use crate::app::workshop::Workshop;
use crate::behavior::catalog::files_of;
use crate::clock::real::RealClock;
use crate::pack::manifest::PluginPart;
use crate::pack::whole::Pack;
use crate::scenario::refusal::Refusal;
use crate::scenario::{Scenario, read};
use crate::types::problem::{Problem, did_you_mean};
use crate::vectors::{Case, Report, Suite, check, read as read_vectors};
use crate::wasm::{Compiler, LoadSpec, PluginHost};

/// What packs are tried on: a plugin host in which time is counted in instructions, so that what comes out is the same everywhere.
pub struct Bench {
    workshop: Workshop,
}

/// What came of the vectors of a pack: a report a plugin.
#[derive(Debug, Default)]
pub struct Examined {
    /// In the order of the manifest; plugins without vectors have a report without cases.
    pub reports: Vec<Report>,
}

impl Bench {
    /// A bench whose plugins are compiled by who was offered to the process.
    pub fn open() -> Result<Self, StartError> {
        Ok(Self { workshop: Workshop::open_virtual(RealClock::start(), None, Compiler::offered())? })
    }

    /// Its plugin host.
    pub fn plugins(&self) -> &PluginHost {
        self.workshop.plugins()
    }

    /// Tries `pack` out. Vectors that fail are flaws.
    pub fn examine(&mut self, pack: &Pack) -> Result<Examined, Failure> {
        let mut flaws = Flaws::default();
        if let Err(message) = check_interface(pack) {
            flaws.add(format!("the pack `{}` {message}", pack.manifest.name));
        }
        let suites = self.suites(pack, &mut flaws)?;
        let mut examined = Examined::default();
        for part in &pack.manifest.plugins {
            let Some(report) = self.plugin(pack, part, &suites, &mut flaws)? else { continue };
            for problem in report.problems() {
                flaws.add(problem);
            }
            examined.reports.push(report);
        }
        if flaws.is_empty() {
            self.scenarios(pack, &mut flaws)?;
        }
        flaws.or(examined)
    }

    /// The vectors of `pack`, by title.
    fn suites(&self, pack: &Pack, flaws: &mut Flaws) -> Result<Vec<(String, Suite)>, Failure> {
        let mut suites = Vec::new();
        let names = || pack.manifest.plugins.iter().map(|part| part.name.as_str());
        for title in &pack.manifest.tests {
            let Some(layer) = pack.manifest.file(title) else { continue };
            let text = String::from_utf8_lossy(&pack.read(layer)?).into_owned();
            match read_vectors::parse(title, &text) {
                Ok(cases) => {
                    cases.iter().filter_map(|case| fault_of_case(case, title, names())).for_each(|fault| flaws.add(fault));
                    suites.push((title.clone(), Suite { cases }));
                }
                Err(refusal) => add_refusal(flaws, refusal),
            }
        }
        Ok(suites)
    }

    fn plugin(
        &mut self,
        pack: &Pack,
        part: &PluginPart,
        suites: &[(String, Suite)],
        flaws: &mut Flaws,
    ) -> Result<Option<Report>, Failure> {
        let Some(layer) = pack.manifest.file(&part.file) else { return Ok(None) };
        let bytes = pack.read(layer)?;
        let load = |name: &str| {
            let reach = part.reach();
            let (memory_bytes, time_us) = (reach.memory_bytes as usize, reach.time_us);
            let spec = LoadSpec { memory_bytes, time_us, granted: reach.capabilities, ..LoadSpec::new(name, &bytes) };
            self.workshop.plugins().load(spec)
        };
        let (plugin, named) = match (load(&part.name), load(&format!("{}/{}", pack.manifest.name, part.name))) {
            (Ok(plugin), Ok(named)) => (plugin, named),
            (Err(error), _) | (_, Err(error)) => {
                flaws.add(error);
                return Ok(None);
            }
        };
        let kinds: Vec<&str> = plugin.kinds().into_iter().map(|kind| kind.word()).collect();
        if kinds != part.kinds {
            flaws.add(format!("`{}` decides {}, and the manifest says {}", part.name, kinds.join(", "), part.kinds.join(", ")));
        }
        if plugin.about().summary != part.summary {
            flaws.add(format!("`{}` says of itself other things than the manifest says", part.name));
        }
        if plugin.about().options_schema != part.options_schema {
            flaws.add(format!("`{}` takes other options than the manifest says", part.name));
        }
        let files: Vec<&str> = pack.manifest.tests_of(&part.name).map(|layer| layer.title.as_str()).collect();
        let own = suites.iter().filter(|(title, _)| files.contains(&title.as_str()));
        let cases = own.flat_map(|(_, suite)| suite.cases.iter().cloned()).collect();
        self.workshop.offer(&named);
        match check(&plugin, &Suite { cases }) {
            Ok(report) => Ok(Some(report)),
            Err(error) => {
                flaws.add(error);
                Ok(None)
            }
        }
    }

    /// Checks the scenarios of `pack` as a start would, with its own plugins.
    fn scenarios(&self, pack: &Pack, flaws: &mut Flaws) -> Result<(), Failure> {
        for part in &pack.manifest.scenarios {
            let Some(layer) = pack.manifest.file(&part.file) else { continue };
            let text = String::from_utf8_lossy(&pack.read(layer)?).into_owned();
            let draft = match read::parse(&part.file, &text, Path::new("")) {
                Ok(draft) => draft,
                Err(refusal) => {
                    add_refusal(flaws, refusal);
                    continue;
                }
            };
            let source = Arc::clone(&draft.scenario.source);
            let foreign = foreign(&draft.scenario);
            if !foreign.is_empty() {
                add_refusal(flaws, Refusal::of(&source, foreign));
            } else if let Err(refusal) = self.workshop.build(draft, 1) {
                add_refusal(flaws, refusal);
            }
        }
        Ok(())
    }
}

/// What is wrong with whom `case` of the file `title` is about: nobody would run it, and nobody would notice.
fn fault_of_case<'a>(case: &Case, title: &str, names: impl Iterator<Item = &'a str> + Clone) -> Option<Problem> {
    let name = case.plugin.as_deref()?;
    let owner = title.strip_prefix("tests/").and_then(|rest| rest.split_once('/')).map(|(owner, _)| owner);
    let problem = match owner {
        Some(owner) if owner != name => {
            Problem::new("", format!("this file is about `{owner}` alone, and its cases about `{name}`"))
        }
        _ if names.clone().any(|known| known == name) => return None,
        _ => {
            let hint = match did_you_mean(name, names.clone()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("it has {}", names.collect::<Vec<_>>().join(", ")),
            };
            Problem::new("", format!("the pack has no plugin `{name}`")).hint(hint)
        }
    };
    Some(Problem { place: Some(case.place.clone()), ..problem })
}

/// What a scenario of a pack cannot have, because it travels alone: other files, other packs.
fn foreign(scenario: &Scenario) -> Vec<Problem> {
    let hint = "a scenario of a pack is one file and uses native behaviours, the standard pack and its own pack's plugins";
    let at = |pointer: String, message: &str| Problem::new(pointer, message).hint(hint);
    let mut problems = Vec::new();
    problems.extend(scenario.plugins.iter().map(|plugin| at(plugin.pointer.clone(), "this file would not be part of the pack")));
    problems.extend(scenario.packs.iter().map(|pack| at(pack.pointer.clone(), "a pack cannot bring another one")));
    let with_files = scenario.behaviours().filter(|used| !files_of(&used.options, Path::new("")).is_empty());
    problems.extend(with_files.map(|used| at(used.pointer.clone(), "the file that this names would not be part of the pack")));
    problems
}

fn add_refusal(flaws: &mut Flaws, refusal: Refusal) {
    for problem in &refusal.problems {
        flaws.add(Refusal { problems: vec![problem.clone()], ..refusal.clone() });
    }
}
