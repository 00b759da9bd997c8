//! A stack's secrets: the key that signs access tokens, each app's API tokens, and the certificates
//! that Sentry signs with. They are made on the first start, all or none, and never shown.
//!
//! The folder is only ever replaced whole: a new one is written beside it and the two change places
//! in one step, so that a crash leaves either the old set or the new one.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Datelike as _, Days, Utc};
use ed25519_dalek::SigningKey;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose,
    PublicKeyData as _, SanType, date_time_ymd,
};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde::{Deserialize, Serialize};
use x509_parser::prelude::FromDer as _;

use super::engine::PostgresUrl;
use super::folder::{self, FolderError};
use crate::layout::{App, DataDir};

/// The secret of what a mail server is told; its keys are the fields of [`SmtpEntry`].
pub const SMTP: &str = "smtp";
/// The trust domain of Dapr's control plane in a local stack.
pub const TRUST_DOMAIN: &str = "docket";

const ROOT: &str = "ca.crt";
const ISSUER: &str = "issuer.crt";
const ISSUER_KEY: &str = "issuer.key";
const SECRETS: &str = "secrets.json";
/// Held by whoever changes the secrets of a stack that may run.
const CHANGING: &str = "keys.lock";
const API_TOKENS: &str = "api-tokens.json";
const YEARS: i32 = 10;
/// `up` makes new certificates when the old ones would not outlive this.
const RENEWED_BEFORE_END: Days = Days::new(60);

/// Why secrets cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// The folder cannot be written.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// No stack was started in this data folder yet.
    #[error("{} is not there; start the stack first: `cargo docket up`", path.display())]
    NotMade {
        /// The file.
        path: PathBuf,
    },
    /// A file cannot be read or written.
    #[error("cannot use {}: {source}; give yourself access (`chmod -R u+rwX {}`)", path.display(), folder.display())]
    Denied {
        /// The file.
        path: PathBuf,
        /// Its folder.
        folder: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file does not hold what it should. The cure names what is lost by it.
    #[error("{} is damaged ({reason}); {cure}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        reason: String,
        /// What to do.
        cure: String,
    },
    /// The system gave no random numbers, or a key could not be made of them.
    #[error("cannot make keys: {reason}")]
    Keys {
        /// What was said.
        reason: String,
    },
}

/// The key that signs access tokens.
#[derive(Clone)]
pub struct JwtKey {
    /// The key's id, in each token's header.
    pub kid: String,
    /// Its 32 bytes.
    pub seed: [u8; 32],
}

/// The tokens that an app and its sidecar show each other.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ApiTokens {
    /// The sidecar shows it to the app.
    pub app_api_token: String,
    /// The app shows it to the sidecar.
    pub dapr_api_token: String,
}

/// All of them.
#[derive(Clone)]
pub struct Secrets {
    /// Signs access tokens.
    pub jwt: JwtKey,
    /// By app id.
    pub api_tokens: BTreeMap<String, ApiTokens>,
    /// The root certificate, as PEM.
    pub root_certificate: String,
}

/// What a start found or made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// All was there.
    Kept,
    /// Nothing was there.
    Made,
    /// Tokens of new apps were added, or certificates renewed.
    Extended,
}

/// What `secrets.json` holds; Dapr's secret store reads it.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct SecretsFile {
    /// What signs access tokens: key id to 32 bytes. `accounts` alone may read it.
    #[serde(default)]
    jwt_signing: BTreeMap<String, String>,
    /// What they are verified with: key id to public key.
    jwt_keys: BTreeMap<String, String>,
    /// What refresh tokens follow from: key id to 32 bytes.
    #[serde(default)]
    refresh_key: BTreeMap<String, String>,
    /// What stood in the place of `jwt_signing` when there was no `accounts`.
    #[serde(default, skip_serializing)]
    jwt_signing_key: Option<SigningEntry>,
    /// What the mail server is told; the component `smtp` refers to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    smtp: Option<SmtpEntry>,
    /// What other systems sign their messages to the task inbox with: key id to 32 bytes.
    #[serde(default)]
    inbox_key: BTreeMap<String, String>,
    /// Where the state is, if it is elsewhere; the state component refers to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    postgres_url: Option<String>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct SigningEntry {
    kid: String,
    ed25519: String,
}

/// What a mail server is told before it takes mails.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SmtpEntry {
    /// Who sends.
    pub user: String,
    /// What proves it.
    pub password: String,
}

/// The files of the folder, by name.
type Files = BTreeMap<&'static str, Vec<u8>>;

