//! The command line: reads arguments, calls [`crate::app`], prints what comes back. Nothing else prints.
//!
//! One file a command, each with its arguments and its `run`. Data goes to standard output, talk to standard error (`output`);
//! `error` ties kinds of failure to exit codes. `simwright` alone is `simwright serve`: the built-in scenario, ready to be called.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::cli::error::Failure;
use crate::types::quantity::parse_duration_us;

mod check;
mod compile_plugin;
mod diff;
mod error;
mod explain;
mod init;
mod limits;
mod output;
mod pack;
mod plugin;
mod replay;
mod schema;
mod serve;
mod simulate;
mod verdict;

const EXAMPLES: &str = "\
Examples:
  simwright                                  serve the built-in scenario on http://127.0.0.1:8080
  simwright serve scenario.yaml              serve your own; it is read again whenever it changes
  simwright check scenario.yaml              name every mistake in it
  simwright explain scenario.yaml --request request.json
                                             say what would happen to one request, and why
  simwright serve scenario.yaml --decisions log.jsonl
  simwright replay log.jsonl --first-failure
                                             log every decision, and make one of them again
  simwright simulate scenario.yaml --until 24h
                                             play a day of its workload in virtual time

Exit codes: 0 done, 1 failed, 2 wrong arguments, 3 mistakes in a scenario or a plugin,
4 criteria broken.";

/// Simulates LLM services, scripted by WebAssembly plugins.
#[derive(Debug, Parser)]
#[command(name = "simwright", version, after_help = EXAMPLES, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve a scenario over HTTP, in real time.
    Serve(serve::Args),
    /// Check scenarios and name every mistake.
    Check(check::Args),
    /// Say what differs between two scenarios in meaning.
    Diff(diff::Args),
    /// Say what would happen to one request, and why.
    Explain(explain::Args),
    /// Plan requests of a decision log again, and say what is decided otherwise now.
    Replay(replay::Args),
    /// Play a scenario and its workload in virtual time.
    Simulate(simulate::Args),
    /// Say whether a running server keeps the criteria of its scenario so far.
    Verdict(verdict::Args),
    /// Write a scenario to begin with.
    Init(init::Args),
    /// Print the JSON Schema of scenario files, for editors.
    Schema(schema::Args),
    /// Print every limit with its value and its reason.
    Limits(limits::Args),
    /// Work with plugins.
    Plugin(plugin::Args),
    /// Make packs of plugins and scenarios, and use those of others.
    Pack(pack::Args),
    /// Compile one component for the program itself.
    #[command(hide = true, name = compile_plugin::NAME)]
    CompilePlugin(compile_plugin::Args),
}

/// Runs the command in `arguments`, the program's name first, and gives the exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let offered = compile_plugin::offer();
    let done = offered.and_then(|()| parse(arguments)).and_then(|cli| match cli.command {
        Command::Serve(args) => serve::run(args),
        Command::Check(args) => check::run(&args),
        Command::Diff(args) => diff::run(&args),
        Command::Explain(args) => explain::run(args),
        Command::Replay(args) => replay::run(args),
        Command::Simulate(args) => simulate::run(args),
        Command::Verdict(args) => verdict::run(&args),
        Command::Init(args) => init::run(&args),
        Command::Schema(args) => schema::run(&args),
        Command::Limits(args) => {
            limits::run(&args);
            Ok(())
        }
        Command::Plugin(args) => plugin::run(args),
        Command::Pack(args) => pack::run(&args),
        Command::CompilePlugin(args) => compile_plugin::run(args),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::talk(&failure.to_string());
            failure.kind.exit_code()
        }
    }
}

fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, Failure> {
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    if arguments.is_empty() {
        arguments.push("simwright".into());
    }
    if arguments.len() == 1 {
        arguments.push("serve".into());
    }
    Cli::try_parse_from(arguments).map_err(|error| {
        if error.use_stderr() {
            return Failure::usage(&error);
        }
        // `--help` and `--version` are no mistakes; clap prints them where they belong, with colour if there is a terminal.
        let _ = error.print();
        Failure::nothing()
    })
}

/// An argument such as `30s` or `5m`.
fn duration(text: &str) -> Result<Duration, String> {
    parse_duration_us(text).map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use clap::CommandFactory;

    use super::*;

    fn parsed(line: &str) -> Result<Cli, Failure> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn nothing_at_all_serves_the_built_in_scenario() {
        let Ok(Cli { command: Command::Serve(args) }) = parsed("simwright") else { panic!("serve") };
        let options = args.options();
        assert_eq!((options.scenario, options.seed, options.workers), (None, None, None));
        assert_eq!(options.listen, "127.0.0.1:8080".parse().expect("an address"));
    }

    #[test]
    fn every_option_of_serve_arrives() {
        let line = "simwright serve s.yaml --listen 0.0.0.0:0 --admin [::1]:9 --seed 7 --workers 3 --log debug --log-json";
        let Ok(Cli { command: Command::Serve(args) }) = parsed(line) else { panic!("serve") };
        let options = args.options();
        assert_eq!(options.scenario, Some(PathBuf::from("s.yaml")));
        assert_eq!((options.listen.to_string().as_str(), options.admin.to_string().as_str()), ("0.0.0.0:0", "[::1]:9"));
        assert_eq!((options.seed, options.workers), (Some(7), Some(3)));
    }

    #[test]
    fn wrong_arguments_are_a_usage_failure_that_suggests_the_right_word() {
        for (line, part) in [
            ("simwright chekc", "`check`"),
            ("simwright serve --lisen 1", "`--listen`"),
            ("simwright serve --workers 0", "0 is not in"),
            ("simwright explain", "--request <FILE>"),
        ] {
            let failure = parsed(line).expect_err(line);
            assert_eq!(failure.kind, error::Kind::Usage, "{line}");
            assert!(failure.to_string().replace('\'', "`").contains(part), "{line}: {failure}");
        }
    }
}
