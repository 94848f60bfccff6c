//! Keeps a session on the replica that has its prefix cached, unless others have much less to do.
//!
//! Where a session lives is kept in the host's state, so that all instances agree and a reload changes nothing. A session moves when its
//! replica is closed or has `slack` requests more to do than the least busy one; it then lives where it was sent.

use simwright_sdk::prelude::*;

options! {
    /// How sessions are known, and how faithful they are.
    pub struct SessionAffinity {
        /// The header that names the session.
        pub header: String = "x-session-id".to_owned();
        /// How many requests more than the least busy replica the session's own may have.
        pub slack: u32 = 8, in 0..=10_000;
        /// How long a session is remembered after its last request.
        pub remember: Duration = Duration::from_secs(600), in Duration::from_secs(1)..=Duration::from_secs(86_400);
    }
}

impl Balancer for SessionAffinity {
    fn pick(&self, ask: &Ask, backends: &[Backend]) -> Choice {
        let Some(session) = ask.header(&self.header) else { return Choice::Any };
        let least = backends.iter().filter(|backend| backend.open).map(Backend::busy).min().unwrap_or(0);
        let bears = |backend: &Backend| backend.open && backend.busy() <= least + u64::from(self.slack);
        let place = Place::of(ask.stage, &session);
        let home = place.home().filter(|home| backends.get(*home as usize).is_some_and(bears));
        let choice = match home {
            Some(home) => Choice::Backend(home),
            // What must be computed of the prompt, and then what stands before it.
            None => Choice::cheapest(backends, |backend| {
                let known = if bears(backend) { backend.cached_tokens } else { 0 };
                f64::from(ask.input_tokens.saturating_sub(known)) + 1e-3 * backend.busy() as f64
            }),
        };
        if let Choice::Backend(home) = choice {
            place.keep(home, self.remember);
        }
        choice
    }
}

/// Where the home of a session is kept. There are so many places and no more: a new session takes the place of an old one, and whoever makes
/// up sessions cannot fill the state, which holds 100,000 keys.
struct Place {
    key: String,
    session: u64,
}

const PLACES: u64 = 1 << 16;

impl Place {
    /// The place of `session` among the replicas of `stage`.
    fn of(stage: u32, session: &str) -> Self {
        let session = Key::of_seed(u64::from(stage)).named(session).bits();
        Self { key: format!("{:x}", session % PLACES), session }
    }

    fn home(&self) -> Option<u32> {
        let entry = state::get(&self.key)?;
        let (whose, home) = entry.split_at_checked(8)?;
        (whose == self.session.to_le_bytes()).then(|| home.try_into().ok().map(u32::from_le_bytes))?
    }

    fn keep(&self, home: u32, remember: Duration) {
        state::set_for(&self.key, &[&self.session.to_le_bytes()[..], &home.to_le_bytes()].concat(), remember);
    }
}

export!(SessionAffinity: balancer);

#[cfg(test)]
mod tests {
    use simwright_sdk::testing::{self, FakeHost};

    use super::*;

    fn busy(running: u32) -> Backend {
        testing::backend().load(running, 0).build()
    }

    fn pick(backends: &[Backend]) -> Choice {
        let plugin: SessionAffinity = testing::plugin(r#"{"slack": 4}"#).unwrap();
        plugin.pick(&testing::ask().build(), backends)
    }

    #[test]
    fn a_session_stays_until_its_replica_is_too_busy_or_closed_and_then_lives_elsewhere() {
        let _host = FakeHost::new().header("x-session-id", "s1");
        assert_eq!(pick(&[busy(3), busy(1), busy(2)]), Choice::Backend(1));
        assert_eq!(pick(&[busy(0), busy(4), busy(2)]), Choice::Backend(1));
        assert_eq!(pick(&[busy(0), busy(5), busy(2)]), Choice::Backend(0));
        assert_eq!(pick(&[busy(4), busy(0), busy(2)]), Choice::Backend(0));
        let closed = testing::backend().open(false).build();
        assert_eq!(pick(&[closed, busy(1), busy(0)]), Choice::Backend(2));
    }

    #[test]
    fn a_new_session_goes_where_its_prompt_is_known() {
        let _host = FakeHost::new().header("x-session-id", "s2");
        let knows = testing::backend().load(3, 0).tokens(0, 64).build();
        assert_eq!(pick(&[busy(0), knows, busy(1)]), Choice::Backend(1));
    }

    #[test]
    fn a_long_name_is_a_session_like_any_other_and_stages_have_homes_of_their_own() {
        let _host = FakeHost::new().header("x-session-id", &"s".repeat(4_000));
        assert_eq!(pick(&[busy(3), busy(1)]), Choice::Backend(1));
        assert_eq!(pick(&[busy(0), busy(1)]), Choice::Backend(1));
        let (first, second) = (Place::of(1, "s"), Place::of(2, "s"));
        first.keep(3, Duration::from_secs(1));
        assert_eq!((first.home(), second.home()), (Some(3), None));
    }

    #[test]
    fn who_names_no_session_is_left_to_the_fallback() {
        let _host = FakeHost::new();
        assert_eq!(pick(&[busy(0)]), Choice::Any);
    }
}
