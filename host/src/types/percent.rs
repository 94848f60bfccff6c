//! Texts of paths and queries, in which `%2F` and the like stand for bytes.

/// `text` with its `%2F` and the like decoded; what is no such thing, or no UTF-8 once decoded, stays as it is.
pub fn decoded(text: &str) -> String {
    let (bytes, mut decoded, mut at) = (text.as_bytes(), Vec::with_capacity(text.len()), 0);
    while at < bytes.len() {
        let hex = |index: usize| bytes.get(index).and_then(|digit| (*digit as char).to_digit(16));
        match (bytes[at], hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, ..) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(decoded).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_paths_are_decoded() {
        assert_eq!(decoded("meta-llama%2FLlama-3"), "meta-llama/Llama-3");
        assert_eq!(decoded("100%-sure%zz%F"), "100%-sure%zz%F");
    }
}
