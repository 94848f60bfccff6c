use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use simwright::app;
use simwright::app::explain::{ExplainOptions, explain};
use simwright::behavior::catalog::Catalog;
use simwright::builtin;
use simwright::scenario::read;

use super::support::guests::{build, cargo, run, target_dir, workspace};
use super::support::host::ask;
use super::support::readme::{Block, blocks, documents};
use super::support::transcript::{Shell, copy_all};

/// The blocks of the chapter `title` of `readme`.
fn chapter(readme: &str, title: &str) -> Vec<Block> {
    let text = std::fs::read_to_string(workspace().join(readme)).expect("a README");
    let mut lines = text.lines().enumerate().skip_while(|(_, line)| *line != format!("## {title}"));
    let (from, _) = lines.next().unwrap_or_else(|| panic!("{readme} has no `{title}`"));
    let to = lines.find(|(_, line)| line.starts_with("## ")).map_or(usize::MAX, |(to, _)| to);
    let mut blocks = blocks(&text);
    blocks.retain(|block| (from..to).contains(&block.line));
    blocks
}

/// The first of `blocks` in `language`.
fn text<'a>(blocks: &'a [Block], language: &str) -> &'a str {
    let block = blocks.iter().find(|block| block.language == language);
    &block.unwrap_or_else(|| panic!("no {language}")).text
}

/// Makes the crate of a chapter as its commands do and gives its folder.
fn new_crate(chapter: &[Block], parent: &Path) -> PathBuf {
    let mut new = cargo(parent);
    new.args(["new", "--quiet", "--lib", "night-shift", "--vcs", "none"]);
    run(new);
    let folder = parent.join("night-shift");
    // What the plugins of this repository use is there already, so that nothing is looked up.
    std::fs::copy(workspace().join("plugins/Cargo.lock"), folder.join("Cargo.lock")).expect("copied");
    let sdk = workspace().join("guest-sdk").display().to_string();
    let manifest = text(chapter, "toml").replace("../simwright/guest-sdk", &sdk);
    std::fs::write(folder.join("Cargo.toml"), manifest).expect("written");
    folder
}

/// Builds the crate in `folder` and puts the component to `place`, where the README says that cargo would.
fn build_to(folder: &Path, place: &Path) {
    std::fs::create_dir_all(place.parent().expect("a folder")).expect("made");
    std::fs::copy(build(folder, &["--offline"], "night_shift"), place).expect("copied");
}

/// When the first token of an otherwise idle model would leave, in milliseconds.
fn first_token_ms(scenario: &Path, model: &str) -> Value {
    let request = ask(model, "x").to_string().into_bytes();
    let options = ExplainOptions { scenario: Some(scenario.to_owned()), request, seed: Some(1), ..ExplainOptions::default() };
    let explained = explain(&options).unwrap_or_else(|error| panic!("{error}")).json();
    explained["steps"][0]["at_ms"].clone()
}

#[test]
fn the_first_plugin_in_five_minutes_works_as_written_and_is_replaced_while_the_server_runs() {
    let empty = tempfile::tempdir().expect("a folder");
    let mut shell = Shell::in_copy_of(empty.path());
    let (played, differences) = shell.follow("README.md", &chapter("README.md", "Your first plugin in five minutes"));
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(played >= 3, "only {played} blocks were found");
    assert_eq!(first_token_ms(&shell.folder().join("scenario.yaml"), "my-model"), json!(450.0), "the one that was saved last");
}

#[test]
fn the_sdks_first_plugin_builds_passes_its_test_and_answers() {
    let chapter = chapter("guest-sdk/README.md", "Your first plugin in five minutes");
    let crates = tempfile::tempdir().expect("a folder");
    let folder = new_crate(&chapter, crates.path());
    let rest = std::fs::read_to_string(workspace().join("guest-sdk/README.md")).expect("a README");
    let test = blocks(&rest).into_iter().find(|block| block.text.starts_with("#[cfg(test)]")).expect("a test of the plugin");
    std::fs::write(folder.join("src/lib.rs"), format!("{}\n{}", text(&chapter, "rust"), test.text)).expect("written");
    let mut native = cargo(&folder);
    native.args(["test", "--quiet", "--offline"]).env("CARGO_TARGET_DIR", target_dir().join("guests"));
    run(native);
    build_to(&folder, &folder.join("target/wasm32-wasip2/release/night_shift.wasm"));
    let scenario = folder.join("scenario.yaml");
    std::fs::write(&scenario, text(&chapter, "yaml")).expect("written");
    assert_eq!(first_token_ms(&scenario, "gpt-5"), json!(200.0));
}

