//! JSON without the blanks between its tokens.

use std::borrow::Cow;

const BLANKS: [char; 4] = [' ', '\t', '\n', '\r'];

/// `json`, which is valid, without the blanks between its tokens.
pub fn compact(json: &str) -> Cow<'_, str> {
    if !json.contains(BLANKS) {
        return Cow::Borrowed(json);
    }
    let (mut in_string, mut is_escaped) = (false, false);
    let matters = |c: &char| {
        if !in_string && BLANKS.contains(c) {
            return false;
        }
        in_string ^= *c == '"' && !is_escaped;
        is_escaped = in_string && *c == '\\' && !is_escaped;
        true
    };
    Cow::Owned(json.chars().filter(matters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_loses_the_blanks_between_its_tokens_and_none_inside_its_strings() {
        let spread = "{ \"a b\" : [ 1 ,\n\t2 ],\r\n \"c\\\" d\\\\\" : \" \\\\ \" , \"e\" : \"ü  ö\" }";
        assert_eq!(compact(spread), "{\"a b\":[1,2],\"c\\\" d\\\\\":\" \\\\ \",\"e\":\"ü  ö\"}");
        let text = compact(spread);
        assert_eq!(compact(&text), text);
        assert!(matches!(compact("{\"a\":1}"), Cow::Borrowed(_)));
    }
}
