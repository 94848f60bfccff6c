//! A pack with all its bytes, wherever they lie: in memory after a build, in a built folder, in the store.
//!
//! A built folder holds `pack.json`, the manifest byte for byte, `blobs/` with every file by the digits of its digest, and the
//! signatures that were made, `pack.json*.minisig`. Equal packs make equal folders.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::pack::digest::{Checked, Digest};
use crate::pack::manifest::{Manifest, archive};
use crate::pack::store::{Store, StoreError, replace, sweep_beside};
use crate::pack::{Artifact, Layer};
use crate::types::limits::{PACK_MANIFEST_BYTES_MAX, PACK_SIGNATURE_BYTES_MAX, PACK_SIGNATURES_MAX};

/// The file of a built folder that holds the manifest.
pub const MANIFEST: &str = "pack.json";
const BLOBS: &str = "blobs";
const SIGNATURE: &str = ".minisig";

/// Why a pack cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// It is none, or a bad one.
    #[error("`{place}` is no pack that can be used: {message}")]
    Bad {
        /// Which.
        place: String,
        /// Why.
        message: String,
    },
    /// Its bytes cannot be read or written, or are others.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A pack and where its bytes are.
#[derive(Debug, Clone)]
pub struct Pack {
    /// As it is stored, signed and sent.
    pub artifact: Artifact,
    /// What its config says.
    pub manifest: Manifest,
    blobs: Blobs,
}

#[derive(Debug, Clone)]
enum Blobs {
    Memory(BTreeMap<Digest, Vec<u8>>),
    Folder(PathBuf),
    Store(Store),
}

impl Pack {
    /// The pack of `manifest`, whose files have the bytes `files`.
    pub fn in_memory(manifest: Manifest, files: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let artifact = Artifact { config: manifest.bytes(), layers: manifest.files.clone(), signatures: Vec::new() };
        let blobs = files.into_iter().map(|bytes| (Digest::of(&bytes), bytes)).collect();
        Self { artifact, manifest, blobs: Blobs::Memory(blobs) }
    }

    /// The pack `artifact`, whose bytes are in `store`.
    pub fn in_store(artifact: Artifact, store: &Store) -> Result<Self, PackError> {
        let bad = |message| PackError::Bad { place: artifact.digest().to_string(), message };
        let manifest = Manifest::of(&artifact).map_err(bad)?;
        Ok(Self { artifact, manifest, blobs: Blobs::Store(store.clone()) })
    }

