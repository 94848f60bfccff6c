use std::path::{Path, PathBuf};
use std::process::Command;

use super::desk::{Desk, Ran, files, ran};

/// What installs and removals do to files.
const CALLS: &str = "openat,write,fsync,rename,renameat2,unlink,unlinkat,mkdir,mkdirat,flock";

fn is_full() -> bool {
    std::env::var_os("SIMWRIGHT_FULL").is_some()
}

/// Is `strace` here? Who runs everything must have it.
#[allow(clippy::print_stderr, reason = "what a run leaves out must be seen")]
fn has_strace() -> bool {
    let found = Command::new("strace").arg("-V").output().is_ok();
    if !found {
        assert!(std::env::var_os("CI").is_none() && !is_full(), "`strace` is missing; install it with `apt-get install strace`");
        eprintln!("`strace` is missing, so nothing is killed in the middle of a write; `apt-get install strace`");
    }
    found
}

/// A desk with a pack of one scenario, built, and another one installed.
fn scene() -> Desk {
    let desk = Desk::new();
    for (name, seed) in [("first", 1), ("second", 2)] {
        let folder = name.to_owned();
        desk.done(&["pack", "init", name]);
        desk.edit(&format!("{folder}/scenarios/noon.yaml"), "seed: 12", &format!("seed: {seed}"));
        desk.done(&["pack", "build", name, "--output", &format!("{name}-built")]);
    }
    desk.done(&["pack", "install", "./first-built"]);
    desk
}

/// Runs the program under `strace` with `more`.
fn traced(desk: &Desk, more: &[&str], arguments: &[&str]) -> Ran {
    let mut all = vec!["-f", "-qq", "-o", "trace"];
    all.extend(more);
    all.push(env!("CARGO_BIN_EXE_simwright"));
    all.extend(arguments);
    ran(&mut desk.command("strace", &all))
}

/// Calls of the kinds that are injected which the program makes at this desk, by their number among all of them.
fn points(desk: &Desk, call: &str, arguments: &[&str]) -> Vec<usize> {
    traced(desk, &["-y", "-e", &format!("trace={call}")], arguments);
    let place = desk.path("").display().to_string();
    let trace = desk.read("trace");
    let made = trace.lines().filter(|line| line.contains(&format!(" {call}(")) || line.contains(&format!(" {call}at(")));
    made.enumerate().filter(|(_, line)| line.contains(&place)).map(|(index, _)| index + 1).collect()
}

/// What the store holds, apart from what is being written.
fn kept(desk: &Desk) -> Vec<(PathBuf, Vec<u8>)> {
    let all = files(&desk.path("home"));
    all.into_iter().filter(|(path, _)| !path.components().any(|part| part.as_os_str() == "staging")).collect()
}

/// Everything is as it was before, or as it is after: there is no third.
fn assert_whole(desk: &Desk, place: &str) {
    let listed = desk.done(&["pack", "list"]);
    assert!(listed.contains("first 0.1.0"), "{place}: {listed}");
    let verified = desk.run(&["pack", "verify"]);
    assert_eq!((verified.code, verified.out.contains("bad")), (Some(0), false), "{place}: {verified:?}");
    let second = listed.contains("second 0.1.0");
    assert_eq!(verified.out.lines().count(), 1 + usize::from(second), "{place}");
}

/// D1 for packs: an install that is killed at any of its calls leaves the store as it was, or has installed the pack.
#[test]
fn an_install_that_is_killed_leaves_everything_or_nothing() {
    if !has_strace() {
        return;
    }
    let desk = scene();
    desk.write("second.yaml", scenario_of("second"));
    let before = desk.path("before");
    copy(&desk.path("home"), &before);
    for what in ["./second-built", "second.yaml"] {
        kill_everywhere(&desk, &before, &["pack", "install", what]);
    }
}

/// A scenario that uses nothing but the pack in `NAME-built`.
fn scenario_of(name: &str) -> String {
    format!("simwright: 1\npacks: {{ {name}: {{ from: ./{name}-built }} }}\nmodels: [{{ match: m }}]\n")
}

