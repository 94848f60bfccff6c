//! Runs a tool of somebody else's: without a shell, for a bounded time and as long as somebody wants it, its words handed on line by
//! line while it runs.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crossbeam::channel::{Receiver, Sender, unbounded};
use crossbeam::select;
use rustix::process::{Pid, Signal, kill_process_group};

use crate::clock::real::monotonic_ns;
use crate::interest::Interest;
use crate::types::limits::{PLUGIN_BUILD_LINE_BYTES, PLUGIN_BUILD_S, PLUGIN_BUILD_WORDS_BYTES};

/// A tool and what it is told.
#[derive(Debug, Clone)]
pub(super) struct Tool {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<OsString>,
    /// Where it runs.
    pub(super) folder: PathBuf,
    /// Variables of the environment that it does not see, though we do.
    pub(super) hidden: &'static [&'static str],
    /// Is what it writes to standard output data, and no words for a person?
    pub(super) data: bool,
}

/// What a tool left.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) good: bool,
    /// The last of its words; with [`Tool::data`] those on standard error.
    pub(super) words: String,
    /// Its standard output with [`Tool::data`]; else empty.
    pub(super) output: String,
}

/// Why a tool did not come to its own end.
#[derive(Debug)]
pub(super) enum Trouble {
    /// There is no such program.
    Missing,
    /// It was not done in time, and was ended.
    TooLong,
    /// Nobody wanted it any more, and it was ended.
    Unwanted,
    /// The system refused to run it.
    System(io::Error),
}

enum Said {
    Word(String),
    Data(String),
}

impl Tool {
    pub(super) fn new(program: impl Into<PathBuf>, folder: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), arguments: Vec::new(), folder: folder.into(), hidden: &[], data: false }
    }

    /// The same with more arguments.
    pub(super) fn with(mut self, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Runs it; each of its lines goes to `say` as it comes. It is ended when `interest` is lost.
    pub(super) fn run(&self, interest: &Interest, say: &mut dyn FnMut(&str)) -> Result<Ended, Trouble> {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for name in self.hidden {
            command.env_remove(name);
        }
        // A group of its own, so that all it started can be ended with it.
        let child = command.process_group(0).spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Trouble::Missing,
            _ => Trouble::System(error),
        })?;
        let mut running = Running(child);
        let said = self.listen(&mut running.0).map_err(Trouble::System)?;
        let deadline = monotonic_ns() + PLUGIN_BUILD_S * 1_000_000_000;
        let (mut words, mut output) = (String::new(), String::new());
        loop {
            let left = Duration::from_nanos(deadline.saturating_sub(monotonic_ns()));
            let heard = select! {
                recv(said) -> heard => heard,
                recv(interest.end()) -> _ => return Err(Trouble::Unwanted),
                default(left) => return Err(Trouble::TooLong),
            };
            match heard {
                Ok(Said::Word(line)) => {
                    say(&line);
                    words.push_str(&line);
                    words.push('\n');
                    let surplus = words.len().saturating_sub(PLUGIN_BUILD_WORDS_BYTES);
                    words.drain(..words.ceil_char_boundary(surplus));
                }
                Ok(Said::Data(line)) => output.push_str(&format!("{line}\n")),
                Err(_) => break,
            }
        }
        // Its pipes are closed, so it has ended, or is about to.
        let status = running.0.wait().map_err(Trouble::System)?;
        Ok(Ended { good: status.success(), words, output })
    }

    /// Two threads that read the pipes of `child` to their end.
    fn listen(&self, child: &mut Child) -> io::Result<Receiver<Said>> {
        let (sender, receiver) = unbounded();
        let data = self.data;
        if let Some(stdout) = child.stdout.take() {
            read_lines(stdout, sender.clone(), move |line| if data { Said::Data(line) } else { Said::Word(line) })?;
        }
        if let Some(stderr) = child.stderr.take() {
            read_lines(stderr, sender, Said::Word)?;
        }
        Ok(receiver)
    }
}

fn read_lines(
    pipe: impl Read + Send + 'static,
    to: Sender<Said>,
    make: impl Fn(String) -> Said + Send + 'static,
) -> io::Result<()> {
    let read = move || {
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        // A line that never ends is cut into pieces.
        while matches!((&mut pipe).take(PLUGIN_BUILD_LINE_BYTES).read_until(b'\n', &mut line), Ok(1..)) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            line.clear();
            if to.send(make(text)).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("plugin-build".to_owned()).spawn(read).map(drop)
}

/// A tool that runs. Dropping it ends it and all that it started.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        if !matches!(self.0.try_wait(), Ok(Some(_))) {
            // Refused only where there is nobody left.
            let _ = kill_process_group(Pid::from_child(&self.0), Signal::KILL);
            let _ = self.0.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Tool {
        Tool::new("sh", "/").with(["-c", script])
    }

    #[test]
    fn lines_come_while_it_runs_and_the_last_are_kept() {
        let mut seen = Vec::new();
        let ended = shell("echo one; echo two >&2; exit 3")
            .run(&Interest::for_ever(), &mut |line| seen.push(line.to_owned()))
            .expect("it runs");
        seen.sort();
        assert_eq!(seen, ["one", "two"]);
        assert!(!ended.good && ended.words.contains("one") && ended.output.is_empty());
    }

    #[test]
    fn data_is_told_from_words() {
        let mut tool = shell("echo data; echo word >&2");
        tool.data = true;
        let mut seen = Vec::new();
        let ended = tool.run(&Interest::for_ever(), &mut |line| seen.push(line.to_owned())).expect("it runs");
        assert_eq!((ended.good, ended.output.as_str(), seen), (true, "data\n", vec!["word".to_owned()]));
    }

    #[test]
    fn a_program_that_is_not_there_is_told_from_one_that_fails() {
        assert!(matches!(
            Tool::new("no-such-program-anywhere", "/").run(&Interest::for_ever(), &mut |_| {}),
            Err(Trouble::Missing)
        ));
    }

    #[test]
    fn a_tool_that_nobody_wants_any_more_is_ended_with_all_that_it_started() {
        let (hold, interest) = Interest::begin();
        let mut hold = Some(hold);
        let mut pid = None;
        // The shell waits for a child of its own, and has said which.
        let ended = shell("sleep 1000 & echo $!; wait").run(&interest, &mut |line| {
            pid = line.parse::<i32>().ok().and_then(Pid::from_raw);
            hold.take();
        });
        assert!(matches!(ended, Err(Trouble::Unwanted)), "{ended:?}");
        let pid = pid.expect("a number");
        // A signal takes a moment, and who adopts the child reaps it in its own time; what was ended runs no more.
        let stat = format!("/proc/{}/stat", pid.as_raw_nonzero());
        let runs = || std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
        let deadline = monotonic_ns() + 10_000_000_000;
        while runs() {
            assert!(monotonic_ns() < deadline, "it is still there");
            std::thread::yield_now();
        }
    }
}
