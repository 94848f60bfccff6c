//! The manifest of a built pack: what the config of its artifact says, as JSON of which every byte follows from the pack's content.
//!
//! It holds the digest of every file, so its own digest is the pack's. It is read strictly, because it comes from strangers: an unknown
//! field, a field twice, a title that is no title, a layer that nothing names, a text that would drive a terminal, all are refused.

use semver::Version;
use serde::{Deserialize, Serialize};

use crate::pack::interface::InterfaceRange;
use crate::pack::recipe::KINDS;
use crate::pack::title::{fault_of_name, fault_of_title};
use crate::pack::{Artifact, COMPONENT_TYPE, Layer, TEXT_TYPE, YAML_TYPE};
use crate::types::capability::{Capabilities, Capability, Reach};
use crate::types::limits::{
    COMPONENT_BYTES_MAX, GUEST_MEMORY_CEILING_BYTES, GUEST_WALL_US, PACK_BYTES_MAX, PACK_LAYERS_MAX, PACK_MANIFEST_BYTES_MAX,
};
use crate::types::printable::{is_unprintable, printable};

/// The version of this format.
pub const FORMAT: u32 = 1;

/// What a built pack says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// The pack's name.
    pub name: String,
    /// Its version.
    pub version: Version,
    /// SPDX.
    pub licence: String,
    /// One sentence.
    pub description: String,
    /// The versions of the contract that it is for.
    pub interface: InterfaceRange,
    /// Its plugins, in the order of the recipe.
    pub plugins: Vec<PluginPart>,
    /// Its scenarios, in the order of the recipe.
    pub scenarios: Vec<ScenarioPart>,
    /// Titles of its vectors.
    pub tests: Vec<String>,
    /// Every file, in the order of titles.
    pub files: Vec<Layer>,
}

/// A plugin of a built pack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginPart {
    /// Its name in the pack.
    pub name: String,
    /// The title of its component.
    pub file: String,
    /// What it says of itself, in one sentence.
    pub summary: String,
    /// What it decides.
    pub kinds: Vec<String>,
    /// What it reaches, by the words of [`Capability`].
    pub capabilities: Vec<String>,
    /// Linear memory of one instance, in bytes.
    pub memory_bytes: u64,
    /// CPU time of one call, in microseconds.
    pub time_us: u64,
    /// JSON Schema of its options as text; empty if it takes none.
    pub options_schema: String,
}

/// A scenario of a built pack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScenarioPart {
    /// Its name in the pack.
    pub name: String,
    /// The title of its file.
    pub file: String,
    /// One sentence; may be empty.
    pub summary: String,
}

impl PluginPart {
    /// What it asks for. Words that are none count for nothing: [`Manifest::parse`] has refused them.
    pub fn reach(&self) -> Reach {
        let capabilities = self.capabilities.iter().filter_map(|word| word.parse::<Capability>().ok()).collect::<Capabilities>();
        Reach { capabilities, memory_bytes: self.memory_bytes, time_us: self.time_us }
    }
}