fn kill_everywhere(desk: &Desk, before: &Path, arguments: &[&str]) {
    let mut killed = 0;
    for call in CALLS.split(',') {
        restore(before, desk);
        let points = points(desk, call, arguments);
        let step = if is_full() { 1 } else { points.len().div_ceil(3).max(1) };
        for point in points.into_iter().step_by(step) {
            restore(before, desk);
            let place = format!("{arguments:?} killed at {call} {point}");
            let inject = format!("inject={call}:signal=SIGKILL:when={point}");
            let ran = traced(desk, &["-e", &format!("trace={call}"), "-e", &inject], arguments);
            killed += usize::from(ran.code != Some(0));
            assert_whole(desk, &place);
            // The next one finishes it, and sweeps what was left half-written, there and beside the scenario.
            desk.done(arguments);
            assert_whole(desk, &place);
            let beside = std::fs::read_dir(desk.path("")).expect("a folder").flatten().map(|entry| entry.file_name());
            let left: Vec<_> = beside.filter(|name| name.to_string_lossy().starts_with('.')).collect();
            assert!(left.is_empty(), "{place}: {left:?}");
            assert_eq!(files(&desk.path("home/packs/staging")).len(), 0, "{place}");
            assert!(desk.done(&["pack", "gc"]).starts_with("removed 0 files"), "{place}");
        }
    }
    assert!(killed >= 10, "only {killed} were killed");
}

/// D4 for packs: a disk that is full or broken at any write is an error with its reason, and once there is room, the same works.
#[test]
fn a_full_disk_is_an_error_that_changes_nothing() {
    if !has_strace() {
        return;
    }
    let desk = scene();
    let before = desk.path("before");
    let arguments = ["pack", "install", "./second-built"];
    copy(&desk.path("home"), &before);
    let mut failed = 0;
    for (call, error, words) in
        [("write", "ENOSPC", "No space left"), ("fsync", "EIO", "Input/output error"), ("rename", "ENOSPC", "No space left")]
    {
        restore(&before, &desk);
        for point in points(&desk, call, &arguments) {
            restore(&before, &desk);
            let old = kept(&desk);
            let place = format!("{error} at {call} {point}");
            let inject = format!("inject={call}:error={error}:when={point}");
            let ran = traced(&desk, &["-e", &format!("trace={call}"), "-e", &inject], &arguments);
            assert!(ran.code == Some(1) && ran.err.contains(words), "{place}: {ran:?}");
            assert_whole(&desk, &place);
            let new = kept(&desk);
            assert!(old.iter().all(|file| new.contains(file)), "{place}: nothing that was there is gone");
            desk.done(&arguments);
            failed += 1;
        }
    }
    assert!(failed >= 8, "only {failed} calls failed");
}

/// The order that survives a loss of power: a file's bytes are on the disk before it gets its name, and the name before anybody is told.
#[test]
fn bytes_are_on_the_disk_before_names_and_names_before_words() {
    if !has_strace() {
        return;
    }
    let desk = scene();
    traced(&desk, &["-y", "-e", "trace=write,fsync,rename,renameat2"], &["pack", "install", "./second-built"]);
    let trace = desk.read("trace");
    let store = desk.path("home").display().to_string();
    let calls: Vec<&str> = trace.lines().filter_map(|line| line.split_once(' ')).map(|(_, call)| call.trim()).collect();
    let mut renames = 0;
    for (index, call) in calls.iter().enumerate().filter(|(_, call)| call.starts_with("rename") && call.contains(&store)) {
        let names: Vec<&str> = call.split('"').collect();
        let (from, to) = (names[1], names[3]);
        let synced = |path: &str, calls: &[&str]| {
            calls.iter().any(|call| call.starts_with("fsync(") && call.contains(&format!("<{path}>")))
        };
        assert!(synced(from, &calls[..index]), "{from} is not synced before it is renamed:\n{trace}");
        let folder = to.rsplit_once('/').expect("a folder").0;
        let told = calls.iter().position(|call| call.starts_with("write(1<")).unwrap_or(calls.len());
        assert!(synced(folder, &calls[index..told]), "{folder} is not synced before anybody is told:\n{trace}");
        renames += 1;
    }
    assert!(renames >= 3, "{renames}:\n{trace}");
}

