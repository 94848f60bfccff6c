//! A visit to one repository: connections, who asks, where redirects lead, and other tries.
//!
//! Every address is judged before it is connected to (`network`), credentials and tokens go to the registry's own host and port only
//! (`token`), and what fails for now is tried again a few times (`bounds`). What is asked and what answers mean is told by `pull`,
//! `push` and `manifest`.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, HOST, LOCATION, RETRY_AFTER, USER_AGENT, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Method, Request};
use http_body_util::Full;
use tokio::time::sleep;

use crate::pack::registry::Registry;
use crate::pack::registry::bounds::Tries;
use crate::pack::registry::challenge::Challenge;
use crate::pack::registry::credentials::Found;
use crate::pack::registry::error::{RegistryError, printable};
use crate::pack::registry::network::{Zone, is_loopback, judge, nearest_allowed};
use crate::pack::registry::reference::{Host, Reference};
use crate::pack::registry::url::{Origin, Url};
use crate::pack::registry::wire::{Answer, Connection, within};
use crate::types::limits;

/// What is done at the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Read.
    Pull,
    /// Read and write.
    Push,
}

/// One request, which can be sent again.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    /// The method.
    pub(super) method: Method,
    /// Whom.
    pub(super) url: Url,
    /// Headers besides those that every request has.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// The body.
    pub(super) body: Bytes,
}

impl Ask {
    /// For a document.
    pub(super) fn get(url: Url) -> Self {
        Self { method: Method::GET, url, headers: Vec::new(), body: Bytes::new() }
    }

    /// The same with a header.
    pub(super) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }
}

/// A visit.
pub(super) struct Session<'a> {
    pub(super) registry: &'a Registry,
    pub(super) reference: Reference,
    pub(super) home: Origin,
    pub(super) action: Action,
    pub(super) found: Found,
    /// Where tokens come from, if that is another host and credentials were kept from it.
    pub(super) kept_from: Option<String>,
    authorization: Option<HeaderValue>,
    zone: Option<Zone>,
    connections: Vec<(Origin, Connection)>,
}

impl<'a> Session<'a> {
    /// Nothing is asked yet.
    pub(super) fn new(registry: &'a Registry, reference: &Reference, action: Action) -> Result<Self, RegistryError> {
        let host = reference.answering_host();
        let tls = !(registry.access.plain_http || is_loopback(&host));
        let port = reference.port().unwrap_or(if tls { 443 } else { 80 });
        Ok(Self {
            registry,
            reference: reference.clone(),
            home: Origin { tls, host, port },
            action,
            found: registry.access.credentials.find(reference)?,
            kept_from: None,
            authorization: None,
            zone: None,
            connections: Vec::new(),
        })
    }

    /// A place in the repository, such as `manifests/latest`.
    pub(super) fn place(&self, rest: &str) -> Url {
        self.home.at(format!("/v2/{}/{rest}", self.reference.repository()))
    }

    /// Tries `attempt` until it is done, or until another try is in vain.
    pub(super) async fn tried<T>(
        &mut self,
        mut attempt: impl AsyncFnMut(&mut Self) -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        let mut tries = Tries::new();
        loop {
            match attempt(self).await {
                Ok(done) => return Ok(done),
                Err(error) => self.pause(&mut tries, error).await?,
            }
        }
    }

    /// Waits for another try, on new connections; or says that there is none.
    pub(super) async fn pause(&mut self, tries: &mut Tries, error: RegistryError) -> Result<(), RegistryError> {
        let wait = tries.after(error, &self.registry.bounds)?;
        tracing::debug!(?wait, registry = %self.home.place(), "another try");
        self.connections.clear();
        sleep(wait).await;
        Ok(())
    }