impl Secrets {
    /// Reads the secrets, and makes what is not there yet. Only the holder of the stack's lock may
    /// call it.
    pub fn ensure(
        data: &DataDir,
        apps: &[App],
        now: DateTime<Utc>,
    ) -> Result<(Self, Outcome), SecretsError> {
        let folder = data.secrets();
        remove_leftovers(data)?;
        let mut files = Files::new();
        let made = !folder.exists();
        if made {
            files.insert(SECRETS, new_signing_key()?);
        } else {
            check_folder(&folder)?;
            files = read_all(&folder)?;
        }
        let before = files.clone();
        complete_keys(&folder, &mut files)?;
        let jwt = signing_key(&folder, &files)?;
        let api_tokens = complete_tokens(&folder, &mut files, apps)?;
        complete_certificates(&folder, &mut files, now)?;
        let outcome = if made {
            Outcome::Made
        } else if files == before {
            Outcome::Kept
        } else {
            Outcome::Extended
        };
        if outcome != Outcome::Kept {
            replace(data, &files)?;
        }
        let root_certificate = text(&folder, &files, ROOT)?;
        Ok((
            Self {
                jwt,
                api_tokens,
                root_certificate,
            },
            outcome,
        ))
    }
}

/// Keeps what the mail server is told among a stack's secrets, which have to be there, or forgets it.
pub fn keep_smtp(data: &DataDir, smtp: Option<&SmtpEntry>) -> Result<(), SecretsError> {
    change(data, |file| file.smtp = smtp.cloned())
}

/// Keeps the address of the database among a stack's secrets, which have to be there.
pub fn keep_postgres(data: &DataDir, postgres: &PostgresUrl) -> Result<(), SecretsError> {
    change(data, |file| {
        file.postgres_url = Some(postgres.secret().to_owned());
    })
}

/// The address of the database among a stack's secrets, if there is one.
pub fn postgres(data: &DataDir) -> Result<Option<PostgresUrl>, SecretsError> {
    let folder = data.secrets();
    let Some(content) = read(&folder, SECRETS)? else {
        return Ok(None);
    };
    let file = secrets_file(&folder, &Files::from([(SECRETS, content)]))?;
    let url = file.postgres_url.as_deref().map(PostgresUrl::parse);
    url.transpose()
        .map_err(|error| damaged(&folder, SECRETS, error))
}

/// The keys of access tokens, by their ids.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Keys {
    /// The one that signs.
    pub signing: String,
    /// Those with which tokens are verified as well.
    pub others: Vec<String>,
}

/// Which keys there are.
pub fn keys(data: &DataDir) -> Result<Keys, SecretsError> {
    let files = made(data)?;
    let signing = signing_key(&data.secrets(), &files)?.kid;
    let known = secrets_file(&data.secrets(), &files)?.jwt_keys;
    let others = known.into_keys().filter(|kid| *kid != signing).collect();
    Ok(Keys { signing, others })
}

/// Makes a key that tokens can be verified with, and that does not sign yet.
pub fn add_key(data: &DataDir) -> Result<JwtKey, SecretsError> {
    let (kid, seed) = (URL_SAFE_NO_PAD.encode(random::<9>()?), random::<32>()?);
    let public = SigningKey::from_bytes(&seed).verifying_key();
    change(data, |file| {
        let public = URL_SAFE_NO_PAD.encode(public.as_bytes());
        file.jwt_keys.insert(kid.clone(), public);
    })?;
    Ok(JwtKey { kid, seed })
}

/// Has a key sign that was [added](add_key) before; the one before it verifies on.
pub fn sign_with(data: &DataDir, key: &JwtKey) -> Result<(), SecretsError> {
    change(data, |file| {
        let seed = URL_SAFE_NO_PAD.encode(key.seed);
        file.jwt_signing = BTreeMap::from([(key.kid.clone(), seed)]);
    })
}

/// Forgets the keys that do not sign, and gives their ids.
pub fn retire_keys(data: &DataDir) -> Result<Vec<String>, SecretsError> {
    let mut retired = Vec::new();
    change(data, |file| {
        let signing = &file.jwt_signing;
        file.jwt_keys.retain(|kid, _| {
            let signs = signing.contains_key(kid);
            if !signs {
                retired.push(kid.clone());
            }
            signs
        });
    })?;
    Ok(retired)
}

