//! The host's side of a compiling child: starts it, waits for its answer within a limit, and sees that nothing of it stays behind.
//!
//! The child gets the component, an empty environment and three pipes. Its end closes its pipes, and that is what is waited for, unless
//! nobody wants the answer any more; it is then reaped in every case. A limit of its own ends it by a signal, from which the reason is read.

use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use crossbeam::channel::{Receiver, bounded};
use crossbeam::select;
use rustix::process::{Pid, Signal, kill_process_group};

use crate::interest::Interest;
use crate::types::limits::{COMPILE_NOTICE_MS, COMPILE_OUTPUT_BYTES_MAX, COMPILE_PROGRESS_S, COMPILE_WORDS_BYTES};
use crate::wasm::code::Code;
use crate::wasm::compiler::child::{CODE, HEAD_BYTES, REFUSED};
use crate::wasm::compiler::{ChildCompiler, refused};
use crate::wasm::engine_config::Meter;
use crate::wasm::error::{Cause, PluginError, mebibytes};
use crate::wasm::host_services::printable;

/// What the wait for an answer came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waited {
    /// The child closed its pipe.
    Ended,
    /// It was still at it when its time was over.
    TooLate,
    /// It was still at it when nobody wanted its answer any more.
    Unwanted,
}

/// What a child left when it ended.
struct End {
    answer: Vec<u8>,
    status: ExitStatus,
    /// The start of what it wrote to standard error.
    words: String,
    waited: Waited,
}

impl ChildCompiler {
    /// Compiles `bytes` of `plugin` in a child; `None` if it was ended because `interest` was lost.
    pub(super) fn compile(
        &self,
        plugin: &str,
        meter: Meter,
        bytes: &[u8],
        interest: &Interest,
    ) -> Result<Option<Code>, PluginError> {
        let mut end = self.run(plugin, meter, bytes, interest).map_err(|error| {
            let program = self.program.display();
            PluginError::new(plugin, Cause::Host, format!("the compiler cannot be run as `{program}`: {error}"))
        })?;
        match kind_of(&end.answer) {
            Some(CODE) => {
                end.answer.drain(..HEAD_BYTES);
                Ok(Some(Code::vouched(end.answer)))
            }
            Some(REFUSED) => Err(refused(plugin, &printable(&String::from_utf8_lossy(&end.answer[HEAD_BYTES..])))),
            _ if end.waited == Waited::Unwanted => Ok(None),
            _ => Err(self.ended(plugin, &end)),
        }
    }

    fn run(&self, plugin: &str, meter: Meter, bytes: &[u8], interest: &Interest) -> io::Result<End> {
        let mut child = Command::new(&self.program)
            .arg0("simwright")
            .args(&self.arguments)
            .args([meter.word(), &self.limits.cpu_s.to_string(), &self.limits.memory_bytes.to_string()])
            .env_clear()
            .current_dir("/")
            // A group of its own: an interrupt from the terminal is for the server, which may have streams to finish.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let answer = self.converse(plugin, &mut child, bytes, interest);
        // Whatever happened, it ends here. One that has ended, or has given its answer and is about to, keeps its status.
        end(&child);
        let status = child.wait()?;
        let (answer, waited) = answer?;
        let mut words = Vec::new();
        if let Some(said) = child.stderr.take() {
            said.take(COMPILE_WORDS_BYTES).read_to_end(&mut words)?;
        }
        let words = printable(String::from_utf8_lossy(&words).trim()).into_owned();
        Ok(End { answer, status, words, waited })
    }

