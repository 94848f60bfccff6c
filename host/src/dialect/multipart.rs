//! Forms with files (`multipart/form-data`), read in place: a part's content is a slice of the body.

use bytes::Bytes;
use memchr::memmem;

use crate::types::limits::MULTIPART_PARTS_MAX;

/// One part of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    /// The field's name.
    pub(crate) name: String,
    /// The file's name, if it is a file.
    pub(crate) file_name: Option<String>,
    /// What it holds.
    pub(crate) content: Bytes,
}

/// The parts of `body`, which says of itself that it is `content_type`. The error says why they cannot be read.
pub(crate) fn parts(content_type: &str, body: &Bytes) -> Result<Vec<Part>, &'static str> {
    let (kind, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return Err("the content type is not multipart/form-data");
    }
    let boundary = parameter(parameters, "boundary").filter(|boundary| !boundary.is_empty() && boundary.len() <= 70);
    let boundary = boundary.ok_or("the content type has no boundary of 1 to 70 characters")?;
    let delimiter = format!("\r\n--{boundary}");
    let finder = memmem::Finder::new(&delimiter);
    let first = &delimiter.as_bytes()[2..];
    // Before the first delimiter there may be words for those who do not know what a form is.
    let mut at = if body.starts_with(first) {
        first.len()
    } else {
        finder.find(body).ok_or("the boundary does not come")? + delimiter.len()
    };
    let mut parts = Vec::new();
    loop {
        let rest = &body[at..];
        if rest.starts_with(b"--") {
            return Ok(parts);
        }
        if parts.len() == MULTIPART_PARTS_MAX {
            return Err("the form has too many parts");
        }
        let line = memmem::find(rest, b"\r\n").ok_or("the form breaks off")?;
        // The line end of an empty head is that of the delimiter.
        let head = memmem::find(&rest[line..], b"\r\n\r\n").ok_or("a part has no end of its head")? + line;
        let content = at + head + 4;
        let end = finder.find(&body[content..]).ok_or("the form breaks off")? + content;
        let headers = std::str::from_utf8(&rest[line..head]).map_err(|_| "the head of a part is no UTF-8")?;
        parts.push(part(headers, body.slice(content..end))?);
        at = end + delimiter.len();
    }
}

fn part(headers: &str, content: Bytes) -> Result<Part, &'static str> {
    let disposition = headers.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("content-disposition").then_some(value)
    });
    let (_, parameters) = disposition.and_then(|value| value.split_once(';')).ok_or("a part has no content disposition")?;
    let name = parameter(parameters, "name").ok_or("a part has no name")?;
    let extended = parameter(parameters, "filename*").and_then(|value| {
        let (_, encoded) = value.split_once("''")?;
        Some(decoded(encoded))
    });
    let file_name = extended.or_else(|| parameter(parameters, "filename"));
    Ok(Part { name, file_name, content })
}

/// The value of the parameter `wanted` in `; a=b; c="d"`.
fn parameter(parameters: &str, wanted: &str) -> Option<String> {
    let mut rest = parameters;
    loop {
        let (name, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => unquoted(quoted),
            None => {
                let (value, next) = after.split_once(';').unwrap_or((after, ""));
                (value.trim().to_owned(), next)
            }
        };
        if name.trim_matches([' ', ';', '\t']).eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = next;
    }
}

/// What stands before the closing quote, and what after it. Only a quote is escaped: a backslash may be a part of a path.
fn unquoted(quoted: &str) -> (String, &str) {
    let mut from = 0;
    while let Some(at) = quoted[from..].find('"').map(|at| at + from) {
        if !quoted[..at].ends_with('\\') {
            return (quoted[..at].replace("\\\"", "\"").replace("%22", "\""), &quoted[at + 1..]);
        }
        from = at + 1;
    }
    (quoted.to_owned(), "")
}

/// `text` with its `%2F` and the like decoded.
fn decoded(text: &str) -> String {
    // What decodes forms knows three characters that mean nothing here.
    let text = text.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    form_urlencoded::parse(text.as_bytes()).next().map(|(name, _)| name.into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn form(boundary: &str, parts: &[(&str, &[u8])]) -> Bytes {
        let mut body = Vec::new();
        for (disposition, content) in parts {
            body.extend_from_slice(format!("--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n").as_bytes());
            body.extend_from_slice(b"Content-Type: application/octet-stream\r\n\r\n");
            body.extend_from_slice(content);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        body.into()
    }

    #[test]
    fn a_form_is_read_part_by_part() {
        let body =
            form("x", &[("name=\"purpose\"", b"batch"), ("name=\"file\"; filename=\"a \\\"b\\\".jsonl\"", b"{}\r\n\n--y")]);
        let parts = parts("Multipart/Form-Data; charset=utf-8; boundary=\"x\"", &body).unwrap();
        assert_eq!((parts[0].name.as_str(), &parts[0].file_name, &parts[0].content[..]), ("purpose", &None, &b"batch"[..]));
        assert_eq!((parts[1].file_name.as_deref(), &parts[1].content[..]), (Some("a \"b\".jsonl"), &b"{}\r\n\n--y"[..]));
    }

    #[test]
    fn names_of_files_are_understood_in_both_forms() {
        let body = form("x", &[("name=file; filename=\"a\"; filename*=UTF-8''%E2%82%AC+1.jsonl", b"")]);
        assert_eq!(parts("multipart/form-data; boundary=x", &body).unwrap()[0].file_name.as_deref(), Some("€+1.jsonl"));
    }

    #[test]
    fn what_comes_before_the_first_part_is_skipped() {
        let body = [&b"hello\r\n"[..], &form("x", &[("name=\"a\"", b"b")])].concat().into();
        assert_eq!(parts("multipart/form-data; boundary=x", &body).unwrap()[0].content, "b");
    }

    #[test]
    fn what_is_no_form_is_refused_with_a_reason() {
        let of = |kind: &str, body: &'static str| parts(kind, &Bytes::from_static(body.as_bytes())).unwrap_err();
        assert!(of("application/json", "{}").contains("not multipart"));
        assert!(of("multipart/form-data", "").contains("no boundary"));
        assert!(of("multipart/form-data; boundary=x", "--y--").contains("does not come"));
        assert!(
            of("multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=a\r\n\r\nb")
                .contains("breaks off")
        );
        assert!(of("multipart/form-data; boundary=x", "--x\r\nA: b\r\n\r\nb\r\n--x--").contains("no content disposition"));
        assert!(
            of("multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; a=b\r\n\r\nb\r\n--x--")
                .contains("no name")
        );
        let many = form("x", &[("name=a", &b""[..]); MULTIPART_PARTS_MAX + 1]);
        assert!(parts("multipart/form-data; boundary=x", &many).unwrap_err().contains("too many"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(kind in "(multipart/form-data)?.{0,30}", pieces in prop::collection::vec(
            prop::sample::select(vec!["--x", "\r\n", "--", "Content-Disposition:", ";", "name=", "\"", "\\", "filename*=", "''", "%", "ä"]), 0..40,
        )) {
            let body = Bytes::from(pieces.concat());
            let _ = parts(&kind, &body);
            let _ = parts("multipart/form-data; boundary=x", &body);
        }

        #[test]
        fn any_content_comes_back(content in prop::collection::vec(any::<u8>(), 0..200)) {
            let body = form("of its own", &[("name=\"file\"; filename=\"f\"", &content)]);
            let parts = parts("multipart/form-data; boundary=\"of its own\"", &body).unwrap();
            prop_assert_eq!(&parts[0].content[..], &content[..]);
        }
    }
}
