//! A circuit breaker: stops asking what keeps failing.