#[test]
fn every_scenario_in_a_readme_or_beside_a_table_of_behaviours_is_valid() {
    let mut checked = 0;
    let behaviours = |path: &Path| path == Path::new("docs/behaviours.md");
    let readme = |path: &Path| path.file_name().is_some_and(|name| name == "README.md");
    for (path, text) in documents().into_iter().filter(|(path, _)| readme(path) || behaviours(path)) {
        for block in blocks(&text).into_iter().filter(|block| block.language == "yaml") {
            let place = format!("{}:{}", path.display(), block.line);
            assert!(block.text.starts_with("simwright: 1\n"), "{place}: a fragment; write it as a whole scenario");
            // The tests above build this one and run it.
            if block.text.contains("night_shift.wasm") {
                continue;
            }
            let folder = tempfile::tempdir().expect("a folder");
            put_components(&block.text, folder.path());
            let file = folder.path().join("scenario.yaml");
            std::fs::write(&file, &block.text).expect("written");
            app::check(Some(&file)).unwrap_or_else(|error| panic!("{place}:\n{error}"));
            checked += 1;
        }
    }
    assert!(checked >= 6, "only {checked} scenarios were found");
}

#[test]
fn the_mistake_and_the_plan_in_the_readme_are_what_a_person_sees() {
    let readme = std::fs::read_to_string(workspace().join("README.md")).expect("a README");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("scenario.yaml");
    let scenario = first_block(&readme, "yaml").replace("p50: 350ms", "p50: 350");
    std::fs::write(&file, scenario).expect("written");
    let refusal = app::check(Some(&file)).expect_err("no unit").to_string();
    shows(&readme, &refusal.replace(&file.display().to_string(), "scenario.yaml"));

    let example = workspace().join("examples/quickstart");
    let request = std::fs::read(example.join("request.json")).expect("a request");
    let scenario = Some(example.join("scenario.yaml"));
    let options = ExplainOptions { scenario, request, ..ExplainOptions::default() };
    shows(&readme, &explain(&options).unwrap_or_else(|error| panic!("{error}")).text());
}

#[test]
fn what_the_readme_plans_is_what_a_person_sees() {
    let folder = tempfile::tempdir().expect("a folder");
    let example = folder.path().join("examples/capacity");
    std::fs::create_dir_all(&example).expect("made");
    copy_all(&workspace().join("examples/capacity"), &example);
    let mut shell = Shell::in_copy_of(folder.path());
    let readme = std::fs::read_to_string(workspace().join("README.md")).expect("a README");
    let planned = blocks(&readme).into_iter().filter(|block| block.text.contains("examples/capacity"));
    let differences: Vec<String> = planned.flat_map(|block| shell.play(&block)).collect();
    assert!(differences.is_empty() && readme.contains("simwright simulate examples/capacity"), "{}", differences.join("\n"));
}

