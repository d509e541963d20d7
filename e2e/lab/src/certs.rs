//! The lab's certificate authority, and the certificates it makes, good and bad.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_RSA_SHA256, PublicKeyData,
    date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256};

use crate::error::LabError;
use crate::layout::{DNSSEC_DOMAIN, LAB_DOMAIN, Layout, write};

const DAY: u64 = 86_400;

/// What is right or wrong about a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// From the lab's authority, valid for 90 days.
    Good,
    /// From the lab's authority, over since ten days.
    Expired,
    /// Signed with its own key.
    SelfSigned,
}

/// The authority.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    /// Makes an authority and writes its certificate to `ca.pem`.
    pub fn create(layout: &Layout) -> Result<Self, LabError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, "Waypost lab authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        period(&mut params, -2, 365);
        let pem = params.self_signed(&key)?.pem();
        write(&layout.path("ca.pem"), &pem)?;
        Ok(Self { issuer: Issuer::new(params, key), pem })
    }

    fn leaf(&self, names: &[String], flavour: Flavour) -> Result<(rcgen::Certificate, KeyPair), LabError> {
        self.leaf_with(KeyPair::generate()?, names, flavour)
    }

    fn leaf_with(&self, key: KeyPair, names: &[String], flavour: Flavour) -> Result<(rcgen::Certificate, KeyPair), LabError> {
        let mut params = CertificateParams::new(names.to_vec())?;
        if let Some(name) = names.first() {
            params.distinguished_name.push(DnType::CommonName, name.as_str());
        }
        // The second is for RSA key exchange.
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        match flavour {
            Flavour::Expired => period(&mut params, -100, -10),
            Flavour::Good | Flavour::SelfSigned => period(&mut params, -1, 90),
        }
        let certificate = if flavour == Flavour::SelfSigned { params.self_signed(&key)? } else { params.signed_by(&key, &self.issuer)? };
        Ok((certificate, key))
    }

    /// Certificate chain and key for Postfix, in one file: `*.lab.test`, `lab.test` and `*.dnssec.test`. Returns the data of a TLSA record
    /// that pins its key (RFC 6698 2.1: usage 3, selector 1, matching type 1).
    pub fn write_backend(&self, layout: &Layout) -> Result<String, LabError> {
        let names = [format!("*.{LAB_DOMAIN}"), LAB_DOMAIN.to_owned(), format!("*.{DNSSEC_DOMAIN}")];
        self.write_rsa(layout, "postfix-rsa.pem", &names)?;
        let key = self.write_server(layout, "postfix-tls.pem", &names, Flavour::Good)?;
        let hash: String = Sha256::digest(key.subject_public_key_info()).iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(format!("3 1 1 {hash}"))
    }

    /// Key and certificate chain for a program, in one file. Returns the key.
    pub fn write_server(&self, layout: &Layout, file: &str, names: &[String], flavour: Flavour) -> Result<KeyPair, LabError> {
        self.write(layout, file, self.leaf(names, flavour)?)
    }

    /// The same with an RSA key.
    fn write_rsa(&self, layout: &Layout, file: &str, names: &[String]) -> Result<KeyPair, LabError> {
        self.write(layout, file, self.leaf_with(KeyPair::generate_for(&PKCS_RSA_SHA256)?, names, Flavour::Good)?)
    }

    fn write(&self, layout: &Layout, file: &str, (certificate, key): (rcgen::Certificate, KeyPair)) -> Result<KeyPair, LabError> {
        let path = layout.path(file);
        write(&path, &format!("{}{}{}", key.serialize_pem(), certificate.pem(), self.pem))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(LabError::io(file))?;
        Ok(key)
    }

    /// A TLS server with one certificate.
    pub fn server(&self, names: &[String], flavour: Flavour) -> Result<Arc<ServerConfig>, LabError> {
        let (certificate, key) = self.leaf(names, flavour)?;
        let key = private_key(&key)?;
        Ok(Arc::new(builder()?.with_single_cert(vec![certificate.der().clone()], key)?))
    }

    /// A TLS server that shows a good certificate for whatever name is asked.
    pub fn any_name(self: &Arc<Self>) -> Result<Arc<ServerConfig>, LabError> {
        let resolver = AnyName { authority: Arc::clone(self), made: Mutex::default() };
        Ok(Arc::new(builder()?.with_cert_resolver(Arc::new(resolver))))
    }
}

type Builder = rustls::ConfigBuilder<ServerConfig, rustls::server::WantsServerCert>;

fn builder() -> Result<Builder, LabError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?.with_no_client_auth())
}

fn private_key(key: &KeyPair) -> Result<PrivateKeyDer<'static>, LabError> {
    PrivateKeyDer::try_from(key.serialize_der()).map_err(|error| LabError::Certificate(error.to_owned()))
}

fn period(params: &mut CertificateParams, from_days: i64, to_days: i64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let at = |days: i64| {
        let shift = Duration::from_secs(days.unsigned_abs() * DAY);
        date_time_ymd(1970, 1, 1) + if days < 0 { now.saturating_sub(shift) } else { now + shift }
    };
    params.not_before = at(from_days);
    params.not_after = at(to_days);
}

#[derive(Debug)]
struct AnyName {
    authority: Arc<Authority>,
    made: Mutex<HashMap<String, Arc<CertifiedKey>>>,
}

impl AnyName {
    fn make(&self, name: &str) -> Result<Arc<CertifiedKey>, LabError> {
        let (certificate, key) = self.authority.leaf(&[name.to_owned()], Flavour::Good)?;
        let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&private_key(&key)?)?;
        Ok(Arc::new(CertifiedKey::new(vec![certificate.der().clone()], key)))
    }
}

impl ResolvesServerCert for AnyName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name()?.to_ascii_lowercase();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = made.get(&name) {
            return Some(Arc::clone(key));
        }
        let key = self.make(&name).inspect_err(|error| tracing::warn!(%error, name, "no certificate")).ok()?;
        made.insert(name, Arc::clone(&key));
        Some(key)
    }
}