/// Changes the secrets of a stack, which may run: its sidecars read them anew. Two changes at once wait for each other.
fn change(data: &DataDir, change: impl FnOnce(&mut SecretsFile)) -> Result<(), SecretsError> {
    made(data)?;
    let path = data.root().join(CHANGING);
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path);
    let lock = lock.map_err(|source| denied(&path, source))?;
    lock.lock().map_err(|source| denied(&path, source))?;
    let folder = data.secrets();
    let mut files = read_all(&folder)?;
    let mut file = secrets_file(&folder, &files)?;
    change(&mut file);
    let new = json(&file)?;
    if files.get(SECRETS) == Some(&new) {
        return Ok(());
    }
    files.insert(SECRETS, new);
    replace(data, &files)
}

impl JwtKey {
    /// Reads the key that signs access tokens.
    pub fn read(data: &DataDir) -> Result<Self, SecretsError> {
        signing_key(&data.secrets(), &made(data)?)
    }
}

/// Reads a key that signs messages to the task inbox.
pub fn inbox_key(data: &DataDir) -> Result<[u8; 32], SecretsError> {
    let folder = data.secrets();
    let keys = secrets_file(&folder, &made(data)?)?.inbox_key;
    let key = keys.values().next();
    key.and_then(|key| URL_SAFE_NO_PAD.decode(key).ok()?.try_into().ok())
        .ok_or_else(|| damaged(&folder, SECRETS, "it has no inbox-key of 32 bytes"))
}

/// `secrets.json` of a stack that was started before.
fn made(data: &DataDir) -> Result<Files, SecretsError> {
    let content = read(&data.secrets(), SECRETS)?.ok_or_else(|| SecretsError::NotMade {
        path: data.secrets_file(),
    })?;
    Ok(Files::from([(SECRETS, content)]))
}

fn damaged(folder: &Path, name: &str, reason: impl ToString) -> SecretsError {
    let path = folder.join(name);
    let cure = match name {
        API_TOKENS => format!(
            "have new ones made on the next start: `rm {}`",
            path.display()
        ),
        ROOT | ISSUER | ISSUER_KEY => format!(
            "have new ones made on the next start: `rm -f {}`",
            [ROOT, ISSUER, ISSUER_KEY]
                .map(|name| folder.join(name).display().to_string())
                .join(" ")
        ),
        _ => format!(
            "restore it from a copy, or have a new set made (which ends every sign-in): `rm -r {}`",
            folder.display()
        ),
    };
    SecretsError::Damaged {
        path,
        reason: reason.to_string(),
        cure,
    }
}

fn denied(path: &Path, source: std::io::Error) -> SecretsError {
    let folder = path.parent().unwrap_or(path).to_owned();
    SecretsError::Denied {
        path: path.to_owned(),
        folder,
        source,
    }
}

/// The folder is one, and nobody else can look into it.
fn check_folder(folder: &Path) -> Result<(), SecretsError> {
    let metadata = std::fs::metadata(folder).map_err(|source| denied(folder, source))?;
    if !metadata.is_dir() {
        return Err(FolderError::NotAFolder {
            path: folder.to_owned(),
        }
        .into());
    }
    close(folder, metadata.permissions().mode(), 0o700)
}

/// Takes away what others may do with a file.
fn close(path: &Path, mode: u32, wanted: u32) -> Result<(), SecretsError> {
    if mode & 0o777 & !wanted == 0 {
        return Ok(());
    }
    std::fs::set_permissions(path, Permissions::from_mode(wanted))
        .map_err(|source| denied(path, source))
}

fn read(folder: &Path, name: &str) -> Result<Option<Vec<u8>>, SecretsError> {
    let path = folder.join(name);
    match std::fs::read(&path) {
        Ok(content) => {
            let metadata = std::fs::metadata(&path).map_err(|source| denied(&path, source))?;
            close(&path, metadata.permissions().mode(), 0o600)?;
            Ok(Some(content))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(denied(&path, error)),
    }
}

fn read_all(folder: &Path) -> Result<Files, SecretsError> {
    let mut files = Files::new();
    for name in [SECRETS, API_TOKENS, ROOT, ISSUER, ISSUER_KEY] {
        if let Some(content) = read(folder, name)? {
            files.insert(name, content);
        }
    }
    Ok(files)
}

fn text(folder: &Path, files: &Files, name: &'static str) -> Result<String, SecretsError> {
    let content = files
        .get(name)
        .ok_or_else(|| damaged(folder, name, "it is missing"))?;
    String::from_utf8(content.clone()).map_err(|_| damaged(folder, name, "it is not text"))
}

fn random<const N: usize>() -> Result<[u8; N], SecretsError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| SecretsError::Keys {
        reason: error.to_string(),
    })?;
    Ok(bytes)
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, SecretsError> {
    let mut text = serde_json::to_vec_pretty(value).map_err(|error| SecretsError::Keys {
        reason: error.to_string(),
    })?;
    text.push(b'\n');
    Ok(text)
}

