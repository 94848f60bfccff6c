//! The ways in which files change on real machines, at the running server: it never shows half a file, it ends with what the disk
//! has, and a file that says the same as before is no reload.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::support::host::{TestHost, ask, eventually, full};

/// How often each way is tried.
fn rounds() -> usize {
    if full() { 200 } else { 4 }
}

/// A scenario that answers `word`. It is long, and most of its beginnings are scenarios too, with another answer: who reads half of
/// it is found out.
fn scenario(word: &str) -> String {
    let padding = "    # nothing\n".repeat(300);
    let model = "simwright: 1\nmodels:\n  - match: [same]\n    latency: { constant: {} }\n";
    format!("{model}{padding}    reply: {{ fixed: {{ text: {word} }} }}\n")
}

/// A server that follows a file, and what it has answered so far.
struct Stage {
    host: TestHost,
    answer: String,
}

impl Stage {
    fn start() -> Self {
        Self { host: TestHost::start(&scenario("word0")), answer: "word0".to_owned() }
    }

    fn file(&self) -> PathBuf {
        self.host.scenario_file()
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.file().with_file_name(name)
    }

    /// Waits for the answer `word`. Until then the server answers as before: anything else is half a file. Exactly one reload may have
    /// happened since `generation`.
    fn expect(&mut self, word: &str, generation: u64) {
        eventually(&format!("it answers {word}"), || {
            let reply = self.host.chat(&ask("same", "x"));
            let text = reply.json()["choices"][0]["message"]["content"].as_str().expect("a text").to_owned();
            assert!(text == self.answer || text == word, "neither {} nor {word}: {text}", self.answer);
            text == word
        });
        self.answer = word.to_owned();
        assert_eq!(self.host.app().generation(), generation + 1, "one reload for one change");
    }

    /// Lets `change` put the scenario of a new word in place, round after round.
    fn each_round(&mut self, change: impl Fn(&Self, &str)) {
        for round in 1..=rounds() {
            let (word, generation) = (format!("word{round}"), self.host.app().generation());
            change(self, &scenario(&word));
            self.expect(&word, generation);
        }
    }
}

#[test]
fn a_file_written_slowly_is_read_when_it_is_whole() {
    // A writer that is kept from writing for longer than the watcher waits has ended, as far as anybody can tell.
    const GAP_MAX: Duration = Duration::from_millis(60);
    let mut stage = Stage::start();
    let mut good_rounds = 0;
    for attempt in 1..=10 * rounds() {
        let (word, generation) = (format!("word{attempt}"), stage.host.app().generation());
        let mut file = fs::File::create(stage.file()).expect("truncated");
        let (mut last, mut gap) = (Instant::now(), Duration::ZERO);
        for part in scenario(&word).as_bytes().chunks(512) {
            std::thread::sleep(Duration::from_millis(10));
            file.write_all(part).expect("written");
            gap = gap.max(last.elapsed());
            last = Instant::now();
        }
        if gap <= GAP_MAX {
            stage.expect(&word, generation);
            good_rounds += 1;
        } else {
            eventually("it answers in the end", || stage.host.chat(&ask("same", "x")).text().contains(&format!("\"{word}\"")));
            stage.answer = word;
        }
        if good_rounds == rounds() {
            return;
        }
    }
    panic!("the machine stalls too often to write slowly: {good_rounds} good rounds");
}

#[test]
fn a_file_renamed_over_is_read_once() {
    Stage::start().each_round(|stage, text| {
        fs::write(stage.beside(".scenario.swp"), text).expect("written");
        fs::rename(stage.beside(".scenario.swp"), stage.file()).expect("renamed");
    });
}

#[test]
fn an_editor_that_keeps_a_backup_causes_one_reload() {
    Stage::start().each_round(|stage, text| {
        fs::rename(stage.file(), stage.beside("scenario.yaml~")).expect("renamed");
        fs::write(stage.file(), text).expect("written");
    });
}

#[test]
fn a_file_that_is_deleted_and_written_again_causes_one_reload() {
    Stage::start().each_round(|stage, text| {
        fs::remove_file(stage.file()).expect("removed");
        fs::write(stage.file(), text).expect("written");
    });
}

#[test]
fn a_config_map_that_changes_its_folder_causes_one_reload() {
    let folder = tempfile::tempdir().expect("a folder");
    let version = |folder: &Path, name: &str, text: &str| {
        fs::create_dir(folder.join(name)).expect("made");
        fs::write(folder.join(name).join("scenario.yaml"), text).expect("written");
    };
    version(folder.path(), "..0", &scenario("word0"));
    symlink("..0", folder.path().join("..data")).expect("linked");
    symlink("..data/scenario.yaml", folder.path().join("scenario.yaml")).expect("linked");
    let mut stage = Stage { host: TestHost::start_beside(folder, None), answer: "word0".to_owned() };
    stage.each_round(|stage, text| {
        let old = fs::read_link(stage.beside("..data")).expect("a link");
        let new = format!("{}x", old.display());
        // Names are as long as the file system lets them be; 200 rounds fit.
        version(stage.file().parent().expect("a folder"), &new, text);
        symlink(&new, stage.beside("..data_tmp")).expect("linked");
        fs::rename(stage.beside("..data_tmp"), stage.beside("..data")).expect("renamed");
        fs::remove_dir_all(stage.beside(&old.display().to_string())).expect("removed");
    });
}

#[test]
fn files_that_say_the_same_as_before_cause_no_reload() {
    // The change after them is the signal that they have been looked at: one reload in all.
    Stage::start().each_round(|stage, text| {
        let same = fs::read_to_string(stage.file()).expect("readable");
        fs::write(stage.file(), &same).expect("written");
        fs::rename(stage.file(), stage.beside("scenario.yaml~")).expect("renamed");
        fs::copy(stage.beside("scenario.yaml~"), stage.file()).expect("copied");
        let modified = stage.file().metadata().and_then(|meta| meta.modified()).expect("a time");
        fs::File::options().write(true).open(stage.file()).and_then(|file| file.set_modified(modified)).expect("touched");
        fs::write(stage.file(), text).expect("written");
    });
}

#[test]
fn many_files_changed_together_end_with_what_the_disk_has() {
    let mut stage = Stage::start();
    // A hundred files beside it that nobody asked for, written at the same time.
    stage.each_round(|stage, text| {
        for number in 0..50 {
            fs::write(stage.beside(&format!("other{number}.yaml")), text).expect("written");
        }
        fs::write(stage.file(), text).expect("written");
        for number in 50..100 {
            fs::write(stage.beside(&format!("other{number}.yaml")), text).expect("written");
        }
    });
}
