//! How doors behave where vendors leave it open: the section `api:` of a scenario.

/// What a scenario says of its doors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Manners {
    /// Is a field that the vendor does not know a mistake?
    pub is_strict: bool,
    /// May a request say in headers how it is answered?
    pub has_overrides: bool,
    /// Are there vLLM's metrics on the port of the API?
    pub shows_vllm_metrics: bool,
    /// After so many microseconds without a byte a stream sends what its vendor sends to keep connections open; never if `None`.
    pub keep_alive_us: Option<u64>,
    /// Do Azure's content filters look at replies that have already been sent?
    pub filters_later: bool,
    /// In so many microseconds a batch must be over; in a day if `None`.
    pub batch_window_us: Option<u64>,
}
