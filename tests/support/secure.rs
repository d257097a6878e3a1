//! A certificate authority of the test's own, made at run time, and clients that trust it: over TLS
//! and over WebSocket.

use super::PATIENCE;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tungstenite::client::IntoClientRequest;
use tungstenite::http::HeaderValue;
use tungstenite::{HandshakeError, WebSocket};

/// The client's end of a TLS connection.
pub(crate) type Secure = StreamOwned<ClientConnection, TcpStream>;

/// What a client trusts, and shows.
pub(crate) type Trust = Arc<ClientConfig>;

/// An authority.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Writes its own certificate.
    pub(crate) fn write(&self, folder: &Path) -> PathBuf {
        let file = folder.join("authority.pem");
        std::fs::write(&file, self.0.pem()).unwrap();
        file
    }

    /// A certificate with its key for these names, for servers and clients, in PEM.
    pub(crate) fn issue(&self, names: &[&str]) -> (String, String) {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let subject = names.first().map_or("client", String::as_str).to_owned();
        let mut params = CertificateParams::new(names).unwrap();
        // With the authority's own name, OpenSSL would take it for self-signed.
        params.distinguished_name.push(DnType::CommonName, subject);
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }

    /// The same as files `NAME.pem` and `NAME.key`.
    pub(crate) fn issue_to(&self, folder: &Path, name: &str, names: &[&str]) -> (PathBuf, PathBuf) {
        let (certificate, key) = self.issue(names);
        let files = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
        std::fs::write(&files.0, certificate).unwrap();
        std::fs::write(&files.1, key).unwrap();
        files
    }

    /// A client that trusts this authority.
    pub(crate) fn trust(&self) -> Trust {
        self.trust_with(None, rustls::ALL_VERSIONS)
    }

    /// The same that shows a certificate (with its key, in PEM) and knows these versions.
    pub(crate) fn trust_with(
        &self,
        shows: Option<(String, String)>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Trust {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.0.pem().as_bytes()).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        Arc::new(match shows {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => builder
                .with_client_auth_cert(
                    vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
                    PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
                )
                .unwrap(),
        })
    }
}

/// Connects and shakes hands.
pub(crate) fn connect(server: SocketAddr, trust: &Trust, name: &str) -> io::Result<Secure> {
    let mut socket = TcpStream::connect(server)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::clone(trust), name).unwrap();
    while client.is_handshaking() {
        client.complete_io(&mut socket)?;
    }
    Ok(StreamOwned::new(client, socket))
}

/// What a WebSocket goes over.
#[derive(Debug)]
pub(crate) enum Channel {
    Plain(TcpStream),
    Secure(Box<Secure>),
}

impl Channel {
    pub(crate) fn plain(server: SocketAddr) -> Self {
        let socket = TcpStream::connect(server).unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self::Plain(socket)
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Secure(stream) => &stream.sock,
        }
    }

    /// Asks for a WebSocket with this subprotocol and origin; the HTTP status if it is refused.
    pub(crate) fn upgrade(self, protocol: &str, origin: Option<&str>) -> Result<WebSocket<Self>, u16> {
        let mut request = "ws://example.test/".into_client_request().unwrap();
        let headers = request.headers_mut();
        headers.insert("Sec-WebSocket-Protocol", HeaderValue::from_str(protocol).unwrap());
        if let Some(origin) = origin {
            headers.insert("Origin", HeaderValue::from_str(origin).unwrap());
        }
        match tungstenite::client(request, self) {
            Ok((socket, response)) => {
                assert_eq!(response.headers()["Sec-WebSocket-Protocol"], "sip");
                Ok(socket)
            }
            Err(HandshakeError::Failure(tungstenite::Error::Http(response))) => {
                Err(response.status().as_u16())
            }
            Err(error) => panic!("{error}"),
        }
    }
}

impl Read for Channel {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(into),
            Self::Secure(stream) => stream.read(into),
        }
    }
}

impl Write for Channel {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Secure(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Secure(stream) => stream.flush(),
        }
    }
}
