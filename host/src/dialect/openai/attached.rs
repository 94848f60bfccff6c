//! Images, sounds and files in a conversation: told apart by what they are, and counted as OpenAI counts them.

use xxhash_rust::xxh3::xxh3_64;

use crate::types::request::Attachment;

/// An image at low detail.
const IMAGE_TOKENS: u32 = 85;
/// Letters of base64 that hold 100 ms of sound, which count one token: 24,000 samples a second of two bytes.
const SOUND_TOKEN_LETTERS: usize = 6_400;

/// An image or file, given by its bytes or by where they are. A file counts as an image: how many pages it has is not looked at.
pub(super) fn image(place: &str) -> Attachment {
    Attachment { digest: xxh3_64(place.as_bytes()), tokens: IMAGE_TOKENS }
}

/// A sound in base64.
pub(super) fn sound(data: &str) -> Attachment {
    let tokens = u32::try_from(data.len().div_ceil(SOUND_TOKEN_LETTERS)).unwrap_or(u32::MAX);
    Attachment { digest: xxh3_64(data.as_bytes()), tokens }
}
