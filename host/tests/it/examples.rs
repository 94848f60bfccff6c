use std::path::{Path, PathBuf};

use simwright::app;
use simwright::app::explain::{ExplainOptions, explain};

use super::support::guests::workspace;
use super::support::host::{TestHost, ask, ask_streamed};
use super::support::readme::blocks;
use super::support::transcript::{Shell, copy_all};

fn examples() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(workspace().join("examples")).expect("a folder").flatten().map(|entry| entry.path());
    // Packs are no scenarios; they have tests of their own.
    let mut examples: Vec<_> = entries.filter(|path| path.is_dir() && !path.ends_with("packs")).collect();
    examples.sort();
    examples
}

/// A server with the scenario of `example` and the files beside it.
fn serve(example: &Path) -> TestHost {
    let folder = tempfile::tempdir().expect("a folder");
    copy_all(example, folder.path());
    TestHost::start_beside(folder, None)
}

#[test]
fn every_example_checks_and_answers_as_it_explains_itself() {
    let examples = examples();
    assert!(examples.len() >= 2, "{examples:?}");
    for example in examples {
        let scenario = example.join("scenario.yaml");
        let checked = app::check(Some(&scenario)).unwrap_or_else(|error| panic!("{}: {error}", scenario.display()));
        let readme = std::fs::read_to_string(example.join("README.md")).expect("a README");
        assert!(readme.contains("simwright"), "{}: the README names no command", example.display());
        let host = serve(&example);
        for name in checked.models.iter().flat_map(|model| &model.list) {
            // The second asks for the same as the first: another way of sending is no other question.
            for (occurrence, body) in [(0, ask(name, "Hello there")), (1, ask_streamed(name, "Hello there"))] {
                let request = body.to_string().into_bytes();
                let options =
                    ExplainOptions { scenario: Some(scenario.clone()), request, occurrence, ..ExplainOptions::default() };
                let explained =
                    explain(&options).unwrap_or_else(|error| panic!("{}, {name}: {error}", scenario.display())).json();
                let expected = explained["outcome"]["status"].as_u64().unwrap_or(200);
                let reply = String::from_utf8_lossy(&host.chat_to_the_end(&body, &[])).into_owned();
                let place = format!("{}, {name}, {}: {reply}", scenario.display(), explained["outcome"]);
                assert!(reply.starts_with(&format!("HTTP/1.1 {expected} ")), "{place}");
                if expected == 200 && occurrence == 1 {
                    assert!(reply.matches("data: {").count() > 2, "{place}");
                    let is_whole = explained["outcome"]["kind"] == "answer";
                    assert_eq!(reply.contains("data: [DONE]"), is_whole, "{place}");
                }
            }
        }
    }
}

#[test]
fn the_list_of_examples_names_each_once() {
    let list = std::fs::read_to_string(workspace().join("examples/README.md")).expect("a list");
    for example in examples() {
        let name = example.file_name().and_then(|name| name.to_str()).expect("a name");
        assert_eq!(list.matches(&format!(". [{name}]({name}/): ")).count(), 1, "{name}");
    }
}

#[test]
fn every_command_in_an_examples_readme_prints_what_it_says() {
    let (mut played, mut wrong) = (0, Vec::new());
    for example in examples() {
        let readme = std::fs::read_to_string(example.join("README.md")).expect("a README");
        let mut shell = Shell::in_copy_of(&example);
        let (commands, differences) = shell.follow(&format!("{}/README.md", example.display()), &blocks(&readme));
        played += commands;
        wrong.extend(differences);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(played >= 6, "only {played} blocks were found");
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
