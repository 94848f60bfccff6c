//! Building a project: the contract and the world are laid out in `build/`, the language's toolchain makes a component, and the caller
//! has it checked before it takes its place as `build/NAME.wasm`.
//!
//! One file a language: which tool, with which arguments, and what to say when it is missing. [`Toolchain`] is what they have in common.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crossbeam::channel::bounded;
use crossbeam::select;

use crate::interest::Interest;
use crate::project::Project;
use crate::project::embedded::{contract_files, interface, version};
use crate::project::lang::Lang;
use crate::project::manifest;
use crate::project::tool::{Tool, Trouble};
use crate::project::vendor::{self, put};
use crate::types::limits::PLUGIN_BUILD_S;

mod c;
mod javascript;
mod python;
mod rust;

pub(super) use javascript::COMPONENTIZE_JS;
pub(super) use python::COMPONENTIZE_PY;

/// A component that a toolchain made, and that has not been checked yet.
#[derive(Debug)]
pub struct Built {
    /// The component.
    pub bytes: Vec<u8>,
    /// Where it belongs once it is known to be good.
    place: PathBuf,
    /// Held until then: what is in `build/` is of one build at a time.
    _turn: File,
}

impl Built {
    /// Puts the component into its place, at once: whoever watches the file sees the old one or the new one.
    pub fn keep(&self) -> Result<&Path, BuildError> {
        let fresh = self.place.with_extension("wasm.new");
        std::fs::write(&fresh, &self.bytes)
            .and_then(|()| std::fs::rename(&fresh, &self.place))
            .map_err(|error| BuildError::Unwritable { path: self.place.clone(), error })?;
        Ok(&self.place)
    }
}

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The project is written against another version of the contract.
    #[error(
        "the project is written against `{found}`, and this release speaks `{}`\n  hint: `simwright plugin build --renew` takes the SDK of \
         this release into `vendor/` and says so in `plugin.toml`",
        interface()
    )]
    Interface {
        /// What `plugin.toml` says.
        found: String,
    },
    /// A tool or a part of it is not there.
    #[error("{what}\n  hint: {get}")]
    Missing {
        /// What is missing.
        what: String,
        /// How to get it.
        get: String,
    },
    /// A tool refused; it has said why.
    #[error("{tool} failed; it says why above")]
    Failed {
        /// Which one.
        tool: &'static str,
        /// The last of what it said.
        words: String,
    },
    /// A tool took too long.
    #[error("{tool} was not done after {PLUGIN_BUILD_S} s and was ended")]
    TooLong {
        /// Which one.
        tool: &'static str,
    },
    /// Nobody wanted the component any more.
    #[error("{tool} was ended: nobody waits for the component any more")]
    Unwanted {
        /// Which one.
        tool: &'static str,
    },
    /// The system refused to run a tool.
    #[error("cannot run {tool}: {error}")]
    System {
        /// Which one.
        tool: &'static str,
        /// What the system says.
        error: io::Error,
    },
    /// What came out is no component.
    #[error("no component comes of it: {0}")]
    Component(String),
    /// A file or folder cannot be read.
    #[error("cannot read `{}`: {error}", .path.display())]
    Unreadable {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// A file or folder cannot be written.
    #[error("cannot write `{}`: {error}", .path.display())]
    Unwritable {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

impl From<(PathBuf, io::Error)> for BuildError {
    fn from((path, error): (PathBuf, io::Error)) -> Self {
        Self::Unwritable { path, error }
    }
}

/// What every language's builder works with.
pub struct Toolchain<'a> {
    project: &'a Project,
    /// The project's folder as an absolute path: tools run in it.
    folder: PathBuf,
    /// In the component.
    interest: &'a Interest,
    say: &'a mut dyn FnMut(&str),
}

impl Project {
    /// Makes the component. What the tools say goes to `say`, a line at a time; they are ended when `interest` is lost. With `renew` the
    /// project first gets the SDK of this release and says so in `plugin.toml`.
    pub fn build(&mut self, renew: bool, interest: &Interest, say: &mut dyn FnMut(&str)) -> Result<Built, BuildError> {
        let turn = self.take_turn(interest, say)?;
        if renew {
            self.renew()?;
        }
        if self.manifest.interface != interface() {
            return Err(BuildError::Interface { found: self.manifest.interface.clone() });
        }
        if !self.folder.join(vendor::FOLDER).exists() {
            vendor::write(&self.folder, self.manifest.lang)?;
        }
        let unreadable = |error| BuildError::Unreadable { path: self.folder.clone(), error };
        let folder = self.folder.canonicalize().map_err(unreadable)?;
        let mut toolchain = Toolchain { project: self, folder, interest, say };
        toolchain.lay_out()?;
        let bytes = match self.manifest.lang {
            Lang::Rust => rust::build(&mut toolchain),
            Lang::Python => python::build(&mut toolchain),
            Lang::JavaScript => javascript::build(&mut toolchain),
            Lang::C => c::build(&mut toolchain),
        }?;
        Ok(Built { bytes, place: self.component(), _turn: turn })
    }

    /// Waits until no other build of the project is under way, in whichever process.
    fn take_turn(&self, interest: &Interest, say: &mut dyn FnMut(&str)) -> Result<File, BuildError> {
        let path = self.folder.join("build").join(".lock");
        let unwritable = |error| BuildError::Unwritable { path: path.clone(), error };
        std::fs::create_dir_all(self.folder.join("build")).map_err(unwritable)?;
        let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(unwritable)?;
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => say("another build of this project is under way, and is waited for"),
            Err(TryLockError::Error(error)) => return Err(unwritable(error)),
        }
        let (sender, turn) = bounded(1);
        // If nobody wants it any more when it has the turn, that is given back with the file.
        let wait = move || drop(sender.send(file.lock().map(|()| file)));
        std::thread::Builder::new().name("plugin-build".to_owned()).spawn(wait).map_err(unwritable)?;
        select! {
            recv(turn) -> turn => turn.unwrap_or_else(|_| Err(io::Error::other("the wait was lost"))).map_err(unwritable),
            recv(interest.end()) -> _ => Err(BuildError::Unwanted { tool: "the wait for another build" }),
        }
    }

    /// Takes the SDK of this release, and says in `plugin.toml` which contract that is.
    fn renew(&mut self) -> Result<(), BuildError> {
        vendor::write(&self.folder, self.manifest.lang)?;
        let path = self.folder.join(super::FILE);
        let text = std::fs::read_to_string(&path).map_err(|error| BuildError::Unreadable { path: path.clone(), error })?;
        if self.manifest.interface != interface()
            && let Some(renewed) = manifest::with_interface(&text, interface())
        {
            put(&path, &renewed)?;
            self.manifest.interface = interface().to_owned();
        }
        Ok(())
    }
}

