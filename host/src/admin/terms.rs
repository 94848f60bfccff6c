//! What a request says about a change besides the change itself: the query (`dry-run`, `canary`, `for`, `requests`, `max-failures`,
//! `to`), `If-Match`, and the kind of its body. Whatever is not understood is refused: a misspelt `dry-run` must not be a change.

use http::{HeaderMap, header};
use serde_json::{Map, Value, json};

use crate::engine::change::{Terms, Trying};
use crate::scenario::canary::CanarySettings;
use crate::types::problem::did_you_mean;

/// A refusal: status and reason.
pub(super) type Refused = (u16, String);

/// The words of a query.
pub(super) struct Asked {
    /// On which terms.
    pub(super) terms: Terms,
    /// The generation to go back to.
    pub(super) to: Option<u64>,
}

/// What a change by this route may say in its query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// How to try it: `canary` and what belongs to it.
    Canary,
    /// Where to go: `to`.
    To,
    /// Nothing.
    Nothing,
}

/// Reads the query and the headers of a change.
pub(super) fn read(query: Option<&str>, headers: &HeaderMap, takes: Takes) -> Result<Asked, Refused> {
    let known: &[&str] = match takes {
        Takes::Canary => &["dry-run", "canary", "for", "requests", "max-failures"],
        Takes::To => &["dry-run", "to"],
        Takes::Nothing => &[],
    };
    let mut said: Map<String, Value> = Map::new();
    for (name, value) in form_urlencoded::parse(query.unwrap_or("").as_bytes()) {
        if !known.contains(&&*name) {
            let hint = match did_you_mean(&name, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None if known.is_empty() => "it takes none".to_owned(),
                None => format!("known: {}", known.join(", ")),
            };
            return Err((400, format!("`{name}` is no option of this change; {hint}")));
        }
        if said.insert(name.clone().into_owned(), json!(value)).is_some() {
            return Err((400, format!("`{name}` is said twice")));
        }
    }
    let dry_run = match said.get("dry-run").and_then(Value::as_str) {
        None | Some("false") => false,
        Some("" | "true") => true,
        Some(other) => return Err((400, format!("`dry-run` is `true` or `false`, not `{other}`"))),
    };
    let to = said.get("to").and_then(Value::as_str).map(|to| to.parse().map_err(|_| to));
    let to = to.transpose().map_err(|to| (400, format!("`to` is the number of a generation, not `{to}`")))?;
    let terms = Terms { dry_run, expected: expected(headers)?, canary: trying(said)? };
    Ok(Asked { terms, to })
}

fn trying(mut said: Map<String, Value>) -> Result<Trying, Refused> {
    said.retain(|name, _| !matches!(name.as_str(), "dry-run" | "to"));
    let Some(share) = said.remove("canary") else {
        return match said.keys().next() {
            None => Ok(Trying::AsWritten),
            Some(name) => Err((400, format!("`{name}` belongs to a canary; say `canary=10%25`, too"))),
        };
    };
    if share == "off" {
        let left = said.keys().next();
        return left.map_or(Ok(Trying::Not), |name| Err((400, format!("without a canary, `{name}` says nothing"))));
    }
    said.insert("share".to_owned(), share);
    // What a query says is text; what it means is known to who reads it.
    if let Some(requests) = said.get_mut("requests")
        && let Some(number) = requests.as_str().and_then(|text| text.parse::<u64>().ok())
    {
        *requests = json!(number);
    }
    let all = |problems: Vec<_>| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    let read = CanarySettings::read(&Value::Object(said), "").map_err(|problems| (400, format!("the canary: {}", all(problems))));
    Ok(Trying::As(read?))
}

/// The generations that `If-Match` names; none if it is not there, or matches any.
fn expected(headers: &HeaderMap) -> Result<Vec<u64>, Refused> {
    let mut expected = Vec::new();
    for value in headers.get_all(header::IF_MATCH) {
        let text = value.to_str().unwrap_or("?");
        for tag in text.split(',').map(str::trim) {
            let number = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).and_then(|tag| tag.parse().ok());
            match number {
                Some(number) => expected.push(number),
                None if text == "*" => return Ok(Vec::new()),
                None => {
                    let message =
                        format!("`If-Match` names generations as `GET /scenario` does in `ETag`, such as `\"3\"`, not `{text}`");
                    return Err((400, message));
                }
            }
        }
    }
    Ok(expected)
}

/// Is the body of one of the kinds `known`? One without a kind is believed.
pub(super) fn check_kind(headers: &HeaderMap, known: &[&str], hint: &str) -> Result<(), Refused> {
    let Some(kind) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let kind = kind.to_str().unwrap_or("?");
    let essence = kind.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    if known.contains(&&*essence) {
        return Ok(());
    }
    Err((415, format!("the body is said to be `{kind}`, and one of {} is expected; {hint}", known.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &str) -> Result<Asked, Refused> {
        read(Some(query), &HeaderMap::new(), Takes::Canary)
    }

    #[test]
    fn a_canary_is_read_from_the_query_with_or_without_an_encoded_percent_sign() {
        for query in ["canary=10%25&for=30s&max-failures=1%25&requests=1000", "requests=1000&canary=10%&for=30s&max-failures=1%"]
        {
            let Trying::As(canary) = asked(query).unwrap_or_else(|(_, reason)| panic!("{reason}")).terms.canary else { panic!() };
            assert_eq!((canary.share, canary.requests, canary.max_failures), (0.1, Some(1_000), 0.01));
        }
        assert_eq!(
            asked("canary=off&dry-run").expect("fine").terms,
            Terms { dry_run: true, canary: Trying::Not, expected: vec![] }
        );
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (query, reason) in [
            ("dryrun=true", "did you mean `dry-run`?"),
            ("dry-run=yes", "not `yes`"),
            ("dry-run=true&dry-run=false", "said twice"),
            ("for=30s", "belongs to a canary"),
            ("canary=off&for=30s", "says nothing"),
            ("canary=200%25&for=30s", "the canary"),
            ("canary=10%25", "nothing says when"),
            ("to=3", "no option of this change"),
        ] {
            let (status, said) = asked(query).err().unwrap_or_else(|| panic!("{query} is fine"));
            assert!(status == 400 && said.contains(reason), "{query}: {said}");
        }
        assert!(read(Some("to=x"), &HeaderMap::new(), Takes::To).is_err_and(|(status, _)| status == 400));
        let nothing = read(Some("dry-run=true"), &HeaderMap::new(), Takes::Nothing);
        assert!(nothing.is_err_and(|(status, said)| status == 400 && said.contains("it takes none")));
    }

    #[test]
    fn if_match_names_generations() {
        let of = |text: &'static str| {
            let headers = HeaderMap::from_iter([(header::IF_MATCH, http::HeaderValue::from_static(text))]);
            read(None, &headers, Takes::To).map(|asked| asked.terms.expected)
        };
        assert_eq!(of("\"3\"").expect("fine"), [3]);
        assert_eq!(of("\"3\", \"4\"").expect("fine"), [3, 4]);
        assert_eq!(of("*").expect("fine"), Vec::<u64>::new());
        for bad in ["3", "W/\"3\"", "\"x\"", ""] {
            assert!(of(bad).is_err_and(|(status, _)| status == 400), "{bad}");
        }
    }
}