/// A limit on the size of files in place of a full disk, where nothing is traced.
#[test]
fn a_file_that_may_not_grow_is_an_error_that_changes_nothing() {
    let desk = scene();
    desk.write("second-built/big", "");
    let old = kept(&desk);
    let script = format!("trap '' XFSZ; ulimit -f 0; exec '{}' pack install ./second-built", env!("CARGO_BIN_EXE_simwright"));
    let ran = ran(&mut desk.command("sh", &["-c", &script]));
    assert!(ran.code == Some(1) && ran.err.contains("File too large"), "{ran:?}");
    assert_whole(&desk, "a small disk");
    assert_eq!(kept(&desk).len(), old.len());
    desk.done(&["pack", "install", "./second-built"]);
}

/// K9: processes that install the same and others, and one that throws out.
#[test]
fn many_installs_and_a_collection_at_once_keep_each_file_once() {
    let desk = scene();
    let (processes, rounds) = if is_full() { (20, 200) } else { (6, 2) };
    for round in 0..rounds {
        std::fs::remove_dir_all(desk.path("home")).expect("removed");
        let mut running: Vec<_> = (0..processes)
            .map(|number| {
                let pack = if number % 2 == 0 { "./first-built" } else { "./second-built" };
                desk.command(env!("CARGO_BIN_EXE_simwright"), &["pack", "install", pack])
                    .stdout(std::process::Stdio::null())
                    .spawn()
            })
            .collect();
        running.push(desk.command(env!("CARGO_BIN_EXE_simwright"), &["pack", "gc"]).stdout(std::process::Stdio::null()).spawn());
        for process in running {
            assert!(process.expect("it starts").wait().expect("it ends").success(), "round {round}");
        }
        assert_whole(&desk, &format!("round {round}"));
        assert!(desk.done(&["pack", "list"]).contains("second 0.1.0"));
        assert!(desk.done(&["pack", "gc"]).starts_with("removed 0 files"));
        // Two configs, two scenarios and two READMEs.
        assert_eq!(files(&desk.path("home/packs/blobs")).len(), 6);
    }
}

/// One lock serves all scenarios of a folder, so that commands for each of them write to the same file.
#[test]
fn many_installs_of_scenarios_at_once_lose_no_lock() {
    let desk = scene();
    for round in 0..if is_full() { 50 } else { 3 } {
        let _ = std::fs::remove_file(desk.path("simwright.lock"));
        let names: Vec<String> = (0..8).map(|number| format!("pack-{number}")).collect();
        let running: Vec<_> = names
            .iter()
            .map(|name| {
                let scenario = scenario_of(name).replace(&format!("./{name}-built"), "./first-built");
                desk.write(&format!("{name}.yaml"), scenario);
                let arguments = ["pack", "install", &format!("{name}.yaml")];
                desk.command(env!("CARGO_BIN_EXE_simwright"), &arguments).stdout(std::process::Stdio::null()).spawn()
            })
            .collect();
        for process in running {
            assert!(process.expect("it starts").wait().expect("it ends").success(), "round {round}");
        }
        let lock = desk.read("simwright.lock");
        let lost: Vec<&String> = names.iter().filter(|name| !lock.contains(&format!("name = \"{name}\""))).collect();
        assert!(lost.is_empty(), "round {round}: {lost:?} are lost:\n{lock}");
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("made");
    crate::support::transcript::copy_all(from, to);
}

fn restore(before: &Path, desk: &Desk) {
    let _ = std::fs::remove_file(desk.path("simwright.lock"));
    std::fs::remove_dir_all(desk.path("home")).expect("removed");
    copy(before, &desk.path("home"));
}
