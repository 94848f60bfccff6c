//! `simwright pack`: make packs, and use those of others. One command a file; [`shown`] is what several of them print.

use crate::app::pack::Failure as PackFailure;
use crate::cli::error::{Failure, Kind};
use crate::cli::output;
use crate::pack::registry::error::RegistryError;
use crate::pack::store::Store;

mod access;
mod build;
mod check;
mod diff;
mod gc;
mod init;
mod inspect;
mod install;
mod keygen;
mod list;
mod pull;
mod push;
mod remove;
mod scenario;
mod shown;
mod sign;
mod test;
mod update;
mod verify;

const EXAMPLES: &str = "\
Examples:
  simwright pack init acme                      a pack to begin with
  simwright pack check acme                     every mistake in it, with its place
  simwright pack build acme                     what others install: acme/build/acme-0.1.0
  simwright pack push acme ghcr.io/acme/acme    what others then install from there
  simwright pack install scenario.yaml          what the scenario's `packs:` need, by its lock
  simwright pack update scenario.yaml           newer versions, and what they reach beyond the old";

/// Arguments of `pack`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Write a pack to begin with.
    Init(init::Args),
    /// Name every mistake of a pack.
    Check(check::Args),
    /// Run the vectors of a pack.
    Test(test::Args),
    /// Make what others install of a pack.
    Build(build::Args),
    /// Say what a pack is, and what it reaches.
    Inspect(inspect::Args),
    /// Say what differs between two packs, what they reach first.
    Diff(diff::Args),
    /// Make a key to sign packs with.
    Keygen(keygen::Args),
    /// Sign a built pack.
    Sign(sign::Args),
    /// Check every byte of packs, and who vouches for them.
    Verify(verify::Args),
    /// Send a pack to a registry.
    Push(push::Args),
    /// Fetch a pack from a registry into a folder, to look at it.
    Pull(pull::Args),
    /// Install a pack, or all packs of a scenario as its lock says.
    Install(install::Args),
    /// List installed packs.
    List(list::Args),
    /// Print a scenario of an installed pack, for a file of your own.
    Scenario(scenario::Args),
    /// Move a scenario's lock to newer versions.
    Update(update::Args),
    /// Remove an installed pack that nobody needs.
    Remove(remove::Args),
    /// Throw out files that belong to no pack.
    Gc(gc::Args),
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    match &args.command {
        Command::Init(args) => init::run(args),
        Command::Check(args) => check::run(args),
        Command::Test(args) => test::run(args),
        Command::Build(args) => build::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Diff(args) => diff::run(args),
        Command::Keygen(args) => keygen::run(args),
        Command::Sign(args) => sign::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Push(args) => push::run(args),
        Command::Pull(args) => pull::run(args),
        Command::Install(args) => install::run(args),
        Command::List(args) => list::run(args),
        Command::Scenario(args) => scenario::run(args),
        Command::Update(args) => update::run(args),
        Command::Remove(args) => remove::run(args),
        Command::Gc(args) => gc::run(args),
    }
}

/// The user's store, which says on standard error for whom it waits.
fn user_store() -> Result<Store, Failure> {
    Ok(Store::of_user().map_err(PackFailure::from)?.telling(output::talk))
}

/// What else may keep a registry from answering: many networks are left by way of a proxy.
fn hint_of_proxy(error: &RegistryError) -> &'static str {
    let is_set = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    match error.code() {
        "unreachable" | "timed_out" if is_set => {
            "\n  hint: proxies are not used: bring the pack as a folder, or by way of a mirror in your network"
        }
        _ => "",
    }
}

impl From<PackFailure> for Failure {
    fn from(failure: PackFailure) -> Self {
        match failure {
            PackFailure::Flawed(flaws) => {
                let count = output::count(flaws.count(), "mistake");
                Self::new(Kind::Scenario, format!("{flaws}\n\nerror: {count}"))
            }
            PackFailure::Registry(error) => {
                Self::new(Kind::Other, format!("error[{}]: {error}{}", error.code(), hint_of_proxy(&error)))
            }
            PackFailure::Start(error) => error.into(),
            other => Self::new(Kind::Other, format!("error: {other}")),
        }
    }
}
