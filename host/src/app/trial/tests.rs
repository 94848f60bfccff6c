use std::time::Duration;

use serde_json::json;

use super::bench::{BenchOptions, bench};
use super::picture::Pen;
use super::run::{RunOptions, run};
use super::*;

const PEN: Pen = Pen { width: 80, is_ascii: false };

fn standard(name: &str) -> Subject {
    Subject::find(Path::new(name), &mut silent).unwrap_or_else(|error| panic!("{error}"))
}

/// What a project that is up to date has to say while it is found.
fn silent(line: &str) {
    panic!("nothing is built, and it says: {line}");
}

fn options(options: serde_json::Value, seed: u64) -> RunOptions {
    RunOptions { options, scenario: None, requests: 60, over: Duration::from_secs(60), seed }
}

fn manifest(name: &str) -> String {
    let interface = crate::project::interface();
    format!(
        "name = \"{name}\"\nversion = \"0.1.0\"\nkinds = [\"latency\"]\ninterface = \"{interface}\"\nsummary = \"Slow.\"\nlang = \"rust\"\n\
         [limits]\nmemory = \"32 MiB\"\ntime = \"5ms\"\n"
    )
}

/// A project with one vector, whose component is a plugin of the standard pack.
fn project(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |file: &str, bytes: &[u8]| {
        let file = folder.path().join(file);
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("made");
        std::fs::write(file, bytes).expect("written");
    };
    write("plugin.toml", manifest(name).as_bytes());
    let (_, component) = STANDARD_PACK.iter().find(|(known, _)| *known == "brown-out").expect("in the pack");
    write(&format!("build/{}.wasm", name.replace('-', "_")), component);
    write("tests/a.yaml", b"[{ name: worst, options: { first: 100ms, spread: 1 }, expect: { latency: { first: 200ms } } }]");
    write("tests/b.yml", b"[{ name: well, options: { first: 100ms, spread: 1 }, call: { now: 30m }, expect: { ttft: 100ms } }]");
    folder
}

#[test]
fn mistakes_in_options_are_told_by_where_they_are_in_the_options() {
    let failed = run(&standard("regional-incident"), &options(json!({ "frist": "1s" }), 1)).err().expect("a mistake");
    let TrialError::Start(StartError::Scenario(refusal)) = failed else { panic!("{failed}") };
    let told: Vec<_> = refusal.problems.iter().map(|problem| (&*problem.pointer, &*problem.message)).collect();
    assert_eq!(
        (&*refusal.file, told),
        ("the options", vec![("/frist", "unknown option `frist`")]),
        "once, though two kinds have them"
    );
}

#[test]
fn a_project_brings_its_name_its_limits_and_its_vectors() {
    let folder = project("slow-day");
    let subject = Subject::find(folder.path(), &mut silent).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((subject.name.as_str(), subject.spec().memory_bytes, subject.spec().time_us), ("slow-day", 32 << 20, 5_000));
    let files = subject.vectors(&[]).expect("files");
    let report = test(&subject, &files).unwrap_or_else(|error| panic!("{error}"));
    assert!(report.is_good() && report.cases.len() == 2, "{}", report.text());
    // The component alone finds limits and vectors of the project that it was built in, and a pattern chooses among them.
    let component = Subject::find(&folder.path().join("build/slow_day.wasm"), &mut silent).expect("a component");
    assert_eq!((component.spec().memory_bytes, component.spec().time_us), (32 << 20, 5_000));
    assert_eq!((component.name.as_str(), component.vectors(&[]).expect("files").len()), ("slow-day", 2));
    let wanted = |text: &str| component.vectors(&[folder.path().join(text).display().to_string()]).map(|files| files.len());
    assert_eq!((wanted("tests/*.yml").ok(), wanted("tests/a.yaml").ok(), wanted("tests").ok()), (Some(1), Some(1), Some(1)));
    assert!(wanted("tests/none*.yaml").is_err());
}

#[test]
fn cases_about_a_plugin_that_is_not_there_are_a_mistake_at_their_place() {
    let folder = project("slow-day");
    let subject = Subject::find(folder.path(), &mut silent).unwrap_or_else(|error| panic!("{error}"));
    let tested = |name: &str| {
        let text = format!(
            "plugin: {name}\ncases: [{{ name: worst, options: {{ first: 100ms, spread: 1 }}, expect: {{ latency: {{ first: 200ms }} }} }}]"
        );
        std::fs::write(folder.path().join("tests/a.yaml"), text).expect("written");
        test(&subject, &subject.vectors(&[]).expect("files"))
    };
    // By the project's name, and by what the component calls itself.
    for name in ["slow-day", "brown-out"] {
        let report = tested(name).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((report.is_good(), report.cases.len()), (true, 2), "{}", report.text());
    }
    let Err(TrialError::Vectors(refusal)) = tested("slow-dya") else { panic!("nobody is called so") };
    let place = refusal.problems[0].place.as_ref().map(|place| (place.line, place.column));
    assert!(refusal.problems[0].message.contains("`slow-dya`") && place == Some((1, 9)), "{refusal}");
}