impl Manifest {
    /// The bytes of the config: the same for the same manifest.
    pub fn bytes(&self) -> Vec<u8> {
        // Only maps with keys that are no texts and failing writers can fail, and there are neither.
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// Reads the config of an artifact. The error says what is wrong with it, and is fit for a terminal.
    pub fn parse(config: &[u8]) -> Result<Self, String> {
        Self::read(config).map_err(|message| printable(&message).into_owned())
    }

    fn read(config: &[u8]) -> Result<Self, String> {
        if let Some(archive) = archive(config) {
            return Err(format!("this is {archive}, and packs are never archives: build it with `simwright pack build`"));
        }
        if config.len() as u64 > PACK_MANIFEST_BYTES_MAX {
            return Err(format!("its manifest has {} bytes, and it may have {PACK_MANIFEST_BYTES_MAX}", config.len()));
        }
        /// Looked at first, so that another format is named before its fields are unknown.
        #[derive(Deserialize)]
        struct Head {
            format: Option<u32>,
        }
        let head: Head = serde_json::from_slice(config).map_err(|error| format!("its manifest cannot be read: {error}"))?;
        match head.format {
            Some(FORMAT) => {}
            None => return Err("its manifest is none of a pack: the field `format` is missing".to_owned()),
            Some(other) => return Err(format!("its manifest is of format {other}, and this release reads format {FORMAT}")),
        }
        let manifest: Self = serde_json::from_slice(config).map_err(|error| format!("its manifest cannot be read: {error}"))?;
        manifest.check()?;
        Ok(manifest)
    }

    /// Reads an artifact: its layers must be those of its manifest, no more and no fewer.
    pub fn of(artifact: &Artifact) -> Result<Self, String> {
        let manifest = Self::parse(&artifact.config)?;
        let unknown = artifact.layers.iter().find(|layer| !manifest.files.contains(layer));
        if let Some(layer) = unknown {
            return Err(format!(
                "its layer `{}` stands not in its manifest so, and what is not in it is not signed",
                layer.title.escape_default()
            ));
        }
        match manifest.files.iter().find(|file| !artifact.layers.contains(file)) {
            Some(missing) => Err(format!("its file `{}` is missing", missing.title)),
            None => Ok(manifest),
        }
    }

    /// The file with `title`.
    pub fn file(&self, title: &str) -> Option<&Layer> {
        self.files.iter().find(|file| file.title == title)
    }

    /// The files of vectors that may be about the plugin called `plugin`: those in `tests/PLUGIN/`, which came with its project, and those
    /// in `tests/` itself, which say whom they are about.
    pub fn tests_of(&self, plugin: &str) -> impl Iterator<Item = &Layer> {
        let own = format!("tests/{plugin}/");
        let is_about = move |title: &&String| {
            title.starts_with(&own) || title.strip_prefix("tests/").is_some_and(|name| !name.contains('/'))
        };
        self.tests.iter().filter(is_about).filter_map(|title| self.file(title))
    }

    /// What all plugins together ask for: enough for each.
    pub fn reach(&self) -> Reach {
        self.plugins.iter().map(PluginPart::reach).fold(Reach::default(), Reach::and)
    }

    fn check(&self) -> Result<(), String> {
        let names = self.plugins.iter().map(|plugin| &plugin.name).chain(self.scenarios.iter().map(|scenario| &scenario.name));
        if let Some(fault) = std::iter::once(&self.name).chain(names).find_map(|name| fault_of_name(name)) {
            return Err(fault);
        }
        if self.files.len() > PACK_LAYERS_MAX {
            return Err(format!("it has {} files, and a pack may have {PACK_LAYERS_MAX}", self.files.len()));
        }
        self.check_words()?;
        self.check_plugins()?;
        for (index, scenario) in self.scenarios.iter().enumerate() {
            if self.scenarios[..index].iter().any(|other| other.name == scenario.name) {
                return Err(format!("there are two scenarios `{}`", scenario.name));
            }
            self.check_reference(&scenario.file, "scenarios/", YAML_TYPE)?;
        }
        self.tests.iter().try_for_each(|title| self.check_reference(title, "tests/", YAML_TYPE))?;
        let mut total = 0_u64;
        for (index, file) in self.files.iter().enumerate() {
            self.check_file(index, file)?;
            total = total.saturating_add(file.size);
        }
        if total > PACK_BYTES_MAX {
            return Err(format!("its files have {total} bytes, and those of a pack may have {PACK_BYTES_MAX}"));
        }
        Ok(())
    }

    fn check_file(&self, index: usize, file: &Layer) -> Result<(), String> {
        if let Some(fault) = fault_of_title(&file.title) {
            return Err(fault);
        }
        // Also names that differ by case only: some file systems do not tell them apart.
        if self.files[..index].iter().any(|other| other.title.eq_ignore_ascii_case(&file.title)) {
            return Err(format!("there are two files `{}`", file.title));
        }
        if file.size > COMPONENT_BYTES_MAX {
            return Err(format!("its file `{}` has {} bytes, and a file may have {COMPONENT_BYTES_MAX}", file.title, file.size));
        }
        let named = self.plugins.iter().map(|plugin| &plugin.file).chain(self.scenarios.iter().map(|scenario| &scenario.file));
        let is_named = named.chain(&self.tests).any(|title| *title == file.title) || file.media_type == TEXT_TYPE;
        if is_named { Ok(()) } else { Err(format!("nothing in it names its file `{}`", file.title)) }
    }

    /// Texts for people are one line each. A schema may have several; who shows it escapes what it holds.
    fn check_words(&self) -> Result<(), String> {
        let mut words = vec![("description", &self.description), ("licence", &self.licence)];
        words.extend(self.plugins.iter().map(|plugin| ("summary", &plugin.summary)));
        words.extend(self.scenarios.iter().map(|scenario| ("summary", &scenario.summary)));
        match words.into_iter().find(|(_, text)| text.contains(is_unprintable)) {
            Some((field, text)) => Err(format!("its {field} holds characters that would drive a terminal: `{text}`")),
            None => Ok(()),
        }
    }

    fn check_plugins(&self) -> Result<(), String> {
        for (index, plugin) in self.plugins.iter().enumerate() {
            let name = &plugin.name;
            if self.plugins[..index].iter().any(|other| other.name == *name) {
                return Err(format!("there are two plugins `{name}`"));
            }
            self.check_reference(&plugin.file, "plugins/", COMPONENT_TYPE)?;
            if let Some(kind) = plugin.kinds.iter().find(|kind| !KINDS.contains(&kind.as_str())) {
                return Err(format!("its plugin `{name}` decides `{kind}`, and there are {}", KINDS.join(", ")));
            }
            plugin.capabilities.iter().try_for_each(|word| word.parse::<Capability>().map(drop))?;
            let reach = plugin.reach();
            if reach.memory_bytes > GUEST_MEMORY_CEILING_BYTES as u64 || reach.time_us > GUEST_WALL_US {
                return Err(format!("its plugin `{name}` asks for more memory or time than any plugin may have"));
            }
        }
        Ok(())
    }

    fn check_reference(&self, title: &str, folder: &str, media_type: &str) -> Result<(), String> {
        match self.file(title) {
            None => Err(format!("it names a file `{title}` and has none")),
            Some(_) if title.strip_prefix(folder).is_none_or(str::is_empty) => {
                Err(format!("its file `{title}` should be called `{folder}…`"))
            }
            Some(file) if file.media_type != media_type => {
                Err(format!("its file `{title}` is `{}` and should be `{media_type}`", file.media_type))
            }
            Some(_) => Ok(()),
        }
    }
}

/// The kind of archive that `bytes` begin like, if they do.
pub fn archive(bytes: &[u8]) -> Option<&'static str> {
    let begins: [(&[u8], &str); 8] = [
        (b"PK\x03\x04", "a zip archive"),
        (b"PK\x05\x06", "an empty zip archive"),
        (b"\x1f\x8b", "compressed by gzip"),
        (b"\x28\xb5\x2f\xfd", "compressed by zstd"),
        (b"BZh", "compressed by bzip2"),
        (b"\xfd7zXZ\0", "compressed by xz"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (b"Rar!", "a RAR archive"),
    ];
    let tar = || (bytes.get(257..262) == Some(b"ustar")).then_some("a tar archive");
    begins.into_iter().find(|(magic, _)| bytes.starts_with(magic)).map(|(_, name)| name).or_else(tar)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::digest::Digest;

    fn manifest() -> Manifest {
        let layer = |title: &str, media_type: &str| Layer {
            title: title.to_owned(),
            media_type: media_type.to_owned(),
            digest: Digest::of(title.as_bytes()),
            size: title.len() as u64,
        };
        Manifest {
            format: FORMAT,
            name: "acme".to_owned(),
            version: Version::new(1, 2, 0),
            licence: "MIT".to_owned(),
            description: "What happens at Acme.".to_owned(),
            interface: "^1.0.0".parse().expect("a range"),
            plugins: vec![PluginPart {
                name: "brown-out".to_owned(),
                file: "plugins/brown-out.wasm".to_owned(),
                summary: "Slow at noon.".to_owned(),
                kinds: vec!["latency".to_owned()],
                capabilities: vec!["request".to_owned()],
                memory_bytes: 64 << 20,
                time_us: 20_000,
                options_schema: String::new(),
            }],
            scenarios: vec![ScenarioPart {
                name: "noon".to_owned(),
                file: "scenarios/noon.yaml".to_owned(),
                summary: String::new(),
            }],
            tests: vec!["tests/a.yaml".to_owned()],
            files: vec![
                layer("README.md", TEXT_TYPE),
                layer("plugins/brown-out.wasm", COMPONENT_TYPE),
                layer("scenarios/noon.yaml", YAML_TYPE),
                layer("tests/a.yaml", YAML_TYPE),
            ],
        }
    }

    fn artifact(manifest: &Manifest) -> Artifact {
        Artifact { config: manifest.bytes(), layers: manifest.files.clone(), signatures: Vec::new() }
    }

    #[test]
    fn a_manifest_comes_back_as_it_was_written() {
        let artifact = artifact(&manifest());
        let read = Manifest::of(&artifact).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((&read, read.bytes()), (&manifest(), artifact.config));
        assert_eq!(read.reach().beyond(Reach::default()), ["request", "memory: 64MiB"]);
    }

    #[test]
    fn a_manifest_of_a_stranger_is_read_strictly() {
        let text = String::from_utf8(manifest().bytes()).expect("text");
        let index = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
        for (spoilt, part) in [
            (index.to_owned(), "`format` is missing"),
            (text.replacen("\"format\": 1", "\"format\": 2", 1), "format 2"),
            (text.replacen("\"name\": \"acme\"", "\"name\": \"acme\", \"name\": \"evil\"", 1), "duplicate field `name`"),
            (text.replacen("\"format\": 1", "\"format\": 1, \"format\": 1", 1), "duplicate field `format`"),
            (text.replacen("\"licence\"", "\"license\"", 1), "unknown field `license`"),
            (text.replacen("\"acme\"", "\"../acme\"", 1), "is no name"),
            (text.replace("README.md", "../README.md"), "is no title"),
            (text.replace("README.md", "Tests/a.yaml"), "two files"),
            (text.replacen("\"scenarios/noon.yaml\"", "\"scenarios/none.yaml\"", 1), "has none"),
            (text.replacen("\"request\"", "\"network\"", 1), "no capability"),
            (text.replace("application/wasm", "application/zip"), "should be `application/wasm`"),
            (text.replacen("67108864", "671088640", 1), "more memory"),
            (text.replacen("\"size\": 9", "\"size\": 99999999999", 1), "bytes"),
            (text.replacen("\"size\": 9", "\"size\": -9", 1), "cannot be read"),
            (text.replacen("sha256:", "sha512:", 1), "sha256"),
            (text.replace("tests/a.yaml\"\n", "tests/b.yaml\"\n"), "names a file"),
            (text.replacen("\"tests/a.yaml\"", "\"scenarios/noon.yaml\"", 1), "should be called `tests/…`"),
            (text.replace("[\n    \"tests/a.yaml\"\n  ]", "[]"), "nothing in it names"),
            (text.replace("\"tests/a.yaml\"", "\"a\""), "should be called `tests/…`"),
            (text.replace("\"plugins/brown-out.wasm\"", "\"x\""), "should be called `plugins/…`"),
            (text.replace("\"scenarios/noon.yaml\"", "\"x\""), "should be called `scenarios/…`"),
            (twice(manifest()), "two scenarios `noon`"),
            (text.replacen("at Acme.", "at \\u001b[2J", 1), "description holds"),
            (text.replacen("\"MIT\"", "\"MIT\u{202e}\"", 1), "licence holds"),
            (text.replacen("at noon.", "\u{9b}2J", 1), "summary holds"),
            (text.replacen("\"latency\"", "\"\\u001b[2J\"", 1), "decides `\\u{1b}[2J`"),
            (text.replacen("\"request\"", "\"\\u001b[2J\"", 1), "is no capability"),
            (text.replacen("\"acme\"", "\"\\u001b[2J\"", 1), "is no name"),
            (format!("{text}{text}"), "cannot be read"),
            ("PK\x03\x04".to_owned(), "zip archive"),
            (String::new(), "cannot be read"),
        ] {
            let error = Manifest::parse(spoilt.as_bytes()).expect_err(part);
            assert!(error.contains(part) && !error.contains(is_unprintable), "{part}: {error:?}");
        }
    }

    fn twice(mut manifest: Manifest) -> String {
        manifest.scenarios.push(manifest.scenarios[0].clone());
        String::from_utf8(manifest.bytes()).expect("text")
    }

    #[test]
    fn layers_are_those_of_the_manifest() {
        let mut more = artifact(&manifest());
        more.layers.push(Layer { title: "extra".to_owned(), ..more.layers[0].clone() });
        assert!(Manifest::of(&more).expect_err("more").contains("`extra`"));
        let mut fewer = artifact(&manifest());
        fewer.layers.pop();
        assert!(Manifest::of(&fewer).expect_err("fewer").contains("is missing"));
        let mut other = artifact(&manifest());
        other.layers[1].digest = Digest::of(b"other");
        assert!(Manifest::of(&other).expect_err("other").contains("not signed"));
    }

    #[test]
    fn archives_are_known_by_their_first_bytes() {
        let mut tar = vec![0; 512];
        tar[257..262].copy_from_slice(b"ustar");
        for (bytes, name) in
            [(&b"PK\x03\x04.."[..], "zip"), (b"\x1f\x8b\x08", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"), (&tar, "tar")]
        {
            assert!(archive(bytes).is_some_and(|found| found.contains(name)), "{name}");
        }
        assert_eq!(archive(b"\0asm"), None);
    }
}