#[test]
fn what_the_document_about_reloads_shows_is_what_a_person_sees() {
    let document = std::fs::read_to_string(workspace().join("docs/reload.md")).expect("a document");
    let folder = tempfile::tempdir().expect("a folder");
    let scenario = first_block(&document, "yaml");
    std::fs::write(folder.path().join("scenario.yaml"), &scenario).expect("written");
    put_components(&scenario, folder.path());
    let mut shell = Shell::in_copy_of(folder.path());
    let played: Vec<_> = blocks(&document).into_iter().filter(|block| block.language == "console").collect();
    assert!(played.len() >= 4);
    let differences: Vec<String> = played.iter().flat_map(|block| shell.play(block)).collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn the_tables_of_behaviours_have_every_native_one_with_all_its_options() {
    let tables = std::fs::read_to_string(workspace().join("docs/behaviours.md")).expect("a document");
    let mut catalog = Catalog::default();
    builtin::register(&mut catalog);
    let latencies = catalog.latency.iter().map(|(name, maker)| (name, "## Latency", maker.summary(), maker.schema()));
    let faults = catalog.fault.iter().map(|(name, maker)| (name, "## Faults", maker.summary(), maker.schema()));
    let replies = catalog.responder.iter().map(|(name, maker)| (name, "## Replies", maker.summary(), maker.schema()));
    for (name, chapter, summary, schema) in latencies.chain(faults).chain(replies) {
        let lines = tables.lines().skip_while(|line| !line.starts_with(chapter)).skip(1);
        let start = format!("| `{name}` |");
        let row = lines.take_while(|line| !line.starts_with("## ")).find(|line| line.starts_with(&start));
        let row = row.unwrap_or_else(|| panic!("no row below `{chapter}` begins with {start}"));
        for option in summary.split('`').skip(1).step_by(2) {
            assert!(row.contains(&format!("`{option}`")), "the row of `{name}` does not tell of `{option}`");
        }
        // Brackets say what may be left out. Laws stand for `delays`, whose row tells of its other options.
        let is_law = chapter == "## Latency" && name != "delays" && name != "constant";
        for option in schema["properties"].as_object().into_iter().flatten().map(|(option, _)| option) {
            let required = schema["required"].as_array().is_some_and(|required| required.contains(&json!(option)));
            let told = if required { row.contains(&format!(" `{option}`")) } else { row.contains(&format!("[`{option}`")) };
            let need = if required { "outside brackets" } else { "in brackets" };
            assert!(told || (is_law && !required), "the row of `{name}` does not tell of `{option}` {need}");
        }
    }
}

#[test]
fn every_link_in_a_document_leads_to_a_file_and_every_document_is_listed() {
    let listed = std::fs::read_to_string(workspace().join("docs/README.md")).expect("a document");
    let mut followed = 0;
    for (path, text) in documents() {
        let folder = workspace().join(path.parent().expect("a folder"));
        for link in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            if !link.is_empty() && !link.contains("://") {
                assert!(folder.join(link).exists(), "{}: there is no `{link}`", path.display());
                followed += 1;
            }
        }
        // A folder of documents is listed by its own list.
        let own = folder.join("README.md");
        let (list, place) = match path.strip_prefix("docs") {
            Ok(name) if name.components().count() > 1 => {
                (std::fs::read_to_string(&own).expect("a list"), own.display().to_string())
            }
            Ok(_) => (listed.clone(), "docs/README.md".to_owned()),
            Err(_) => continue,
        };
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
        assert!(name == "README.md" || list.contains(&format!("]({name})")), "{place} does not list {name}");
    }
    assert!(followed >= 30, "only {followed} links were found");
}

#[test]
fn the_faults_that_the_default_scenario_suggests_are_valid() {
    let suggested: Vec<_> = read::DEFAULT.lines().filter_map(|line| line.strip_prefix("  #   - ")).collect();
    assert!(suggested.len() >= 7);
    let faults: String = suggested.iter().map(|fault| format!("      - {fault}\n")).collect();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("scenario.yaml");
    std::fs::write(&file, format!("simwright: 1\nmodels:\n  - match: m\n    faults:\n{faults}")).expect("written");
    app::check(Some(&file)).unwrap_or_else(|error| panic!("{error}"));
}

/// The first block of `markdown` in `language`.
fn first_block(markdown: &str, language: &str) -> String {
    blocks(markdown).into_iter().find(|block| block.language == language).expect("a block").text
}

/// `markdown` shows `text` in an indented block. A line `…` there stands for lines that are left out.
fn shows(markdown: &str, text: &str) {
    let indented: Vec<String> = text.lines().map(|line| format!("    {line}").trim_end().to_owned()).collect();
    let (first, last) = (indented.first().expect("a line"), indented.last().expect("a line"));
    let start = markdown.find(first).unwrap_or_else(|| panic!("the README does not show `{first}`"));
    let length = markdown[start..].find(last).unwrap_or_else(|| panic!("the README does not show `{last}`")) + last.len();
    let mut rest = &*indented.join("\n");
    for (index, part) in markdown[start..start + length].split("\n    …\n").enumerate() {
        let place = rest.find(part).filter(|place| index > 0 || *place == 0);
        let place = place.unwrap_or_else(|| panic!("the README shows this:\n{part}\nwhich is not in:\n{rest}"));
        rest = &rest[place + part.len()..];
    }
    assert!(rest.is_empty(), "the README leaves this out:\n{rest}");
}

/// Puts the components that `scenario` names, which are this repository's, to where it expects them below `folder`.
fn put_components(scenario: &str, folder: &Path) {
    for path in scenario.split([' ', ',', '}', '\n']).filter(|word| word.ends_with(".wasm")) {
        let (target, name) = (folder.join(path), Path::new(path).file_stem().and_then(|stem| stem.to_str()).expect("a name"));
        std::fs::create_dir_all(target.parent().expect("a folder")).expect("made");
        let package = name.replace('_', "-");
        std::fs::copy(build(&workspace().join("plugins"), &["--locked", "--package", &package], name), target).expect("copied");
    }
}
