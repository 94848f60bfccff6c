//! From a recipe to a pack: components are loaded as a server would, and what they are is compared with what the recipe says. Plugin
//! projects are built where whoever makes the pack says so: that runs what lies in their folders, so that an install never does.

use std::path::{Path, PathBuf};

use semver::Version;

use crate::app::pack::Failure;
use crate::app::pack::examine::Bench;
use crate::app::plugin_project::{BuildFailure, build};
use crate::pack::digest::Digest;
use crate::pack::manifest::{FORMAT, Manifest, PluginPart, ScenarioPart, archive};
use crate::pack::recipe::{self, PluginEntry, PluginFrom, Recipe};
use crate::pack::title::fault_of_title;
use crate::pack::whole::Pack;
use crate::pack::{COMPONENT_TYPE, Layer, TEXT_TYPE, YAML_TYPE};
use crate::project::{Project, ProjectError};
use crate::types::capability::Capabilities;
use crate::types::limits::{COMPONENT_BYTES_MAX, PACK_BYTES_MAX, SCENARIO_BYTES_MAX};
use crate::types::problem::Problem;
use crate::vectors::read::files_of;
use crate::wasm::{CONTRACT, LoadSpec};

/// What is done with plugin projects whose sources are younger than their components, or that have none.
pub enum Projects<'a> {
    /// They are built. What toolchains say is told a line at a time, after the name of the plugin.
    Build(&'a mut dyn FnMut(&str, &str)),
    /// They are mistakes: nothing in their folders is run.
    Built,
}

/// The pack of the recipe in `folder`: the same bytes for the same files. Its scenarios and vectors are not tried yet.
pub fn make(bench: &Bench, folder: &Path, projects: Projects<'_>) -> Result<Pack, Failure> {
    let recipe = recipe::read(folder)?;
    let mut made = Making { folder, projects, problems: Vec::new(), files: Vec::new() };
    made.check_interface(&recipe);
    let plugins: Vec<PluginPart> = recipe.plugins.iter().filter_map(|entry| made.plugin(bench, entry)).collect();
    let mut scenarios = Vec::new();
    for entry in &recipe.scenarios {
        let title = format!("scenarios/{}.yaml", entry.name);
        let place = format!("{}/file", entry.pointer);
        made.file(&title, YAML_TYPE, &entry.file, &place, SCENARIO_BYTES_MAX);
        scenarios.push(ScenarioPart { name: entry.name.clone(), file: title, summary: entry.summary.clone() });
    }
    made.vectors(folder, "tests");
    if folder.join("README.md").is_file() {
        made.file("README.md", TEXT_TYPE, "README.md", "", SCENARIO_BYTES_MAX);
    }
    let Making { problems, mut files, .. } = made;
    if !problems.is_empty() {
        return Err(recipe.document.mistakes(problems).into());
    }
    files.sort_by(|a, b| a.0.title.cmp(&b.0.title));
    let is_test = |layer: &&Layer| layer.title.starts_with("tests/");
    let tests = files.iter().map(|(layer, _)| layer).filter(is_test).map(|layer| layer.title.clone()).collect();
    let Recipe { name, version, licence, description, interface, document, .. } = recipe;
    let layers = files.iter().map(|(layer, _)| layer.clone()).collect();
    let manifest =
        Manifest { format: FORMAT, name, version, licence, description, interface, plugins, scenarios, tests, files: layers };
    // What nobody would accept is not made.
    if let Err(message) = Manifest::parse(&manifest.bytes()) {
        return Err(document.mistakes(vec![Problem::new("", message)]).into());
    }
    Ok(Pack::in_memory(manifest, files.into_iter().map(|(_, bytes)| bytes)))
}

struct Making<'a, 'p> {
    folder: &'a Path,
    projects: Projects<'p>,
    problems: Vec<Problem>,
    files: Vec<(Layer, Vec<u8>)>,
}

impl Making<'_, '_> {
    fn check_interface(&mut self, recipe: &Recipe) {
        if CONTRACT.parse::<Version>().is_ok_and(|version| !recipe.interface.has(&version)) {
            let message =
                format!("`{}` leaves out version {CONTRACT} of the plugin contract, which this release speaks", recipe.interface);
            self.problems
                .push(Problem::new("/interface", message).hint(format!("write `^{CONTRACT}`, or use a release of that version")));
        }
    }

    fn plugin(&mut self, bench: &Bench, entry: &PluginEntry) -> Option<PluginPart> {
        let (field, path) = match &entry.from {
            PluginFrom::File(file) => ("file", self.folder.join(file)),
            PluginFrom::Project(project) => ("project", self.component(project, entry)?),
        };
        let place = format!("{}/{field}", entry.pointer);
        let title = format!("plugins/{}.wasm", entry.name);
        let bytes = self.take(&title, COMPONENT_TYPE, &path, &place, COMPONENT_BYTES_MAX)?;
        let mut spec = LoadSpec::new(&entry.name, &bytes);
        spec.memory_bytes = entry.reach.memory_bytes as usize;
        spec.time_us = entry.reach.time_us;
        let plugin = match bench.plugins().load(spec) {
            Ok(plugin) => plugin,
            Err(error) => {
                self.problems.push(Problem::new(place, error.message.clone()).hint(error.hint()));
                return None;
            }
        };
        self.compare_capabilities(entry, plugin.capabilities());
        let kinds: Vec<String> = plugin.kinds().into_iter().map(|kind| kind.word().to_owned()).collect();
        if let Some(said) =
            entry.kinds.as_ref().filter(|said| !kinds.iter().all(|kind| said.contains(kind)) || said.len() != kinds.len())
        {
            let message = format!("it says that it decides {}, and its component decides {}", said.join(", "), kinds.join(", "));
            self.problems.push(Problem::new(format!("{}/kinds", entry.pointer), message));
        }
        if let PluginFrom::Project(project) = &entry.from {
            self.vectors(&self.folder.join(project), &format!("tests/{}", entry.name));
        }
        Some(PluginPart {
            name: entry.name.clone(),
            file: title,
            summary: plugin.about().summary.clone(),
            kinds,
            capabilities: plugin.capabilities().iter().map(|capability| capability.word().to_owned()).collect(),
            memory_bytes: entry.reach.memory_bytes,
            time_us: entry.reach.time_us,
            options_schema: plugin.about().options_schema.clone(),
        })
    }

