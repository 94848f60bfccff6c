//! The cheapest scan of an HTTP/1.1 response that is still exact: status, length or chunks, end. No header is kept.
//!
//! The scanner is fed whatever a read returned and says whether the response is complete. Body bytes are handed on without their
//! chunk framing. A head that arrives in one piece, as nearly all do, is read in place; only a split head is copied.

use memchr::memmem;

/// Largest response head that is read, in bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Why a response could not be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScanError {
    /// It does not begin with `HTTP/1.`.
    NotHttp,
    /// Its head is longer than 64 KiB.
    HeadTooLong,
    /// It has neither `content-length` nor `transfer-encoding: chunked`.
    NoLength,
    /// A chunk's size or end is malformed.
    BadChunk,
    /// Bytes follow a complete response, though nothing had been asked.
    Unasked,
}

impl std::fmt::Display for ScanError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::NotHttp => "the server's answer is not `HTTP/1.1`",
            Self::HeadTooLong => "the response's head is longer than 64 KiB",
            Self::NoLength => "the response has neither `content-length` nor `transfer-encoding: chunked`",
            Self::BadChunk => "a chunk of the response is malformed",
            Self::Unasked => "bytes follow a complete response",
        })
    }
}

impl std::error::Error for ScanError {}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Head,
    Sized { left: u64 },
    ChunkSize { size: u64, digits: bool, extension: bool },
    ChunkData { left: u64 },
    ChunkEnd,
    Trailer { line_bytes: u32 },
    Done,
}

/// Follows one response at a time.
#[derive(Debug)]
pub struct Scanner {
    state: State,
    head: Vec<u8>,
    status: u16,
    body_bytes: u64,
}

impl Default for Scanner {
    fn default() -> Self {
        Self { state: State::Head, head: Vec::new(), status: 0, body_bytes: 0 }
    }
}

impl Scanner {
    /// Makes it ready for the next response.
    pub fn reset(&mut self) {
        self.state = State::Head;
        self.head.clear();
        self.status = 0;
        self.body_bytes = 0;
    }

    /// The response's status; 0 until its head is complete.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Bytes of body seen, without framing.
    pub fn body_bytes(&self) -> u64 {
        self.body_bytes
    }

    /// Takes what a read returned, hands body bytes to `body`, and says whether the response is complete.
    pub fn feed(&mut self, mut bytes: &[u8], mut body: impl FnMut(&[u8])) -> Result<bool, ScanError> {
        if self.state == State::Head {
            let Some(used) = self.head(bytes)? else { return Ok(false) };
            bytes = &bytes[used..];
        }
        while !bytes.is_empty() {
            bytes = self.step(bytes, &mut body)?;
        }
        Ok(self.state == State::Done)
    }

    /// Bytes of this feed that the head used, once it is complete.
    fn head(&mut self, bytes: &[u8]) -> Result<Option<usize>, ScanError> {
        if self.head.is_empty()
            && let Some(end) = memmem::find(bytes, b"\r\n\r\n")
        {
            self.read_head(&bytes[..end + 2])?;
            return Ok(Some(end + 4));
        }
        let before = self.head.len();
        self.head.extend_from_slice(bytes);
        match memmem::find(&self.head, b"\r\n\r\n") {
            Some(end) => {
                let head = std::mem::take(&mut self.head);
                self.read_head(&head[..end + 2])?;
                Ok(Some(end + 4 - before))
            }
            None if self.head.len() > HEAD_BYTES_MAX => Err(ScanError::HeadTooLong),
            None => Ok(None),
        }
    }

