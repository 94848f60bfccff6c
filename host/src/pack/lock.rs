//! `simwright.lock`, beside the scenario: which bytes each of its packs is, and what they asked for when that was decided.
//!
//! It is written by `simwright pack install` and `update`, read at every start, and belongs under version control: whoever has it and
//! a store with its digests gets the same plugins. One file serves all scenarios of a folder.

use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};

use semver::Version;
use serde_json::Value;

use crate::grammar::toml::{Document, Mistakes};
use crate::pack::digest::Digest;
use crate::pack::store::{StoreError, replace, sweep_beside};
use crate::types::capability::{Capabilities, Capability, Reach};
use crate::types::fields::Fields;
use crate::types::limits::PACK_MANIFEST_BYTES_MAX;
use crate::types::problem::Problem;
use crate::types::quantity::{show_bytes, show_duration_us};

/// The file's name.
pub const LOCK: &str = "simwright.lock";
const FORMAT: u64 = 1;
const HEAD: &str =
    "# Written by `simwright pack install` and `simwright pack update`. Keep it under version control, and edit it never.\n";

/// The packs of the scenarios in one folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lock {
    /// In the order of their names.
    pub packs: Vec<Locked>,
}

/// One pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locked {
    /// Its name in the scenario.
    pub name: String,
    /// Its version.
    pub version: Version,
    /// Where it came from, as the scenario says.
    pub source: String,
    /// Which bytes it is.
    pub digest: Digest,
    /// Which manifest of its registry leads there, if it came from one: a tag may lead elsewhere by now.
    pub manifest: Option<Digest>,
    /// What it asks for.
    pub reach: Reach,
    /// What the version before it asked for, if there was one.
    pub before: Option<(Version, Reach)>,
}

/// The lock's file for a scenario in `folder`.
pub fn file_in(folder: &Path) -> PathBuf {
    folder.join(LOCK)
}

