//! Setters that several builders have alike, one macro for those that go together.

/// Who asks, how often and with which draws: of a [`Call`](crate::call::Call) and of an [`Ask`](crate::balancer::Ask).
macro_rules! asked {
    ($builder:ident) => {
        impl $builder {
            /// Who the request is.
            #[must_use]
            pub fn identity(mut self, identity: u64) -> Self {
                self.0.identity = identity;
                self
            }

            /// 0 for the first attempt, 1 for the first retry, which also marks it as one.
            #[must_use]
            pub fn attempt(mut self, attempt: u32) -> Self {
                self.0.attempt = attempt;
                self.0.traits.set(Traits::RETRY, attempt > 0);
                self
            }

            /// Seed of the draws.
            #[must_use]
            pub fn seed(mut self, seed: u64) -> Self {
                self.0.seed = seed;
                self
            }
        }
    };
}

/// When it is.
macro_rules! timed {
    ($builder:ident) => {
        impl $builder {
            /// Time since the run began.
            #[must_use]
            pub fn now(mut self, now: Duration) -> Self {
                self.0.now_ns = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
                self
            }
        }
    };
}

/// How busy the model, the backend or the group is.
macro_rules! loaded {
    ($builder:ident) => {
        impl $builder {
            /// Requests that are worked on there, and that wait.
            #[must_use]
            pub fn load(mut self, running: u32, waiting: u32) -> Self {
                (self.0.running, self.0.waiting) = (running, waiting);
                self
            }
        }
    };
}

pub(super) use {asked, loaded, timed};
