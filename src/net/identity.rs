//! Certificates and keys: from PEM files to a TLS configuration, or the reason why not.

use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{
    ClientHello, NoServerSessionStorage, ParsedCertificate, ResolvesServerCert, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Session tickets sent after a handshake: a phone has one connection.
const TICKETS: usize = 1;

/// A certificate with its key, as files.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Files {
    /// The certificate and those between it and its authority, in PEM.
    pub certificate: PathBuf,
    /// Its private key, in PEM (PKCS #8, PKCS #1 or SEC 1), not encrypted.
    pub key: PathBuf,
}

/// All that TLS is configured by.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identities {
    /// For whoever names no domain, or an unknown one.
    pub main: Files,
    /// By the name that the client asks for (SNI), in lower case.
    pub domains: Vec<(String, Files)>,
    /// Authorities of client certificates, in PEM; `None`: clients are not asked for one.
    pub client_ca: Option<PathBuf>,
    /// Whether a client without certificate is refused.
    pub client_required: bool,
}

/// Which file is wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Which {
    /// The main certificate.
    Certificate,
    /// The key of the main certificate.
    Key,
    /// A file of this domain, by its number.
    Domain(usize),
    /// The authorities of clients.
    ClientCa,
}

/// A file that cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{reason}")]
pub struct IdentityError {
    /// Which.
    pub which: Which,
    /// Its path, and why.
    pub reason: String,
}

impl Identities {
    /// Reads all files. TLS 1.2 and 1.3, ring, session tickets whose key dies with this configuration.
    ///
    /// # Errors
    /// The first file that cannot be used.
    pub fn read(&self) -> Result<Arc<ServerConfig>, IdentityError> {
        let provider = Arc::new(ring::default_provider());
        let main = certified(&self.main, &provider).map_err(|(part, reason)| IdentityError {
            which: if part == Part::Key { Which::Key } else { Which::Certificate },
            reason,
        })?;
        let mut domains = HashMap::new();
        for (number, (name, files)) in self.domains.iter().enumerate() {
            let fault = |reason| IdentityError { which: Which::Domain(number), reason };
            let certified = certified(files, &provider).map_err(|(_, reason)| fault(reason))?;
            covers(&certified, name)
                .map_err(|reason| fault(format!("{}: {reason}", files.certificate.display())))?;
            domains.insert(name.clone(), Arc::new(certified));
        }
        let broken = |error: &dyn std::fmt::Display| IdentityError {
            which: Which::Certificate,
            reason: error.to_string(),
        };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| broken(&error))?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(file) => {
                let fault = |reason| IdentityError { which: Which::ClientCa, reason };
                let mut roots = RootCertStore::empty();
                for certificate in certificates(file).map_err(fault)? {
                    roots.add(certificate).map_err(|error| fault(format!("{}: {error}", file.display())))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier = if self.client_required { verifier } else { verifier.allow_unauthenticated() };
                let verifier = verifier.build().map_err(|error| fault(error.to_string()))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder.with_cert_resolver(Arc::new(Resolver { main: Arc::new(main), domains }));
        config.ticketer = ring::Ticketer::new().map_err(|error| broken(&error))?;
        config.send_tls13_tickets = TICKETS;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Arc::new(config))
    }
}

/// Chooses the certificate by the name that the client asks for.
#[derive(Debug)]
struct Resolver {
    main: Arc<CertifiedKey>,
    domains: HashMap<String, Arc<CertifiedKey>>,
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let named = hello.server_name().and_then(|name| self.domains.get(&name.to_ascii_lowercase()));
        Some(Arc::clone(named.unwrap_or(&self.main)))
    }
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Part {
    Certificate,
    Key,
}

fn certified(files: &Files, provider: &CryptoProvider) -> Result<CertifiedKey, (Part, String)> {
    let chain = certificates(&files.certificate).map_err(|reason| (Part::Certificate, reason))?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| (Part::Key, unreadable(&files.key, "no private key in PEM", &error)))?;
    let name = files.key.display();
    CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => (
            Part::Key,
            format!("{name} is not the key of the certificate in {}", files.certificate.display()),
        ),
        rustls::Error::InvalidCertificate(_) => {
            (Part::Certificate, format!("{}: {error}", files.certificate.display()))
        }
        error => (Part::Key, format!("{name}: {error}")),
    })
}

/// Whether a certificate is for a name.
fn covers(certified: &CertifiedKey, name: &str) -> Result<(), String> {
    let server = ServerName::try_from(name).map_err(|error| error.to_string())?;
    certified
        .end_entity_cert()
        .and_then(ParsedCertificate::try_from)
        .and_then(|certificate| verify_server_name(&certificate, &server))
        .map_err(|_| format!("is no certificate for {name}"))
}

/// At least one certificate.
fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let none = "no certificate in PEM";
    let found: Vec<_> = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|error| unreadable(file, none, &error))?;
    if found.is_empty() { Err(format!("{}: {none}", file.display())) } else { Ok(found) }
}

fn unreadable(file: &Path, none: &str, error: &pem::Error) -> String {
    match error {
        pem::Error::Io(error) => format!("{}: cannot be read: {error}", file.display()),
        _ => format!("{}: {none}", file.display()),
    }
}
