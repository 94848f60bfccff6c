//! New projects: a template a language, with parts for the kinds that are asked for.
//!
//! In a template a line `%% if KIND LANG …` begins lines that are there if one of the words holds, `%% end` ends them, and `{{word}}` stands
//! for what the project is.

use std::io;
use std::path::{Path, PathBuf};

use crate::project::build::{COMPONENTIZE_JS, COMPONENTIZE_PY};
use crate::project::embedded::{TEMPLATES, interface};
use crate::project::lang::Lang;
use crate::project::manifest::check_name;
use crate::project::{Project, ProjectError, vendor};
use crate::types::problem::Problem;

/// What the SDK's prelude and Rust's have names for, and the SDKs of other languages: a type of that name would hide it.
const TAKEN: &str = "Answer Ask AsMut AsRef Autoscaler Backend Balancer Box Call Choice Clock Clone Copy Cut Damage Decision Default Delay \
    DoubleEndedIterator Drop Duration Eq Err ExactSizeIterator Extend Fault Finish Fn FnMut FnOnce From FromIterator Group HttpError Into \
    IntoIterator Item Iterator Key Latency None Ok Option Ord PartialEq PartialOrd Plugin Position Problem Responder Result Rng Schedule \
    Send Setting Share Sized Some String Sync ToOwned ToString TryFrom TryInto Unpin Vec Verdict Wish";

/// What a new project shall be.
#[derive(Debug, Clone)]
pub struct Template<'a> {
    /// The plugin's name: lower-case words with dashes.
    pub name: &'a str,
    /// What it decides: words of [`crate::project::KINDS`], in their order.
    pub kinds: Vec<&'static str>,
    /// What it is written in.
    pub lang: Lang,
}

/// Why a project was not written.
#[derive(Debug, thiserror::Error)]
pub enum NewError {
    /// The name is none for a plugin.
    #[error("{0}")]
    Name(Problem),
    /// There is something in the folder's place.
    #[error("there is `{}` already\n  hint: `--dir` names another folder, which is made", .0.display())]
    Exists(PathBuf),
    /// There is no template for it.
    #[error("there is no template for a plugin of kind `{kind}` in {lang}\n  hint: write it in Rust: `--lang rust`")]
    Unavailable {
        /// The kind.
        kind: &'static str,
        /// The language.
        lang: Lang,
    },
    /// A file or a folder cannot be written.
    #[error("cannot write `{}`: {error}", .path.display())]
    Unwritable {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// What was written is no project, which is a mistake in the template.
    #[error(transparent)]
    Project(#[from] ProjectError),
}

impl Template<'_> {
    /// Writes the project to `folder`, which is made and must not be there. A project that could not be written whole is removed.
    pub fn write(&self, folder: &Path) -> Result<Project, NewError> {
        check_name(self.name).map_err(NewError::Name)?;
        let only_rust = ["balancer", "autoscaler"];
        if self.lang != Lang::Rust
            && let Some(kind) = self.kinds.iter().find(|kind| only_rust.contains(*kind))
        {
            return Err(NewError::Unavailable { kind, lang: self.lang });
        }
        let unwritable = |(path, error)| NewError::Unwritable { path, error };
        let above = folder.parent().unwrap_or(Path::new(""));
        if above != Path::new("") {
            std::fs::create_dir_all(above).map_err(|error| unwritable((above.to_owned(), error)))?;
        }
        std::fs::create_dir(folder).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => NewError::Exists(folder.to_owned()),
            _ => unwritable((folder.to_owned(), error)),
        })?;
        let written = self.files().into_iter().try_for_each(|(path, text)| vendor::put(&folder.join(path), &text));
        if let Err(failed) = written.and_then(|()| vendor::write(folder, self.lang)) {
            // The first failure is the one to tell.
            let _ = std::fs::remove_dir_all(folder);
            return Err(unwritable(failed));
        }
        Ok(Project::open(folder)?)
    }

    /// The files of the project with their paths, but for `vendor/`.
    fn files(&self) -> Vec<(String, String)> {
        let folders = ["any/".to_owned(), format!("{}/", self.lang.word())];
        let own = |path: &'static str| folders.iter().find_map(|folder| path.strip_prefix(folder.as_str()));
        TEMPLATES
            .iter()
            .filter_map(|(path, text)| Some((own(path)?, *text)))
            // What tools would take for theirs has an ending that they do not know.
            .map(|(path, text)| (path.trim_end_matches(".template").to_owned(), self.fill(text)))
            .collect()
    }

    /// `text` with the parts that apply and the words filled in.
    fn fill(&self, text: &str) -> String {
        let holds = |word: &str| self.kinds.contains(&word) || self.lang.word() == word;
        let mut filled = String::with_capacity(text.len());
        let mut is_in = true;
        for line in text.lines() {
            match line.trim_start().strip_prefix("%% ") {
                Some("end") => is_in = true,
                Some(condition) => is_in = condition.trim_start_matches("if ").split(' ').any(holds),
                None if is_in => {
                    filled.push_str(line);
                    filled.push('\n');
                }
                None => {}
            }
        }
        for (word, value) in self.words() {
            filled = filled.replace(&format!("{{{{{word}}}}}"), &value);
        }
        filled
    }

    fn words(&self) -> Vec<(&'static str, String)> {
        let has = |kind| self.kinds.contains(&kind);
        let of_kinds = |parts: [(&'static str, &[&str]); 3]| {
            let parts = parts.into_iter().filter(|(kind, _)| has(kind)).flat_map(|(_, words)| words);
            parts.copied().collect::<Vec<&str>>().join(", ")
        };
        let python = [("fault", &["Verdict"][..]), ("responder", &["Answer", "Item"]), ("latency", &["Schedule"])];
        let javascript = [("fault", &["Verdict", "isRetry"][..]), ("responder", &["Answer", "Item"]), ("latency", &["Schedule"])];
        let memory = if matches!(self.lang, Lang::Python | Lang::JavaScript) { ", memory: 64MiB" } else { "" };
        let quoted: Vec<String> = self.kinds.iter().map(|kind| format!("\"{kind}\"")).collect();
        vec![
            ("name", self.name.to_owned()),
            ("ident", self.name.replace('-', "_")),
            ("Type", type_name(self.name)),
            ("kinds", quoted.join(", ")),
            ("kind_words", self.kinds.join(", ")),
            ("kind", self.kinds.first().copied().unwrap_or_default().to_owned()),
            ("interface", interface().to_owned()),
            ("summary", format!("What `{}` does, in one sentence.", self.name)),
            ("lang", self.lang.word().to_owned()),
            ("source", self.lang.source().to_owned()),
            ("memory", memory.to_owned()),
            ("python_import", format!("from simwright import {}", of_kinds(python))),
            ("js_import", format!("{}, key", of_kinds(javascript))),
            ("componentize_py", COMPONENTIZE_PY.to_owned()),
            ("componentize_js", COMPONENTIZE_JS.to_owned()),
            ("fault_options", "{ refuse: 5% }".to_owned()),
            ("responder_options", "{ greeting: Hello! }".to_owned()),
            ("latency_options", "{ first: 300ms }".to_owned()),
        ]
    }
}

