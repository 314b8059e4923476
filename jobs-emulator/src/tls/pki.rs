//! Our certificate authority, and the certificates it issues.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::TempDir;

use crate::certificates::certificate_id;
use crate::options::PkiError;

/// Folder inside the state folder.
const FOLDER: &str = "pki";

/// Where the files for clients are. All are PEM; keys can be read by their owner only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PkiFiles {
    /// Certificate of the authority that signed the server's certificate.
    pub ca: PathBuf,
    /// Certificate of the ready-made device. It may act for any thing.
    pub cert: PathBuf,
    /// Private key of the ready-made device.
    pub key: PathBuf,
    /// Certificate of the TLS front, made anew at each start: a broker of another kind that stands
    /// before the emulator can show it.
    pub server_cert: PathBuf,
    /// Its private key.
    pub server_key: PathBuf,
}

/// A certificate with its key, as text.
#[derive(Debug)]
pub(crate) struct Issued {
    pub(crate) id: String,
    pub(crate) certificate_pem: String,
    pub(crate) public_key_pem: String,
    pub(crate) private_key_pem: String,
}

/// The authority and its files.
#[derive(Debug)]
pub(crate) struct Pki {
    issuer: Issuer<'static, KeyPair>,
    files: PkiFiles,
    /// Id and PEM of the ready-made device certificate.
    pub(crate) device: (String, String),
    /// Keeps the files while the emulator runs, where there is no state folder.
    _temporary: Option<TempDir>,
}

impl Pki {
    /// Reads the authority and the device certificate from the state folder, or makes them.
    pub(crate) fn open(state: Option<&Path>) -> Result<Self, PkiError> {
        let (folder, temporary) = match state {
            Some(state) => (state.join(FOLDER), None),
            None => {
                let made = tempfile::Builder::new().prefix("jobs-emulator-").tempdir();
                let made = made.map_err(|source| file_error(&std::env::temp_dir(), source))?;
                (made.path().to_owned(), Some(made))
            }
        };
        fs::create_dir_all(&folder).map_err(|source| file_error(&folder, source))?;
        let files = PkiFiles {
            ca: folder.join("ca.pem"),
            cert: folder.join("device.pem"),
            key: folder.join("device.key"),
            server_cert: folder.join("server.pem"),
            server_key: folder.join("server.key"),
        };
        let ca_key = read_or_make_key(&folder.join("ca.key"))?;
        let issuer = if files.ca.exists() {
            Issuer::new(authority_params(), ca_key)
        } else {
            let certificate = authority_params()
                .self_signed(&ca_key)
                .map_err(issue_error)?;
            write(&files.ca, &certificate.pem(), false)?;
            Issuer::new(authority_params(), ca_key)
        };
        if !files.cert.exists() || !files.key.exists() {
            let issued = issue_client(&issuer, "jobs-emulator device for any thing")?;
            write(&files.key, &issued.private_key_pem, true)?;
            write(&files.cert, &issued.certificate_pem, false)?;
        }
        let pem =
            fs::read_to_string(&files.cert).map_err(|source| file_error(&files.cert, source))?;
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| {
            PkiError::Issue(format!(
                "{} is not a certificate: {error}",
                files.cert.display()
            ))
        })?;
        Ok(Self {
            issuer,
            files,
            device: (certificate_id(&der), pem),
            _temporary: temporary,
        })
    }

    pub(crate) const fn files(&self) -> &PkiFiles {
        &self.files
    }

    /// A new certificate for the TLS front: `localhost`, the loopback addresses, the address it
    /// listens on and the host name that clients are told.
    pub(crate) fn issue_server(
        &self,
        address: IpAddr,
        endpoint: &str,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), PkiError> {
        let mut names = vec![
            "localhost".to_owned(),
            "127.0.0.1".to_owned(),
            "::1".to_owned(),
        ];
        if !address.is_unspecified() && !address.is_loopback() {
            names.push(address.to_string());
        }
        if !names.iter().any(|name| name == endpoint) {
            names.push(endpoint.to_owned());
        }
        let key = new_key()?;
        let mut params = leaf_params(names, "jobs-emulator")?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&key, &self.issuer).map_err(issue_error)?;
        write(&self.files.server_key, &key.serialize_pem(), true)?;
        write(&self.files.server_cert, &certificate.pem(), false)?;
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        Ok((vec![certificate.der().clone()], key.into()))
    }

    /// A new client certificate and its key.
    pub(crate) fn issue_client(&self) -> Result<Issued, PkiError> {
        issue_client(&self.issuer, "AWS IoT Certificate")
    }
}

fn issue_client(issuer: &Issuer<'static, KeyPair>, name: &str) -> Result<Issued, PkiError> {
    let key = new_key()?;
    let mut params = leaf_params(Vec::new(), name)?;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.signed_by(&key, issuer).map_err(issue_error)?;
    Ok(Issued {
        id: certificate_id(certificate.der()),
        certificate_pem: certificate.pem(),
        public_key_pem: key.public_key_pem(),
        private_key_pem: key.serialize_pem(),
    })
}

fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "jobs-emulator authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_validity(&mut params);
    params
}

fn leaf_params(names: Vec<String>, common_name: &str) -> Result<CertificateParams, PkiError> {
    let mut params = CertificateParams::new(names).map_err(issue_error)?;
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    set_validity(&mut params);
    Ok(params)
}

/// Generous on both sides: devices under test often start without a clock. The end is where AWS
/// IoT ends its own device certificates.
fn set_validity(params: &mut CertificateParams) {
    params.not_before = date_time_ymd(2000, 1, 1);
    params.not_after = date_time_ymd(2049, 12, 31);
}

fn new_key() -> Result<KeyPair, PkiError> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(issue_error)
}

fn read_or_make_key(path: &Path) -> Result<KeyPair, PkiError> {
    if path.exists() {
        let pem = fs::read_to_string(path).map_err(|source| file_error(path, source))?;
        return KeyPair::from_pem(&pem).map_err(issue_error);
    }
    let key = new_key()?;
    write(path, &key.serialize_pem(), true)?;
    Ok(key)
}

/// Writes a new file; a secret one is never readable by others, not even while it is written.
fn write(path: &Path, text: &str, secret: bool) -> Result<(), PkiError> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(if secret { 0o600 } else { 0o644 });
    }
    #[cfg(not(unix))]
    let _ = secret;
    let written = options
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|source| file_error(path, source))
}

fn file_error(path: &Path, source: std::io::Error) -> PkiError {
    PkiError::File {
        path: path.to_owned(),
        source,
    }
}

fn issue_error(error: rcgen::Error) -> PkiError {
    PkiError::Issue(error.to_string())
}
