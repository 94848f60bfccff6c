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
    /// When OpenAI's streams are padded.
    pub padding: Padding,
}

/// When the chunks of a stream are padded with random letters, so that their lengths give nothing away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Padding {
    /// If the client asks for it.
    #[default]
    Asked,
    /// Unless the client forbids it, as the vendor's own service has it.
    Usual,
    /// Whatever the client says.
    Always,
    /// Not even if the client asks for it.
    Never,
}

impl Padding {
    /// Are chunks padded for a client that says `asked` about it?
    pub fn pads(self, asked: Option<bool>) -> bool {
        match self {
            Self::Asked => asked.unwrap_or(false),
            Self::Usual => asked.unwrap_or(true),
            Self::Always => true,
            Self::Never => false,
        }
    }
}