    /// The pack in a built folder. What is read of it later is checked then.
    pub fn in_folder(folder: &Path) -> Result<Self, PackError> {
        let bad = |message: String| PackError::Bad { place: folder.display().to_string(), message };
        if folder.is_file() {
            let mut first = Vec::new();
            File::open(folder).and_then(|file| file.take(512).read_to_end(&mut first)).map_err(StoreError::io(folder))?;
            let what = archive(&first).unwrap_or("a file");
            return Err(bad(format!("it is {what}, and a pack is a folder; packs are never archives")));
        }
        let path = folder.join(MANIFEST);
        let config = read_file(&path, PACK_MANIFEST_BYTES_MAX).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => bad(format!("there is no `{MANIFEST}` in it; build it with `simwright pack build`")),
            _ => StoreError::Io { path, error }.into(),
        })?;
        let manifest = Manifest::parse(&config).map_err(bad)?;
        let artifact = Artifact { config, layers: manifest.files.clone(), signatures: signatures(folder)? };
        Ok(Self { artifact, manifest, blobs: Blobs::Folder(folder.to_owned()) })
    }

    /// Is there a built pack in `folder`? Other tools have files of that name, too.
    pub fn is_built(folder: &Path) -> bool {
        read_file(&folder.join(MANIFEST), PACK_MANIFEST_BYTES_MAX).is_ok_and(|config| Manifest::parse(&config).is_ok())
    }

    /// May a pack be written to `folder`? It must be new, empty or a built pack.
    pub fn check_place(folder: &Path) -> Result<(), PackError> {
        let is_empty = match fs::read_dir(folder) {
            Ok(mut entries) => entries.next().is_none(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            Err(error) => return Err(StoreError::Io { path: folder.to_owned(), error }.into()),
        };
        if is_empty || Self::is_built(folder) {
            return Ok(());
        }
        let message = "it holds other things, and a build writes to a folder of its own: name another one".to_owned();
        Err(PackError::Bad { place: folder.display().to_string(), message })
    }

    /// Its digest.
    pub fn digest(&self) -> Digest {
        self.artifact.digest()
    }

    /// The bytes of one of its files: the reader fails at its end if they are others.
    pub fn open(&self, layer: &Layer) -> Result<Box<dyn Read + Send + '_>, StoreError> {
        Ok(match &self.blobs {
            Blobs::Memory(blobs) => {
                let bytes = blobs.get(&layer.digest).ok_or(StoreError::Missing(layer.digest))?;
                Box::new(Checked::new(&bytes[..], layer.digest, layer.size))
            }
            Blobs::Folder(folder) => {
                let path = folder.join(BLOBS).join(layer.digest.hex());
                let file = File::open(&path).map_err(|error| match error.kind() {
                    io::ErrorKind::NotFound => StoreError::Missing(layer.digest),
                    _ => StoreError::Io { path, error },
                })?;
                Box::new(Checked::new(file, layer.digest, layer.size))
            }
            Blobs::Store(store) => Box::new(store.open(&layer.digest)?),
        })
    }

    /// All bytes of one of its files, checked.
    pub fn read(&self, layer: &Layer) -> Result<Vec<u8>, StoreError> {
        let mut bytes = Vec::with_capacity(layer.size as usize);
        self.open(layer)?.read_to_end(&mut bytes).map_err(StoreError::of_bytes(Path::new(&layer.title)))?;
        Ok(bytes)
    }

    /// Writes it to `folder`, which must be new, empty or a built pack. Signatures over other bytes are removed.
    pub fn write(&self, folder: &Path) -> Result<(), PackError> {
        Self::check_place(folder)?;
        let blobs = folder.join(BLOBS);
        fs::create_dir_all(&blobs).map_err(StoreError::io(&blobs))?;
        for layer in &self.artifact.layers {
            let path = blobs.join(layer.digest.hex());
            replace(&path, &self.read(layer)?)?;
        }
        let path = folder.join(MANIFEST);
        if fs::read(&path).ok().as_deref() != Some(&self.artifact.config) {
            for signature in signature_files(folder)? {
                fs::remove_file(&signature).map_err(StoreError::io(&signature))?;
            }
            sweep_beside(&path)?;
            replace(&path, &self.artifact.config)?;
        }
        for entry in fs::read_dir(&blobs).map_err(StoreError::io(&blobs))? {
            let path = entry.map_err(StoreError::io(&blobs))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
            // What a build did not write is not for a build to remove: it writes digests, and drafts of them.
            let digits = name.trim_start_matches('.').split('.').next().unwrap_or("");
            let Ok(digest) = format!("sha256:{digits}").parse::<Digest>() else { continue };
            if name != digits || !self.artifact.layers.iter().any(|layer| layer.digest == digest) {
                fs::remove_file(&path).map_err(StoreError::io(&path))?;
            }
        }
        Ok(())
    }
}

/// Adds `signature`, made with the key `key_id`, to the built pack in `folder`; gives the file. One of the same key is replaced.
pub fn add_signature(folder: &Path, key_id: &str, signature: &str) -> Result<PathBuf, PackError> {
    let first = folder.join(format!("{MANIFEST}{SIGNATURE}"));
    let is_free = match fs::read_to_string(&first) {
        Ok(text) => crate::pack::signature::key_id(&text).is_ok_and(|known| known == key_id),
        Err(_) => true,
    };
    let path = if is_free { first } else { folder.join(format!("{MANIFEST}.{key_id}{SIGNATURE}")) };
    fs::write(&path, signature).map_err(StoreError::io(&path))?;
    Ok(path)
}

/// The files of signatures in `folder`, in the order of their names.
fn signature_files(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(StoreError::io(folder))? {
        let path = entry.map_err(StoreError::io(folder))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
        if name.starts_with(MANIFEST) && name.ends_with(SIGNATURE) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn signatures(folder: &Path) -> Result<Vec<String>, PackError> {
    let bad = |message| PackError::Bad { place: folder.display().to_string(), message };
    let files = signature_files(folder)?;
    if files.len() > PACK_SIGNATURES_MAX {
        return Err(bad(format!("it has {} signatures, and it may have {PACK_SIGNATURES_MAX}", files.len())));
    }
    let read = |path: PathBuf| {
        let bytes = read_file(&path, PACK_SIGNATURE_BYTES_MAX as u64).map_err(StoreError::io(&path))?;
        String::from_utf8(bytes).map_err(|_| bad(format!("its signature `{}` is no text", path.display())))
    };
    files.into_iter().map(read).collect()
}

/// The bytes of `path`, which may have `most`.
fn read_file(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::other(format!("it has more than {most} bytes")));
    }
    Ok(bytes)
}