impl Lock {
    /// The lock in the file `path`; an empty one if there is none.
    pub fn read(path: &Path) -> Result<Self, Mistakes> {
        let file = path.display().to_string();
        let one = |message: String| Mistakes::one(&file, Problem::new("", message));
        match std::fs::metadata(path) {
            Ok(meta) if meta.len() > PACK_MANIFEST_BYTES_MAX => return Err(one(format!("`{file}` is too large for a lock"))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            _ => {}
        }
        let text = std::fs::read_to_string(path).map_err(|error| one(format!("`{file}` cannot be read: {error}")))?;
        Self::parse(&file, &text)
    }

    fn parse(file: &str, text: &str) -> Result<Self, Mistakes> {
        let document = Document::parse(file, text)?;
        let mut fields = Fields::of(&document.value, "");
        fields.require("format");
        if let Some(other) = fields.integer("format", 0..=u64::MAX).filter(|format| *format != FORMAT) {
            fields.problem("format", format!("this release reads format {FORMAT}, and the lock is of format {other}"));
        }
        let mut packs = Vec::new();
        for (index, item) in fields.list("pack").iter().enumerate() {
            let mut own = Fields::of(item, format!("/pack/{index}"));
            if let Some(locked) = locked(&mut own) {
                // One of them is not what somebody has agreed to.
                if let Some(first) = packs.iter().position(|other: &Locked| other.name == locked.name) {
                    let place = document.locate(Problem::new(format!("/pack/{first}/name"), "")).place;
                    let line = place.map_or(0, |place| place.line);
                    own.problem("name", format!("`{}` is locked twice, first in line {line}", locked.name));
                }
                packs.push(locked);
            }
            fields.extend(own.finish());
        }
        let problems = fields.finish();
        if problems.is_empty() { Ok(Self { packs }) } else { Err(document.mistakes(problems)) }
    }

    /// The pack that scenarios call `name`.
    pub fn find(&self, name: &str) -> Option<&Locked> {
        self.packs.iter().find(|pack| pack.name == name)
    }

    /// Locks `pack`, in place of what had its name.
    pub fn set(&mut self, pack: Locked) {
        self.packs.retain(|other| other.name != pack.name);
        self.packs.push(pack);
        self.packs.sort_by(|a, b| a.name.cmp(&b.name));
    }

    /// Writes it to `path`: all of it or nothing. For who has the [turn](crate::pack::store::Intake::turn).
    pub fn write(&self, path: &Path) -> Result<(), StoreError> {
        sweep_beside(path)?;
        replace(path, self.text().as_bytes())
    }

    fn text(&self) -> String {
        let quoted = |text: &str| toml::Value::from(text).to_string();
        let mut text = format!("{HEAD}format = {FORMAT}\n");
        for Locked { name, version, source, digest, manifest, reach, before } in &self.packs {
            let fields = [("name", quoted(name)), ("version", quoted(&version.to_string())), ("source", quoted(source))];
            text.push_str("\n[[pack]]\n");
            let digests = [("digest", Some(digest)), ("manifest", manifest.as_ref())];
            let digests = digests.into_iter().filter_map(|(field, digest)| Some((field, quoted(&digest?.to_string()))));
            for (field, value) in fields.into_iter().chain(digests).chain(lines(*reach)) {
                let _ = writeln!(text, "{field} = {value}");
            }
            if let Some((version, reach)) = before {
                let _ = writeln!(text, "\n[pack.before]\nversion = {}", quoted(&version.to_string()));
                for (field, value) in lines(*reach) {
                    let _ = writeln!(text, "{field} = {value}");
                }
            }
        }
        text
    }
}

fn lines(reach: Reach) -> [(&'static str, String); 3] {
    let words: Vec<String> = reach.capabilities.iter().map(|capability| format!("\"{}\"", capability.word())).collect();
    [
        ("capabilities", format!("[{}]", words.join(", "))),
        ("memory", format!("\"{}\"", show_bytes(reach.memory_bytes))),
        ("time", format!("\"{}\"", show_duration_us(reach.time_us))),
    ]
}

fn locked(fields: &mut Fields<'_>) -> Option<Locked> {
    for field in ["name", "version", "source", "digest"] {
        fields.require(field);
    }
    let (name, source) = (fields.text("name"), fields.text("source"));
    let version = parsed(fields, "version");
    let digest = parsed(fields, "digest");
    let manifest = parsed(fields, "manifest");
    let reach = reach(fields);
    let before = match fields.value("before") {
        None => None,
        Some(value) => before(fields, value),
    };
    Some(Locked {
        name: name?.to_owned(),
        version: version?,
        source: source?.to_owned(),
        digest: digest?,
        manifest,
        reach,
        before,
    })
}

fn before(fields: &mut Fields<'_>, value: &Value) -> Option<(Version, Reach)> {
    let mut own = Fields::of(value, fields.pointer("before"));
    own.require("version");
    let (version, reach) = (parsed(&mut own, "version"), reach(&mut own));
    fields.extend(own.finish());
    Some((version?, reach))
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(fields: &mut Fields<'_>, field: &'static str) -> Option<T> {
    let text = fields.text(field)?;
    text.parse().map_err(|error| fields.problem(field, format!("`{text}`: {error}"))).ok()
}

fn reach(fields: &mut Fields<'_>) -> Reach {
    let mut capabilities: Vec<Capability> = Vec::new();
    for word in fields.texts("capabilities") {
        match word.parse() {
            Ok(capability) => capabilities.push(capability),
            Err(message) => fields.problem("capabilities", message),
        }
    }
    let usual = Reach::default();
    Reach {
        capabilities: capabilities.into_iter().collect::<Capabilities>(),
        memory_bytes: fields.bytes("memory").unwrap_or(usual.memory_bytes),
        time_us: fields.duration_us("time").unwrap_or(usual.time_us),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock() -> Lock {
        let mut lock = Lock::default();
        let reach = Reach { capabilities: Capabilities::all(), memory_bytes: 64 << 20, time_us: 30_000 };
        for (name, before) in [("zeta", None), ("acme", Some((Version::new(1, 1, 0), Reach::default())))] {
            let (version, source, digest) = (Version::new(1, 2, 0), "./packs/\"acme\"".to_owned(), Digest::of(name.as_bytes()));
            let manifest = before.as_ref().map(|_| Digest::of(b"manifest"));
            lock.set(Locked { name: name.to_owned(), version, source, digest, manifest, reach, before });
        }
        lock
    }

    #[test]
    fn a_lock_comes_back_as_it_was_written_and_sorted() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = file_in(folder.path());
        assert_eq!(Lock::read(&path).expect("none"), Lock::default());
        std::fs::write(folder.path().join(".simwright.lock.0123456789abcdef"), "left by one that was killed").expect("written");
        lock().write(&path).expect("written");
        let read = Lock::read(&path).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        assert_eq!(read, lock());
        assert_eq!(read.packs[0].name, "acme");
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1, "no temporary file is left");
    }

    #[test]
    fn a_spoilt_lock_is_refused_with_its_places() {
        let text = lock().text();
        for (spoilt, part) in [
            (text.replace("format = 1", "format = 9"), "format 9"),
            (text.replacen("sha256:", "md5:", 1), "expected a digest"),
            (text.replacen("version = \"1.2.0\"", "version = \"new\"", 1), "simwright.lock:6:11"),
            (text.replacen("[[pack]]", "[[pack]]\nevil = 1", 1), "unknown field `evil`"),
            (text.replacen("\"zeta\"", "\"acme\"", 1), "simwright.lock:21:8: `acme` is locked twice, first in line 5"),
        ] {
            let error = Lock::parse("simwright.lock", &spoilt).expect_err(part).to_string();
            assert!(error.contains(part), "{part}: {error}");
        }
    }
}
