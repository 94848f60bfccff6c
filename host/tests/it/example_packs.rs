//! The example packs, built from public interfaces only: the program and its commands, in a folder outside of the repository.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::support::guests::{target_dir, workspace};
use super::support::transcript::copy_all;

/// A pack in a copy of its folder.
struct Maker {
    folder: tempfile::TempDir,
    name: &'static str,
}

impl Maker {
    fn of(name: &'static str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let pack = folder.path().join(name);
        std::fs::create_dir(&pack).expect("made");
        copy_all(&workspace().join("examples/packs").join(name), &pack);
        // What somebody has built there by hand is not what is tested.
        for made in ["build", "vendor", "target"] {
            let projects = std::fs::read_dir(&pack).expect("a folder").flatten().map(|entry| entry.path().join(made));
            projects.chain([pack.join(made)]).for_each(|made| drop(std::fs::remove_dir_all(made)));
        }
        Self { folder, name }
    }

    fn pack(&self) -> PathBuf {
        self.folder.path().join(self.name)
    }

    /// Runs `simwright` with `arguments` in `folder`; gives what it printed.
    fn run(&self, folder: &Path, arguments: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_simwright"));
        command.args(arguments).current_dir(folder).env("SIMWRIGHT_HOME", self.folder.path().join("home"));
        command.env("CARGO_TARGET_DIR", target_dir().join("guests")).env("CARGO_NET_OFFLINE", "true").env("SIMWRIGHT_LOG", "off");
        let output = command.output().expect("the program");
        let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
        assert!(output.status.success(), "simwright {}\n{out}{err}", arguments.join(" "));
        out
    }

    /// Builds the pack with its project, and uses it in a scenario of somebody else's; gives the report of that run.
    fn play(&self, scenario: &str) -> serde_json::Value {
        let pack = self.pack();
        self.run(&pack, &["pack", "check", "."]);
        self.run(&pack, &["pack", "test", "."]);
        let [built, again] = [0, 1].map(|_| self.run(&pack, &["pack", "build", "."]));
        assert_eq!(built, again);
        // Whoever uses it writes a scenario beside it; here that of the pack itself, which needs no line for its own plugins.
        let theirs = std::fs::read_to_string(pack.join("scenarios").join(scenario)).expect("a scenario");
        let grant = if self.name == "maintenance" { ", grant: [request, state, log, memory: 64MiB]" } else { "" };
        let packs = format!("simwright: 1\npacks: {{ {name}: {{ from: ./{name}{grant} }} }}\n", name = self.name);
        std::fs::write(self.folder.path().join("scenario.yaml"), theirs.replace("simwright: 1\n", &packs)).expect("written");
        self.run(self.folder.path(), &["pack", "install", "scenario.yaml"]);
        self.run(self.folder.path(), &["check", "scenario.yaml"]);
        serde_json::from_str(&self.run(self.folder.path(), &["simulate", "scenario.yaml", "--json", "-"])).expect("a report")
    }
}

#[test]
fn the_pack_in_rust_is_built_tested_installed_and_played() {
    let report = Maker::of("rollout").play("release-day.yaml");
    let attempts = &report["attempts"];
    assert!(attempts["whole"].as_u64() > Some(6_000) && attempts["whole"] == attempts["came"], "{attempts}");
    // Between the 150 tokens of the old version and the 210 of the new one.
    let per_reply = report["tokens"]["output"].as_f64().expect("tokens") / attempts["whole"].as_f64().expect("replies");
    assert!((175.0..195.0).contains(&per_reply), "{per_reply}");
}

#[test]
#[allow(clippy::print_stderr, reason = "what a run leaves out must be seen")]
fn the_pack_in_python_is_built_tested_installed_and_played() {
    if Command::new("componentize-py").arg("--version").output().is_err() {
        let message = "the example pack in Python needs `componentize-py` (pip install componentize-py==0.25.0)";
        assert!(std::env::var_os("CI").is_none() && std::env::var_os("SIMWRIGHT_FULL").is_none(), "{message}");
        eprintln!("not tested: {message}");
        return;
    }
    let report = Maker::of("maintenance").play("night.yaml");
    // Half an hour of six is closed, and each request then comes three times.
    let (refused, came) = (report["refused"]["status 503"].as_u64().expect("refusals"), report["attempts"]["came"].as_u64());
    assert!(refused > 300 && came > Some(4_000), "{refused} of {came:?}");
}