#[test]
fn a_project_that_must_be_built_says_so() {
    let folder = project("slow-day");
    std::fs::remove_file(folder.path().join("build/slow_day.wasm")).expect("there was one");
    let mut said = Vec::new();
    // There is nothing to build it of.
    Subject::find(folder.path(), &mut |line| said.push(line.to_owned())).expect_err("no sources");
    assert!(said.first().is_some_and(|line| line.starts_with("building `")), "{said:?}");
}

#[test]
fn what_chooses_between_replicas_is_told_how_it_can_be_tried() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("choosers.wasm");
    std::fs::write(&file, crate::wasm::tests::support::choosers()).expect("written");
    let subject = Subject::find(&file, &mut silent).unwrap_or_else(|error| panic!("{error}"));
    let ran = run(&subject, &options(json!({}), 1)).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(ran.contains("group of replicas") && ran.contains("simwright simulate"), "{ran}");
    let measured = bench(&subject, &BenchOptions { options: json!({}), for_ms: 1 });
    let measured = measured.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(measured.contains("group of replicas"), "{measured}");
}

#[test]
fn what_is_no_plugin_is_told_what_would_be_one() {
    let said = |path: &str| Subject::find(Path::new(path), &mut silent).expect_err("none").to_string();
    assert!(said("brown-owt").contains("`.wasm` file, or one of the standard pack") && said("brown-owt").contains("brown-out"));
    let folder = tempfile::tempdir().expect("a folder");
    assert!(said(&folder.path().display().to_string()).contains("plugin.toml"));
    std::fs::write(folder.path().join("plugin.toml"), "name = \"x\"\n").expect("written");
    assert!(said(&folder.path().display().to_string()).contains("`version` is missing"));
}

#[test]
fn equal_seeds_play_equal_runs_and_others_do_not() {
    let subject = standard("brown-out");
    let played = |seed| run(&subject, &options(json!({ "first": "100ms" }), seed)).unwrap_or_else(|error| panic!("{error}"));
    let (one, two, other) = (played(1), played(1), played(2));
    assert_eq!((one.json(), one.text(PEN)), (two.json(), two.text(PEN)));
    assert_ne!(one.json(), other.json());
    assert!(one.text(PEN).lines().all(|line| line.chars().count() <= 80), "{}", one.text(PEN));
}

#[test]
fn a_run_shows_what_the_plugin_refuses_keeps_and_counts() {
    let folder = tempfile::tempdir().expect("a folder");
    let scenario = folder.path().join("s.yaml");
    // Whoever is refused comes again, and the plugin punishes that.
    let text = "simwright: 1\nmodels:\n  - match: m\n    faults: [{ retry-storm: { per-request: 0 } }, { http-error: { status: 503, when: { attempt: 1 } } }]\n";
    std::fs::write(&scenario, text.replace("status: 503, when: { attempt: 1 }", "status: 503, rate: 50%")).expect("written");
    let options = RunOptions { scenario: Some(scenario), ..options(json!({}), 3) };
    let played = run(&standard("retry-storm"), &options).unwrap_or_else(|error| panic!("{error}"));
    let json = played.json();
    assert!(json["attempts"]["refused with 429"].as_u64() > Some(0), "{json}");
    assert!(json["counts"]["refused_request"].as_u64() > Some(0), "{json}");
    assert!(played.text(PEN).contains("it counted\n  refused_request "), "{}", played.text(PEN));
    let refusal = run(&standard("brown-out"), &options).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(refusal.contains("nothing in this scenario uses the plugin `brown-out`"), "{refusal}");
}

#[test]
fn a_bench_measures_each_kind_beside_what_does_nothing() {
    let measured = bench(&standard("support-desk"), &BenchOptions { options: json!({ "attentive": false }), for_ms: 20 });
    let measured = measured.unwrap_or_else(|error| panic!("{error}"));
    let [kind] = &measured.kinds[..] else { panic!("one kind: {measured:?}") };
    let calls = [Some(&kind.plugin), kind.wasm_noop.as_ref(), Some(&kind.native_noop)];
    for calls in calls {
        let calls = calls.expect("measured");
        assert!(calls.count > 0 && calls.per_second() > 0.0 && calls.quantile(0.5) <= calls.quantile(0.99), "{calls:?}");
    }
    assert!(measured.room.memory_bytes > 0 && measured.room.instantiate_ns > 0, "{:?}", measured.room);
    assert!(bench(&standard("brown-out"), &BenchOptions { options: json!({ "depht": 1 }), for_ms: 1 }).is_err());
}