    /// Sends `ask` once, follows where it leads, and says who asks if that is wanted. A status that is not in `wanted` is an error.
    pub(super) async fn ask(&mut self, ask: &Ask, wanted: &[u16]) -> Result<Answer, RegistryError> {
        let mut answer = self.follow(ask).await?;
        if answer.status == 401 && answer.url.origin == self.home {
            let values = answer.headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
            let challenge = Challenge::of(values);
            // Read to its end, so that the connection is free again.
            let said = self.words(&mut answer).await;
            drop(answer);
            // A token that was good before may have ended.
            self.authorization = None;
            let Some(authorization) = self.authorize(challenge).await? else { return Err(self.denied(said)) };
            self.authorization = Some(authorization);
            answer = self.follow(ask).await?;
        }
        if answer.headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
            let reason = "it packs what it sends, although nobody asked for that".to_owned();
            return Err(RegistryError::Stranger { place: answer.url.origin.place(), reason });
        }
        if wanted.contains(&answer.status.as_u16()) { Ok(answer) } else { Err(self.refusal(&mut answer).await) }
    }

    async fn follow(&mut self, ask: &Ask) -> Result<Answer, RegistryError> {
        let mut url = ask.url.clone();
        for _ in 0..=limits::REGISTRY_REDIRECTS_MAX {
            let mut answer = self.send(ask, url.clone()).await?;
            if !matches!(answer.status.as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(answer);
            }
            let location = answer.header(LOCATION.as_str()).unwrap_or("").to_owned();
            self.words(&mut answer).await;
            url = url.join(&location).map_err(|reason| self.elsewhere(&location, reason))?;
            if ask.method != Method::GET && ask.method != Method::HEAD {
                return Err(self.elsewhere(&location, "what is sent is sent to nobody else"));
            }
            self.check_scheme(&url)?;
        }
        Err(self.elsewhere(&url.to_string(), "it has sent them on too often"))
    }

    /// A redirect or a realm that is not followed.
    pub(super) fn elsewhere(&self, to: &str, reason: &'static str) -> RegistryError {
        RegistryError::Elsewhere { registry: self.home.place(), to: printable(to), reason }
    }

    /// Plain HTTP leads to this machine only, unless a person allows it; from TLS it leads nowhere.
    pub(super) fn check_scheme(&self, url: &Url) -> Result<(), RegistryError> {
        let allowed = url.origin.tls || !self.home.tls && (self.registry.access.plain_http || is_loopback(&url.origin.host));
        if allowed { Ok(()) } else { Err(self.elsewhere(&url.to_string(), "there, anybody on the way could read along")) }
    }

    /// Sends `ask` to `url`. Only the registry itself learns who asks.
    async fn send(&mut self, ask: &Ask, url: Url) -> Result<Answer, RegistryError> {
        let authorization = self.authorization.clone().filter(|_| url.origin == self.home);
        self.send_as(ask, url, authorization).await
    }

    /// Sends `ask` to `url` with this authorization.
    pub(super) async fn send_as(
        &mut self,
        ask: &Ask,
        url: Url,
        authorization: Option<HeaderValue>,
    ) -> Result<Answer, RegistryError> {
        let strange = |error: http::Error| RegistryError::Stranger { place: url.origin.place(), reason: error.to_string() };
        let mut request = Request::builder().method(ask.method.clone()).uri(url.path.as_str());
        request = request.header(HOST, url.origin.place()).header(USER_AGENT, concat!("simwright/", env!("CARGO_PKG_VERSION")));
        for (name, value) in &ask.headers {
            request = request.header(name, value);
        }
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request.body(Full::new(ask.body.clone())).map_err(strange)?;
        let mut connection = self.connection(&url.origin).await?;
        let answer = connection.ask(request, ask.body.len() as u64, url, &self.registry.bounds).await?;
        self.connections.push((answer.url.origin.clone(), connection));
        Ok(answer)
    }

    /// A connection to `origin`: one that is there, or a new one.
    async fn connection(&mut self, origin: &Origin) -> Result<Connection, RegistryError> {
        if let Some(index) = self.connections.iter().position(|(known, _)| known == origin) {
            let (_, mut connection) = self.connections.swap_remove(index);
            if connection.is_ready(&self.registry.bounds).await {
                return Ok(connection);
            }
        }
        let limit = self.registry.bounds.connect;
        within(limit, "a connection", &origin.place(), self.connect(origin)).await
    }

    async fn connect(&mut self, origin: &Origin) -> Result<Connection, RegistryError> {
        let place = origin.place();
        let unreachable = |error| RegistryError::Unreachable { place: place.clone(), error };
        let is_home = origin.host == self.home.host;
        let nearest = match self.zone {
            Some(zone) if !is_home => zone,
            _ => nearest_allowed(&self.home.host, self.registry.access.private_network),
        };
        let addresses = match &origin.host {
            Host::Address(address) => vec![*address],
            Host::Name(name) => self.registry.network.resolve(name).await.map_err(unreachable)?,
        };
        let passed = judge(&origin.host, &addresses, nearest).map_err(|address| forbidden(&place, address, is_home))?;
        let mut last = std::io::Error::new(std::io::ErrorKind::NotFound, "its name has no address");
        for address in passed {
            // Several addresses share the time, so that one that is silent does not hide the others.
            let share = self.registry.bounds.connect / if addresses.len() > 1 { 3 } else { 1 };
            match tokio::time::timeout(share, self.registry.network.connect(SocketAddr::new(address, origin.port))).await {
                Ok(Ok(stream)) => {
                    if is_home {
                        self.zone = Zone::of(address);
                    }
                    return Connection::over(stream, origin, &|| self.registry.trust()).await;
                }
                Ok(Err(error)) => last = error,
                Err(_) => last = std::io::ErrorKind::TimedOut.into(),
            }
        }
        Err(unreachable(last))
    }

    /// What an answer that was not wanted means.
    async fn refusal(&self, answer: &mut Answer) -> RegistryError {
        let said = self.words(answer).await;
        let place = answer.url.origin.place();
        let is_home = answer.url.origin == self.home;
        match answer.status.as_u16() {
            401 | 403 if is_home => self.denied(said),
            404 if is_home => RegistryError::NotFound { reference: self.reference.to_string(), said },
            status => RegistryError::Status { place, status, said, retry_after: retry_after(answer) },
        }
    }

    /// What the registry says about an error, after a colon.
    pub(super) async fn words(&self, answer: &mut Answer) -> String {
        let Ok(bytes) = answer.whole("an error", limits::REGISTRY_WORDS_BYTES_MAX, &self.registry.bounds).await else {
            return String::new();
        };
        let document: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let error = &document["errors"][0];
        let words = [&error["message"], &error["code"], &document["details"]].into_iter().find_map(|word| word.as_str());
        words.filter(|words| !words.is_empty()).map_or(String::new(), |words| format!(": {}", printable(words)))
    }
}

/// The header `retry-after` in seconds. Dates are not read: they would need a clock that agrees with the registry's.
pub(super) fn retry_after(answer: &Answer) -> Option<Duration> {
    answer.header(RETRY_AFTER.as_str())?.trim().parse().ok().map(Duration::from_secs)
}

fn forbidden(place: &str, address: IpAddr, is_home: bool) -> RegistryError {
    let (asker, hint) = match (Zone::of(address), is_home) {
        (None, _) => ("a registry", "no registry has such an address"),
        (Some(Zone::Private), true) => ("a public name", "if the registry is in your own network, say so: `--private-network`"),
        (Some(_), true) => ("this name", "write the address itself if it is meant"),
        (Some(_), false) => {
            ("a registry that is farther away", "the registry, or who stands between, sends its clients into your network")
        }
    };
    RegistryError::Address { place: place.to_owned(), address, asker, hint }
}
