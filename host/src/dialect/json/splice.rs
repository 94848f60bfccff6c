//! Bytes that answers are spliced from: JSON strings and numbers written straight into the buffer, without an allocation.
//!
//! Texts of a stream are a few bytes long and nearly always plain, so the scan is a table look-up per byte that stops only where
//! something must be escaped.

use bytes::{BufMut, BytesMut};

/// What becomes of a byte in a JSON string: 0 stays, `u` becomes `\u00xx`, anything else is the letter after a backslash.
static ESCAPES: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = b'u';
        byte += 1;
    }
    table[0x08] = b'b';
    table[0x09] = b't';
    table[0x0a] = b'n';
    table[0x0c] = b'f';
    table[0x0d] = b'r';
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table
};

/// Appends `text` as the inside of a JSON string, without the quotes.
pub(crate) fn push_escaped(out: &mut BytesMut, text: &str) {
    let bytes = text.as_bytes();
    let mut done = 0;
    for (index, &byte) in bytes.iter().enumerate() {
        let escape = ESCAPES[usize::from(byte)];
        if escape == 0 {
            continue;
        }
        out.put_slice(&bytes[done..index]);
        done = index + 1;
        if escape == b'u' {
            out.put_slice(&[b'\\', b'u', b'0', b'0', hex(byte >> 4), hex(byte & 15)]);
        } else {
            out.put_slice(&[b'\\', escape]);
        }
    }
    out.put_slice(&bytes[done..]);
}

/// Appends `text` as a JSON string with its quotes.
pub(crate) fn push_string(out: &mut BytesMut, text: &str) {
    out.put_u8(b'"');
    push_escaped(out, text);
    out.put_u8(b'"');
}

/// Appends `text` as a JSON string, or `null`.
pub(crate) fn push_nullable(out: &mut BytesMut, text: Option<&str>) {
    match text {
        Some(text) => push_string(out, text),
        None => out.put_slice(b"null"),
    }
}

/// Appends `json` without the breaks between its lines, which stand outside of its strings: where an event is a line, it would end there.
pub(crate) fn push_on_one_line(out: &mut BytesMut, json: &str) {
    json.split(['\n', '\r']).for_each(|line| out.put_slice(line.as_bytes()));
}

/// Appends `number` in decimal.
pub(crate) fn push_number(out: &mut BytesMut, mut number: u64) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.put_slice(&digits[start..]);
}

/// The digit for a number below 16.
pub(crate) fn hex(nibble: u8) -> u8 {
    b"0123456789abcdef"[usize::from(nibble & 15)]
}

/// Appends `items` with commas between them, each as `push` writes it.
pub(crate) fn push_each<T>(out: &mut BytesMut, items: impl IntoIterator<Item = T>, mut push: impl FnMut(&mut BytesMut, T)) {
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.put_u8(b',');
        }
        push(out, item);
    }
}

/// Appends `json` as [`push_on_one_line`] does if it is an object, and an empty object if not: arguments of calls are what a model wrote.
pub(crate) fn push_object(out: &mut BytesMut, json: &str) {
    push_on_one_line(out, if is_object(json) { json } else { "{}" });
}

/// Is `json` a JSON object?
pub(crate) fn is_object(json: &str) -> bool {
    json.trim_ascii_start().starts_with('{') && serde_json::from_str::<serde::de::IgnoredAny>(json).is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_reads_back_as_itself(text in ".*") {
            let mut out = BytesMut::new();
            push_string(&mut out, &text);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }

        #[test]
        fn any_number_reads_back_as_itself(number: u64) {
            let mut out = BytesMut::new();
            push_number(&mut out, number);
            prop_assert_eq!(std::str::from_utf8(&out).unwrap(), number.to_string());
        }
    }

    #[test]
    fn control_characters_never_reach_the_wire() {
        let mut out = BytesMut::new();
        push_escaped(&mut out, "a\n\r\t\u{8}\u{c}\u{1}\u{1f}\"\\/é");
        assert_eq!(std::str::from_utf8(&out), Ok(r#"a\n\r\t\b\f\u0001\u001f\"\\/é"#));
    }
}