fn new_signing_key() -> Result<Vec<u8>, SecretsError> {
    let seed = random::<32>()?;
    let kid = URL_SAFE_NO_PAD.encode(random::<9>()?);
    let public = SigningKey::from_bytes(&seed).verifying_key();
    json(&SecretsFile {
        inbox_key: new_key()?,
        jwt_keys: BTreeMap::from([(kid.clone(), URL_SAFE_NO_PAD.encode(public.as_bytes()))]),
        jwt_signing: BTreeMap::from([(kid, URL_SAFE_NO_PAD.encode(seed))]),
        jwt_signing_key: None,
        refresh_key: new_key()?,
        smtp: None,
        postgres_url: None,
    })
}

fn new_key() -> Result<BTreeMap<String, String>, SecretsError> {
    let kid = URL_SAFE_NO_PAD.encode(random::<9>()?);
    let key = URL_SAFE_NO_PAD.encode(random::<32>()?);
    Ok(BTreeMap::from([(kid, key)]))
}

/// A stack that was first started before there was a task inbox, or `accounts`, has no keys for them.
fn complete_keys(folder: &Path, files: &mut Files) -> Result<(), SecretsError> {
    let mut file = secrets_file(folder, files)?;
    let old = file.jwt_signing_key.take();
    let is_complete = !file.inbox_key.is_empty() && !file.refresh_key.is_empty();
    if is_complete && old.is_none() {
        return Ok(());
    }
    if let Some(SigningEntry { kid, ed25519 }) = old {
        file.jwt_signing = BTreeMap::from([(kid, ed25519)]);
    }
    for keys in [&mut file.inbox_key, &mut file.refresh_key] {
        if keys.is_empty() {
            *keys = new_key()?;
        }
    }
    files.insert(SECRETS, json(&file)?);
    Ok(())
}

fn secrets_file(folder: &Path, files: &Files) -> Result<SecretsFile, SecretsError> {
    let wrong = |reason: &str| damaged(folder, SECRETS, reason);
    let content = files.get(SECRETS).ok_or_else(|| wrong("it is missing"))?;
    serde_json::from_slice(content).map_err(|error| wrong(&error.to_string()))
}

fn signing_key(folder: &Path, files: &Files) -> Result<JwtKey, SecretsError> {
    let wrong = |reason: &str| damaged(folder, SECRETS, reason);
    let file = secrets_file(folder, files)?;
    let old = file.jwt_signing_key.map(|old| (old.kid, old.ed25519));
    let (kid, seed) = file.jwt_signing.into_iter().next().or(old).unzip();
    let seed: [u8; 32] = URL_SAFE_NO_PAD
        .decode(seed.unwrap_or_default())
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| wrong("the signing key is not 32 bytes"))?;
    let kid = kid.unwrap_or_default();
    let public = SigningKey::from_bytes(&seed).verifying_key();
    if file.jwt_keys.get(&kid) != Some(&URL_SAFE_NO_PAD.encode(public.as_bytes())) {
        return Err(wrong("jwt-keys lacks the signing key's public half"));
    }
    Ok(JwtKey { kid, seed })
}

fn complete_tokens(
    folder: &Path,
    files: &mut Files,
    apps: &[App],
) -> Result<BTreeMap<String, ApiTokens>, SecretsError> {
    let mut tokens: BTreeMap<String, ApiTokens> = match files.get(API_TOKENS) {
        Some(content) => {
            serde_json::from_slice(content).map_err(|error| damaged(folder, API_TOKENS, error))?
        }
        None => BTreeMap::new(),
    };
    if tokens
        .values()
        .any(|pair| pair.app_api_token.len() < 32 || pair.dapr_api_token.len() < 32)
    {
        return Err(damaged(folder, API_TOKENS, "a token is too short"));
    }
    let before = tokens.len();
    for app in apps {
        if !tokens.contains_key(&app.id) {
            let pair = ApiTokens {
                app_api_token: URL_SAFE_NO_PAD.encode(random::<32>()?),
                dapr_api_token: URL_SAFE_NO_PAD.encode(random::<32>()?),
            };
            tokens.insert(app.id.clone(), pair);
        }
    }
    if tokens.len() != before || !files.contains_key(API_TOKENS) {
        files.insert(API_TOKENS, json(&tokens)?);
    }
    Ok(tokens)
}

