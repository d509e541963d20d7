//! For tests: a certificate authority on the spot, TLS servers that use it, and a [`Net`] that trusts it.
#![allow(clippy::unwrap_used)]

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use super::{Net, NetConfig};

/// A root that issues certificates.
pub(crate) struct Authority {
    pub(crate) root: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key and what stands above it.
pub(crate) struct Issued {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        // Two authorities must not be taken for one by their name.
        params.distinguished_name.push(rcgen::DnType::CommonName, format!("Authority {}", rand::random::<u64>()));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let root = params.self_signed(&key).unwrap();
        Self { root, issuer: Issuer::new(params, key) }
    }

    /// A certificate for a name, changed by `edit` before it is signed, with the root behind it.
    pub(crate) fn issue(&self, name: &str, edit: impl FnOnce(&mut CertificateParams)) -> Issued {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        edit(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Issued { chain: vec![certificate.der().clone(), self.root.der().clone()], key: key.serialize_der() }
    }

    /// A [`Net`] that trusts it, asks this resolver, and finds HTTPS at this port.
    pub(crate) fn net(&self, resolver: SocketAddr, trust_ad: bool, https: Option<SocketAddr>) -> Net {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let file = format!("waypost-ca-{}-{}.pem", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path: PathBuf = std::env::temp_dir().join(file);
        std::fs::write(&path, self.root.pem()).unwrap();
        let https_port = https.map_or(443, |address| address.port());
        let config = NetConfig { resolvers: vec![resolver], trust_ad, ca_file: Some(path.clone()), https_port, ..NetConfig::default() };
        let net = Net::new(config).unwrap();
        std::fs::remove_file(&path).unwrap();
        net
    }
}

impl Issued {
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), PrivateKeyDer::try_from(self.key.clone()).unwrap())
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }

    /// An HTTPS server on loopback that answers each request with what `answer` makes of its path.
    pub(crate) async fn https(&self, answer: impl Fn(&str) -> String + Send + Sync + 'static) -> SocketAddr {
        self.https_requests(move |request| answer(request.split(' ').nth(1).unwrap())).await
    }

    /// The same, with what it makes of the whole request.
    pub(crate) async fn https_requests(&self, answer: impl Fn(&str) -> String + Send + Sync + 'static) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (acceptor, answer) = (self.acceptor(), Arc::new(answer));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, answer) = (acceptor.clone(), Arc::clone(&answer));
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let mut request = vec![0; 4096];
                    let length = stream.read(&mut request).await.unwrap();
                    let request = String::from_utf8_lossy(&request[..length]).into_owned();
                    stream.write_all(answer(&request).as_bytes()).await.unwrap();
                    // The reader may have gone already.
                    if stream.shutdown().await.is_err() {}
                });
            }
        });
        address
    }
}

/// An SMTP server on loopback that shows a certificate after STARTTLS, or offers none; with a count of its conversations.
pub(crate) async fn smtp(issued: Option<&Issued>, at: &str) -> (SocketAddr, Arc<AtomicU32>) {
    let listener = TcpListener::bind(at).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (acceptor, count) = (issued.map(Issued::acceptor), Arc::new(AtomicU32::new(0)));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            counted.fetch_add(1, Ordering::Relaxed);
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let extension = if acceptor.is_some() { "250-mx\r\n250 STARTTLS\r\n" } else { "250-mx\r\n250 HELP\r\n" };
                let mut stream = BufReader::new(stream);
                stream.get_mut().write_all(b"220 mx.lab.test ESMTP\r\n").await.unwrap();
                if !talk(&mut stream, extension).await {
                    return;
                }
                let Some(acceptor) = acceptor else { return };
                if let Ok(secure) = acceptor.accept(stream.into_inner()).await {
                    talk(&mut BufReader::new(secure), "250 mx\r\n").await;
                }
            });
        }
    });
    (address, count)
}

/// Answers commands until the end; true where STARTTLS is next.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut BufReader<S>, ehlo: &str) -> bool {
    let mut line = String::new();
    while stream.read_line(&mut line).await.is_ok_and(|length| length > 0) {
        let answer = match line.split_whitespace().next() {
            Some("EHLO") => ehlo,
            Some("STARTTLS") => "220 go\r\n",
            _ => "221 bye\r\n",
        };
        if stream.get_mut().write_all(answer.as_bytes()).await.is_err() || stream.get_mut().flush().await.is_err() {
            return false;
        }
        if line.starts_with("STARTTLS") {
            return true;
        }
        line.clear();
    }
    false
}

/// An answer in HTTP's form.
pub(crate) fn http_answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}
