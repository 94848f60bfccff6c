//! Routes of a scenario's own: which requests each is for, and the form of its answers.

use http::Method;

use crate::types::percent;

/// One entry of `routes:`. What it answers, unless the model entry's reply says that, is among that entry's replies, under the condition
/// that a request came by this route.
#[derive(Debug, Clone)]
pub struct RouteEntry {
    /// The method.
    pub method: Method,
    /// The path.
    pub path: PathPattern,
    /// The model that it asks, by a name that an entry of `models` answers for.
    pub model: String,
    /// The status of its answers, 200 to 599.
    pub status: u16,
    /// Do they come as server-sent events, token by token?
    pub is_sse: bool,
    /// Their content type, unless they are events.
    pub content_type: &'static str,
    /// JSON pointer of the entry, for mistakes found later.
    pub pointer: String,
}

/// A path of which some segments are open: `/collections/{name}/search`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPattern {
    segments: Vec<Segment>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Text(Box<str>),
    /// Anything that is not empty, by this name.
    Open(Box<str>),
}

impl PathPattern {
    /// The pattern that `text` is. The error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix('/').ok_or("a path begins with `/`")?;
        if let Some(bad) = text.chars().find(|bad| bad.is_whitespace() || bad.is_control() || matches!(bad, '?' | '#' | '*')) {
            return Err(format!("{bad:?} cannot stand in a path; an open segment is written `{{name}}`"));
        }
        let mut segments = Vec::new();
        let mut names: Vec<&str> = Vec::new();
        for segment in rest.split('/') {
            let Some(name) = segment.strip_prefix('{').and_then(|open| open.strip_suffix('}')) else {
                if segment.contains(['{', '}']) {
                    return Err(format!(
                        "`{segment}` mixes text and a name; a segment is open as a whole, as in `/items/{{id}}`"
                    ));
                }
                segments.push(Segment::Text(segment.into()));
                continue;
            };
            if name.is_empty() || !name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_') {
                return Err(format!("`{segment}` needs a name of letters, digits and `_`"));
            }
            if names.contains(&name) {
                return Err(format!("`{segment}` stands in the path twice"));
            }
            names.push(name);
            segments.push(Segment::Open(name.into()));
        }
        Ok(Self { segments })
    }

    /// Is `path` one of these?
    pub fn fits(&self, path: &str) -> bool {
        let Some(rest) = path.strip_prefix('/') else { return false };
        let mut given = rest.split('/');
        let fits = self.segments.iter().all(|segment| match (segment, given.next()) {
            (Segment::Text(text), Some(given)) => **text == *given,
            (Segment::Open(_), Some(given)) => !given.is_empty(),
            (_, None) => false,
        });
        fits && given.next().is_none()
    }

    /// What `path`, which fits, says in its open segments, by their names.
    pub fn parameters(&self, path: &str) -> Vec<(Box<str>, Box<str>)> {
        let given = path.strip_prefix('/').unwrap_or(path).split('/');
        let named = |(segment, given): (&Segment, &str)| match segment {
            Segment::Open(name) => Some((name.clone(), percent::decoded(given).into())),
            Segment::Text(_) => None,
        };
        self.segments.iter().zip(given).filter_map(named).collect()
    }

    /// Does every path that fits `other` fit this one?
    pub fn covers(&self, other: &Self) -> bool {
        let covers = |(one, other): (&Segment, &Segment)| matches!(one, Segment::Open(_)) || one == other;
        self.segments.len() == other.segments.len() && self.segments.iter().zip(&other.segments).all(covers)
    }

    /// A path that fits.
    pub fn sample(&self) -> String {
        let text = |segment: &Segment| match segment {
            Segment::Text(text) => text.to_string(),
            Segment::Open(_) => "x".to_owned(),
        };
        self.segments.iter().map(|segment| format!("/{}", text(segment))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> PathPattern {
        PathPattern::parse(text).unwrap()
    }

    #[test]
    fn open_segments_stand_for_one_segment_each() {
        let collections = pattern("/collections/{name}/search");
        assert!(collections.fits("/collections/docs/search"));
        for path in [
            "/collections//search",
            "/collections/a/b/search",
            "/collections/docs",
            "/collections/docs/search/",
            "collections/docs/search",
        ] {
            assert!(!collections.fits(path), "{path}");
        }
        assert_eq!(collections.parameters("/collections/my%20docs/search"), [("name".into(), "my docs".into())]);
        assert!(collections.fits(&collections.sample()));
        assert!(pattern("/").fits("/") && !pattern("/").fits("/a"));
    }

    #[test]
    fn a_pattern_covers_what_is_at_least_as_narrow() {
        assert!(pattern("/a/{x}").covers(&pattern("/a/b")) && pattern("/a/{x}").covers(&pattern("/a/{y}")));
        assert!(!pattern("/a/b").covers(&pattern("/a/{x}")) && !pattern("/a").covers(&pattern("/a/b")));
    }

    #[test]
    fn bad_paths_are_refused_with_a_reason() {
        for (text, reason) in [
            ("search", "begins with"),
            ("/a?b=1", "'?'"),
            ("/a b", "' '"),
            ("/x{y}", "mixes"),
            ("/{}", "needs a name"),
            ("/{a-b}", "needs a name"),
            ("/{a}/{a}", "twice"),
        ] {
            assert!(PathPattern::parse(text).unwrap_err().contains(reason), "{text}");
        }
    }
}
