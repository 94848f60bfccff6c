//! Where a pack lies in a registry: `host[:port]/name[:tag][@sha256:…]`, as every tool for OCI registries writes it.
//!
//! The host is always named: who leaves it out elsewhere means Docker Hub, which is not where packs are looked for by mistake. Without
//! tag and digest the tag is `latest`. With a digest the registry is asked for that, and the tag is only there for people.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use crate::pack::digest::Digest;
use crate::pack::registry::error::printable;
use crate::types::limits;

/// The tag of a reference that names neither tag nor digest.
pub const DEFAULT_TAG: &str = "latest";
/// Docker Hub as people write it, and the host that answers for it.
const DOCKER_HUB: (&str, &str) = ("docker.io", "registry-1.docker.io");

/// A place of a pack in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    host: Host,
    port: Option<u16>,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// A registry's host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// A name, in lower case.
    Name(String),
    /// An address.
    Address(IpAddr),
}

/// A text that is no reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no reference to a pack in a registry: {problem}\n  hint: {hint}")]
pub struct ReferenceError {
    /// What was written, its control characters escaped.
    pub text: String,
    /// What is wrong with it.
    pub problem: String,
    /// What to write instead.
    pub hint: String,
}

impl Reference {
    /// The host.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port, if one is written.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Host and port as they are written, which is what files of credentials call a registry.
    pub fn registry(&self) -> String {
        match self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.to_string(),
        }
    }

    /// The host that answers: another one for Docker Hub only.
    pub fn answering_host(&self) -> Host {
        match &self.host {
            Host::Name(name) if name == DOCKER_HUB.0 => Host::Name(DOCKER_HUB.1.to_owned()),
            host => host.clone(),
        }
    }

    /// The name within the registry.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag; `latest` if neither tag nor digest is written.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref().or(if self.digest.is_none() { Some(DEFAULT_TAG) } else { None })
    }

    /// The digest of the registry's manifest, if one is written.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// What the registry is asked for: the digest if there is one, else the tag.
    pub fn asked(&self) -> String {
        self.digest.map_or_else(|| self.tag().unwrap_or(DEFAULT_TAG).to_owned(), |digest| digest.to_string())
    }

    /// Is neither tag nor digest written? Then it is the newest version that is meant.
    pub fn is_open(&self) -> bool {
        self.tag.is_none() && self.digest.is_none()
    }

    /// The repository without a tag, `host/name`, as the trust policy names it.
    pub fn place(&self) -> String {
        format!("{}/{}", self.registry(), self.repository)
    }

    /// The same place with `tag`, if neither tag nor digest is written.
    pub fn or_tag(self, tag: &str) -> Result<Self, ReferenceError> {
        if !self.is_open() {
            return Ok(self);
        }
        format!("{}:{tag}", self.place()).parse()
    }

    /// The same place, pinned to what `digest` is.
    #[must_use]
    pub fn pinned(&self, digest: Digest) -> Self {
        Self { digest: Some(digest), ..self.clone() }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place())?;
        if let Some(tag) = self.tag() {
            write!(f, ":{tag}")?;
        }
        self.digest.map_or(Ok(()), |digest| write!(f, "@{digest}"))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

impl FromStr for Host {
    type Err = String;

    /// Reads a name or an address; one of version 6 stands in brackets.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(address) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
            let address: Ipv6Addr = address.parse().map_err(|_| format!("`{text}` is no address of IP version 6"))?;
            return Ok(Self::Address(address.into()));
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(IpAddr::V4(address)));
        }
        let label = |label: &str| {
            let fits = !label.is_empty() && label.len() <= 63 && !label.starts_with('-') && !label.ends_with('-');
            fits && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        let is_name = text.len() <= 253 && text.split('.').all(label);
        // `127.1` and `0x7f000001` are addresses to some resolvers, and look like names to a check.
        let last = text.rsplit('.').next().unwrap_or("");
        let is_number = last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x") || last.starts_with("0X");
        if !is_name || is_number {
            return Err(format!("`{text}` is no host"));
        }
        Ok(Self::Name(text.to_ascii_lowercase()))
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        read(text).map_err(|(problem, hint)| ReferenceError {
            text: printable(text),
            problem: printable(&problem),
            hint: printable(&hint),
        })
    }
}

