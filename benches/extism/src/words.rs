//! What an Extism plugin and its host say to each other: the contract's records, as far as these plugins need them. The guest is built
//! from this file, too.
//!
//! In JSON they are what people write for Extism: types with serde's derives. In bytes they are as short as these plugins allow: fixed
//! places, little-endian, and no word for what is never said.

use serde::{Deserialize, Serialize};

/// What an [`Ask`] is in bytes.
pub const ASK_BYTES: usize = 72;

/// One request as a behaviour sees it, with the number that the behaviour is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Ask {
    pub identity: u64,
    pub seed: u64,
    pub now_ns: u64,
    pub attempt: u32,
    pub occurrence: u32,
    pub model: u32,
    pub tenant: u32,
    pub stage: u32,
    pub operation: u32,
    pub input_tokens: u32,
    pub max_output_tokens: u32,
    pub running: u32,
    pub waiting: u32,
    /// Bits, as the contract numbers them.
    pub traits: u32,
    /// Choices or tokens; 0 where neither is asked for.
    pub number: u32,
}

impl Ask {
    pub fn to_bytes(self) -> [u8; ASK_BYTES] {
        let mut bytes = [0; ASK_BYTES];
        let (long, short) = bytes.split_at_mut(24);
        for (place, value) in long.chunks_exact_mut(8).zip([self.identity, self.seed, self.now_ns]) {
            place.copy_from_slice(&value.to_le_bytes());
        }
        let numbers = [
            self.attempt,
            self.occurrence,
            self.model,
            self.tenant,
            self.stage,
            self.operation,
            self.input_tokens,
            self.max_output_tokens,
            self.running,
            self.waiting,
            self.traits,
            self.number,
        ];
        for (place, value) in short.chunks_exact_mut(4).zip(numbers) {
            place.copy_from_slice(&value.to_le_bytes());
        }
        bytes
    }

    /// `None` if it has another length.
    pub fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; ASK_BYTES] = bytes.try_into().ok()?;
        let long = |place: usize| u64::from_le_bytes(std::array::from_fn(|byte| bytes[place * 8 + byte]));
        let short = |place: usize| number(bytes, 24 + place * 4);
        Some(Self {
            identity: long(0),
            seed: long(1),
            now_ns: long(2),
            attempt: short(0)?,
            occurrence: short(1)?,
            model: short(2)?,
            tenant: short(3)?,
            stage: short(4)?,
            operation: short(5)?,
            input_tokens: short(6)?,
            max_output_tokens: short(7)?,
            running: short(8)?,
            waiting: short(9)?,
            traits: short(10)?,
            number: short(11)?,
        })
    }
}

/// The number that begins at `place`.
pub fn number(bytes: &[u8], place: usize) -> Option<u32> {
    bytes.get(place..place + 4)?.try_into().ok().map(u32::from_le_bytes)
}

/// In bytes nothing, or the milliseconds of a 429.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Pass,
    Error(HttpError),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct HttpError {
    pub status: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// In bytes the tokens to generate, then the text in front of them.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Answer {
    pub items: Vec<Item>,
    pub finish: Finish,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Item {
    Text(String),
    Generate(Generate),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Generate {
    pub tokens: u32,
    pub style: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finish {
    Stop,
    Length,
    ToolCalls,
    ContentFilter,
}

/// In bytes the two delays.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Schedule {
    pub first: Delay,
    pub between: Delay,
    pub pauses: Vec<Pause>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Delay {
    Us(u32),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Pause {
    pub after_token: u32,
    pub us: u32,
}
