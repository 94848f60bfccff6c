//! Scenarios of several files, on a real folder.

use std::path::{Path, PathBuf};

use crate::scenario::read::{read, read_telling};
use crate::scenario::{Draft, Scenario};

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        std::fs::write(path, text).expect("written");
    }
    folder
}

fn good(folder: &Path) -> Scenario {
    read(&folder.join("main.yaml")).and_then(Draft::whole).unwrap_or_else(|refusal| panic!("{refusal}"))
}

/// Every mistake as `file:line:column message`, files without their folder.
fn mistakes(folder: &Path) -> Vec<String> {
    let refusal = read(&folder.join("main.yaml")).and_then(Draft::whole).expect_err("mistakes");
    let prefix = format!("{}/", folder.display());
    let show = |problem: &crate::types::problem::Problem| {
        let place = problem.place.as_ref().expect("a place");
        let (file, message) = (place.file.replace(&prefix, ""), problem.message.replace(&prefix, ""));
        format!("{file}:{}:{} {message}", place.line, place.column)
    };
    refusal.problems.iter().map(show).collect()
}

#[test]
fn files_are_joined_and_the_including_one_goes_before() {
    let folder = folder(&[
        (
            "main.yaml",
            "simwright: 1\nseed: 1\ninclude: [parts/models.yaml, ./parts/incidents.yaml]\ndefaults: { max-output-tokens: 7 }\n\
             active: out\nmodels: [{ match: own }]\nplugins: { p: { file: p.wasm } }\n",
        ),
        (
            "parts/models.yaml",
            "simwright: 1\nname: other\nseed: 2\ntokens: exact\ninclude: incidents.yaml\ndefaults: { max-output-tokens: 9, faults: [late] }\n\
             models:\n  - match: theirs\n  - match: own-*\n",
        ),
        ("parts/incidents.yaml", "incidents: { out: { faults: [none] } }\nplugins: { q: { file: q.wasm } }\n"),
    ]);
    let scenario = good(folder.path());
    let names: Vec<_> = scenario.models.iter().map(|model| model.name.as_str()).collect();
    assert_eq!(names, ["own", "theirs", "own-*"]);
    assert_eq!((scenario.name.as_str(), scenario.seed, scenario.tokens.name()), ("main", Some(1), "exact"));
    assert_eq!((scenario.models[0].max_output_tokens, scenario.models[0].faults[0].name.as_str()), (7, "late"));
    assert_eq!(scenario.active.iter().count(), 1);
    let files: Vec<PathBuf> = scenario.plugins.iter().map(|plugin| plugin.file.clone()).collect();
    assert_eq!(files, [folder.path().join("p.wasm"), folder.path().join("parts/q.wasm")]);
}

#[test]
fn mistakes_are_named_in_the_file_that_makes_them() {
    let folder = folder(&[
        (
            "main.yaml",
            "simwright: 1\ninclude: [a.yaml, b.yaml, missing.yaml, 3, broken.yaml, list.yaml]\nmodels:\n  - match: x\n    latncy: 1\n",
        ),
        ("a.yaml", "models:\n  - match: y\n    latncy: 2\n  - { match: x, name: z }\nincidents:\n  i: { faults: [none] }\n"),
        ("b.yaml", "simwright: 2\nincidents:\n  j: { faults: 5 }\n  i: { reply: echo }\nunknown: 1\nmodels: {}\n"),
        ("broken.yaml", "a: [\n"),
        ("list.yaml", "- 1\n"),
    ]);
    insta::assert_snapshot!(mistakes(folder.path()).join("\n"), @r#"
    main.yaml:2:27 there is no file `missing.yaml`
    main.yaml:2:41 expected the path of a file, found a number
    main.yaml:5:5 unknown field `latncy`
    a.yaml:3:5 unknown field `latncy`
    a.yaml:4:14 `x` never comes here: `x` of the entry `x` above takes it
    b.yaml:1:12 this file is of another format than the one that includes it
    b.yaml:3:16 expected a list of faults, found a number
    b.yaml:4:3 another file of this scenario has `i` under `incidents`, too
    b.yaml:5:1 unknown field `unknown`
    b.yaml:6:9 expected a list, found a map
    broken.yaml:1:4 the file is not valid YAML: unclosed bracket '['
    list.yaml:1:1 expected a map of fields, found a list
    "#);
}

#[test]
fn files_that_include_themselves_are_refused_and_one_file_twice_counts_once() {
    let cycle = folder(&[
        ("main.yaml", "simwright: 1\ninclude: a.yaml\nmodels: [{ match: x }]\n"),
        ("a.yaml", "include: [b.yaml]\n"),
        ("b.yaml", "\ninclude: [../NAME/a.yaml, a.yaml]\n"),
    ]);
    let name = cycle.path().file_name().expect("a name").to_string_lossy().into_owned();
    std::fs::write(cycle.path().join("b.yaml"), format!("\ninclude: [../{name}/a.yaml, main.yaml]\n")).expect("written");
    let found = mistakes(cycle.path());
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("b.yaml:2:11 ") && found[0].contains("includes itself"), "{found:?}");
    assert!(found[1].starts_with("b.yaml:2:") && found[1].contains("`main.yaml` includes itself"), "{found:?}");

    let deep: Vec<(String, String)> =
        (0..12).map(|level| (format!("f{level}.yaml"), format!("include: f{}.yaml\n", level + 1))).collect();
    let files: Vec<(&str, &str)> = deep.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let deep = folder(&files);
    std::fs::write(deep.path().join("main.yaml"), "simwright: 1\ninclude: f0.yaml\nmodels: [{ match: x }]\n").expect("written");
    assert_eq!(mistakes(deep.path()), ["f7.yaml:1:10 files include each other more than 8 deep"]);
}

#[test]
fn every_included_file_is_told_of_before_it_is_read_even_one_that_is_not_there() {
    let folder =
        folder(&[("main.yaml", "simwright: 1\ninclude: [a.yaml, not-yet.yaml]\nmodels: [{ match: x }]\n"), ("a.yaml", "[")]);
    let mut told = Vec::new();
    let draft = read_telling(&folder.path().join("main.yaml"), &mut |path| told.push(path.to_owned())).expect("a draft");
    assert_eq!(told, [folder.path().join("a.yaml"), folder.path().join("not-yet.yaml")]);
    assert_eq!(draft.problems.len(), 2);
}