const EXAMPLE: &str = "write for example `ghcr.io/acme/brown-out:1.2.0`";

fn read(text: &str) -> Result<Reference, (String, String)> {
    let example = |problem: String| (problem, EXAMPLE.to_owned());
    let text = text.strip_prefix("oci://").unwrap_or(text);
    if let Some((scheme, _)) = text.split_once("://") {
        return Err(example(format!("it begins with `{scheme}://`")));
    }
    if text.len() > limits::REFERENCE_BYTES_MAX {
        return Err(example(format!("it has more than {} characters", limits::REFERENCE_BYTES_MAX)));
    }
    let (place, digest) = match text.split_once('@') {
        Some((place, digest)) if !digest.contains('/') => (place, Some(digest.parse().map_err(example)?)),
        Some(_) => return Err(example("there is an `@` before its host".to_owned())),
        None => (text, None),
    };
    let Some((registry, rest)) = place.split_once('/') else {
        return Err(example("it names no host".to_owned()));
    };
    if !registry.contains(['.', ':']) && registry != "localhost" {
        let hint = format!("name the registry, too: `ghcr.io/{place}`");
        return Err((format!("`{registry}` is no host: it has neither a dot nor a port"), hint));
    }
    let (host, port) = host_and_port(registry).map_err(example)?;
    let (repository, tag) = match rest.split_once(':') {
        Some((repository, tag)) => (repository, Some(tag)),
        None => (rest, None),
    };
    check_repository(repository)?;
    if let Some(tag) = tag {
        check_tag(tag)?;
    }
    Ok(Reference { host, port, repository: repository.to_owned(), tag: tag.map(str::to_owned), digest })
}

/// Reads `host`, `host:port` or `[address]:port`.
pub(super) fn host_and_port(text: &str) -> Result<(Host, Option<u16>), String> {
    let colon = text.rfind(':').filter(|colon| !text[*colon..].contains(']'));
    let Some(colon) = colon else { return Ok((text.parse()?, None)) };
    let port = &text[colon + 1..];
    let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let number = port.parse().ok().filter(|number| is_number && *number > 0);
    Ok((text[..colon].parse()?, Some(number.ok_or_else(|| format!("`{port}` is no port"))?)))
}

/// The grammar of names is that of the OCI distribution specification 1.1.
fn check_repository(name: &str) -> Result<(), (String, String)> {
    let hint = "names are words of lower-case letters and digits, joined by `/`, `.`, `_`, `__` or dashes: `acme/brown-out`";
    let part = |part: &str| {
        let is_alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let is_joint = |joint: &str| matches!(joint, "" | "." | "_" | "__") || joint.bytes().all(|byte| byte == b'-');
        part.starts_with(is_alphanumeric) && part.ends_with(is_alphanumeric) && part.split(is_alphanumeric).all(is_joint)
    };
    if name.is_empty() || !name.split('/').all(part) {
        return Err((format!("`{name}` is no name of a repository"), hint.to_owned()));
    }
    Ok(())
}

