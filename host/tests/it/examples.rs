use std::path::{Path, PathBuf};

use simwright::app;

use super::support::host::{TestHost, ask, ask_streamed};
use super::support::readme::blocks;
use super::support::stream::chunks;
use super::support::transcript::Shell;

fn examples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").join("examples");
    let entries = std::fs::read_dir(folder).expect("a folder").flatten().map(|entry| entry.path());
    let mut examples: Vec<_> = entries.filter(|path| path.is_dir()).collect();
    examples.sort();
    examples
}

#[test]
fn every_example_checks_answers_and_explains_itself() {
    let examples = examples();
    assert!(examples.len() >= 2, "{examples:?}");
    for example in examples {
        let scenario = example.join("scenario.yaml");
        let checked = app::check(Some(&scenario)).unwrap_or_else(|error| panic!("{}: {error}", scenario.display()));
        let readme = std::fs::read_to_string(example.join("README.md")).expect("a README");
        assert!(readme.contains("simwright"), "{}: the README names no command", example.display());
        let host = TestHost::start(&std::fs::read_to_string(&scenario).expect("a scenario"));
        for name in checked.models.iter().flat_map(|model| &model.list) {
            let whole = host.chat(&ask(name, "Hello there"));
            assert_eq!(whole.status, 200, "{name}: {}", whole.text());
            let streamed = host.chat(&ask_streamed(name, "Hello there"));
            assert!(chunks(streamed.text()).len() > 2, "{name}");
        }
    }
}

#[test]
fn every_command_in_an_examples_readme_prints_what_it_says() {
    let mut played = 0;
    for example in examples() {
        let readme = std::fs::read_to_string(example.join("README.md")).expect("a README");
        let mut shell = Shell::in_copy_of(&example);
        for block in blocks(&readme).into_iter().filter(|block| block.language == "console") {
            let differences = shell.play(&block);
            let place = format!("{}/README.md:{}", example.display(), block.line);
            assert!(differences.is_empty(), "{place}:\n{}", differences.join("\n"));
            played += 1;
        }
    }
    assert!(played >= 1, "only {played} blocks were found");
}

#[test]
fn the_built_in_scenario_answers_for_the_families_people_use() {
    let scenario = app::check(None).unwrap_or_else(|error| panic!("{error}"));
    for name in ["gpt-5", "gpt-4o-mini", "o3", "claude-opus-4-1", "gemini-2.5-pro", "llama-3.1-8b", "text-embedding-3-small"] {
        assert!(scenario.find(name).is_some(), "{name}");
    }
    for name in ["gtp-5", "made-up", ""] {
        assert!(scenario.find(name).is_none(), "{name}");
    }
}
