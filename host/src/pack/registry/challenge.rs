//! What a registry wants to know before it answers: the header `www-authenticate` (RFC 9110, 11.6.1).

/// One way to say who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// A name and a password with every request.
    Basic,
    /// A token that another place gives.
    Bearer {
        /// Where.
        realm: String,
        /// For whom, as that place calls it.
        service: Option<String>,
    },
}

impl Challenge {
    /// The challenge in the values of the header that can be met, `Bearer` before `Basic`.
    pub(super) fn of<'a>(values: impl Iterator<Item = &'a str>) -> Option<Self> {
        let all: Vec<Self> = values.flat_map(read).collect();
        let bearer = all.iter().find(|challenge| matches!(challenge, Self::Bearer { .. }));
        bearer.or_else(|| all.first()).cloned()
    }
}

/// All challenges of one value that are known; what cannot be read ends it.
fn read(text: &str) -> Vec<Challenge> {
    let mut found = Vec::new();
    let mut parser = Parser { rest: text };
    while let Some(scheme) = parser.token() {
        let mut realm = None;
        let mut service = None;
        while let Some((name, value)) = parser.parameter() {
            match name.to_ascii_lowercase().as_str() {
                "realm" => realm = Some(value),
                "service" => service = Some(value),
                _ => {}
            }
        }
        if scheme.eq_ignore_ascii_case("basic") {
            found.push(Challenge::Basic);
        } else if let Some(realm) = realm.filter(|_| scheme.eq_ignore_ascii_case("bearer")) {
            found.push(Challenge::Bearer { realm, service });
        }
    }
    found
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn skip(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', ',']);
    }

    /// A word, if one comes next.
    fn token(&mut self) -> Option<&'a str> {
        self.skip();
        let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        let end = self.rest.find(|c| !is_token(c)).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!token.is_empty()).then_some(token)
    }

    /// `name=value` or `name="value"`; nothing, and nothing read, if another scheme comes next.
    fn parameter(&mut self) -> Option<(&'a str, String)> {
        let before = self.rest;
        let name = self.token();
        let value = self.rest.trim_start_matches([' ', '\t']).strip_prefix('=').map(|rest| rest.trim_start_matches([' ', '\t']));
        let (Some(name), Some(value)) = (name, value) else {
            self.rest = before;
            return None;
        };
        self.rest = value;
        if !value.starts_with('"') {
            return Some((name, self.token().unwrap_or("").to_owned()));
        }
        let mut text = String::new();
        let mut chars = value[1..].char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = &value[1 + at + 1..];
                    return Some((name, text));
                }
                '\\' => text.extend(chars.next().map(|(_, escaped)| escaped)),
                c => text.push(c),
            }
        }
        // It never ends: nothing in it can be believed.
        self.rest = "";
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&str]) -> Option<Challenge> {
        Challenge::of(values.iter().copied())
    }

    fn bearer(realm: &str, service: Option<&str>) -> Option<Challenge> {
        Some(Challenge::Bearer { realm: realm.to_owned(), service: service.map(str::to_owned) })
    }

    #[test]
    fn challenges_of_registries_are_read() {
        assert_eq!(of(&[r#"Basic realm="basic-realm""#]), Some(Challenge::Basic));
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#;
        assert_eq!(of(&[hub]), bearer("https://auth.docker.io/token", Some("registry.docker.io")));
        assert_eq!(of(&["bearer REALM = \"https://r.io/\\\"t\""]), bearer("https://r.io/\"t", None));
        let both = r#"Basic realm="x", Negotiate, Bearer realm="https://r.io/t" , service=s"#;
        assert_eq!(of(&[both]), bearer("https://r.io/t", Some("s")));
        assert_eq!(of(&[r#"Basic realm="x""#, r#"Bearer realm="https://r.io/t""#]), bearer("https://r.io/t", None));
    }

    #[test]
    fn what_is_no_challenge_is_none() {
        for text in [
            "",
            ",,",
            "Bearer",
            "Bearer realm=\"https://r.io",
            "Digest realm=\"x\"",
            "=",
            "\"",
            "Bearer service=\"x\"",
            "Be\u{e9}",
        ] {
            assert_eq!(of(&[text]), None, "{text}");
        }
    }
}