    fn compare_capabilities(&mut self, entry: &PluginEntry, reached: Capabilities) {
        let words: Vec<String> = reached.iter().map(|capability| format!("\"{}\"", capability.word())).collect();
        let hint = format!("write `capabilities = [{}]`", words.join(", "));
        let (lacking, idle) = (reached.without(entry.reach.capabilities), entry.reach.capabilities.without(reached));
        if !lacking.is_empty() {
            let each: Vec<String> = lacking.iter().map(|lacks| format!("`{}` ({})", lacks.word(), lacks.meaning())).collect();
            let message = format!("its component imports {}, and it does not ask for that", each.join(" and "));
            self.problems.push(Problem::new(format!("{}/capabilities", entry.pointer), message).hint(&*hint));
        }
        if !idle.is_empty() {
            let message = format!("it asks for {idle}, which its component does not import");
            self.problems.push(Problem::new(format!("{}/capabilities", entry.pointer), message).hint(hint));
        }
    }

    /// The component of the project in `project`, built if that is wanted.
    fn component(&mut self, project: &str, entry: &PluginEntry) -> Option<PathBuf> {
        let folder = self.folder.join(project);
        let built = Project::open(&folder).map_err(BuildFailure::from).and_then(|opened| match &mut self.projects {
            _ if !opened.is_stale() => Ok(Some(opened.component())),
            Projects::Build(say) => build(&folder, false, &mut |line| say(&entry.name, line)).map(|built| Some(built.file)),
            Projects::Built => Ok(None),
        });
        let place = format!("{}/project", entry.pointer);
        match built {
            Ok(Some(file)) => return Some(file),
            Ok(None) => {
                let message = format!("the plugin `{}` is not built, or its sources are younger than its component", entry.name);
                let hint = format!("`simwright pack build {}` builds it; this command runs no toolchains", self.folder.display());
                self.problems.push(Problem::new(place, message).hint(hint));
            }
            // They have places of their own.
            Err(BuildFailure::Project(ProjectError::Manifest(refusal))) => self.problems.extend(refusal.problems),
            Err(failure) => {
                let told = failure.to_string();
                let (told, hint) = told.split_once("\n  hint: ").unwrap_or((&told, ""));
                let problem = Problem::new(place, format!("the plugin `{}`: {told}", entry.name));
                self.problems.push(if hint.is_empty() { problem } else { problem.hint(hint) });
            }
        }
        None
    }

    /// The vectors of the project or pack in `folder`, below `title`.
    fn vectors(&mut self, folder: &Path, title: &str) {
        for path in files_of(folder) {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let title = format!("{title}/{name}");
            match fault_of_title(&title) {
                None => drop(self.take(&title, YAML_TYPE, &path, "", SCENARIO_BYTES_MAX)),
                Some(fault) => self.problems.push(Problem::new("", fault)),
            }
        }
    }

    /// Takes the file `path` of the pack's folder in as `title`; gives its bytes.
    fn file(&mut self, title: &str, media_type: &str, path: &str, place: &str, most: u64) -> Option<Vec<u8>> {
        self.take(title, media_type, &self.folder.join(path), place, most)
    }

    fn take(&mut self, title: &str, media_type: &str, path: &Path, place: &str, most: u64) -> Option<Vec<u8>> {
        match read_below(self.folder, path, most) {
            Ok(bytes) => {
                let layer = Layer {
                    title: title.to_owned(),
                    media_type: media_type.to_owned(),
                    digest: Digest::of(&bytes),
                    size: bytes.len() as u64,
                };
                let total: u64 = self.files.iter().map(|(layer, _)| layer.size).sum();
                if total + layer.size > PACK_BYTES_MAX {
                    self.problems
                        .push(Problem::new(place, format!("with `{title}` the pack has more than {PACK_BYTES_MAX} bytes")));
                    return None;
                }
                self.files.push((layer, bytes.clone()));
                Some(bytes)
            }
            Err(message) => {
                self.problems.push(Problem::new(place, message));
                None
            }
        }
    }
}

/// The bytes of `path`, which must lie in `folder`, links followed.
fn read_below(folder: &Path, path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let shown = path.strip_prefix(folder).unwrap_or(path).display();
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => format!("there is no file `{shown}` in the pack's folder"),
        _ => format!("`{shown}` cannot be read: {error}"),
    };
    let root: PathBuf = if folder.as_os_str().is_empty() { ".".into() } else { folder.to_owned() };
    let real = path.canonicalize().map_err(failed)?;
    if !real.starts_with(root.canonicalize().map_err(failed)?) {
        return Err(format!("`{shown}` leads out of the pack's folder; put a copy of the file there"));
    }
    if !real.is_file() {
        return Err(format!("`{shown}` is no file"));
    }
    let size = std::fs::metadata(&real).map_err(failed)?.len();
    if size > most {
        return Err(format!("`{shown}` has {size} bytes, and it may have {most}"));
    }
    let bytes = std::fs::read(&real).map_err(failed)?;
    match archive(&bytes) {
        Some(archive) => Err(format!("`{shown}` is {archive}, and packs are never archives: name the files themselves")),
        None => Ok(bytes),
    }
}
