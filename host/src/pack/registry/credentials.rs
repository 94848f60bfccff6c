//! Who asks: a name and a password given for this one command, or the entry of the registry in Docker's file of credentials.
//!
//! Credentials belong to one host and port and are shown to nobody else: not to where a redirect leads, and not to a token's realm,
//! unless a person names that host. Nothing here prints them. Helpers, programs that keep credentials, are not run.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use serde::Deserialize;

use crate::pack::registry::error::RegistryError;
use crate::pack::registry::reference::Reference;
use crate::pack::store::folder_of;
use crate::types::limits;

/// The environment variable that holds a password for `--username`.
pub const PASSWORD_VARIABLE: &str = "SIMWRIGHT_REGISTRY_PASSWORD";
/// What Docker calls its own registry in its file.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

/// A name and a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    username: String,
    password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}

impl Credentials {
    /// A name and a password. A name with a colon cannot be sent (RFC 7617).
    pub fn new(username: &str, password: &str) -> Result<Self, RegistryError> {
        if username.is_empty() || username.contains(|c: char| c == ':' || c.is_control()) || password.contains(char::is_control) {
            let reason = "a user's name is not empty and has no colon, and neither it nor the password has control characters";
            return Err(RegistryError::Credentials(reason.to_owned()));
        }
        Ok(Self { username: username.to_owned(), password: password.to_owned() })
    }

    /// The header that shows them.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        let text = STANDARD.encode(format!("{}:{}", self.username, self.password));
        let mut value = HeaderValue::try_from(format!("Basic {text}")).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

/// Where credentials come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Source {
    /// Nobody in particular asks.
    #[default]
    Anonymous,
    /// These, for the registry of the reference.
    Given(Credentials),
    /// Docker's file.
    File(PathBuf),
}

/// What a source says of one registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing.
    Nothing,
    /// These.
    Credentials(Credentials),
    /// Something that cannot be used, and why: told only if the registry wants to know who asks.
    Unusable(String),
}

impl Source {
    /// Docker's file of the user: `config.json` in `DOCKER_CONFIG`, or in `.docker` at home. Anonymous if there is none.
    pub fn of_user() -> Self {
        let folder = folder_of("DOCKER_CONFIG").or_else(|| folder_of("HOME").map(|home| home.join(".docker")));
        folder.map(|folder| folder.join("config.json")).filter(|path| path.exists()).map_or(Self::Anonymous, Self::File)
    }

