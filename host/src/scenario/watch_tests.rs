//! The ways in which files change on real machines. Every wait is for a signal; the bound on it only ends a test that has failed.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use tempfile::TempDir;

use super::*;

struct Stage {
    folder: TempDir,
    watcher: Watcher,
    reports: Receiver<Vec<PathBuf>>,
}

impl Stage {
    /// A folder with the files `names`, each containing its own name, under watch.
    fn with(names: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (sender, reports) = channel();
        let watcher = Watcher::start(move |files| sender.send(files.to_vec()).expect("a listener")).expect("a watcher");
        let stage = Self { folder, watcher, reports };
        for name in names {
            fs::write(stage.path(name), name).expect("written");
        }
        stage.watcher.watch_also(names.iter().map(|name| stage.path(name)));
        stage
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn next(&self) -> Vec<PathBuf> {
        self.reports.recv_timeout(Duration::from_secs(20)).expect("a report")
    }

    /// The next report is about `name` alone: nothing else was reported before it.
    fn expect(&self, name: &str) {
        assert_eq!(self.next(), [self.path(name)]);
    }
}

#[test]
fn a_written_file_is_reported() {
    let stage = Stage::with(&["a", "b"]);
    fs::write(stage.path("a"), "new").expect("written");
    stage.expect("a");
}

#[test]
fn a_change_right_after_the_watch_began_is_reported() {
    let stage = Stage::with(&["a"]);
    for round in 0..5 {
        stage.watcher.watch_also([stage.path("a"), stage.path(&format!("b{round}"))]);
        fs::write(stage.path("a"), format!("{round}")).expect("written");
        stage.expect("a");
    }
}

#[test]
fn a_file_renamed_over_is_reported() {
    let stage = Stage::with(&["a"]);
    for round in 0..3 {
        fs::write(stage.path(".a.swp"), format!("round {round}")).expect("written");
        fs::rename(stage.path(".a.swp"), stage.path("a")).expect("renamed");
        stage.expect("a");
    }
}

#[test]
fn identical_contents_are_not_reported() {
    let stage = Stage::with(&["a", "b"]);
    fs::write(stage.path("a"), "a").expect("written");
    fs::rename(stage.path("a"), stage.path("a~")).expect("renamed");
    fs::copy(stage.path("a~"), stage.path("a")).expect("copied");
    fs::write(stage.path("b"), "new").expect("written");
    stage.expect("b");
    fs::write(stage.path("a"), "new").expect("written");
    stage.expect("a");
}

#[test]
fn a_file_that_was_read_between_two_saves_of_the_same_contents_is_reported() {
    let stage = Stage::with(&["a"]);
    // What the file held while it was read is no more: it is as it was when the watch began.
    stage.watcher.were_read([(stage.path("a"), &b"passing"[..])]);
    stage.expect("a");
}

#[test]
fn a_deleted_file_is_reported_once_it_is_back_and_different() {
    let stage = Stage::with(&["a", "b"]);
    fs::remove_file(stage.path("a")).expect("removed");
    fs::write(stage.path("b"), "new").expect("written");
    stage.expect("b");
    fs::write(stage.path("a"), "new").expect("written");
    stage.expect("a");
}

#[test]
fn a_config_map_swap_is_followed_again_and_again() {
    let stage = Stage::with(&[]);
    for version in 0..4 {
        fs::create_dir(stage.path(&format!("..{version}"))).expect("made");
        fs::write(stage.path(&format!("..{version}/s.yaml")), format!("version {version}")).expect("written");
    }
    symlink("..0", stage.path("..data")).expect("linked");
    symlink("..data/s.yaml", stage.path("s.yaml")).expect("linked");
    stage.watcher.watch_also([stage.path("s.yaml")]);
    for version in 1..4 {
        symlink(format!("..{version}"), stage.path("..data_tmp")).expect("linked");
        fs::rename(stage.path("..data_tmp"), stage.path("..data")).expect("renamed");
        fs::remove_dir_all(stage.path(&format!("..{}", version - 1))).expect("removed");
        stage.expect("s.yaml");
    }
}

#[test]
fn a_folder_that_is_deleted_and_made_anew_is_followed() {
    let stage = Stage::with(&[]);
    let file = stage.path("deep/er/a");
    stage.watcher.watch_also([file.clone()]);
    for round in 0..3 {
        fs::create_dir_all(stage.path("deep/er")).expect("made");
        fs::write(&file, format!("round {round}")).expect("written");
        stage.expect("deep/er/a");
        fs::remove_dir_all(stage.path("deep")).expect("removed");
    }
}

#[test]
fn files_changed_together_are_reported_together() {
    let names: Vec<String> = (0..100).map(|number| format!("f{number:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let stage = Stage::with(&names);
    for name in &names {
        fs::write(stage.path(name), "new").expect("written");
    }
    // A machine that stalls may split them; none may be missing or come twice.
    let mut reported = Vec::new();
    while reported.len() < names.len() {
        reported.extend(stage.next());
    }
    reported.sort();
    let expected: Vec<_> = names.iter().map(|name| stage.path(name)).collect();
    assert_eq!(reported, expected);
}

#[test]
fn files_no_longer_watched_are_not_reported() {
    let stage = Stage::with(&["a", "b"]);
    stage.watcher.keep([stage.path("b")]);
    fs::write(stage.path("a"), "new").expect("written");
    fs::write(stage.path("b"), "new").expect("written");
    stage.expect("b");
}

#[test]
fn files_watched_also_keep_what_is_known_of_them() {
    let stage = Stage::with(&["a"]);
    fs::write(stage.path("a"), "new").expect("written");
    stage.watcher.watch_also([stage.path("a"), stage.path("b")]);
    stage.expect("a");
    fs::write(stage.path("b"), "new").expect("written");
    stage.expect("b");
}

#[test]
fn dropping_the_watcher_ends_its_thread() {
    let Stage { watcher, reports, folder: _folder } = Stage::with(&["a"]);
    drop(watcher);
    assert!(reports.recv().is_err(), "the callback and its sender are gone");
}

#[test]
fn pipes_and_devices_are_not_read() {
    assert_eq!(fingerprint(Path::new("/dev/zero")), None);
}

#[test]
fn links_in_a_circle_end() {
    let folder = tempfile::tempdir().expect("a folder");
    symlink("b", folder.path().join("a")).expect("linked");
    symlink("a", folder.path().join("b")).expect("linked");
    assert!(steps(&folder.path().join("a")).len() < 2 * LINKS_MAX);
    assert_eq!(fingerprint(&folder.path().join("a")), None);
}
