use std::path::Path;
use std::process::{Command, Output};

use simwright::app::{self, plugin_project::spec};
use simwright::project::{Lang, Project, Template};
use simwright::vectors::{check, read};
use simwright::wasm::{Meter, PluginHost, PluginHostConfig, default_folder};

use super::support::guests::{cargo, run, target_dir};
use super::support::host::{compiler, eventually};
use super::support::process::{interrupt, waiting_cargo};
use super::support::readme::blocks;

fn simwright(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_simwright"));
    command.args(["plugin"]).args(arguments).current_dir(folder).env("CARGO_TARGET_DIR", target_dir().join("guests"));
    command.output().expect("the program runs")
}

/// A new project, not yet built.
fn new_project(name: &str, kind: &str, lang: &str) -> Project {
    // Beside the conformance plugins, whose folder has what Node needs.
    let folder = target_dir().join("conformance");
    std::fs::create_dir_all(&folder).expect("a folder");
    let _ = std::fs::remove_dir_all(folder.join(name));
    let made = simwright(&folder, &["new", name, "--kind", kind, "--lang", lang]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Project::open(&folder.join(name)).expect("a project")
}

/// Builds it; `None` if the language's tools are not here and need not be.
#[allow(clippy::print_stderr, reason = "what a run leaves out must be seen")]
fn build(project: &Project, lang: &str) -> Option<Output> {
    let built = simwright(project.folder(), &["build"]);
    let said = String::from_utf8_lossy(&built.stderr);
    if said.contains("is not installed") {
        let must = ["CI", "SIMWRIGHT_FULL"].into_iter().any(|name| std::env::var_os(name).is_some());
        assert!(!must, "{lang}:\n{said}");
        eprintln!("left out: a project in {lang}\n{said}");
        return None;
    }
    Some(built)
}

/// A new project, built; `None` if it cannot be built here and need not be.
fn built_project(name: &str, kind: &str, lang: &str) -> Option<Project> {
    let project = new_project(name, kind, lang);
    let built = build(&project, lang)?;
    assert!(built.status.success(), "{lang}:\n{}", String::from_utf8_lossy(&built.stderr));
    Some(project)
}

/// Runs the project's vectors as `plugin test` does.
fn passes_its_vectors(project: &Project) {
    let config = PluginHostConfig { cache_dir: default_folder(), workers: 1, meter: Meter::Fuel, compiler: compiler() };
    let host = PluginHost::new(config).expect("a host");
    let bytes = std::fs::read(project.component()).expect("a component");
    let plugin = host.load(spec(project.manifest(), &bytes)).unwrap_or_else(|error| panic!("{error}"));
    let files = read::files_of(project.folder());
    assert_eq!(files.len(), 1);
    let suite = read::read(&files).unwrap_or_else(|refusal| panic!("{refusal}"));
    let report = check(&plugin, &suite).expect("it runs");
    assert!(report.is_good(), "{}", report.text());
}

/// Checks the scenario that the project's README shows.
fn shows_a_valid_scenario(project: &Project) {
    let readme = std::fs::read_to_string(project.folder().join("README.md")).expect("a README");
    let shown = blocks(&readme).into_iter().find(|block| block.language == "yaml").expect("a scenario");
    let file = project.folder().join("shown.yaml");
    std::fs::write(&file, &shown.text).expect("written");
    app::check(Some(&file)).unwrap_or_else(|error| panic!("{}\n{error}", shown.text));
}

#[test]
fn a_new_project_in_rust_builds_and_passes_its_tests_and_shows_a_valid_scenario_for_every_kind() {
    for kind in ["full", "balancer", "autoscaler"] {
        let project = built_project(&format!("new-{kind}"), kind, "rust").expect("Rust is always here");
        let mut native = cargo(project.folder());
        native.args(["test", "--quiet"]).env("CARGO_TARGET_DIR", target_dir().join("guests"));
        run(native);
        shows_a_valid_scenario(&project);
        passes_its_vectors(&project);
    }
}

#[test]
fn a_new_project_in_another_language_builds_and_passes_its_vectors() {
    for lang in ["python", "javascript", "c"] {
        if let Some(project) = built_project(&format!("new-{lang}"), "full", lang) {
            passes_its_vectors(&project);
        }
    }
}

#[test]
fn a_mistake_in_the_source_is_told_in_the_tools_own_words_with_its_place() {
    for (lang, source, mistake) in [
        ("rust", "src/lib.rs", "fn broken() { nothing_like_it() }"),
        ("c", "plugin.c", "void broken(void) { nothing_like_it(; }"),
        ("javascript", "plugin.js", "function broken( {"),
        ("python", "plugin.py", "def broken(:"),
    ] {
        let project = new_project(&format!("broken-{lang}"), "latency", lang);
        std::fs::create_dir_all(project.folder().join("build")).expect("a folder");
        std::fs::write(project.component(), "the good one").expect("written");
        let path = project.folder().join(source);
        let good = std::fs::read_to_string(&path).expect("a source");
        std::fs::write(&path, format!("{good}\n{mistake}\n")).expect("written");
        let line = good.lines().count() + 2;
        let Some(built) = build(&project, lang) else { continue };
        let said = String::from_utf8_lossy(&built.stderr);
        assert_eq!(built.status.code(), Some(1), "{said}");
        assert!(said.contains("error: ") && said.contains("failed"), "{said}");
        if lang != "javascript" {
            let place = if lang == "python" { format!("line {line}") } else { format!("{source}:{line}:") };
            assert!(said.contains(&place), "no `{place}` in\n{said}");
        }
        assert_eq!(std::fs::read(project.component()).expect("a component"), b"the good one");
    }
}

#[test]
fn a_component_that_is_not_what_its_manifest_says_takes_no_place() {
    let Some(project) = built_project("renamed", "latency", "c") else { return };
    let before = std::fs::read(project.component()).expect("a component");
    let path = project.folder().join("plugin.toml");
    let text = std::fs::read_to_string(&path).expect("a manifest");
    std::fs::write(&path, text.replace("version = \"0.1.0\"", "version = \"0.2.0\"")).expect("written");
    let built = simwright(project.folder(), &["build", "--json"]);
    let said = String::from_utf8_lossy(&built.stderr);
    assert_eq!(built.status.code(), Some(3), "{said}");
    assert!(said.contains("`version` is `0.2.0` there, and `0.1.0` in the component"), "{said}");
    assert_eq!(std::fs::read(project.component()).expect("a component"), before);
}

#[test]
fn equal_sources_in_c_give_equal_components() {
    let Some(project) = built_project("again", "full", "c") else { return };
    let first = std::fs::read(project.component()).expect("a component");
    assert!(simwright(project.folder(), &["build"]).status.success());
    assert_eq!(std::fs::read(project.component()).expect("a component"), first);
}

#[test]
fn an_interrupted_build_leaves_no_tool_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let template = Template { name: "greets", kinds: vec!["responder"], lang: Lang::Rust };
    let project = template.write(&folder.path().join("greets")).expect("a project");
    let (path, tool) = waiting_cargo(folder.path());
    let mut build = Command::new(env!("CARGO_BIN_EXE_simwright"));
    let mut build = build.args(["plugin", "build"]).current_dir(project.folder()).env("PATH", path).spawn().expect("it runs");
    eventually("it builds", || tool.pid().is_some());
    interrupt(&build);
    assert!(!build.wait().expect("it ends").success());
    assert!(!tool.runs() && !project.component().exists());
}