    /// What it says of the registry of `reference`.
    pub(super) fn find(&self, reference: &Reference) -> Result<Found, RegistryError> {
        match self {
            Self::Anonymous => Ok(Found::Nothing),
            Self::Given(credentials) => Ok(Found::Credentials(credentials.clone())),
            Self::File(path) => read(path)?.find(path, &reference.registry()),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DockerConfig {
    auths: BTreeMap<String, Entry>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entry(..)")
    }
}

fn read(path: &Path) -> Result<DockerConfig, RegistryError> {
    let wrong =
        |reason: String| RegistryError::Credentials(format!("cannot read credentials from `{}`: {reason}", path.display()));
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| wrong(error.to_string()))?;
    let count = file.take(limits::CREDENTIALS_BYTES_MAX + 1).read_to_end(&mut bytes);
    if count.map_err(|error: io::Error| wrong(error.to_string()))? as u64 > limits::CREDENTIALS_BYTES_MAX {
        return Err(wrong("it is too large".to_owned()));
    }
    // The message of the parser may repeat what stands there, so only the place is told.
    serde_json::from_slice(&bytes)
        .map_err(|error| wrong(format!("line {}, column {}: it is not what Docker writes", error.line(), error.column())))
}

impl DockerConfig {
    fn find(self, path: &Path, registry: &str) -> Result<Found, RegistryError> {
        let is_meant = |key: &str| {
            let host = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
            let host = host.split('/').next().unwrap_or("");
            host.eq_ignore_ascii_case(registry) || (registry == "docker.io" && key == DOCKER_HUB_KEY)
        };
        let unusable = |reason: String| Ok(Found::Unusable(format!("`{}` {reason}", path.display())));
        let helper = self.cred_helpers.iter().find(|(key, _)| is_meant(key)).map(|(_, helper)| helper.as_str());
        if let Some(helper) = helper {
            return unusable(format!("leaves them to the helper `docker-credential-{helper}`, which is not run"));
        }
        let entry = self.auths.into_iter().find(|(key, _)| is_meant(key)).map(|(_, entry)| entry);
        match entry.map(Entry::credentials) {
            Some(Some(Ok(credentials))) => Ok(Found::Credentials(credentials)),
            Some(Some(Err(reason))) => unusable(format!("has an entry for `{registry}` that {reason}")),
            Some(None) | None if !self.creds_store.is_empty() => {
                unusable(format!("leaves them to the helper `docker-credential-{}`, which is not run", self.creds_store))
            }
            Some(None) | None => Ok(Found::Nothing),
        }
    }
}

impl Entry {
    /// What it holds, if it holds anything.
    fn credentials(self) -> Option<Result<Credentials, &'static str>> {
        if !self.auth.is_empty() {
            let text = STANDARD.decode(self.auth.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let pair = text.as_deref().and_then(|text| text.trim_end_matches('\0').split_once(':'));
            let read = pair.and_then(|(username, password)| Credentials::new(username, password).ok());
            return Some(read.ok_or("cannot be read"));
        }
        if !self.username.is_empty() {
            return Some(Credentials::new(&self.username, &self.password).map_err(|_| "cannot be read"));
        }
        (!self.identitytoken.is_empty()).then_some(Err("is an identity token, which is not supported"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(config: &str, registry: &str) -> Found {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("config.json");
        std::fs::write(&path, config).expect("written");
        let reference: Reference = format!("{registry}/p").parse().expect("a reference");
        Source::File(path).find(&reference).expect("a file of credentials")
    }

    fn credentials(username: &str, password: &str) -> Found {
        Found::Credentials(Credentials::new(username, password).expect("credentials"))
    }

    // `dXNlcjpwYXNz` is `user:pass`.
    const AUTHS: &str = r#"{"auths":{
        "https://index.docker.io/v1/": {"auth":"dXNlcjpwYXNz"},
        "R.io:5000": {"auth":"dXNlcjpwYXNz"},
        "https://plain.io/v2/": {"username":"u","password":"p:w"},
        "token.io": {"identitytoken":"t"},
        "bad.io": {"auth":"%%%"},
        "empty.io": {}
    }}"#;

    #[test]
    fn the_entry_of_the_registry_is_found_and_no_other() {
        assert_eq!(found(AUTHS, "r.io:5000"), credentials("user", "pass"));
        assert_eq!(found(AUTHS, "docker.io"), credentials("user", "pass"));
        assert_eq!(found(AUTHS, "plain.io"), credentials("u", "p:w"));
        for other in ["r.io", "r.io:5001", "evil.r.io:5000", "empty.io"] {
            assert_eq!(found(AUTHS, other), Found::Nothing, "{other}");
        }
    }

    #[test]
    fn what_cannot_be_used_says_why() {
        let why = |config: &str, registry: &str| match found(config, registry) {
            Found::Unusable(reason) => reason,
            other => panic!("{other:?}"),
        };
        assert!(why(AUTHS, "token.io").contains("identity token"));
        assert!(why(AUTHS, "bad.io").contains("cannot be read"));
        let helpers =
            r#"{"credHelpers":{"gcr.io":"gcloud"},"credsStore":"desktop","auths":{"a.io":{"auth":"dXNlcjpwYXNz"},"b.io":{}}}"#;
        assert!(why(helpers, "gcr.io").ends_with("`docker-credential-gcloud`, which is not run"));
        assert!(why(helpers, "b.io").contains("docker-credential-desktop"));
        assert!(why(helpers, "c.io").contains("docker-credential-desktop"));
        assert_eq!(found(helpers, "a.io"), credentials("user", "pass"));
    }

    #[test]
    fn nothing_shows_a_password() {
        let secret = Credentials::new("user", "hunter2").expect("credentials");
        assert_eq!(format!("{secret:?}"), "Credentials(..)");
        let header = secret.header().expect("a header");
        assert_eq!(format!("{header:?}"), "Sensitive");
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("config.json");
        std::fs::write(&path, r#"{"auths":{"r.io":{"auth":["hunter2"]}}}"#).expect("written");
        let error = Source::File(path).find(&"r.io/p".parse().expect("a reference")).expect_err("no such file");
        assert!(!error.to_string().contains("hunter2") && error.to_string().contains("line 1, column"), "{error}");
        assert!(Credentials::new("a:b", "c").is_err() && Credentials::new("a", "c\n").is_err());
    }
}