    fn read_head(&mut self, head: &[u8]) -> Result<(), ScanError> {
        let digits = head.get(9..12).filter(|_| head.starts_with(b"HTTP/1.")).ok_or(ScanError::NotHttp)?;
        self.status = number(digits, 10).ok_or(ScanError::NotHttp)? as u16;
        let mut rest = head;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, after) = rest.split_at(end + 1);
            rest = after;
            if let Some(value) = field(line, b"content-length:") {
                let left = number(value, 10).ok_or(ScanError::NoLength)?;
                self.state = if left == 0 { State::Done } else { State::Sized { left } };
                return Ok(());
            }
            if field(line, b"transfer-encoding:").is_some_and(|value| value.eq_ignore_ascii_case(b"chunked")) {
                self.state = State::ChunkSize { size: 0, digits: false, extension: false };
                return Ok(());
            }
        }
        Err(ScanError::NoLength)
    }

    /// Moves over the beginning of `bytes`, which is not empty, and gives the rest.
    fn step<'a>(&mut self, bytes: &'a [u8], body: &mut impl FnMut(&[u8])) -> Result<&'a [u8], ScanError> {
        let (first, rest) = (bytes[0], &bytes[1..]);
        match &mut self.state {
            State::Sized { left } | State::ChunkData { left } => {
                let taken = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                body(&bytes[..taken]);
                self.body_bytes += taken as u64;
                *left -= taken as u64;
                if *left == 0 {
                    self.state = if matches!(self.state, State::Sized { .. }) { State::Done } else { State::ChunkEnd };
                }
                return Ok(&bytes[taken..]);
            }
            State::ChunkSize { size, digits, extension } => match first {
                b'\n' if !*digits => return Err(ScanError::BadChunk),
                b'\n' if *size == 0 => self.state = State::Trailer { line_bytes: 0 },
                b'\n' => self.state = State::ChunkData { left: *size },
                b';' | b'\r' | b' ' => *extension = true,
                _ if *extension => {}
                digit => {
                    let digit = char::from(digit).to_digit(16).ok_or(ScanError::BadChunk)?;
                    *size = size.checked_mul(16).ok_or(ScanError::BadChunk)? + u64::from(digit);
                    *digits = true;
                }
            },
            State::ChunkEnd => match first {
                b'\r' => {}
                b'\n' => self.state = State::ChunkSize { size: 0, digits: false, extension: false },
                _ => return Err(ScanError::BadChunk),
            },
            State::Trailer { line_bytes } => match first {
                b'\n' if *line_bytes == 0 => self.state = State::Done,
                b'\n' => *line_bytes = 0,
                b'\r' => {}
                _ => *line_bytes += 1,
            },
            State::Head | State::Done => return Err(ScanError::Unasked),
        }
        Ok(rest)
    }
}

/// The trimmed value of `line` if it is the field `name`, which is lower case and ends with a colon.
fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (start, value) = line.split_at_checked(name.len())?;
    start.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
}

fn number(digits: &[u8], radix: u32) -> Option<u64> {
    std::str::from_utf8(digits).ok().and_then(|digits| u64::from_str_radix(digits, radix).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZED: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello";
    const CHUNKED: &[u8] =
        b"HTTP/1.1 429 Busy\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=1\r\n0123456789\r\n0\r\nx-end: 1\r\n\r\n";

    fn read(pieces: &[&[u8]]) -> (bool, u16, Vec<u8>) {
        let (mut scanner, mut body, mut done) = (Scanner::default(), Vec::new(), false);
        for piece in pieces {
            done = scanner.feed(piece, |part| body.extend_from_slice(part)).unwrap();
        }
        assert_eq!(scanner.body_bytes(), body.len() as u64);
        (done, scanner.status(), body)
    }

    #[test]
    fn a_sized_response_ends_with_its_last_byte() {
        assert_eq!(read(&[SIZED]), (true, 200, b"hello".to_vec()));
        assert!(!read(&[&SIZED[..SIZED.len() - 1]]).0);
    }

    #[test]
    fn a_chunked_response_ends_with_its_trailer() {
        assert_eq!(read(&[CHUNKED]), (true, 429, b"abc0123456789".to_vec()));
        assert!(!read(&[&CHUNKED[..CHUNKED.len() - 1]]).0);
    }

    #[test]
    fn every_split_gives_the_same_body() {
        for whole in [SIZED, CHUNKED] {
            for at in 1..whole.len() {
                assert_eq!(read(&[&whole[..at], &whole[at..]]), read(&[whole]), "split at {at}");
            }
            let single: Vec<&[u8]> = whole.chunks(1).collect();
            assert_eq!(read(&single), read(&[whole]));
        }
    }

    #[test]
    fn an_empty_body_is_complete_at_once() {
        assert_eq!(read(&[b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"]), (true, 200, Vec::new()));
    }

    #[test]
    fn a_reset_scanner_reads_the_next_response() {
        let mut scanner = Scanner::default();
        assert_eq!(scanner.feed(SIZED, |_| {}), Ok(true));
        scanner.reset();
        assert_eq!(scanner.feed(CHUNKED, |_| {}), Ok(true));
        assert_eq!(scanner.status(), 429);
    }

    #[test]
    fn what_cannot_be_followed_is_an_error() {
        let error = |bytes: &[u8]| Scanner::default().feed(bytes, |_| {}).unwrap_err();
        assert_eq!(error(b"SSH-2.0\r\n\r\n"), ScanError::NotHttp);
        assert_eq!(error(b"HTTP/1.1 200 OK\r\ndate: today\r\n\r\n"), ScanError::NoLength);
        assert_eq!(error(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n"), ScanError::BadChunk);
        assert_eq!(error(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\r\n"), ScanError::BadChunk);
        assert_eq!(error(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nab"), ScanError::Unasked);
        assert_eq!(error(&[b'x'; HEAD_BYTES_MAX + 1]), ScanError::HeadTooLong);
    }
}
