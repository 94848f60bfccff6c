//! What carries credentials, in headers and in queries: nothing outside the doors ever sees it, and no file has it.

use std::borrow::Cow;

use crate::types::percent::decoded;

/// Headers that carry credentials. Browsers, which cannot set headers of a WebSocket, send a key as one of its protocols.
const HEADERS: [&str; 7] =
    ["authorization", "proxy-authorization", "cookie", "x-api-key", "api-key", "x-goog-api-key", "sec-websocket-protocol"];

/// Parts of header names that speak of a secret: such headers are never written to a file.
const SECRETIVE: [&str; 8] = ["auth", "token", "apikey", "api-key", "access-key", "secret", "cookie", "password"];

/// Names in queries that carry credentials, in small letters.
const IN_QUERIES: [&str; 11] = [
    "key",
    "api_key",
    "api-key",
    "apikey",
    "access_token",
    "access-token",
    "auth_token",
    "token",
    "subscription-key",
    "client_secret",
    "password",
];

/// Does the header `name` carry credentials?
pub fn in_header(name: &str) -> bool {
    HEADERS.iter().any(|secret| secret.eq_ignore_ascii_case(name))
}

/// Does the header `name`, in small letters, carry credentials or speak of a secret, such as `x-my-token`?
pub fn hinted_at(name: &str) -> bool {
    in_header(name) || SECRETIVE.iter().any(|part| name.contains(part))
}

/// `query` without its credentials.
pub fn without(query: &str) -> Cow<'_, str> {
    let is_secret = |pair: &&str| {
        let name = decoded(&pair.split('=').next().unwrap_or_default().replace('+', " "));
        IN_QUERIES.iter().any(|secret| secret.eq_ignore_ascii_case(name.trim()))
    };
    if !query.split('&').any(|pair| is_secret(&pair)) {
        return Cow::Borrowed(query);
    }
    Cow::Owned(query.split('&').filter(|pair| !is_secret(pair)).collect::<Vec<_>>().join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_loses_its_credentials_and_nothing_else() {
        for (query, kept) in [
            ("", ""),
            ("alt=sse&pageToken=x&max_tokens=3", "alt=sse&pageToken=x&max_tokens=3"),
            ("key=secret", ""),
            ("alt=sse&key=secret&x", "alt=sse&x"),
            ("API_KEY=secret&a=b", "a=b"),
            ("%6bey=secret&a=%6b", "a=%6b"),
            ("access_token&a", "a"),
        ] {
            assert_eq!(without(query), kept, "{query}");
        }
    }

    #[test]
    fn headers_that_carry_credentials_are_known_however_they_are_written() {
        assert!(in_header("X-Api-Key") && in_header("sec-websocket-protocol") && !in_header("x-my-token"));
        assert!(hinted_at("x-my-token") && hinted_at("api-key") && !hinted_at("x-team"));
    }
}
