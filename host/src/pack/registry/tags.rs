//! Which versions a repository has: those of its tags that are versions.

use http::header::LINK;
use semver::{Version, VersionReq};
use serde::Deserialize;

use crate::pack::registry::Registry;
use crate::pack::registry::error::{RegistryError, printable};
use crate::pack::registry::reference::Reference;
use crate::pack::registry::session::{Action, Ask, Session};
use crate::pack::registry::url::Url;
use crate::types::limits;

/// What a version is called as a tag, which cannot hold a plus.
pub fn tag_of(version: &Version) -> String {
    version.to_string().replace('+', "_")
}

/// The newest of `tags` that is a version in `range`; without a range the newest release, or the newest of all if none is one. `None` if
/// no tag is a version at all; the error is the versions that there are if none of them is in the range.
fn newest<'a>(tags: &'a [String], range: Option<&VersionReq>) -> Result<Option<&'a str>, Vec<Version>> {
    let version = |tag: &'a String| Some((tag.replace('_', "+").parse::<Version>().ok()?, tag.as_str()));
    let mut versions: Vec<(Version, &str)> = tags.iter().filter_map(version).collect();
    versions.sort();
    let has_release = versions.iter().any(|(version, _)| version.pre.is_empty());
    let fits = |version: &Version| match range {
        Some(range) => range.matches(version),
        None => version.pre.is_empty() || !has_release,
    };
    match versions.iter().rfind(|(version, _)| fits(version)) {
        Some((_, tag)) => Ok(Some(tag)),
        None if versions.is_empty() => Ok(None),
        None => Err(versions.into_iter().map(|(version, _)| version).collect()),
    }
}

impl Registry {
    /// The place that `reference` means to who wants a version in `range`: with neither tag nor digest the newest version that there is,
    /// or `latest` where no tag is a version.
    pub async fn newest(&self, reference: &Reference, range: Option<&VersionReq>) -> Result<Reference, RegistryError> {
        if !reference.is_open() {
            return Ok(reference.clone());
        }
        let tags = self.tags(reference).await?;
        match newest(&tags, range) {
            Ok(None) => Ok(reference.clone()),
            // It was a tag of the registry's a moment ago.
            Ok(Some(tag)) => Ok(reference.clone().or_tag(tag).unwrap_or_else(|_| reference.clone())),
            Err(versions) => {
                let known: Vec<String> = versions.iter().rev().take(5).map(ToString::to_string).collect();
                let said = format!(": none of its versions is in `{}`; it has {}", shown(range), printable(&known.join(", ")));
                Err(RegistryError::NotFound { reference: reference.place(), said })
            }
        }
    }

    /// All tags of the repository of `reference`; none where the registry has no such list.
    async fn tags(&self, reference: &Reference) -> Result<Vec<String>, RegistryError> {
        let mut session = Session::new(self, reference, Action::Pull)?;
        let mut url = session.place(&format!("tags/list?n={}", limits::REGISTRY_TAGS_ASKED));
        let mut tags = Vec::new();
        for _ in 0..limits::REGISTRY_TAG_PAGES_MAX {
            let (page, next) = session.page(url).await?;
            tags.extend(page);
            match next {
                Some(next) => url = next,
                None => return Ok(tags),
            }
        }
        let limit = format!("{} parts", limits::REGISTRY_TAG_PAGES_MAX);
        Err(RegistryError::TooLarge { what: "the list of tags", place: session.home.place(), limit })
    }
}

#[derive(Deserialize)]
struct Page {
    // Some registries send `null` for an empty list.
    tags: Option<Vec<String>>,
}

impl Session<'_> {
    /// A part of the list of tags at `url`, and where the next one is.
    async fn page(&mut self, url: Url) -> Result<(Vec<String>, Option<Url>), RegistryError> {
        let ask = Ask::get(url);
        let (status, bytes, link) = self
            .tried(async |session| {
                let mut answer = session.ask(&ask, &[200, 404]).await?;
                let bytes = answer.whole("the list of tags", limits::REGISTRY_TAGS_BYTES_MAX, &session.registry.bounds).await?;
                Ok((answer.status.as_u16(), bytes, answer.header(LINK.as_str()).map(str::to_owned)))
            })
            .await?;
        if status == 404 {
            return Ok((Vec::new(), None));
        }
        let page: Page = serde_json::from_slice(&bytes).map_err(|error| RegistryError::Stranger {
            place: self.home.place(),
            reason: printable(&format!("its list of tags cannot be read: {error}")),
        })?;
        let next = link.as_deref().and_then(next_of).map(|next| match ask.url.join(next) {
            Ok(url) if url.origin == self.home => Ok(url),
            Ok(_) => Err(self.elsewhere(next, "the rest of its tags is its own to tell")),
            Err(reason) => Err(self.elsewhere(next, reason)),
        });
        Ok((page.tags.unwrap_or_default(), next.transpose()?))
    }
}

/// The target of `<…>; rel="next"`.
fn next_of(link: &str) -> Option<&str> {
    let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
    parameters.contains("next").then_some(target)
}

fn shown(range: Option<&VersionReq>) -> String {
    range.map_or_else(|| "*".to_owned(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_in_the_range_is_meant_and_a_candidate_only_where_it_is_named() {
        let tags = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>();
        let all = tags(&["latest", "1.10.0", "1.2.0", "v9", "2.0.0-rc.1", "1.9.0_build.5", "sha256-abc"]);
        let range = |text: &str| text.parse::<VersionReq>().expect(text);
        assert_eq!(newest(&all, None), Ok(Some("1.10.0")));
        assert_eq!(newest(&all, Some(&range("^1.2"))), Ok(Some("1.10.0")));
        assert_eq!(newest(&all, Some(&range(">=1.3, <1.10"))), Ok(Some("1.9.0_build.5")));
        assert_eq!(newest(&all, Some(&range("=2.0.0-rc.1"))), Ok(Some("2.0.0-rc.1")));
        assert_eq!(newest(&all, Some(&range("^2.0"))).map_err(|known| known.len()), Err(4));
        assert_eq!(newest(&tags(&["2.0.0-rc.1", "2.0.0-rc.2"]), None), Ok(Some("2.0.0-rc.2")));
        assert_eq!(newest(&tags(&["latest", "stable"]), Some(&range("^1.0"))), Ok(None));
    }
}
