//! From a registry into the store: first what is offered, then its files.
//!
//! Every byte is hashed by us as it comes, against the digest and the size that stand in the manifest, and the manifest against the
//! digest that was asked for. All files are complete before the first of them is there. What the store has already is not fetched
//! again. A download that breaks off goes on where it was, if the registry can, or begins anew.

use http::HeaderValue;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RANGE};

use crate::pack::digest::{Checker, Digest, Mismatch};
use crate::pack::manifest::Manifest;
use crate::pack::registry::Registry;
use crate::pack::registry::bounds::Tries;
use crate::pack::registry::error::RegistryError;
use crate::pack::registry::manifest::{self, ACCEPTED, Descriptor, PUSH_HINT};
use crate::pack::registry::reference::Reference;
use crate::pack::registry::session::{Action, Ask, Session};
use crate::pack::registry::wire::{Answer, within};
use crate::pack::store::{Intake, Stage, StoreError};
use crate::pack::{Artifact, Layer};
use crate::types::limits;

/// The header in which a registry says what it thinks the digest is.
const SAID_DIGEST: &str = "docker-content-digest";

/// What a registry has at a place. Its files are not here yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The place, pinned to the digest of the manifest.
    pub reference: Reference,
    /// The pack, as it is signed and sent.
    pub artifact: Artifact,
    /// What it says it is: its files are those of the artifact, no more and no fewer.
    pub manifest: Manifest,
}

/// What was done to have the files of an offer here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fetched {
    /// Files that were fetched.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Files that were here already.
    pub kept: usize,
}

impl Registry {
    /// What is at a place: manifest and config, both checked, and no files.
    pub async fn look(&self, reference: &Reference) -> Result<Offer, RegistryError> {
        let mut session = Session::new(self, reference, Action::Pull)?;
        let ask = asked(&session, reference);
        let (kind, said, bytes) = session
            .tried(async |session| {
                let mut answer = session.ask(&ask, &[200]).await?;
                let bytes = answer.whole("the manifest", limits::PACK_MANIFEST_BYTES_MAX, &session.registry.bounds).await?;
                let kind = answer.header(CONTENT_TYPE.as_str()).map(str::to_owned);
                Ok((kind, answer.header(SAID_DIGEST).map(str::to_owned), bytes))
            })
            .await?;
        let found = Digest::of(&bytes);
        let place = session.home.place();
        let expected =
            reference.digest().map(|digest| digest.to_string()).into_iter().chain(said.filter(|said| !said.is_empty()));
        if let Some(said) = expected.into_iter().find(|expected| *expected != found.to_string()) {
            return Err(RegistryError::Contradiction { what: "the manifest".to_owned(), place, said, found });
        }
        let pinned = reference.pinned(found);
        let manifest = manifest::read(&pinned.to_string(), kind.as_deref(), &bytes)?;
        let config = session.config(&manifest.config).await?;
        let config = manifest::inner_config(&pinned.to_string(), &manifest.config.media_type, config)?;
        let artifact = Artifact { config, layers: manifest.layers, signatures: manifest.signatures };
        let manifest = Manifest::of(&artifact).map_err(|problem| manifest::no_pack(&pinned.to_string(), problem, PUSH_HINT))?;
        Ok(Offer { reference: pinned, artifact, manifest })
    }

    /// Brings the files of an offer into the store: all of them, or none.
    pub async fn fetch(&self, offer: &Offer, intake: &Intake) -> Result<Fetched, RegistryError> {
        let mut session = Session::new(self, &offer.reference, Action::Pull)?;
        let mut fetched = Fetched::default();
        let mut staged: Vec<(Digest, Stage)> = Vec::new();
        for layer in &offer.artifact.layers {
            if staged.iter().any(|(digest, _)| *digest == layer.digest) {
                continue;
            }
            if is_here(layer, intake) {
                fetched.kept += 1;
                continue;
            }
            staged.push((layer.digest, session.layer(layer, intake).await?));
            fetched.files += 1;
            fetched.bytes += layer.size;
        }
        for (_, stage) in staged {
            stage.commit()?;
        }
        Ok(fetched)
    }
}

/// What is asked of the registry for the manifest.
fn asked(session: &Session<'_>, reference: &Reference) -> Ask {
    Ask::get(session.place(&format!("manifests/{}", reference.asked()))).with(ACCEPT, HeaderValue::from_static(ACCEPTED))
}

/// Are the bytes of this layer in the store? Spoilt ones are fetched again.
fn is_here(layer: &Layer, intake: &Intake) -> bool {
    intake.store().has(&layer.digest) && intake.store().read(&layer.digest).is_ok_and(|bytes| bytes.len() as u64 == layer.size)
}