fn complete_certificates(
    folder: &Path,
    files: &mut Files,
    now: DateTime<Utc>,
) -> Result<(), SecretsError> {
    let all = [ROOT, ISSUER, ISSUER_KEY];
    if all.iter().all(|name| !files.contains_key(name)) {
        return new_certificates(files, now);
    }
    if let Some(missing) = all.into_iter().find(|name| !files.contains_key(name)) {
        return Err(damaged(
            folder,
            missing,
            "it is missing, the others are there",
        ));
    }
    if certificates_end(folder, files)? < now + RENEWED_BEFORE_END {
        new_certificates(files, now)?;
    }
    Ok(())
}

/// A root that signs one issuer, and the issuer, which Sentry signs the parts' identities with. The
/// root's key is thrown away: nothing else is ever signed by it.
fn new_certificates(files: &mut Files, now: DateTime<Utc>) -> Result<(), SecretsError> {
    let keys = |error: rcgen::Error| SecretsError::Keys {
        reason: error.to_string(),
    };
    let authority = |name: &str, below: u8| -> Result<CertificateParams, rcgen::Error> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(below));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, name);
        params
            .distinguished_name
            .push(DnType::OrganizationName, "Docket local stack");
        // A day's room for a clock that is put right.
        let from = now - Days::new(1);
        let day = |date: DateTime<Utc>, years| {
            let month = u8::try_from(date.month()).unwrap_or(1);
            // Every month has a 28th.
            let day = u8::try_from(date.day().min(28)).unwrap_or(1);
            date_time_ymd(date.year() + years, month, day)
        };
        params.not_before = day(from, 0);
        params.not_after = day(from, YEARS);
        Ok(params)
    };
    let root_key = KeyPair::generate().map_err(keys)?;
    let root_params = authority("docket-root", 1).map_err(keys)?;
    let root = root_params.self_signed(&root_key).map_err(keys)?;
    let issuer_key = KeyPair::generate().map_err(keys)?;
    let mut issuer_params = authority("docket-issuer", 0).map_err(keys)?;
    let identity = format!("spiffe://{TRUST_DOMAIN}/ns/default/dapr-sentry");
    issuer_params.subject_alt_names = vec![SanType::URI(identity.try_into().map_err(keys)?)];
    let signer = rcgen::Issuer::from_params(&root_params, &root_key);
    let issuer = issuer_params
        .signed_by(&issuer_key, &signer)
        .map_err(keys)?;
    files.insert(ROOT, root.pem().into_bytes());
    files.insert(ISSUER, issuer.pem().into_bytes());
    files.insert(ISSUER_KEY, issuer_key.serialize_pem().into_bytes());
    Ok(())
}

/// When the first of the certificates ends; they have to belong together.
fn certificates_end(folder: &Path, files: &Files) -> Result<DateTime<Utc>, SecretsError> {
    let mut end = DateTime::<Utc>::MAX_UTC;
    let mut issuer_key_info = Vec::new();
    for name in [ROOT, ISSUER] {
        let content = text(folder, files, name)?;
        let wrong = || damaged(folder, name, "it is not a certificate");
        let (_, pem) = x509_parser::pem::parse_x509_pem(content.as_bytes()).map_err(|_| wrong())?;
        let (_, certificate) = x509_parser::certificate::X509Certificate::from_der(&pem.contents)
            .map_err(|_| wrong())?;
        let ends = certificate.validity().not_after.timestamp();
        end = end.min(DateTime::from_timestamp(ends, 0).ok_or_else(wrong)?);
        issuer_key_info = certificate.public_key().raw.to_vec();
    }
    let key = KeyPair::from_pem(&text(folder, files, ISSUER_KEY)?)
        .map_err(|_| damaged(folder, ISSUER_KEY, "it is not a private key"))?;
    if key.subject_public_key_info() != issuer_key_info {
        return Err(damaged(
            folder,
            ISSUER_KEY,
            "it does not belong to issuer.crt",
        ));
    }
    Ok(end)
}

/// Folders of a start that broke off.
fn remove_leftovers(data: &DataDir) -> Result<(), SecretsError> {
    let root = data.root();
    let entries = std::fs::read_dir(root).map_err(|source| denied(root, source))?;
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with("secrets.") {
            std::fs::remove_dir_all(entry.path())
                .map_err(|source| denied(&entry.path(), source))?;
        }
    }
    Ok(())
}

