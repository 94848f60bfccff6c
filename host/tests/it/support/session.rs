//! A realtime session of one response, as its client sees it.

use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::{Error, Message, client};

use super::client::open;
use super::host::TestHost;
use super::observed::Observed;
use super::speakers::Asked;

/// What a client says to hear whether the session goes on, and what answers it.
const PROBE: &str = r#"{"type":"input_audio_buffer.clear"}"#;
const PROBED: &str = "input_audio_buffer.cleared";

/// Says the events of `asked` in a session and listens until it ends, or goes on after its response or refusal. Also says how many bytes
/// the response had.
pub fn over_session(host: &TestHost, asked: &Asked) -> (Observed, usize) {
    let request = format!("ws://{}{}", host.api, asked.path).into_client_request().expect("a request");
    let (mut socket, _) = client(request, open(host.api)).expect("a session");
    let greeting = socket.read().expect("a greeting").into_text().expect("text");
    assert!(greeting.contains("session.created"), "{greeting}");
    for event in asked.body.as_array().expect("events") {
        socket.send(Message::text(event.to_string())).expect("taken");
    }
    let (mut body, mut media, mut asked) = (Vec::new(), "text", false);
    let (mut length, mut is_answered) = (0, false);
    let ending = loop {
        let message = match socket.read() {
            Ok(Message::Close(frame)) => break format!("close {}", frame.map_or(1005, |frame| frame.code.into())),
            Ok(message) => message,
            Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => break "FIN".to_owned(),
            Err(Error::Io(error)) if error.kind() == std::io::ErrorKind::ConnectionReset => break "RST".to_owned(),
            // A client looks no further.
            Err(Error::Utf8(_)) => break "a message that is not UTF-8".to_owned(),
            Err(error) => panic!("{error}"),
        };
        if message.is_binary() {
            media = "binary";
        }
        let bytes = message.into_data();
        let says = |kind: &str| memchr::memmem::find(&bytes, format!("\"type\":\"{kind}\"").as_bytes()).is_some();
        if says(PROBED) {
            break "the session goes on".to_owned();
        }
        if !asked && (says("rate_limits.updated") || says("error")) {
            socket.send(Message::text(PROBE)).expect("taken");
            asked = true;
        }
        is_answered |= says("response.created");
        length += if is_answered && !asked { bytes.len() } else { 0 };
        body.extend_from_slice(&bytes);
        body.push(b'\n');
    };
    (Observed::session(media, body, ending), length)
}
