//! SHA-256 digests as OCI writes them (`sha256:…`), and checks of bytes as they stream by.

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The digest of some bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Its 64 hexadecimal digits, in lower case.
    pub fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Its first twelve hexadecimal digits: enough for people to tell packs apart, and for nothing else.
    pub fn short(&self) -> String {
        self.hex()[..12].to_owned()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

impl TryFrom<String> for Digest {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for Digest {
    type Err = String;

    /// Reads `sha256:` with 64 hexadecimal digits in lower case: one digest has one spelling.
    fn from_str(text: &str) -> Result<Self, String> {
        let form = || "expected a digest: `sha256:` and 64 hexadecimal digits in lower case".to_owned();
        let hex = text.strip_prefix("sha256:").ok_or_else(form)?.as_bytes();
        if hex.len() != 64 {
            return Err(form());
        }
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Ok(byte - b'0'),
            b'a'..=b'f' => Ok(byte - b'a' + 10),
            _ => Err(form()),
        };
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(hex.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(Self(bytes))
    }
}

/// Bytes that are not those that were announced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// As many bytes, but others.
    #[error("digest mismatch: expected `{expected}`, found `{found}`")]
    Digest {
        /// What was announced.
        expected: Digest,
        /// What came.
        found: Digest,
    },
    /// More bytes; how many is not known, because nobody reads on.
    #[error("digest mismatch: `{expected}` has {size} bytes, and more came")]
    Longer {
        /// What was announced.
        expected: Digest,
        /// Its size in bytes.
        size: u64,
    },
    /// Fewer bytes.
    #[error("digest mismatch: `{expected}` has {size} bytes, and {found} came")]
    Shorter {
        /// What was announced.
        expected: Digest,
        /// Its size in bytes.
        size: u64,
        /// How many came.
        found: u64,
    },
}

/// Checks that bytes that stream by are those of a digest and a size.
#[derive(Debug, Clone)]
pub struct Checker {
    expected: Digest,
    size: u64,
    seen: u64,
    hasher: Sha256,
}

impl Checker {
    /// A check for the `size` bytes of `expected`.
    pub fn new(expected: Digest, size: u64) -> Self {
        Self { expected, size, seen: 0, hasher: Sha256::new() }
    }

    /// Looks at the next bytes. The first byte too many is an error, so that an endless stream is not read to its end.
    pub fn update(&mut self, bytes: &[u8]) -> Result<(), Mismatch> {
        self.seen += bytes.len() as u64;
        if self.seen > self.size {
            return Err(Mismatch::Longer { expected: self.expected, size: self.size });
        }
        self.hasher.update(bytes);
        Ok(())
    }

    /// Says whether all that came is what was announced. Call it at the end.
    pub fn finish(self) -> Result<(), Mismatch> {
        let Self { expected, size, seen, hasher } = self;
        if seen < size {
            return Err(Mismatch::Shorter { expected, size, found: seen });
        }
        let found = Digest(hasher.finalize().into());
        if found == expected { Ok(()) } else { Err(Mismatch::Digest { expected, found }) }
    }
}

/// A reader that fails at its end if what it gave is not what was announced: use nothing of it before the end.
#[derive(Debug)]
pub struct Checked<R> {
    inner: R,
    checker: Option<Checker>,
}

impl<R: Read> Checked<R> {
    /// Reads `inner`, which must have the `size` bytes of `expected`.
    pub fn new(inner: R, expected: Digest, size: u64) -> Self {
        Self { inner, checker: Some(Checker::new(expected, size)) }
    }
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if count > 0 {
            if let Some(checker) = &mut self.checker {
                checker.update(&buffer[..count]).map_err(io::Error::other)?;
            }
        } else if !buffer.is_empty()
            && let Some(checker) = self.checker.take()
        {
            checker.finish().map_err(io::Error::other)?;
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_digest_has_one_spelling() {
        let digest: Digest = EMPTY.parse().expect("a digest");
        assert_eq!((digest, digest.to_string()), (Digest::of(b""), EMPTY.to_owned()));
        assert_eq!(digest.short(), "e3b0c44298fc");
        for wrong in
            ["", "e3b0", &EMPTY.to_uppercase(), &EMPTY.replace("e3", "E3"), &EMPTY[..70], "sha512:00", &format!("{EMPTY}0")]
        {
            assert!(wrong.parse::<Digest>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn other_bytes_are_noticed_and_too_many_at_once() {
        let check = |expected: &[u8], size: u64, parts: &[&[u8]]| {
            let mut checker = Checker::new(Digest::of(expected), size);
            parts.iter().try_for_each(|part| checker.update(part))?;
            checker.finish()
        };
        assert_eq!(check(b"abc", 3, &[b"a", b"bc"]), Ok(()));
        assert!(matches!(check(b"abc", 3, &[b"abd"]), Err(Mismatch::Digest { .. })));
        assert!(matches!(check(b"abc", 3, &[b"ab"]), Err(Mismatch::Shorter { found: 2, .. })));
        assert!(matches!(check(b"abc", 3, &[b"abc", b"d"]), Err(Mismatch::Longer { size: 3, .. })));
        // A size that is wrong is noticed even where the digest is right.
        assert!(matches!(check(b"abc", 2, &[b"abc"]), Err(Mismatch::Longer { .. })));
        assert!(matches!(check(b"abc", u64::MAX, &[b"abc"]), Err(Mismatch::Shorter { .. })));
    }

    #[test]
    fn a_checked_reader_fails_at_its_end() {
        let mut read = Vec::new();
        Checked::new(&b"abc"[..], Digest::of(b"abc"), 3).read_to_end(&mut read).expect("the right bytes");
        assert_eq!(read, b"abc");
        let error = Checked::new(&b"abd"[..], Digest::of(b"abc"), 3).read_to_end(&mut Vec::new()).expect_err("others");
        assert!(error.to_string().contains("digest mismatch"), "{error}");
    }
}
