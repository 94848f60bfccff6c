//! Asks a running server for its verdict so far: one request to its admin door.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::admin::KEPT;
use crate::types::limits::{ADMIN_ANSWER_BYTES_MAX, ADMIN_ANSWER_S};

/// What a running server says of its run so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Are all criteria kept?
    pub kept: bool,
    /// The table, or JSON.
    pub text: String,
}

/// Why a server cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody answers.
    #[error("cannot ask the server at `{admin}`: {error}; is its admin door there? `simwright serve` names it as `admin=`")]
    Unreachable {
        /// Where.
        admin: String,
        /// What the system says.
        error: io::Error,
    },
    /// Something else answers.
    #[error("what answers at `{0}` is not the admin door of a simwright server")]
    Stranger(String),
}

/// Asks the server whose admin door is at `admin`, an address such as `127.0.0.1:9090` or its URL, for a table or for JSON.
pub fn ask(admin: &str, json: bool) -> Result<Told, AskError> {
    let host = admin.strip_prefix("http://").unwrap_or(admin).trim_end_matches('/');
    let answer = exchange(host, if json { "application/json" } else { "text/plain" });
    let answer = answer.map_err(|error| AskError::Unreachable { admin: admin.to_owned(), error })?;
    told(&answer).ok_or_else(|| AskError::Stranger(admin.to_owned()))
}

fn exchange(host: &str, accept: &str) -> io::Result<Vec<u8>> {
    let limit = Duration::from_secs(ADMIN_ANSWER_S);
    let address = host.to_socket_addrs()?.next().ok_or(io::ErrorKind::NotFound)?;
    let mut socket = TcpStream::connect_timeout(&address, limit)?;
    socket.set_read_timeout(Some(limit))?;
    socket.set_write_timeout(Some(limit))?;
    write!(socket, "GET /criteria HTTP/1.1\r\nhost: {host}\r\naccept: {accept}\r\nconnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    socket.take(ADMIN_ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    Ok(answer)
}

/// Reads an answer that names its length, as ours do.
fn told(answer: &[u8]) -> Option<Told> {
    let (head, body) = std::str::from_utf8(answer).ok()?.split_once("\r\n\r\n")?;
    let mut lines = head.split("\r\n");
    lines.next().filter(|line| line.starts_with("HTTP/1.1 200 "))?;
    let headers: Vec<_> = lines.filter_map(|line| line.split_once(':')).collect();
    let header = |name: &str| headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim());
    let kept = header(KEPT.as_str())?.parse().ok()?;
    let is_whole = header("content-length")?.parse() == Ok(body.len());
    is_whole.then(|| Told { kept, text: body.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_answer_of_our_own_counts() {
        let answer = |length: &str, kept: &str| format!("HTTP/1.1 200 OK\r\n{kept}content-length: {length}\r\n\r\nall kept\n");
        let kept = "x-simwright-kept: false\r\n";
        assert_eq!(told(answer("9", kept).as_bytes()), Some(Told { kept: false, text: "all kept\n".to_owned() }));
        for strange in [answer("10", kept), answer("9", ""), answer("9", kept).replace("200", "421"), String::new()] {
            assert_eq!(told(strange.as_bytes()), None, "{strange}");
        }
    }
}
