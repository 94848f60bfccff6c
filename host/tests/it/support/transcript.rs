//! Runs the `console` blocks of a README as a person would, in a copy of its folder, and compares what they print.
//!
//! A line that begins with `$ ` is a command, and the lines up to the next one are its output; a last line `? 4` is its exit code,
//! 0 if there is none. In outputs `[..]` stands for any text within a line, and a line `...` for any lines. `simwright … &` stays in
//! the background, on ports that the system chooses: commands and outputs have 8080 and 9090 in their place. It says nothing in its
//! log unless `2>` sends that to a file. `kill %1` ends it as a service manager would, waits, and prints what it printed since; its
//! exit code is that of the server. A block whose fence names a file (```` ```rust night-shift/src/lib.rs ````) is that file from then on.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::guests::target_dir;
use super::readme::Block;

/// Seconds after which a command is ended, whose output then differs: one may wait for a line that never comes.
const PATIENCE_S: &str = "300";

/// A shell in a folder of its own.
pub struct Shell {
    folder: tempfile::TempDir,
    server: Option<Server>,
}

struct Server {
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// What the README calls an address, and what it is here.
    ports: Vec<(String, String)>,
}

impl Shell {
    /// A shell in a copy of `folder`.
    pub fn in_copy_of(folder: &Path) -> Self {
        let copy = tempfile::tempdir().expect("a folder");
        copy_all(folder, copy.path());
        Self { folder: copy, server: None }
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file in the shell's folder, as a reader's editor would.
    fn write(&self, file: &Path, text: &str) {
        let place = self.folder.path().join(file);
        std::fs::create_dir_all(place.parent().expect("a folder")).expect("made");
        std::fs::write(place, text).expect("written");
    }

    /// Follows `blocks` of the document `name` as a reader would: writes files and runs commands. Gives how many blocks of commands
    /// there were, and every difference between what they print and what is shown.
    pub fn follow(&mut self, name: &str, blocks: &[Block]) -> (usize, Vec<String>) {
        let (mut played, mut differences) = (0, Vec::new());
        for block in blocks {
            match block.language.split_once(' ') {
                Some((_, file)) => self.write(Path::new(file), &block.text),
                None if block.language == "console" => {
                    let found = self.play(block).into_iter();
                    differences.extend(found.map(|difference| format!("{name}:{}:\n{difference}", block.line)));
                    played += 1;
                }
                None => {}
            }
        }
        (played, differences)
    }

    /// Runs the commands of `block`; gives every difference between what they print and what the block says.
    pub fn play(&mut self, block: &Block) -> Vec<String> {
        let mut differences = Vec::new();
        for (command, expected) in commands(&block.text) {
            let printed = self.run(&command);
            if !fits(&expected, &printed) {
                differences.push(format!("$ {command}\n--- expected\n{expected}--- printed\n{printed}"));
            }
        }
        differences
    }

    /// Runs one command; gives what it printed, with `? N` at the end if its exit code is not 0.
    fn run(&mut self, command: &str) -> String {
        let (mut printed, code) = if let Some(serve) = command.strip_suffix(" &") {
            (self.serve(serve), Some(0))
        } else if command == "kill %1" {
            self.stop()
        } else {
            let output = self.shell("timeout", &[PATIENCE_S, "bash", "-c"], command).output().expect("a shell");
            let both = [output.stdout, output.stderr].concat();
            (String::from_utf8_lossy(&both).into_owned(), output.status.code())
        };
        for (written, real) in self.server.iter().flat_map(|server| &server.ports) {
            printed = printed.replace(real, written);
        }
        if !printed.is_empty() && !printed.ends_with('\n') {
            printed.push('\n');
        }
        match code {
            Some(0) => printed,
            code => format!("{printed}? {}\n", code.map_or("killed".to_owned(), |code| code.to_string())),
        }
    }

    /// `command` in `program`, which is a shell or what runs one, told so by `arguments`.
    fn shell(&self, program: &str, arguments: &[&str], command: &str) -> Command {
        let mut line = command.to_owned();
        for (written, real) in self.server.iter().flat_map(|server| &server.ports) {
            line = line.replace(written, real);
        }
        let simwright = PathBuf::from(env!("CARGO_BIN_EXE_simwright"));
        let usual = std::env::var_os("PATH").unwrap_or_default();
        let path = [simwright.parent().expect("a folder").to_owned()].into_iter().chain(std::env::split_paths(&usual));
        let mut shell = Command::new(program);
        shell.args(arguments).arg(&line).current_dir(self.folder.path()).stdin(Stdio::null());
        shell.env("SIMWRIGHT_HOME", self.folder.path().join(".simwright"));
        shell.env("PATH", std::env::join_paths(path).expect("a path")).env("COLUMNS", "100").env("SIMWRIGHT_LOG", "off");
        // What plugins are built of is built once.
        shell.env("CARGO_TARGET_DIR", target_dir().join("tutorial"));
        shell.env("SIMWRIGHT_LISTEN", "127.0.0.1:0").env("SIMWRIGHT_ADMIN", "127.0.0.1:0");
        shell
    }

    /// Starts a server in the background; gives its ready line.
    fn serve(&mut self, command: &str) -> String {
        self.stop();
        let mut shell = self.shell("bash", &["-c"], &format!("exec {command}"));
        if command.contains(" 2>") {
            shell.env_remove("SIMWRIGHT_LOG");
        }
        let mut child = shell.stdout(Stdio::piped()).spawn().expect("a shell");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut ready = String::new();
        stdout.read_line(&mut ready).expect("a line");
        let address = |name: &str| {
            let word = ready.split_whitespace().find_map(|word| word.strip_prefix(name));
            word.and_then(|url| url.strip_prefix("http://"))
                .unwrap_or_else(|| panic!("`{command}` is not ready: {ready:?}"))
                .to_owned()
        };
        let ports = vec![("127.0.0.1:8080".to_owned(), address("api=")), ("127.0.0.1:9090".to_owned(), address("admin="))];
        self.server = Some(Server { child, stdout, ports });
        ready
    }

    fn stop(&mut self) -> (String, Option<i32>) {
        let Some(mut server) = self.server.take() else { return (String::new(), Some(0)) };
        let _ = kill_process(Pid::from_child(&server.child), Signal::TERM);
        let mut rest = String::new();
        server.stdout.read_to_string(&mut rest).expect("text");
        (rest, server.child.wait().expect("it ends").code())
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Copies all that is in `from` to the folder `to`.
pub fn copy_all(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("a folder").flatten() {
        let place = to.join(entry.file_name());
        if entry.path().is_dir() {
            std::fs::create_dir(&place).expect("made");
            copy_all(&entry.path(), &place);
        } else {
            std::fs::copy(entry.path(), place).expect("copied");
        }
    }
}

/// Every command of a block with the output that the block shows. A line that ends in a backslash goes on.
fn commands(text: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut goes_on = false;
    for line in text.lines() {
        match line.strip_prefix("$ ") {
            Some(command) => found.push((command.to_owned(), String::new())),
            None => {
                let (command, output) = found.last_mut().expect("a block begins with a command");
                if goes_on {
                    command.push('\n');
                    command.push_str(line);
                } else {
                    output.push_str(line);
                    output.push('\n');
                }
            }
        }
        goes_on = line.ends_with('\\');
    }
    found
}

/// Does `printed` fit what is `expected`?
fn fits(expected: &str, printed: &str) -> bool {
    let (expected, printed): (Vec<_>, Vec<_>) = (expected.lines().collect(), printed.lines().collect());
    lines_fit(&expected, &printed)
}

fn lines_fit(expected: &[&str], printed: &[&str]) -> bool {
    match (expected.split_first(), printed.split_first()) {
        (None, None) => true,
        (Some((&"...", rest)), _) => (0..=printed.len()).any(|skipped| lines_fit(rest, &printed[skipped..])),
        (Some((line, rest)), Some((real, after))) => line_fits(line, real) && lines_fit(rest, after),
        _ => false,
    }
}

fn line_fits(expected: &str, printed: &str) -> bool {
    let mut parts = expected.split("[..]");
    let first = parts.next().unwrap_or("");
    let Some(mut rest) = printed.strip_prefix(first) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    true
}

#[test]
fn wildcards_stand_for_text_and_for_lines() {
    assert!(fits("a [..] c\n...\nend\n", "a b c\n1\n2\nend\n"));
    assert!(fits("...\n", ""));
    assert!(!fits("a [..] c\n", "a b d\n") && !fits("a\n", "a\nb\n") && !fits("a\n", "ab\n") && !fits("", "x\n"));
}
