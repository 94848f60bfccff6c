//! From here to a registry: the files that it does not have, the config, and then the manifest that ties them together.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderValue, Method};

use crate::pack::digest::{Checker, Digest};
use crate::pack::registry::error::RegistryError;
use crate::pack::registry::manifest::{MANIFEST_TYPE, World, config_of, manifest_of, read};
use crate::pack::registry::reference::Reference;
use crate::pack::registry::session::{Action, Ask, Session};
use crate::pack::registry::{Registry, world};
use crate::pack::store::StoreError;
use crate::pack::{Artifact, COMPONENT_TYPE, Layer};

/// What was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// The place, pinned to the digest of the manifest.
    pub reference: Reference,
    /// Files and configs that were sent.
    pub sent: usize,
    /// Those that the registry had.
    pub kept: usize,
}

impl Registry {
    /// Sends a pack, whose files `read_file` gives, to a tag. Without one the digest that is written must be what comes out.
    pub async fn push(
        &self,
        reference: &Reference,
        artifact: &Artifact,
        mut read_file: impl FnMut(&Layer) -> Result<Vec<u8>, StoreError>,
    ) -> Result<Pushed, RegistryError> {
        let mut components = World::default();
        for layer in artifact.layers.iter().filter(|layer| layer.media_type == COMPONENT_TYPE) {
            world::add(&checked(layer, read_file(layer)?)?, &mut components);
        }
        let config = config_of(artifact, components)?;
        let manifest = manifest_of(artifact, &config);
        let digest = Digest::of(&manifest);
        // What would not be accepted back is not sent.
        read(&reference.to_string(), Some(MANIFEST_TYPE), &manifest)?;
        if let Some(said) = reference.digest().filter(|said| *said != digest) {
            let said = said.to_string();
            return Err(RegistryError::Contradiction {
                what: "the manifest".to_owned(),
                place: "here".to_owned(),
                said,
                found: digest,
            });
        }
        let mut session = Session::new(self, reference, Action::Push)?;
        let mut pushed = Pushed { reference: reference.pinned(digest), sent: 0, kept: 0 };
        for layer in &artifact.layers {
            let bytes = checked(layer, read_file(layer)?)?;
            session.blob(layer.digest, bytes.into(), &mut pushed).await?;
        }
        session.blob(Digest::of(&config), config.into(), &mut pushed).await?;
        session.manifest(reference.tag().map_or_else(|| digest.to_string(), str::to_owned), manifest.into(), digest).await?;
        Ok(pushed)
    }
}

/// `bytes`, if they are those of `layer`: what is spoilt here is not spread.
fn checked(layer: &Layer, bytes: Vec<u8>) -> Result<Vec<u8>, StoreError> {
    let mut checker = Checker::new(layer.digest, layer.size);
    checker.update(&bytes)?;
    checker.finish()?;
    Ok(bytes)
}

impl Session<'_> {
    /// Sends some bytes, unless the registry has them.
    async fn blob(&mut self, digest: Digest, bytes: Bytes, pushed: &mut Pushed) -> Result<(), RegistryError> {
        let there = Ask { method: Method::HEAD, ..Ask::get(self.place(&format!("blobs/{digest}"))) };
        let begin = Ask { method: Method::POST, ..Ask::get(self.place("blobs/uploads/")) };
        let is_there = self.tried(async |session| Ok(session.ask(&there, &[200, 404]).await?.status == 200)).await?;
        if is_there {
            pushed.kept += 1;
            return Ok(());
        }
        let bytes = &bytes;
        self.tried(async move |session| {
            let mut answer = session.ask(&begin, &[202]).await?;
            let location = answer.header(LOCATION.as_str()).unwrap_or("").to_owned();
            let place = answer.url.join(&location).map_err(|reason| session.elsewhere(&location, reason))?;
            session.words(&mut answer).await;
            if place.origin != session.home {
                return Err(session.elsewhere(&location, "files are sent to nobody else"));
            }
            let put =
                Ask { method: Method::PUT, body: bytes.clone(), ..Ask::get(place.with_pair("digest", &digest.to_string())) };
            let put = put.with(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
            let mut answer = session.ask(&put, &[201]).await?;
            session.words(&mut answer).await;
            Ok(())
        })
        .await?;
        pushed.sent += 1;
        Ok(())
    }

    async fn manifest(&mut self, tag: String, bytes: Bytes, digest: Digest) -> Result<(), RegistryError> {
        let put = Ask { method: Method::PUT, body: bytes, ..Ask::get(self.place(&format!("manifests/{tag}"))) };
        let put = put.with(CONTENT_TYPE, HeaderValue::from_static(MANIFEST_TYPE));
        let said = self
            .tried(async |session| {
                let answer = session.ask(&put, &[201]).await?;
                Ok(answer.header("docker-content-digest").map(str::to_owned))
            })
            .await?;
        match said.filter(|said| *said != digest.to_string()) {
            None => Ok(()),
            Some(said) => {
                let (what, place) = ("the manifest".to_owned(), self.home.place());
                Err(RegistryError::Contradiction { what, place, said, found: digest })
            }
        }
    }
}