impl Session<'_> {
    /// A config, whole and checked.
    async fn config(&mut self, config: &Descriptor) -> Result<Vec<u8>, RegistryError> {
        let ask = Ask::get(self.place(&format!("blobs/{}", config.digest)));
        let bytes = self
            .tried(async |session| {
                let mut answer = session.ask(&ask, &[200]).await?;
                session.check_head(&answer, config.digest, config.size, "the config")?;
                answer.whole("the config", limits::PACK_MANIFEST_BYTES_MAX, &session.registry.bounds).await
            })
            .await?;
        let mut checker = Checker::new(config.digest, config.size);
        checker.update(&bytes).and_then(|()| checker.finish()).map_err(|mismatch| self.mismatch("the config", mismatch))?;
        Ok(bytes)
    }

    /// A file, whole and checked, on its way into the store.
    async fn layer(&mut self, layer: &Layer, intake: &Intake) -> Result<Stage, RegistryError> {
        let mut tries = Tries::new();
        let mut stage = intake.stage(layer.digest, layer.size)?;
        let mut have = 0;
        loop {
            let limit = self.registry.bounds.whole(layer.size - have);
            let place = self.home.place();
            match within(limit, "a file", &place, self.rest(layer, intake, &mut stage, &mut have)).await {
                Ok(()) => break,
                Err(error) => self.pause(&mut tries, error).await?,
            }
        }
        stage.check().map_err(|error| self.refused(layer, error))?;
        Ok(stage)
    }

    /// Writes what comes of a file after the first `have` bytes.
    async fn rest(&mut self, layer: &Layer, intake: &Intake, stage: &mut Stage, have: &mut u64) -> Result<(), RegistryError> {
        let mut ask = Ask::get(self.place(&format!("blobs/{}", layer.digest)));
        if *have > 0 {
            let range = HeaderValue::try_from(format!("bytes={have}-")).expect("digits");
            ask = ask.with(RANGE, range);
        }
        let mut answer = self.ask(&ask, &[200, 206, 416]).await?;
        let is_rest =
            answer.status == 206 && *have > 0 && answer.header(CONTENT_RANGE.as_str()) == Some(&range_of(*have, layer.size));
        if !is_rest {
            *stage = intake.stage(layer.digest, layer.size)?;
            *have = 0;
        }
        if answer.status != 200 && !is_rest {
            let reason = "it was asked for the rest of a file and sent something else".to_owned();
            return Err(RegistryError::Cut { what: "a file", place: answer.url.origin.place(), reason });
        }
        self.check_head(&answer, layer.digest, layer.size - *have, &name_of(layer))?;
        while let Some(bytes) = answer.next("a file", &self.registry.bounds).await? {
            stage.write(&bytes).map_err(|error| self.refused(layer, error))?;
            *have += bytes.len() as u64;
        }
        Ok(())
    }

    /// What the head of an answer says of its bytes, before they come.
    fn check_head(&self, answer: &Answer, digest: Digest, size: u64, what: &str) -> Result<(), RegistryError> {
        let place = answer.url.origin.place();
        if let Some(said) = answer.header(SAID_DIGEST).filter(|said| !said.is_empty() && *said != digest.to_string()) {
            return Err(RegistryError::Contradiction { what: what.to_owned(), place, said: said.to_owned(), found: digest });
        }
        match answer.header(CONTENT_LENGTH.as_str()).and_then(|length| length.parse::<u64>().ok()) {
            Some(length) if length < size => {
                Err(self.mismatch(what, Mismatch::Shorter { expected: digest, size, found: length }))
            }
            Some(length) if length > size => Err(self.mismatch(what, Mismatch::Longer { expected: digest, size })),
            _ => Ok(()),
        }
    }

    fn mismatch(&self, what: &str, mismatch: Mismatch) -> RegistryError {
        RegistryError::Mismatch { what: what.to_owned(), place: self.home.place(), mismatch: Box::new(mismatch) }
    }

    fn refused(&self, layer: &Layer, error: StoreError) -> RegistryError {
        match error {
            StoreError::Mismatch(mismatch) => self.mismatch(&name_of(layer), mismatch),
            other => other.into(),
        }
    }
}

fn range_of(from: u64, size: u64) -> String {
    format!("bytes {from}-{}/{size}", size.saturating_sub(1))
}

fn name_of(layer: &Layer) -> String {
    if layer.title.is_empty() { layer.digest.short() } else { format!("`{}`", super::error::printable(&layer.title)) }
}