impl Toolchain<'_> {
    /// Writes `build/wit`: a world `component` that exports what the project decides, and the contract below it.
    fn lay_out(&self) -> Result<(), BuildError> {
        let wit = self.wit();
        put(&wit.join("component.wit"), &world(&self.project.manifest.kinds))?;
        for (path, text) in contract_files() {
            put(&wit.join("deps/simwright-plugin").join(path), text)?;
        }
        Ok(())
    }

    fn wit(&self) -> PathBuf {
        self.made("wit")
    }

    /// A file or folder that the build makes.
    fn made(&self, name: &str) -> PathBuf {
        self.folder.join("build").join(name)
    }

    /// Runs `tool`, called `name`; gives what it wrote to standard output, if that is data. If there is no such program, `get` says how to
    /// come by it. `explain` may know from a tool's words what is missing.
    fn run(
        &mut self,
        name: &'static str,
        tool: &Tool,
        get: &str,
        explain: impl FnOnce(&str) -> Option<BuildError>,
    ) -> Result<String, BuildError> {
        match tool.run(self.interest, self.say) {
            Ok(ended) if ended.good => Ok(ended.output),
            Ok(ended) => Err(explain(&ended.words).unwrap_or(BuildError::Failed { tool: name, words: ended.words })),
            Err(Trouble::Missing) => {
                Err(BuildError::Missing { what: format!("{name} is not installed, or not on the path"), get: get.to_owned() })
            }
            Err(Trouble::Unwanted) => Err(BuildError::Unwanted { tool: name }),
            Err(Trouble::TooLong) => Err(BuildError::TooLong { tool: name }),
            Err(Trouble::System(error)) => Err(BuildError::System { tool: name, error }),
        }
    }

    /// What the build made, as bytes.
    fn read(&self, path: &Path) -> Result<Vec<u8>, BuildError> {
        std::fs::read(path).map_err(|error| BuildError::Unreadable { path: path.to_owned(), error })
    }
}