/// `brown-out` is `BrownOut`, `fault` is `FaultPlugin`.
fn type_name(name: &str) -> String {
    let word = |word: &str| {
        let (first, rest) = word.split_at(word.len().min(1));
        format!("{}{rest}", first.to_uppercase())
    };
    let name: String = name.split('-').map(word).collect();
    if TAKEN.split_whitespace().any(|taken| taken == name) { format!("{name}Plugin") } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::KINDS;

    #[test]
    fn every_template_is_filled_whole() {
        for lang in Lang::ALL {
            let of_groups = [vec!["balancer"], vec!["autoscaler"]].into_iter().filter(|_| lang == Lang::Rust);
            for kinds in [vec!["fault"], vec!["responder"], vec!["latency"], KINDS[..3].to_vec()].into_iter().chain(of_groups) {
                let folder = tempfile::tempdir().expect("a folder");
                let template = Template { name: "slow-lane", kinds: kinds.clone(), lang };
                let project =
                    template.write(&folder.path().join("p")).unwrap_or_else(|error| panic!("{lang} {kinds:?}: {error}"));
                assert_eq!((&project.manifest().kinds, project.manifest().lang), (&kinds, lang));
                for (path, text) in template.files() {
                    assert!(!text.contains("{{") && !text.contains("%%"), "{lang} {kinds:?} {path}:\n{text}");
                }
                assert!(project.folder().join(lang.source()).is_file(), "{lang}");
                assert!(project.folder().join("tests/first.yaml").is_file());
            }
        }
    }

    #[test]
    fn no_type_of_a_new_plugin_hides_a_word_of_the_prelude() {
        let sdk = include_str!("../../../guest-sdk/src/lib.rs");
        let prelude = sdk.split_once("pub mod prelude {").and_then(|(_, rest)| rest.split_once("\n}")).expect("a prelude").0;
        let words = prelude.split(|letter: char| !letter.is_alphanumeric()).filter(|word| word.starts_with(char::is_uppercase));
        let hidden: Vec<&str> = words.filter(|word| type_name(&dashed(word)) == *word).collect();
        assert!(hidden.is_empty(), "a plugin called like one of {hidden:?} does not build");
        assert_eq!((type_name("fault"), type_name("http-error")), ("FaultPlugin".to_owned(), "HttpErrorPlugin".to_owned()));
    }

    /// `HttpError` is `http-error`.
    fn dashed(word: &str) -> String {
        let letter = |(at, letter): (usize, char)| {
            let dash = if at > 0 && letter.is_uppercase() { "-" } else { "" };
            format!("{dash}{}", letter.to_lowercase())
        };
        word.char_indices().map(letter).collect()
    }

    #[test]
    fn a_folder_that_is_there_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let template = Template { name: "slow-lane", kinds: vec!["latency"], lang: Lang::C };
        let refused = template.write(folder.path()).expect_err("it is there");
        assert!(matches!(refused, NewError::Exists(_)), "{refused}");
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
    }

    #[test]
    fn what_has_no_template_is_refused_with_a_way_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let template = Template { name: "slow-lane", kinds: vec!["balancer"], lang: Lang::C };
        let refused = template.write(&folder.path().join("p")).expect_err("no template").to_string();
        assert!(refused.contains("`balancer` in C") && refused.contains("--lang rust"), "{refused}");
    }

    #[test]
    fn a_name_becomes_a_type() {
        assert_eq!(type_name("brown-out-2"), "BrownOut2");
    }
}