/// Puts a whole new folder in the place of the old one, in one step.
fn replace(data: &DataDir, files: &Files) -> Result<(), SecretsError> {
    let new = data.root().join(format!("secrets.{}", std::process::id()));
    folder::make(&new)?;
    for (name, content) in files {
        let path = new.join(name);
        let written = || -> std::io::Result<()> {
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)?;
            file.write_all(content)?;
            file.sync_all()
        };
        written().map_err(|source| denied(&path, source))?;
    }
    let folder = data.secrets();
    let exchanged = if folder.exists() {
        renameat_with(CWD, &new, CWD, &folder, RenameFlags::EXCHANGE).map_err(std::io::Error::from)
    } else {
        std::fs::rename(&new, &folder)
    };
    exchanged
        .and_then(|()| File::open(data.root())?.sync_all())
        .map_err(|source| denied(&folder, source))?;
    remove_leftovers(data)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn app(id: &str, index: u16) -> App {
        App {
            id: id.to_owned(),
            variable: id.replace('-', "_"),
            index,
        }
    }

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_900_000_000, 0).unwrap()
    }

    fn fresh() -> (tempfile::TempDir, DataDir) {
        let parent = tempfile::tempdir().unwrap();
        let data = DataDir::new(parent.path().join("data"));
        folder::prepare(&data).unwrap();
        (parent, data)
    }

    fn files(data: &DataDir) -> BTreeMap<String, Vec<u8>> {
        std::fs::read_dir(data.secrets())
            .unwrap()
            .map(|entry| {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                (name, std::fs::read(path).unwrap())
            })
            .collect()
    }

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_first_start_makes_a_private_set() {
        let (_parent, data) = fresh();
        let (secrets, outcome) = Secrets::ensure(&data, &[app("tasks", 0)], now()).unwrap();
        assert_eq!(outcome, Outcome::Made);
        assert_eq!(mode(&data.secrets()), 0o700);
        let made = files(&data);
        let names: Vec<_> = made.keys().map(String::as_str).collect();
        assert_eq!(names, [API_TOKENS, ROOT, ISSUER, ISSUER_KEY, SECRETS]);
        for name in names {
            assert_eq!(mode(&data.secrets().join(name)), 0o600, "{name}");
        }
        let pair = &secrets.api_tokens["tasks"];
        assert_ne!(pair.app_api_token, pair.dapr_api_token);
        let read = JwtKey::read(&data).unwrap();
        assert_eq!((read.kid, read.seed), (secrets.jwt.kid, secrets.jwt.seed));
    }

    #[test]
    fn the_databases_address_is_among_the_secrets_alone() {
        let (_parent, data) = fresh();
        let apps = [app("tasks", 0)];
        Secrets::ensure(&data, &apps, now()).unwrap();
        assert!(postgres(&data).unwrap().is_none());
        let url = PostgresUrl::parse("postgres://u:pass@db/d").unwrap();
        keep_postgres(&data, &url).unwrap();
        assert_eq!(postgres(&data).unwrap(), Some(url.clone()));
        assert_eq!(mode(&data.secrets_file()), 0o600);
        let before = files(&data);
        keep_postgres(&data, &url).unwrap();
        let (_, outcome) = Secrets::ensure(&data, &apps, now()).unwrap();
        assert_eq!((outcome, files(&data)), (Outcome::Kept, before));
    }

    #[test]
    fn keys_are_rotated_and_retired() {
        let (_parent, data) = fresh();
        assert!(matches!(add_key(&data), Err(SecretsError::NotMade { .. })));
        let (made, _) = Secrets::ensure(&data, &[app("tasks", 0)], now()).unwrap();
        let first = made.jwt.kid;
        let known = |signing: &str, others: &[&str]| {
            let told = keys(&data).unwrap();
            assert_eq!(told.signing, signing);
            assert_eq!(told.others, others);
        };
        known(&first, &[]);
        let second = add_key(&data).unwrap();
        known(&first, &[&second.kid]);
        sign_with(&data, &second).unwrap();
        known(&second.kid, &[&first]);
        assert_eq!(JwtKey::read(&data).unwrap().seed, second.seed);
        // A start finds nothing amiss, and keeps both.
        let (_, outcome) = Secrets::ensure(&data, &[app("tasks", 0)], now()).unwrap();
        assert_eq!(outcome, Outcome::Kept);
        assert_eq!(retire_keys(&data).unwrap(), [first]);
        known(&second.kid, &[]);
        assert_eq!(mode(&data.secrets()), 0o700);
    }

    #[test]
    fn keys_that_are_made_at_once_are_all_kept() {
        let (_parent, data) = fresh();
        Secrets::ensure(&data, &[app("tasks", 0)], now()).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| add_key(&data).unwrap());
            }
        });
        assert_eq!(keys(&data).unwrap().others.len(), 4);
    }

    #[test]
    fn no_two_stacks_share_a_secret() {
        let ((_one, first), (_other, second)) = (fresh(), fresh());
        Secrets::ensure(&first, &[app("tasks", 0)], now()).unwrap();
        Secrets::ensure(&second, &[app("tasks", 0)], now()).unwrap();
        let (first, second) = (files(&first), files(&second));
        for (name, content) in first {
            assert_ne!(content, second[&name], "{name}");
        }
    }

    #[test]
    fn a_second_start_keeps_them_and_a_new_app_gets_its_own() {
        let (_parent, data) = fresh();
        Secrets::ensure(&data, &[app("tasks", 0)], now()).unwrap();
        let before = files(&data);
        let (_, outcome) = Secrets::ensure(&data, &[app("tasks", 0)], now()).unwrap();
        assert_eq!(outcome, Outcome::Kept);
        assert_eq!(files(&data), before);
        let apps = [app("tasks", 0), app("audit", 1)];
        let (secrets, outcome) = Secrets::ensure(&data, &apps, now()).unwrap();
        assert_eq!(outcome, Outcome::Extended);
        assert_eq!(secrets.api_tokens.len(), 2);
        let after = files(&data);
        for name in [SECRETS, ROOT, ISSUER, ISSUER_KEY] {
            assert_eq!(after[name], before[name], "{name}");
        }
        let left = std::fs::read_dir(data.root()).unwrap().flatten();
        assert!(
            left.map(|entry| entry.file_name())
                .all(|name| !name.to_string_lossy().starts_with("secrets."))
        );
    }

    #[test]
    fn a_stack_of_before_the_inbox_gets_its_key_and_keeps_the_others() {
        let (_parent, data) = fresh();
        Secrets::ensure(&data, &[], now()).unwrap();
        let signing = JwtKey::read(&data).unwrap();
        let text = std::fs::read_to_string(data.secrets_file()).unwrap();
        let mut file: serde_json::Value = serde_json::from_str(&text).unwrap();
        file.as_object_mut().unwrap().remove("inbox-key").unwrap();
        std::fs::write(data.secrets_file(), file.to_string()).unwrap();
        assert!(inbox_key(&data).is_err());
        assert_eq!(
            Secrets::ensure(&data, &[], now()).unwrap().1,
            Outcome::Extended
        );
        let key = inbox_key(&data).unwrap();
        assert_eq!(JwtKey::read(&data).unwrap().seed, signing.seed);
        Secrets::ensure(&data, &[], now()).unwrap();
        assert_eq!(inbox_key(&data).unwrap(), key);
    }

    #[test]
    fn what_a_broken_first_start_left_is_not_used() {
        let (_parent, data) = fresh();
        let half = data.root().join("secrets.4711");
        std::fs::create_dir(&half).unwrap();
        std::fs::write(half.join(SECRETS), "{").unwrap();
        let (_, outcome) = Secrets::ensure(&data, &[], now()).unwrap();
        assert_eq!(outcome, Outcome::Made);
        assert!(!half.exists());
    }

    #[test]
    fn certificates_are_renewed_before_they_end_and_only_they() {
        let (_parent, data) = fresh();
        Secrets::ensure(&data, &[], now()).unwrap();
        let before = files(&data);
        let near = now() + TimeDelta::days(365 * 10 - 40);
        let (secrets, outcome) = Secrets::ensure(&data, &[], near).unwrap();
        assert_eq!(outcome, Outcome::Extended);
        let after = files(&data);
        assert_ne!(after[ROOT], before[ROOT]);
        assert_eq!(after[ROOT], secrets.root_certificate.as_bytes());
        assert_eq!(after[SECRETS], before[SECRETS]);
        let earlier = now() + TimeDelta::days(365 * 9);
        assert_eq!(
            Secrets::ensure(&data, &[], earlier).unwrap().1,
            Outcome::Kept
        );
    }

    #[test]
    fn the_issuer_is_sentrys_and_signed_by_the_root() {
        let mut made = Files::new();
        new_certificates(&mut made, now()).unwrap();
        let parse = |name| x509_parser::pem::parse_x509_pem(&made[name]).unwrap().1;
        let (root, issuer) = (parse(ROOT), parse(ISSUER));
        let (root, issuer) = (root.parse_x509().unwrap(), issuer.parse_x509().unwrap());
        assert_eq!(issuer.issuer(), root.subject());
        assert!(root.is_ca() && issuer.is_ca());
        let name = format!(
            "{:?}",
            issuer.subject_alternative_name().unwrap().unwrap().value
        );
        assert!(
            name.contains("spiffe://docket/ns/default/dapr-sentry"),
            "{name}"
        );
    }

    #[test]
    fn files_that_others_can_read_are_closed() {
        let (_parent, data) = fresh();
        Secrets::ensure(&data, &[], now()).unwrap();
        std::fs::set_permissions(data.secrets(), Permissions::from_mode(0o755)).unwrap();
        std::fs::set_permissions(data.secrets_file(), Permissions::from_mode(0o644)).unwrap();
        Secrets::ensure(&data, &[], now()).unwrap();
        assert_eq!(mode(&data.secrets()), 0o700);
        assert_eq!(mode(&data.secrets_file()), 0o600);
    }

    #[test]
    fn damage_is_told_with_its_cure() {
        type Spoil = fn(&Path);
        let cases: [(&str, Spoil, &[&str]); 9] = [
            (
                "torn secrets",
                |at| std::fs::write(at.join(SECRETS), "{\"jwt-si").unwrap(),
                &["secrets.json is damaged", "ends every sign-in", "`rm -r "],
            ),
            (
                "no secrets",
                |at| std::fs::remove_file(at.join(SECRETS)).unwrap(),
                &["secrets.json is damaged (it is missing)"],
            ),
            (
                "another's public key",
                |at| {
                    let text = std::fs::read_to_string(at.join(SECRETS)).unwrap();
                    let mut file: SecretsFile = serde_json::from_str(&text).unwrap();
                    file.jwt_keys
                        .values_mut()
                        .for_each(|key| *key = URL_SAFE_NO_PAD.encode([7; 32]));
                    std::fs::write(at.join(SECRETS), json(&file).unwrap()).unwrap();
                },
                &["lacks the signing key's public half"],
            ),
            (
                "torn tokens",
                |at| std::fs::write(at.join(API_TOKENS), "[").unwrap(),
                &["api-tokens.json is damaged", "`rm "],
            ),
            (
                "half certificates",
                |at| std::fs::remove_file(at.join(ISSUER_KEY)).unwrap(),
                &[
                    "issuer.key is damaged (it is missing, the others are there)",
                    "`rm -f ",
                ],
            ),
            (
                "no certificate",
                |at| std::fs::write(at.join(ROOT), "hello").unwrap(),
                &["ca.crt is damaged (it is not a certificate)"],
            ),
            (
                "another's key",
                |at| {
                    let key = KeyPair::generate().unwrap().serialize_pem();
                    std::fs::write(at.join(ISSUER_KEY), key).unwrap();
                },
                &["issuer.key is damaged (it does not belong to issuer.crt)"],
            ),
            (
                "a folder for a file",
                |at| {
                    std::fs::remove_file(at.join(API_TOKENS)).unwrap();
                    std::fs::create_dir(at.join(API_TOKENS)).unwrap();
                },
                &["cannot use", "api-tokens.json"],
            ),
            (
                "a file for the folder",
                |at| {
                    std::fs::remove_dir_all(at).unwrap();
                    std::fs::write(at, "").unwrap();
                },
                &["secrets is not a folder"],
            ),
        ];
        for (name, spoil, expected) in cases {
            let (_parent, data) = fresh();
            Secrets::ensure(&data, &[app("tasks", 0)], now()).unwrap();
            spoil(&data.secrets());
            let told = Secrets::ensure(&data, &[app("tasks", 0)], now())
                .err()
                .unwrap()
                .to_string();
            for part in expected {
                assert!(told.contains(part), "{name}: {told}");
            }
            assert!(!told.contains('\n'), "{name}: {told}");
        }
    }

    #[test]
    fn the_cure_cures() {
        let (_parent, data) = fresh();
        Secrets::ensure(&data, &[app("tasks", 0)], now()).unwrap();
        for name in [ROOT, ISSUER, ISSUER_KEY, API_TOKENS] {
            std::fs::remove_file(data.secrets().join(name)).unwrap();
        }
        let (_, outcome) = Secrets::ensure(&data, &[app("tasks", 0)], now()).unwrap();
        assert_eq!(outcome, Outcome::Extended);
        std::fs::remove_dir_all(data.secrets()).unwrap();
        let (_, outcome) = Secrets::ensure(&data, &[app("tasks", 0)], now()).unwrap();
        assert_eq!(outcome, Outcome::Made);
    }

    #[test]
    fn before_the_first_start_the_key_says_what_to_do() {
        let (_parent, data) = fresh();
        let told = JwtKey::read(&data).err().unwrap().to_string();
        assert!(
            told.contains("start the stack first: `cargo docket up`"),
            "{told}"
        );
    }
}