/// A world for a component that decides `kinds`.
fn world(kinds: &[&str]) -> String {
    let version = version();
    let export = |kind: &str| format!("    export simwright:plugin/{kind}@{version};\n");
    let exports: String = ["lifecycle"].iter().chain(kinds).map(|kind| export(kind)).collect();
    format!("package simwright:project;\n\nworld component {{\n    include simwright:plugin/services@{version};\n{exports}}}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::Template;

    #[test]
    fn a_project_of_another_contract_is_refused_and_can_be_renewed() {
        let folder = tempfile::tempdir().expect("a folder");
        let template = Template { name: "slow-lane", kinds: vec!["latency"], lang: Lang::C };
        let project = template.write(&folder.path().join("p")).expect("written");
        let file = project.folder().join("plugin.toml");
        let text = std::fs::read_to_string(&file).expect("a manifest");
        // Quoted as TOML allows, beside a comment that names the same.
        let before = text.replace(&format!("\"{}\"", interface()), "'simwright:plugin@0.9.0' # was \"simwright:plugin@0.9.0\"");
        std::fs::write(&file, &before).expect("written");
        let mut old = Project::open(project.folder()).expect("a project");
        let refused = old.build(false, &Interest::for_ever(), &mut |_| {}).expect_err("an old contract").to_string();
        assert!(refused.contains("simwright:plugin@0.9.0") && refused.contains("--renew"), "{refused}");
        std::fs::remove_file(project.folder().join("vendor/simwright.h")).expect("removed");
        old.renew().expect("renewed");
        let after = std::fs::read_to_string(&file).expect("a manifest");
        assert_eq!(after, before.replace("'simwright:plugin@0.9.0'", &format!("\"{}\"", interface())));
        assert!(project.folder().join("vendor/simwright.h").is_file());
    }

    #[test]
    fn two_builds_of_a_project_take_turns() {
        let folder = tempfile::tempdir().expect("a folder");
        let template = Template { name: "slow-lane", kinds: vec!["latency"], lang: Lang::C };
        let mut project = template.write(&folder.path().join("p")).expect("written");
        let first = project.take_turn(&Interest::for_ever(), &mut |line| panic!("{line}")).expect("nobody else builds");
        let (hold, interest) = Interest::begin();
        let mut hold = Some(hold);
        let second = project.build(false, &interest, &mut |line| {
            assert!(line.contains("another build"), "{line}");
            hold.take();
        });
        assert!(matches!(second, Err(BuildError::Unwanted { .. })), "{second:?}");
        let waiting = std::thread::spawn(move || project.take_turn(&Interest::for_ever(), &mut |_| {}));
        drop(first);
        waiting.join().expect("no panic").expect("its turn");
    }

    #[test]
    fn the_world_exports_what_the_project_decides() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("component.wit"), world(&["latency", "autoscaler"])).expect("written");
        for (path, text) in contract_files() {
            put(&folder.path().join("deps/simwright-plugin").join(path), text).expect("written");
        }
        let mut resolve = wit_parser::Resolve::default();
        let (package, _) = resolve.push_dir(folder.path()).expect("a package");
        let world = resolve.select_world(&[package], Some("component")).expect("a world");
        assert_eq!((resolve.worlds[world].exports.len(), resolve.worlds[world].imports.len()), (3, 4));
    }
}
