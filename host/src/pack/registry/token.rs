//! Who asks: names and passwords, and the tokens that registries have them exchanged for (the distribution specification's
//! "token authentication"). A password is shown to the registry itself, and to a realm elsewhere only if a person names that host.

use http::HeaderValue;
use serde::Deserialize;

use crate::pack::registry::challenge::Challenge;
use crate::pack::registry::credentials::{Found, PASSWORD_VARIABLE};
use crate::pack::registry::error::RegistryError;
use crate::pack::registry::session::{Action, Ask, Session, retry_after};
use crate::pack::registry::url::{Origin, Url};
use crate::types::limits;

/// Where Docker Hub's tokens come from: the one realm elsewhere that is known.
const DOCKER_HUB_REALM: (&str, &str) = ("registry-1.docker.io", "auth.docker.io");

/// Whom the registry saw asking.
enum Who {
    Anonymous,
    Known,
}

#[derive(Deserialize)]
struct Granted {
    token: Option<String>,
    access_token: Option<String>,
}

impl Session<'_> {
    /// Meets a challenge: the header that says who asks, or nothing if nobody is known who might.
    pub(super) async fn authorize(&mut self, challenge: Option<Challenge>) -> Result<Option<HeaderValue>, RegistryError> {
        match challenge {
            None => Ok(None),
            Some(Challenge::Basic) => Ok(self.credentials()),
            Some(Challenge::Bearer { realm, service }) => self.token(&realm, service.as_deref()).await.map(Some),
        }
    }

    fn credentials(&self) -> Option<HeaderValue> {
        match &self.found {
            Found::Credentials(credentials) => credentials.header(),
            Found::Nothing | Found::Unusable(_) => None,
        }
    }

    async fn token(&mut self, realm: &str, service: Option<&str>) -> Result<HeaderValue, RegistryError> {
        let url = Url::parse(realm).map_err(|reason| self.elsewhere(realm, reason))?;
        self.check_scheme(&url)?;
        let actions = match self.action {
            Action::Pull => "pull",
            Action::Push => "pull,push",
        };
        let scope = format!("repository:{}:{actions}", self.reference.repository());
        let url = service.into_iter().fold(url, |url, service| url.with_pair("service", service)).with_pair("scope", &scope);
        let authorization = self.credentials();
        let shown = authorization.filter(|_| self.may_see_credentials(&url.origin));
        if shown.is_none() && self.credentials().is_some() {
            self.kept_from = Some(url.origin.place());
        }
        let mut answer = self.send_as(&Ask::get(url.clone()), url.clone(), shown).await?;
        let place = url.origin.place();
        match answer.status.as_u16() {
            200 => {}
            401 | 403 => {
                let said = self.words(&mut answer).await;
                return Err(self.denied(said));
            }
            status => {
                let said = self.words(&mut answer).await;
                return Err(RegistryError::Status { place, status, said, retry_after: retry_after(&answer) });
            }
        }
        let bytes = answer.whole("a token", limits::REGISTRY_WORDS_BYTES_MAX, &self.registry.bounds).await?;
        // What stands there is a secret, so no part of it is told.
        let strange =
            || RegistryError::Stranger { place: place.clone(), reason: "it was asked for a token and gave none".to_owned() };
        let granted: Granted = serde_json::from_slice(&bytes).map_err(|_| strange())?;
        let token = granted.token.or(granted.access_token).filter(|token| !token.is_empty()).ok_or_else(strange)?;
        let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| strange())?;
        value.set_sensitive(true);
        Ok(value)
    }

    fn may_see_credentials(&self, origin: &Origin) -> bool {
        let is_hub = self.home.host.to_string() == DOCKER_HUB_REALM.0 && origin.tls && origin.place() == DOCKER_HUB_REALM.1;
        let is_named = self.registry.access.token_host.as_deref() == Some(origin.place().as_str());
        *origin == self.home || is_hub || is_named
    }

    /// The registry does not let this client do what it wants.
    pub(super) fn denied(&self, said: String) -> RegistryError {
        let registry = self.reference.registry();
        let give = format!(
            "give `--username` and the password in `{PASSWORD_VARIABLE}`, or log in so that Docker's `config.json` has an entry for `{registry}`"
        );
        let (who, hint) = match (&self.found, &self.kept_from) {
            (Found::Nothing, _) => (Who::Anonymous, give),
            (Found::Unusable(reason), _) => (Who::Anonymous, format!("{reason}; {give}")),
            (Found::Credentials(_), Some(place)) => (
                Who::Anonymous,
                format!(
                    "its tokens come from `{place}`, and credentials are shown to no other host than theirs; `--token-host {place}` allows it"
                ),
            ),
            (Found::Credentials(_), None) => {
                (Who::Known, "see that name and password are right, and what they may do".to_owned())
            }
        };
        let refused = match (who, self.action) {
            (Who::Anonymous, Action::Pull) => "anonymous clients read",
            (Who::Anonymous, Action::Push) => "anonymous clients write",
            (Who::Known, Action::Pull) => "these credentials read",
            (Who::Known, Action::Push) => "these credentials write",
        };
        let repository = self.reference.repository().to_owned();
        RegistryError::Denied { registry, refused, repository, said, hint }
    }
}
