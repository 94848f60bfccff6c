//! TLS: whose certificate is not good is not spoken to, and nothing leads from TLS to plain HTTP.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use simwright::pack::registry::error::RegistryError;
use simwright::pack::registry::{Access, Registry, Trust};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, crypto};

use super::server::{LyingRegistry, Reply};
use super::{Paper, Shelf, pull, quick, store};

const PUBLIC: [u8; 4] = [140, 82, 121, 34];

/// A certificate for `name`, signed by itself, and its key.
fn certificate(name: &str, is_expired: bool) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    if is_expired {
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(2001, 1, 1);
    }
    let certificate = params.self_signed(&key).expect("a certificate");
    (certificate.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).expect("a key"))
}

/// Speaks TLS in front of `inner`, until the test's process ends.
fn in_front_of(inner: SocketAddr, certificate: CertificateDer<'static>, key: PrivateKeyDer<'static>) -> SocketAddr {
    let provider = Arc::new(crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let config = config.with_no_client_auth().with_single_cert(vec![certificate], key).expect("a certificate");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (told, address) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        super::run(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            told.send(listener.local_addr().expect("an address")).expect("a test");
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let mut stream = acceptor.accept(stream).await?;
                    tokio::io::copy_bidirectional(&mut stream, &mut TcpStream::connect(inner).await?).await
                });
            }
        });
    });
    address.recv().expect("an address")
}

/// What comes of asking `name` for a pack, with this certificate and this trust; and how much the registry was asked.
fn asked(
    name: &str,
    (certificate, key): (CertificateDer<'static>, PrivateKeyDer<'static>),
    trust: Trust,
    answer: impl Fn(&Shelf, &super::server::Seen) -> Reply + Send + Sync + 'static,
) -> (Result<(), RegistryError>, usize) {
    let shelf = Shelf::new();
    let registry = LyingRegistry::start(move |seen| answer(&shelf, seen));
    let leads_to = Some(in_front_of(registry.address, certificate, key));
    let names = [(name.to_owned(), vec![vec![IpAddr::from(PUBLIC)]])].into();
    let client = Registry::over(Access::default(), quick(), Arc::new(Paper { names, leads_to, ..Paper::default() }), trust);
    let (_folder, store) = store();
    let done = pull(&client, &format!("{name}/acme/one:1"), &store).map(drop);
    (done, registry.seen().len())
}

#[test]
fn a_registry_whose_certificate_is_trusted_is_believed() {
    let (certificate, key) = certificate("r.example", false);
    let trust = Trust::of([certificate.clone()]);
    let (done, asked) = asked("r.example", (certificate, key), trust, Shelf::answer);
    done.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(asked, 4);
}

#[test]
fn a_certificate_that_is_not_good_ends_it_before_anything_is_asked() {
    let (good, expired, other) =
        (certificate("r.example", false), certificate("r.example", true), certificate("other.example", false));
    let cases = [
        ("of nobody", good.0.clone(), (good.0.clone(), good.1.clone_key()), false),
        ("expired", expired.0.clone(), (expired.0.clone(), expired.1.clone_key()), true),
        ("of another name", other.0.clone(), (other.0.clone(), other.1.clone_key()), true),
        ("of another key", good.0.clone(), (other.0.clone(), other.1.clone_key()), true),
    ];
    for (what, trusted, served, is_trusted) in cases {
        let trust = if is_trusted { Trust::of([trusted]) } else { Trust::of([]) };
        let (done, asked) = asked("r.example", served, trust, Shelf::answer);
        let error = done.expect_err(what);
        assert_eq!((error.code(), asked), ("bad_certificate", 0), "{what}: {error}");
        assert!(error.to_string().contains("SSL_CERT_FILE"), "{error}");
    }
}

#[test]
fn nothing_leads_from_tls_to_plain_http() {
    for (location, realm) in [(Some("http://r.example/x"), None), (None, Some("http://r.example/token"))] {
        let (certificate, key) = certificate("r.example", false);
        let trust = Trust::of([certificate.clone()]);
        let (done, asked) = asked("r.example", (certificate, key), trust, move |_, _| match (location, realm) {
            (Some(location), _) => Reply::new(307, "").with("location", location),
            (_, realm) => Reply::new(401, "").with("www-authenticate", format!("Bearer realm=\"{}\"", realm.unwrap_or(""))),
        });
        let error = done.expect_err("a downgrade");
        assert_eq!((error.code(), asked), ("forbidden_redirect", 1), "{error}");
    }
}
