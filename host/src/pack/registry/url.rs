//! The little of URLs that a registry may say: `http` or `https`, a host, a path and a query. No user, no other scheme.

use std::fmt;

use crate::pack::registry::reference::{Host, host_and_port};
use crate::types::limits;

/// Who answers: what credentials belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    /// With TLS?
    pub(super) tls: bool,
    /// The host.
    pub(super) host: Host,
    /// The port.
    pub(super) port: u16,
}

/// A place to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Url {
    /// Who answers.
    pub(super) origin: Origin,
    /// Path and query, from the first slash.
    pub(super) path: String,
}

impl Origin {
    /// Host and port, without the port that goes without saying: what the header `host` holds, and what people are told.
    pub(super) fn place(&self) -> String {
        let usual = if self.tls { 443 } else { 80 };
        if self.port == usual { self.host.to_string() } else { format!("{}:{}", self.host, self.port) }
    }

    /// A place there.
    pub(super) fn at(&self, path: impl Into<String>) -> Url {
        Url { origin: self.clone(), path: path.into() }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.origin.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.origin.place(), self.path)
    }
}

impl Url {
    /// Reads a whole URL.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        if text.len() > limits::REGISTRY_URL_BYTES_MAX {
            return Err("it is too long");
        }
        let scheme = |scheme: &str| {
            text.get(..scheme.len()).filter(|head| head.eq_ignore_ascii_case(scheme)).map(|_| &text[scheme.len()..])
        };
        let (tls, rest) = match (scheme("https://"), scheme("http://")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => return Err("it is no URL of HTTP"),
        };
        let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err("it names a user");
        }
        let (host, port) = host_and_port(authority).map_err(|_| "it names no host")?;
        let path = match path.as_bytes().first() {
            Some(b'/') => path.to_owned(),
            Some(b'?') => format!("/{path}"),
            None => "/".to_owned(),
            Some(_) => return Err("its path is none"),
        };
        Ok(Self { origin: Origin { tls, host, port: port.unwrap_or(if tls { 443 } else { 80 }) }, path: checked(path)? })
    }

    /// What `location` means to who asked for `self`: a whole URL, or a path on the same host.
    pub(super) fn join(&self, location: &str) -> Result<Self, &'static str> {
        match location.as_bytes() {
            [b'/', b'/', ..] => Self::parse(&format!("{}:{location}", if self.origin.tls { "https" } else { "http" })),
            [b'/', ..] if location.len() <= limits::REGISTRY_URL_BYTES_MAX => Ok(self.origin.at(checked(location.to_owned())?)),
            _ => Self::parse(location),
        }
    }

    /// The same with another pair in its query.
    pub(super) fn with_pair(mut self, name: &str, value: &str) -> Self {
        let joint = if self.path.contains('?') { '&' } else { '?' };
        self.path.push(joint);
        self.path.push_str(name);
        self.path.push('=');
        for byte in value.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => self.path.push(byte.into()),
                _ => self.path.push_str(&format!("%{byte:02X}")),
            }
        }
        self
    }
}

/// A path without its fragment, and of characters that a request's first line can hold.
fn checked(mut path: String) -> Result<String, &'static str> {
    if let Some(fragment) = path.find('#') {
        path.truncate(fragment);
    }
    if path.bytes().all(|byte| byte.is_ascii_graphic()) { Ok(path) } else { Err("its path holds characters that no path holds") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_http_are_read_and_others_are_not() {
        let shown = |text: &str| Url::parse(text).map(|url| url.to_string());
        assert_eq!(shown("https://Auth.example.com/token?x=1#y").as_deref(), Ok("https://auth.example.com/token?x=1"));
        assert_eq!(shown("http://127.0.0.1:5000").as_deref(), Ok("http://127.0.0.1:5000/"));
        assert_eq!(shown("HTTPS://r.io:443?a").as_deref(), Ok("https://r.io/?a"));
        assert_eq!(shown("http://[::1]:80/").as_deref(), Ok("http://[::1]/"));
        let wrong = [
            "file:///etc/passwd",
            "ftp://r.io/",
            "//r.io/",
            "http:/r.io",
            "https://user@r.io/",
            "https://r.io@evil.io/",
            "https://r.io\\@evil.io/",
            "https://",
            "https:///x",
            "https://r.io:0/",
            "https://127.1/",
            "https://0x7f000001/",
            "https://r.io/a b",
            "https://r.io/\u{7f}",
            "https://r.io/\r\nx: y",
            "https://r\u{e9}.io/",
        ];
        for text in wrong {
            assert!(Url::parse(text).is_err(), "{text:?}");
        }
        assert!(Url::parse(&format!("https://r.io/{}", "a".repeat(20_000))).is_err());
    }

    #[test]
    fn a_location_is_a_url_or_a_path() {
        let base = Url::parse("https://r.io:5000/v2/p/blobs/x").expect("a url");
        let joined = |location: &str| base.join(location).map(|url| url.to_string());
        assert_eq!(joined("/v2/y?z").as_deref(), Ok("https://r.io:5000/v2/y?z"));
        assert_eq!(joined("//cdn.io/y").as_deref(), Ok("https://cdn.io/y"));
        assert_eq!(joined("http://cdn.io/y").as_deref(), Ok("http://cdn.io/y"));
        assert!(joined("y").is_err() && joined("").is_err() && joined("javascript:x").is_err());
    }

    #[test]
    fn values_of_queries_are_escaped() {
        let url = Url::parse("https://r.io/token")
            .expect("a url")
            .with_pair("service", "a b&c")
            .with_pair("scope", "repository:p:pull");
        assert_eq!(url.path, "/token?service=a%20b%26c&scope=repository%3Ap%3Apull");
    }
}
