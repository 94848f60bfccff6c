//! Signatures in minisign's format, over the config of a pack: who checks one has checked the digest of every file.
//!
//! `minisign -Vm pack.json -p KEY.pub` says the same as this module does. The trusted comment, which is signed too, names the pack and
//! may carry a time after which nobody should install it. Keys come from the trust policy and never from what is signed.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use minisign::{KeyPair, PublicKey as PublicKeyOfSecret, SecretKey, SecretKeyBox};
use minisign_verify::{PublicKey, Signature};

use crate::pack::digest::Digest;
use crate::pack::manifest::Manifest;
use crate::types::limits::PACK_SIGNATURE_BYTES_MAX;

const TRUSTED: &str = "trusted comment: ";

/// A public key.
#[derive(Debug, Clone)]
pub struct Key {
    key: PublicKey,
    id: String,
}

impl Key {
    /// Reads what minisign prints as a public key: `RW…`, alone or below its comment.
    pub fn parse(text: &str) -> Result<Self, String> {
        let line = text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("");
        let form = || "expected a public key of minisign: 56 characters that begin with `RW`".to_owned();
        let key = PublicKey::from_base64(line).map_err(|_| form())?;
        let bytes = BASE64_STANDARD.decode(line).map_err(|_| form())?;
        let id = bytes.get(2..10).map(shown_id).ok_or_else(form)?;
        Ok(Self { key, id })
    }

    /// Its number as minisign shows it: 16 hexadecimal digits.
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// A new key: its public and its secret file, as `minisign -G -W` writes them.
pub fn new_key() -> Result<(String, String), String> {
    // The library asks the system for randomness itself: a key is no draw, and nothing that is simulated depends on it.
    let pair = KeyPair::generate_unencrypted_keypair().map_err(|error| error.to_string())?;
    let public = pair.pk.to_box().map_err(|error| error.to_string())?.into_string();
    let secret = pair.sk.to_box(None).map_err(|error| error.to_string())?.into_string();
    Ok((public, secret))
}

/// Signs the pack of `manifest` with the key in `secret`, the text of a minisign file; `password` opens one that is encrypted. Installs
/// are refused from `expires_unix_s` on, if it is given. Gives the number of the key and the text for a `.minisig` file.
pub fn sign(
    manifest: &Manifest,
    config: &[u8],
    secret: &str,
    password: Option<String>,
    expires_unix_s: Option<u64>,
) -> Result<(String, String), String> {
    let key = secret_key(secret, password)?;
    let public = PublicKeyOfSecret::from_secret_key(&key).map_err(|error| format!("the key cannot be used: {error}"))?;
    let mut comment = format!("pack:{}\tversion:{}\tdigest:{}", manifest.name, manifest.version, Digest::of(config));
    if let Some(expires) = expires_unix_s {
        comment.push_str(&format!("\texpires:{expires}"));
    }
    // Which is verified with the public key, so that a key that was damaged signs nothing.
    let signature = minisign::sign(Some(&public), &key, config, Some(&comment), Some("signature of a simwright pack"));
    let text = signature.map_err(|error| format!("it cannot be signed: {error}"))?.into_string();
    Ok((key_id(&text)?, text))
}

/// The key in `text`, a file of minisign. The library wants a checksum in keys without a password, which the tool does not write.
fn secret_key(text: &str, password: Option<String>) -> Result<SecretKey, String> {
    let form = || "expected a secret key of minisign, a comment and a line of base64 below it".to_owned();
    let bytes = BASE64_STANDARD.decode(text.lines().nth(1).ok_or_else(form)?.trim()).map_err(|_| form())?;
    let key = SecretKey::from_bytes(&bytes).map_err(|_| form())?;
    match (key.is_encrypted(), password) {
        (false, _) => Ok(key),
        (true, None) => Err("the key has a password; put it into the variable `SIMWRIGHT_KEY_PASSWORD`".to_owned()),
        (true, password) => SecretKeyBox::from_string(text)
            .and_then(|boxed| boxed.into_secret_key(password))
            .map_err(|error| format!("the key cannot be opened: {error}")),
    }
}

/// Why a signature counts for nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It is good, and was meant to be so until some hours ago.
    Expired(String),
    /// It is not one of these bytes by this key.
    Bad(String),
}

impl From<String> for Fault {
    fn from(reason: String) -> Self {
        Self::Bad(reason)
    }
}

/// The number of the key that `signature` says it was made with. It proves nothing.
pub fn key_id(signature: &str) -> Result<String, String> {
    let lines = lines(signature)?;
    let bytes = BASE64_STANDARD.decode(lines[1]).map_err(|_| format())?;
    bytes.get(2..10).map(shown_id).ok_or_else(format)
}

/// Checks that `signature` is one of the pack `manifest`, whose config is `config`, by `key`. `now_unix_s` is the time, where a signature
/// that has expired is of no use.
pub fn verify(signature: &str, key: &Key, manifest: &Manifest, config: &[u8], now_unix_s: Option<u64>) -> Result<(), Fault> {
    let comment = lines(signature)?[2].strip_prefix(TRUSTED).ok_or_else(format)?;
    let decoded = Signature::decode(signature).map_err(|error| match error {
        minisign_verify::Error::UnsupportedAlgorithm => {
            "its algorithm is not known: a signature is Ed25519 as minisign makes it".to_owned()
        }
        _ => format(),
    })?;
    key.key.verify(config, &decoded, false).map_err(|error| match error {
        minisign_verify::Error::UnexpectedKeyId => "it was made with another key".to_owned(),
        minisign_verify::Error::UnexpectedAlgorithm | minisign_verify::Error::UnsupportedAlgorithm => {
            "it is of minisign's old kind, which signs no hash; sign with a newer minisign".to_owned()
        }
        _ => "it is not one of these bytes by this key".to_owned(),
    })?;
    // From here on the comment is known to be the key's owner's.
    let said = |name: &str| comment.split(['\t', ' ']).find_map(|field| field.strip_prefix(name)?.strip_prefix(':'));
    let expected =
        [("pack", manifest.name.clone()), ("version", manifest.version.to_string()), ("digest", Digest::of(config).to_string())];
    for (name, expected) in expected {
        if let Some(said) = said(name).filter(|said| *said != expected) {
            return Err(format!("it is one of {name} `{}`, and this is `{expected}`", said.escape_default()).into());
        }
    }
    match (said("expires").map(str::parse::<u64>), now_unix_s) {
        (Some(Err(_)), _) => Err("it expires at a time that is none".to_owned().into()),
        (Some(Ok(expires)), Some(now)) if now >= expires => {
            Err(Fault::Expired(format!("it has expired {} hours ago", (now - expires) / 3_600)))
        }
        _ => Ok(()),
    }
}

/// The four lines of a signature, and nothing more: whoever adds a key or another proof is not listened to.
fn lines(signature: &str) -> Result<[&str; 4], String> {
    if signature.len() > PACK_SIGNATURE_BYTES_MAX {
        return Err(format());
    }
    let lines: Vec<&str> = signature.trim_end_matches(['\r', '\n']).lines().collect();
    <[&str; 4]>::try_from(lines).map_err(|_| format())
}

fn format() -> String {
    "it is no signature of minisign: expected four lines, two of them base64".to_owned()
}

fn shown_id(bytes: &[u8]) -> String {
    bytes.iter().rev().map(|byte| format!("{byte:02X}")).collect()
}
