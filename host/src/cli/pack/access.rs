//! Arguments of all commands that visit registries: who asks, and what the person allows.

use std::io::Read;

use crate::cli::error::Failure;
use crate::pack::registry::credentials::{Credentials, PASSWORD_VARIABLE, Source};
use crate::pack::registry::{Access, Registry};
use crate::types::limits::CREDENTIALS_BYTES_MAX;

/// Who asks a registry, and what the person allows.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Registries")]
pub(super) struct AccessArgs {
    /// Your name there; the password is in `SIMWRIGHT_REGISTRY_PASSWORD`. Without it, Docker's `config.json` is asked.
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
    /// Read the password from standard input.
    #[arg(long, requires = "username")]
    password_stdin: bool,
    /// Show the credentials also to this host, from which the registry's tokens come.
    #[arg(long, value_name = "HOST")]
    token_host: Option<String>,
    /// Speak plain HTTP also with another machine.
    #[arg(long)]
    plain_http: bool,
    /// The registry's name may lead into a private network.
    #[arg(long)]
    private_network: bool,
}

impl AccessArgs {
    /// The client that these arguments make.
    pub(super) fn registry(&self) -> Result<Registry, Failure> {
        let credentials = match &self.username {
            None => Source::of_user(),
            Some(username) => {
                let password = if self.password_stdin { first_line_of_stdin()? } else { std::env::var(PASSWORD_VARIABLE).ok() };
                let Some(password) = password else {
                    return Err(Failure::usage(&format!(
                        "error: `--username` needs a password in `{PASSWORD_VARIABLE}`, or `--password-stdin`"
                    )));
                };
                Source::Given(Credentials::new(username, &password).map_err(|error| Failure::usage(&format!("error: {error}")))?)
            }
        };
        Ok(Registry::new(Access {
            credentials,
            plain_http: self.plain_http,
            private_network: self.private_network,
            token_host: self.token_host.clone(),
        }))
    }
}

/// The first line of standard input: a password.
pub(super) fn first_line_of_stdin() -> Result<Option<String>, Failure> {
    let mut text = String::new();
    let read = std::io::stdin().lock().take(CREDENTIALS_BYTES_MAX).read_to_string(&mut text);
    read.map_err(|error| Failure::usage(&format!("error: no password on standard input: {error}")))?;
    Ok(text.lines().next().map(str::to_owned))
}