fn check_tag(tag: &str) -> Result<(), (String, String)> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let fits = tag.len() <= 128 && tag.bytes().next().is_some_and(is_word);
    if fits && tag.bytes().all(|byte| is_word(byte) || matches!(byte, b'.' | b'-')) {
        return Ok(());
    }
    let hint = "tags are up to 128 letters, digits, `_`, `.` and dashes: `1.2.0`";
    Err((format!("`{tag}` is no tag"), hint.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn read(text: &str) -> Reference {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn a_reference_has_a_host_a_name_and_a_tag_or_a_digest() {
        let reference = read("Registry.Example.com:5000/acme/team/brown-out:1.2.0");
        assert_eq!((reference.registry().as_str(), reference.port()), ("registry.example.com:5000", Some(5000)));
        assert_eq!((reference.repository(), reference.tag(), reference.digest()), ("acme/team/brown-out", Some("1.2.0"), None));
        assert_eq!(reference.asked(), "1.2.0");
        assert_eq!(reference.to_string(), "registry.example.com:5000/acme/team/brown-out:1.2.0");

        let pinned = read(&format!("localhost/p@sha256:{HEX}"));
        assert_eq!((pinned.tag(), pinned.asked()), (None, format!("sha256:{HEX}")));
        assert_eq!(pinned, read(&pinned.to_string()));

        let both = read(&format!("oci://127.0.0.1:5000/p:1@sha256:{HEX}"));
        assert_eq!((both.tag(), both.asked()), (Some("1"), format!("sha256:{HEX}")));
        assert_eq!(both.to_string(), format!("127.0.0.1:5000/p:1@sha256:{HEX}"));

        assert_eq!(both.clone().or_tag("2"), Ok(both));
        assert_eq!(read("r.io/p").or_tag("1.2.0-rc.1"), Ok(read("r.io/p:1.2.0-rc.1")));
        assert!(read("r.io/p").or_tag("1+2").is_err());

        let neither = read("[::1]:5000/a__b/c.d");
        assert_eq!((neither.tag(), neither.to_string().as_str()), (Some("latest"), "[::1]:5000/a__b/c.d:latest"));
        assert_eq!(neither.host(), &Host::Address("::1".parse().expect("an address")));
    }

    #[test]
    fn docker_hub_is_answered_for_by_another_host() {
        let hub = read("docker.io/acme/p:1");
        assert_eq!((hub.registry().as_str(), hub.answering_host().to_string().as_str()), ("docker.io", "registry-1.docker.io"));
        assert_eq!(read("ghcr.io/acme/p").answering_host().to_string(), "ghcr.io");
    }

    #[test]
    fn what_is_no_reference_is_refused_with_a_hint() {
        let long = format!("r.io/{}", "a".repeat(600));
        let digest = format!("r.io/p@sha256:{}", HEX.to_uppercase());
        let cases = [
            ("brown-out", "names no host"),
            ("acme/brown-out:1", "`ghcr.io/acme/brown-out:1`"),
            ("file:///etc/passwd", "begins with `file://`"),
            ("https://r.io/p", "begins with `https://`"),
            ("user:secret@r.io/p", "`@` before its host"),
            ("r.io@evil.io/p", "`@` before its host"),
            ("r.io/p@sha512:00", "expected a digest"),
            (digest.as_str(), "in lower case"),
            ("r.io/", "no name of a repository"),
            ("r.io/../x", "no name of a repository"),
            ("r.io/a//b", "no name of a repository"),
            ("r.io/Acme/p", "no name of a repository"),
            ("r.io/a.-b", "no name of a repository"),
            ("r.io/p?x=1", "no name of a repository"),
            ("r.io/p%2e", "no name of a repository"),
            ("r.io/p:", "no tag"),
            ("r.io/p:-1", "no tag"),
            ("r.io/p:a b", "no tag"),
            ("r.io/p:1/2", "no tag"),
            ("r.io:0/p", "no port"),
            ("r.io:+5/p", "no port"),
            ("r.io:70000/p", "no port"),
            ("127.1:5000/p", "no host"),
            ("2130706433:5000/p", "no host"),
            ("0x7f000001:80/p", "no host"),
            ("[::1/p", "no host"),
            ("[fe80::1%eth0]:5000/p", "no address of IP version 6"),
            ("r\u{e9}.io/p", "no host"),
            ("-r.io/p", "no host"),
            (long.as_str(), "more than"),
            ("r.io/p\u{1b}[31m", "no name of a repository"),
        ];
        for (text, part) in cases {
            let error = text.parse::<Reference>().expect_err(text).to_string();
            assert!(error.contains(part) && error.contains("hint: "), "{text}: {error}");
            assert!(!error.contains('\u{1b}'), "{error:?}");
        }
    }
}
