//! What goes wrong with registries, in words for people and in one word for scripts.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use crate::pack::digest::{Digest, Mismatch};
use crate::pack::store::StoreError;
use crate::types::printable::printable as escaped;

/// Why a registry did not do what it was asked, or was not believed.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// Nobody answers.
    #[error("cannot reach `{place}`: {error}")]
    Unreachable {
        /// Host and port.
        place: String,
        /// What the system says.
        error: io::Error,
    },
    /// The other side's certificate is not good.
    #[error("`{place}` has no certificate that this system trusts: {reason}\n  hint: {}", CERTIFICATE_HINT)]
    Certificate {
        /// Host and port.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A name leads into a network that strangers must not reach.
    #[error("`{place}` is at `{address}`, which {asker} must not lead to\n  hint: {hint}")]
    Address {
        /// The host.
        place: String,
        /// Where it is.
        address: IpAddr,
        /// Who named it.
        asker: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// A redirect or a realm that is not followed.
    #[error("`{registry}` sends its clients to `{to}`: {reason}")]
    Elsewhere {
        /// Who says so.
        registry: String,
        /// Where to.
        to: String,
        /// Why it is not followed.
        reason: &'static str,
    },
    /// Time ran out.
    #[error("{what} of `{place}` did not come within {}", shown(*limit))]
    TimedOut {
        /// What was waited for.
        what: &'static str,
        /// Host and port.
        place: String,
        /// How long.
        limit: Duration,
    },
    /// More than is taken.
    #[error("{what} of `{place}` is larger than {limit}, the most that is taken")]
    TooLarge {
        /// What.
        what: &'static str,
        /// Host and port, or the pack.
        place: String,
        /// The bound, with its unit.
        limit: String,
    },
    /// The connection ended in the middle.
    #[error("the connection to `{place}` ended in the middle of {what}: {reason}")]
    Cut {
        /// Of what.
        what: &'static str,
        /// Host and port.
        place: String,
        /// What the connection says.
        reason: String,
    },
    /// What answers does not speak as a registry does.
    #[error("what answers at `{place}` is no registry: {reason}")]
    Stranger {
        /// Host and port.
        place: String,
        /// What is strange.
        reason: String,
    },
    /// Bytes are others than announced.
    #[error("{what} from `{place}`: {mismatch}")]
    Mismatch {
        /// Of what.
        what: String,
        /// Host and port.
        place: String,
        /// How they differ.
        mismatch: Box<Mismatch>,
    },
    /// Two answers of the registry contradict each other.
    #[error("{what} from `{place}`: digest mismatch: it is called `{said}` and is `{found}`")]
    Contradiction {
        /// Of what.
        what: String,
        /// Host and port.
        place: String,
        /// What was said.
        said: String,
        /// What came.
        found: Digest,
    },
    /// A manifest that is no pack's.
    #[error("`{reference}` is no pack: {problem}\n  hint: {hint}")]
    NoPack {
        /// The place.
        reference: String,
        /// What it is instead.
        problem: String,
        /// What to do.
        hint: &'static str,
    },
    /// It is not there.
    #[error("`{reference}` is not in its registry{said}")]
    NotFound {
        /// The place.
        reference: String,
        /// What the registry says, after a colon.
        said: String,
    },
    /// The registry wants to know who asks, or does not let them.
    #[error("`{registry}` does not let {refused} `{repository}`{said}\n  hint: {hint}")]
    Denied {
        /// Host and port.
        registry: String,
        /// Who must not do what.
        refused: &'static str,
        /// With what.
        repository: String,
        /// What the registry says, after a colon.
        said: String,
        /// What to do.
        hint: String,
    },
    /// The registry refuses for now.
    #[error("`{place}` answers {status}{said}{}", retry_after.map_or(String::new(), |wait| format!("; it asks to come back in {} s", wait.as_secs())))]
    Status {
        /// Host and port.
        place: String,
        /// The HTTP status.
        status: u16,
        /// What it says, after a colon.
        said: String,
        /// When to come back.
        retry_after: Option<Duration>,
    },
    /// The file of credentials cannot be used.
    #[error("{0}")]
    Credentials(String),
    /// It was tried again, in vain.
    #[error("{error}; tried {tries} times")]
    GaveUp {
        /// How often.
        tries: u32,
        /// The last time's reason.
        error: Box<RegistryError>,
    },
    /// The store on this machine failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

const CERTIFICATE_HINT: &str =
    "certificate authorities of your own are read from the system, or from the file that `SSL_CERT_FILE` names";

impl RegistryError {
    /// One word for scripts and tests.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::Certificate { .. } => "bad_certificate",
            Self::Address { .. } => "forbidden_address",
            Self::Elsewhere { .. } => "forbidden_redirect",
            Self::TimedOut { .. } => "timed_out",
            Self::TooLarge { .. } => "too_large",
            Self::Cut { .. } => "cut",
            Self::Stranger { .. } => "no_registry",
            Self::Mismatch { .. } | Self::Contradiction { .. } => "digest_mismatch",
            Self::NoPack { .. } => "no_pack",
            Self::NotFound { .. } => "not_found",
            Self::Denied { .. } => "denied",
            Self::Status { .. } => "status",
            Self::Credentials(_) => "credentials",
            Self::GaveUp { error, .. } => error.code(),
            Self::Store(_) => "store",
        }
    }
}

/// A duration as a person writes it.
fn shown(duration: Duration) -> String {
    crate::types::quantity::show_duration_us(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
}

/// At most 200 characters of what a stranger wrote, the control characters among them escaped: it must not drive a terminal.
pub(super) fn printable(text: &str) -> String {
    match text.char_indices().nth(200) {
        Some((end, _)) => format!("{}…", escaped(&text[..end])),
        None => escaped(text).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_strangers_say_is_cut_and_cannot_drive_a_terminal() {
        assert_eq!(printable("a\u{1b}[31mb\r\nc"), "a\\u{1b}[31mb\\r\\nc");
        let long = printable(&"ä".repeat(300));
        assert_eq!(long.chars().count(), 201);
    }

    #[test]
    fn a_failure_that_was_tried_again_keeps_its_word() {
        let slow =
            RegistryError::TimedOut { what: "the head of the answer", place: "r.io".to_owned(), limit: Duration::from_secs(10) };
        let gave_up = RegistryError::GaveUp { tries: 4, error: Box::new(slow) };
        assert_eq!(gave_up.code(), "timed_out");
        assert_eq!(gave_up.to_string(), "the head of the answer of `r.io` did not come within 10s; tried 4 times");
    }
}
