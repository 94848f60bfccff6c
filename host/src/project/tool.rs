//! Runs a tool of somebody else's: without a shell, for a bounded time and as long as somebody wants it, its words handed on line by
//! line while it runs.

use std::convert::Infallible;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crossbeam::channel::{Receiver, Sender, bounded, never};
use crossbeam::select;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use crate::clock::real::monotonic_ns;
use crate::interest::Interest;
use crate::types::limits::{
    PLUGIN_BUILD_DATA_BYTES, PLUGIN_BUILD_LAST_WORDS_MS, PLUGIN_BUILD_LINE_BYTES, PLUGIN_BUILD_LINES_WAITING, PLUGIN_BUILD_S,
    PLUGIN_BUILD_WORDS_BYTES,
};

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
        let exited = running.exited().map_err(Trouble::System)?;
        let (words, output) = hear(said, exited, interest, say, || running.end_all())?;
        let status = running.0.wait().map_err(Trouble::System)?;
        Ok(Ended { good: status.success(), words, output })
    }

    /// Two threads that read the pipes of `child` to their end.
    fn listen(&self, child: &mut Child) -> io::Result<Receiver<Said>> {
        let (sender, receiver) = bounded(PLUGIN_BUILD_LINES_WAITING);
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

/// Hears what a tool says until it has ended: its last words and data. Somebody whom it started may hold its pipes open after that;
/// `end_all` ends those of its group, and the rest is not waited for.
fn hear(
    mut said: Receiver<Said>,
    mut exited: Receiver<Infallible>,
    interest: &Interest,
    say: &mut dyn FnMut(&str),
    end_all: impl Fn(),
) -> Result<(String, String), Trouble> {
    let deadline = monotonic_ns() + PLUGIN_BUILD_S * 1_000_000_000;
    let (mut words, mut output) = (String::new(), String::new());
    let (mut is_silent, mut has_ended) = (false, false);
    while !(is_silent && has_ended) {
        let left = Duration::from_nanos(deadline.saturating_sub(monotonic_ns()));
        let wait = if has_ended { left.min(Duration::from_millis(PLUGIN_BUILD_LAST_WORDS_MS)) } else { left };
        let heard = select! {
            recv(said) -> heard => heard.ok(),
            recv(exited) -> _ => {
                (has_ended, exited) = (true, never());
                end_all();
                continue;
            }
            recv(interest.end()) -> _ => return Err(Trouble::Unwanted),
            default(wait) => match has_ended {
                true => break,
                false => return Err(Trouble::TooLong),
            },
        };
        match heard {
            Some(Said::Word(line)) => {
                say(&line);
                keep(&mut words, &line, PLUGIN_BUILD_WORDS_BYTES);
            }
            Some(Said::Data(line)) => keep(&mut output, &line, PLUGIN_BUILD_DATA_BYTES),
            None => (is_silent, said) = (true, never()),
        }
        if left.is_zero() {
            return Err(Trouble::TooLong);
        }
    }
    Ok((words, output))
}

/// Adds `line` to `text`, of which the last `bytes_max` bytes are kept.
fn keep(text: &mut String, line: &str, bytes_max: usize) {
    text.push_str(line);
    text.push('\n');
    let surplus = text.len().saturating_sub(bytes_max);
    text.drain(..text.ceil_char_boundary(surplus));
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

impl Running {
    /// A channel that brings nothing and is closed when the tool has ended.
    fn exited(&self) -> io::Result<Receiver<Infallible>> {
        let (held, exited) = bounded(0);
        let pid = Pid::from_child(&self.0);
        let wait = move || {
            // Its status stays for who reaps it. Any other error means that it has been reaped.
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while waitid(WaitId::Pid(pid), options).is_err_and(|error| error == Errno::INTR) {}
            drop(held);
        };
        std::thread::Builder::new().name("plugin-build".to_owned()).spawn(wait)?;
        Ok(exited)
    }

    /// Ends it and what it has started, as long as it is not reaped: until then the number of its group is nobody else's.
    fn end_all(&self) {
        // Refused only where there is nobody left.
        let _ = kill_process_group(Pid::from_child(&self.0), Signal::KILL);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !matches!(self.0.try_wait(), Ok(Some(_))) {
            self.end_all();
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

    /// The state of process `pid`, as the system says it; nothing if there is none.
    fn state(pid: &str) -> String {
        let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        status.rsplit_once(") ").map_or_else(String::new, |(_, rest)| rest.chars().take(1).collect())
    }

    #[test]
    fn what_a_tool_leaves_behind_is_ended_with_it_and_not_waited_for() {
        // The first holds the pipes and has left the group, so that nothing but its own end would close them; the second is of the group.
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("left").display().to_string();
        let daemon = format!("setsid sh -c 'echo $$; echo > {file}; exec sleep 60' & while [ ! -e {file} ]; do sleep 0.01; done");
        let script = &format!("{daemon}; sleep 1000 >/dev/null 2>&1 & echo $!; exit 0");
        let mut said = Vec::new();
        let ended = shell(script).run(&Interest::for_ever(), &mut |line| said.push(line.to_owned())).expect("it runs");
        let [daemon, left] = &said[..] else { panic!("{said:?}") };
        let is_gone = |pid: &str| matches!(state(pid).as_str(), "" | "Z");
        assert!(ended.good && !is_gone(daemon), "it was not waited for");
        // A signal takes its moment.
        assert!((0..1_000_000).any(|_| is_gone(left)), "{}", state(left));
        let daemon = daemon.parse().ok().and_then(Pid::from_raw).expect("a number");
        rustix::process::kill_process(daemon, Signal::KILL).expect("ended");
    }

    #[test]
    fn of_data_without_end_the_last_are_kept() {
        let mut tool = shell("yes 0123456789abcdef | head -c 6000000; echo; echo last");
        tool.data = true;
        let ended = tool.run(&Interest::for_ever(), &mut |_| {}).expect("it runs");
        assert!(ended.output.len() <= PLUGIN_BUILD_DATA_BYTES && ended.output.ends_with("\nlast\n"), "{}", ended.output.len());
    }
}
