//! Rules that are run, not remembered. A failure names the place and what to do instead.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::spanned::Spanned;
use syn::visit::Visit;

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;

/// The floors, lowest first. A module imports only from floors below its own (ARCHITECTURE.md).
const FLOORS: &[&[&str]] = &[
    &["types", "clock", "random", "stats", "worker", "interest"],
    &["station", "grammar"],
    &["behavior", "workload", "pack", "telemetry"],
    &["scenario"],
    &["builtin", "wasm", "dialect", "project", "report", "connection"],
    &["plan"],
    &["engine", "fleet", "loadgen", "vectors"],
    &["http", "admin"],
    &["app"],
    &["cli"],
];

/// Words that only these modules may say, with the reason.
const KEPT_WORDS: &[(&str, &[&str], &str)] = &[
    ("axum", &["admin"], "only `admin/` knows axum; the data door has its own table of routes"),
    ("wasmtime", &["wasm"], "only `wasm/` knows wasmtime"),
    ("println", &["cli"], "only `cli/` prints"),
    ("eprintln", &["cli"], "only `cli/` prints"),
    ("chatcmpl", &["dialect"], "only `dialect/` knows vendors' JSON"),
];

/// File names that say nothing.
const EMPTY_NAMES: &[&str] = &["utils", "util", "common", "helpers", "helper", "misc", "manager", "prelude"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a readable folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            // `vendor` is what `simwright plugin build` brings.
            if !["target", "vendor", ".git"].iter().any(|made| path.ends_with(made)) {
                rust_files(&path, files);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn all_files() -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    for folder in ["host", "guest-sdk", "plugins", "benches"] {
        rust_files(&root().join(folder), &mut files);
    }
    files.sort();
    let text = |path: &Path| std::fs::read_to_string(path).expect("a readable file");
    files.into_iter().map(|path| (path.strip_prefix(root()).expect("below the root").to_owned(), text(&path))).collect()
}

fn report(broken: &[String]) {
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn files_and_functions_are_short() {
    let mut broken = Vec::new();
    for (path, text) in all_files() {
        let lines = text.lines().count();
        if lines > FILE_LINES_MAX {
            broken.push(format!("{}: {lines} lines; split it below {FILE_LINES_MAX}", path.display()));
        }
        let file = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut long = LongFunctions::default();
        long.visit_file(&file);
        for (name, line, lines) in long.0 {
            broken.push(format!("{}:{line}: `{name}` has {lines} lines; split it below {FUNCTION_LINES_MAX}", path.display()));
        }
    }
    report(&broken);
}

#[derive(Default)]
struct LongFunctions(Vec<(String, usize, usize)>);

impl LongFunctions {
    fn look(&mut self, name: &syn::Ident, block: &syn::Block) {
        let (start, end) = (block.span().start().line, block.span().end().line);
        if end - start + 1 > FUNCTION_LINES_MAX {
            self.0.push((name.to_string(), start, end - start + 1));
        }
    }
}

impl<'a> Visit<'a> for LongFunctions {
    fn visit_item_fn(&mut self, function: &'a syn::ItemFn) {
        self.look(&function.sig.ident, &function.block);
        syn::visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'a syn::ImplItemFn) {
        self.look(&function.sig.ident, &function.block);
        syn::visit::visit_impl_item_fn(self, function);
    }
}

fn module_of(path: &Path) -> Option<String> {
    let below = path.strip_prefix("host/src").ok()?;
    let first = below.components().next()?.as_os_str().to_str()?;
    Some(first.trim_end_matches(".rs").to_owned())
}

fn floor_of(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

#[test]
fn imports_point_down_the_floors() {
    let mut broken = Vec::new();
    for (path, text) in all_files() {
        let Some(module) = module_of(&path).filter(|module| module != "main" && module != "lib") else { continue };
        let Some(floor) = floor_of(&module) else {
            broken.push(format!("{}: `{module}` has no floor; give it one in tidy.rs and ARCHITECTURE.md", path.display()));
            continue;
        };
        for (line, imported) in imports(&text) {
            let allowed = imported == module || floor_of(&imported).is_some_and(|below| below < floor);
            if !allowed {
                broken.push(format!(
                    "{}:{line}: `{module}` (floor {floor}) imports `{imported}`, which is not below it",
                    path.display()
                ));
            }
        }
    }
    report(&broken);
}

/// Top modules named after `crate::`, with their lines. Lines of comments do not count.
fn imports(text: &str) -> BTreeSet<(usize, String)> {
    let mut found = BTreeSet::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
        for (at, pattern) in line.match_indices("crate::") {
            let name: String = line[at + pattern.len()..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if name.chars().next().is_some_and(char::is_lowercase) {
                found.insert((index + 1, name));
            }
        }
    }
    found
}

#[test]
fn each_foreign_thing_is_known_in_one_place() {
    let mut broken = Vec::new();
    for (path, text) in all_files() {
        let Some(module) = module_of(&path) else { continue };
        for (word, places, reason) in KEPT_WORDS {
            if places.contains(&module.as_str()) {
                continue;
            }
            for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
                let said = [format!("{word}::"), format!("{word}!("), format!("\"{word}")].iter().any(|said| line.contains(said));
                let part_of_longer = line.contains(&format!("e{word}")) || line.contains(&format!("_{word}"));
                if said && !part_of_longer {
                    broken.push(format!("{}:{}: says `{word}`: {reason}", path.display(), index + 1));
                }
            }
        }
    }
    report(&broken);
}

#[test]
fn every_file_is_part_of_its_crate_and_has_a_telling_name() {
    let files: BTreeMap<PathBuf, String> = all_files().into_iter().collect();
    let mut broken = Vec::new();
    for path in files.keys() {
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or("");
        if EMPTY_NAMES.contains(&stem) {
            broken.push(format!("{}: a name that says nothing; which noun is missing?", path.display()));
        }
        let is_root = matches!(stem, "lib" | "main" | "build")
            || path.components().any(|part| part.as_os_str() == "bin" || part.as_os_str() == "benches")
                && path.parent().is_some_and(|parent| !parent.ends_with("src"));
        let is_test_root = path.parent().is_some_and(|parent| {
            parent.ends_with("tests")
                || parent.ends_with("examples")
                || parent.ends_with("programs")
                || parent.ends_with("fuzz_targets")
        });
        if is_root || is_test_root {
            continue;
        }
        let (name, folder) = if stem == "mod" {
            let folder = path.parent().expect("a folder");
            (folder.file_name().and_then(|name| name.to_str()).unwrap_or(""), folder.parent().expect("a folder"))
        } else {
            (stem, path.parent().expect("a folder"))
        };
        let parents = [folder.join("mod.rs"), folder.join("lib.rs"), folder.join("main.rs"), folder.with_extension("rs")];
        let declared = parents
            .iter()
            .filter_map(|parent| files.get(parent))
            .any(|text| text.contains(&format!("mod {name};")) || text.contains(&format!("\"{stem}.rs\"")));
        // A `#[path]` in a sibling also makes a file part of its crate.
        let by_path = files
            .iter()
            .any(|(other, text)| other.parent() == path.parent() && text.contains(&format!("#[path = \"{stem}.rs\"]")));
        if !declared && !by_path {
            broken.push(format!("{}: no `mod` line names it; delete it or include it", path.display()));
        }
    }
    report(&broken);
}

#[test]
fn nothing_names_the_machine_it_was_built_on() {
    let mut broken = Vec::new();
    let words = [["/ho", "me/"].concat(), ["/ro", "ot/"].concat(), ["/tm", "p/"].concat()];
    for (path, text) in all_files() {
        for (index, line) in text.lines().enumerate() {
            if words.iter().any(|word| line.contains(word.as_str())) {
                broken.push(format!("{}:{}: names a path of one machine", path.display(), index + 1));
            }
        }
    }
    report(&broken);
}
