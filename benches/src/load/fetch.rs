//! One question, one answer, on a connection of its own.
//!
//! For metrics, for the list of models, and for the first request; it blocks, so it stays off the thread that makes load.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::child::Server;
use crate::figures::prometheus::Scrape;
use crate::load::{request, response::Scanner};

/// Longest wait for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(90);

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its body without chunk framing.
    pub body: Vec<u8>,
}

/// Sends `request`, which is complete HTTP/1.1, and reads the whole answer.
pub fn fetch(to: SocketAddr, request: &[u8]) -> Result<Answer> {
    let mut stream = TcpStream::connect(to).with_context(|| format!("cannot connect to `{to}`"))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    stream.write_all(request)?;
    let (mut scanner, mut body, mut buffer) = (Scanner::default(), Vec::new(), vec![0; 64 * 1024]);
    loop {
        let count = stream.read(&mut buffer).with_context(|| format!("`{to}` did not answer in time"))?;
        if count == 0 {
            bail!("`{to}` closed the connection in the middle of an answer");
        }
        if scanner.feed(&buffer[..count], |part| body.extend_from_slice(part))? {
            return Ok(Answer { status: scanner.status(), body });
        }
    }
}

/// Sends `request` on a connection that ends with it, and gives the whole answer with head and framing, as text.
pub fn whole(to: SocketAddr, request: &[u8]) -> Result<String> {
    let request = std::str::from_utf8(request)?.replacen("\r\n", "\r\nconnection: close\r\n", 1);
    let mut socket = TcpStream::connect(to)?;
    socket.set_read_timeout(Some(ANSWER_WITHIN))?;
    socket.write_all(request.as_bytes())?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Reads what a server says about itself: at `/metrics` of its admin address or else of its API address, or at `/lateness`, where
/// the paced baseline keeps the same series.
pub fn scrape(server: &Server) -> Result<Scrape> {
    for (address, path) in [(server.admin, "/metrics"), (server.api, "/metrics"), (server.api, "/lateness")] {
        let answer = fetch(address, &request::get(address, path))?;
        if answer.status == 200 {
            return Scrape::parse(&String::from_utf8_lossy(&answer.body));
        }
    }
    bail!("neither `{}` nor `{}` has a `/metrics` page that may be read without a key", server.admin, server.api)
}

/// The first model that a server lists; `bench` if it has no list.
pub fn first_model(server: &Server) -> Result<String> {
    let answer = fetch(server.api, &request::get(server.api, "/v1/models"))?;
    let list: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    Ok(list["data"][0]["id"].as_str().unwrap_or("bench").to_owned())
}