    /// Gives the child its component and takes its answer. Says, too, whether it had to be ended.
    fn converse(&self, plugin: &str, child: &mut Child, bytes: &[u8], interest: &Interest) -> io::Result<(Vec<u8>, Waited)> {
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("it has no pipes"));
        };
        let (done, ended) = bounded(1);
        std::thread::scope(|scope| {
            let named = |name: &str| std::thread::Builder::new().name(name.to_owned());
            let writer = named("compile-input").spawn_scoped(scope, || give(stdin, bytes));
            let reader = named("compile-output").spawn_scoped(scope, move || {
                let answer = take(stdout);
                // The other end waits unless the time is over.
                let _ = done.send(());
                answer
            });
            let is_talking = writer.is_ok() && reader.is_ok();
            let waited = if is_talking { self.wait(plugin, &ended, interest) } else { Waited::TooLate };
            if waited != Waited::Ended {
                // Its pipes close with it, and with them both threads end.
                end(child);
            }
            writer?;
            let answer = reader?.join().map_err(|_| io::Error::other("its answer could not be read"))??;
            Ok((answer, waited))
        })
    }

    /// Waits for the answer's end, as long as somebody wants it.
    fn wait(&self, plugin: &str, ended: &Receiver<()>, interest: &Interest) -> Waited {
        let limit = Duration::from_secs(self.limits.wall_s);
        let (mut waited, mut step) = (Duration::ZERO, Duration::from_millis(COMPILE_NOTICE_MS));
        while waited < limit {
            let wait = step.min(limit - waited);
            select! {
                recv(ended) -> done => return if done.is_ok() { Waited::Ended } else { Waited::TooLate },
                recv(interest.end()) -> _ => {
                    tracing::info!(plugin, "nobody waits for `{plugin}` any more; its compilation is ended");
                    return Waited::Unwanted;
                }
                default(wait) => {}
            }
            if waited.is_zero() {
                tracing::info!(plugin, "compiling the plugin; this happens once and takes a while for a large one");
            } else {
                tracing::info!(
                    plugin,
                    "compiling `{plugin}`, {} s so far, limit {} s",
                    (waited + wait).as_secs(),
                    limit.as_secs()
                );
            }
            waited += wait;
            step = Duration::from_secs(COMPILE_PROGRESS_S);
        }
        Waited::TooLate
    }

    /// Why there is no answer.
    fn ended(&self, plugin: &str, end: &End) -> PluginError {
        let limits = &self.limits;
        let signal = end.status.signal();
        let too_much = |what: String| PluginError::new(plugin, Cause::Compile, format!("to compile it takes more than {what}"));
        if end.waited == Waited::TooLate {
            return too_much(format!("{} s on this machine", limits.wall_s));
        }
        if end.answer.len() as u64 >= COMPILE_OUTPUT_BYTES_MAX {
            let most = mebibytes(usize::try_from(COMPILE_OUTPUT_BYTES_MAX).unwrap_or(usize::MAX));
            let message = format!("its compiled code is larger than {most}");
            return PluginError::new(plugin, Cause::Compile, message);
        }
        if signal == Some(Signal::XCPU.as_raw()) {
            return too_much(format!("{} s of CPU time", limits.cpu_s));
        }
        // What Rust says when an allocation fails, before it aborts.
        if signal == Some(Signal::ABORT.as_raw()) && end.words.contains("memory allocation of") {
            return too_much(format!("{} of memory", mebibytes(usize::try_from(limits.memory_bytes).unwrap_or(usize::MAX))));
        }
        let mut message = format!("the compiler ended without an answer ({})", end.status);
        if !end.words.is_empty() {
            message = format!("{message}; it said: {}", end.words);
        }
        PluginError::new(plugin, Cause::Compile, message)
    }
}

/// Ends the child and whatever it has started.
fn end(child: &Child) {
    // The only thing to refuse this is a group that has ended already.
    let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
}

fn give(mut stdin: ChildStdin, bytes: &[u8]) {
    // A child that ended early has closed the pipe; how it ended says why.
    let _ = stdin.write_all(bytes);
}

fn take(stdout: ChildStdout) -> io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    stdout.take(COMPILE_OUTPUT_BYTES_MAX).read_to_end(&mut answer)?;
    Ok(answer)
}

/// The kind of `answer`, if all of it is there.
fn kind_of(answer: &[u8]) -> Option<u8> {
    let (&kind, rest) = answer.split_first()?;
    let (length, rest) = rest.split_first_chunk()?;
    (u64::from_le_bytes(*length) == rest.len() as u64).then_some(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_answer_is_one() {
        let answer = [&[CODE][..], &3_u64.to_le_bytes(), b"abc"].concat();
        assert_eq!(kind_of(&answer), Some(CODE));
        for cut in 0..answer.len() {
            assert_eq!(kind_of(&answer[..cut]), None, "{cut} bytes");
        }
        assert_eq!(kind_of(&[&answer[..], b"d"].concat()), None);
    }
}
