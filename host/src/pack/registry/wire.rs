//! One HTTP/1.1 connection to a registry, with a deadline for everything and a bound on everything that comes.
//!
//! It sends one request after the other and reads the answers piece by piece; it follows nothing and retries nothing. `reqwest`, which
//! registries' clients are usually built on, leaves the addresses, the redirects and the size of heads to itself.

use std::error::Error;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{IpAddr, ServerName};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

use crate::pack::registry::bounds::Bounds;
use crate::pack::registry::error::RegistryError;
use crate::pack::registry::reference::Host;
use crate::pack::registry::url::{Origin, Url};
use crate::types::limits;
use crate::types::quantity::show_bytes;

/// A connection that is open.
#[derive(Debug)]
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    task: JoinHandle<()>,
    place: String,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The certificate authorities that are trusted.
#[derive(Debug, Clone)]
pub struct Trust(Arc<ClientConfig>);

impl Trust {
    /// Those of this system, or of the file that `SSL_CERT_FILE` names. Read once.
    pub fn of_system() -> Self {
        static SYSTEM: OnceLock<Trust> = OnceLock::new();
        SYSTEM.get_or_init(|| Self::of(rustls_native_certs::load_native_certs().certs)).clone()
    }

    /// Those whose certificates are given, in DER. One that cannot be read is left out, as systems' folders hold old ones.
    pub fn of(certificates: impl IntoIterator<Item = rustls::pki_types::CertificateDer<'static>>) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(rustls::DEFAULT_VERSIONS);
        let mut config = config.expect("ring speaks TLS 1.2 and 1.3").with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self(Arc::new(config))
    }
}

impl Connection {
    /// Speaks HTTP, and TLS if `origin` says so, over `stream`.
    pub(super) async fn over(stream: TcpStream, origin: &Origin, trust: &dyn Fn() -> Trust) -> Result<Self, RegistryError> {
        let place = origin.place();
        let unreachable = |error: io::Error| RegistryError::Unreachable { place: place.clone(), error };
        if !origin.tls {
            return Self::speak(stream, place.clone()).await.map_err(|error| unreachable(io::Error::other(error)));
        }
        let name = match &origin.host {
            Host::Name(name) => ServerName::try_from(name.clone()).map_err(|error| unreachable(io::Error::other(error)))?,
            Host::Address(address) => ServerName::IpAddress(IpAddr::from(*address)),
        };
        let stream = TlsConnector::from(trust().0).connect(name, stream).await.map_err(|error| {
            match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                Some(rustls::Error::InvalidCertificate(reason)) => {
                    RegistryError::Certificate { place: place.clone(), reason: reason.to_string() }
                }
                _ => unreachable(error),
            }
        })?;
        Self::speak(stream, place.clone()).await.map_err(|error| unreachable(io::Error::other(error)))
    }

    async fn speak(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, place: String) -> hyper::Result<Self> {
        let mut builder = Builder::new();
        builder.max_buf_size(limits::REGISTRY_HEAD_BYTES_MAX).max_headers(limits::HEADERS_MAX);
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
        // What goes wrong with the connection is told to who waits for an answer.
        let task = tokio::spawn(async { drop(connection.await) });
        Ok(Self { sender, task, place })
    }

    /// Can another request be sent?
    pub(super) async fn is_ready(&mut self, bounds: &Bounds) -> bool {
        // It becomes ready when the rest of the last answer has been read, or never.
        matches!(timeout(bounds.head, self.sender.ready()).await, Ok(Ok(())))
    }

    /// Sends a request whose body has `sent` bytes, and waits for the head of its answer.
    pub(super) async fn ask(
        &mut self,
        request: Request<Full<Bytes>>,
        sent: u64,
        url: Url,
        bounds: &Bounds,
    ) -> Result<Answer, RegistryError> {
        let limit = if sent == 0 { bounds.head } else { bounds.head + bounds.whole(sent) };
        let place = self.place.clone();
        let answer = timeout(limit, self.sender.send_request(request)).await;
        let answer =
            answer.map_err(|_| RegistryError::TimedOut { what: "the head of the answer", place: place.clone(), limit })?;
        let answer = answer.map_err(|error| broken(&error, "the head of its answer", &place))?;
        let (head, body) = answer.into_parts();
        Ok(Answer { status: head.status, headers: head.headers, url, body })
    }
}

/// What a broken connection means.
fn broken(error: &hyper::Error, what: &'static str, place: &str) -> RegistryError {
    let place = place.to_owned();
    if error.is_parse_too_large() {
        return RegistryError::TooLarge {
            what: "the head of the answer",
            place,
            limit: show_bytes(limits::REGISTRY_HEAD_BYTES_MAX as u64),
        };
    }
    let reason = error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"));
    if error.is_parse() { RegistryError::Stranger { place, reason } } else { RegistryError::Cut { what, place, reason } }
}

/// The head of an answer, and its body, which is still to be read.
#[derive(Debug)]
pub(super) struct Answer {
    /// The status.
    pub(super) status: StatusCode,
    /// The headers.
    pub(super) headers: HeaderMap,
    /// Who answered.
    pub(super) url: Url,
    body: Incoming,
}

impl Answer {
    /// The value of a header, if it is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The next piece of the body, nothing at its end. An answer that names its length and ends before is cut.
    pub(super) async fn next(&mut self, what: &'static str, bounds: &Bounds) -> Result<Option<Bytes>, RegistryError> {
        loop {
            let place = || self.url.origin.place();
            let late = |_| RegistryError::TimedOut { what, place: place(), limit: bounds.idle };
            match timeout(bounds.idle, self.body.frame()).await.map_err(late)? {
                None => return Ok(None),
                Some(Err(error)) => return Err(broken(&error, what, &place())),
                // Trailers are none of ours.
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) => return Ok(Some(bytes)),
                    Err(_) => continue,
                },
            }
        }
    }

    /// The whole body, at most `max` bytes, within the time that so many bytes may take.
    pub(super) async fn whole(&mut self, what: &'static str, max: u64, bounds: &Bounds) -> Result<Vec<u8>, RegistryError> {
        let place = self.url.origin.place();
        let limit = bounds.whole(max);
        let read = async {
            let mut bytes = Vec::new();
            while let Some(piece) = self.next(what, bounds).await? {
                if (bytes.len() + piece.len()) as u64 > max {
                    return Err(RegistryError::TooLarge { what, place: place.clone(), limit: show_bytes(max) });
                }
                bytes.extend_from_slice(&piece);
            }
            Ok(bytes)
        };
        within(limit, what, &place, read).await
    }
}

/// `done`, if it is done within `limit`.
pub(super) async fn within<T>(
    limit: Duration,
    what: &'static str,
    place: &str,
    done: impl Future<Output = Result<T, RegistryError>>,
) -> Result<T, RegistryError> {
    let late = || RegistryError::TimedOut { what, place: place.to_owned(), limit };
    timeout(limit, done).await.unwrap_or_else(|_| Err(late()))
}
