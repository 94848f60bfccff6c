//! The vendor's two vocabularies of tokens: what ids say, and which ids a text is.
//!
//! They are unpacked at their first use, which takes a good part of a second.

use bpe_openai::Tokenizer;

/// Ids that stand for no text of their own.
const SPECIAL: [(Vocabulary, u32, &str); 8] = [
    (Vocabulary::Cl100k, 100_257, "<|endoftext|>"),
    (Vocabulary::Cl100k, 100_264, IM_START),
    (Vocabulary::Cl100k, 100_265, IM_END),
    (Vocabulary::Cl100k, 100_266, IM_SEP),
    (Vocabulary::O200k, 199_999, "<|endoftext|>"),
    (Vocabulary::O200k, 200_264, IM_START),
    (Vocabulary::O200k, 200_265, IM_END),
    (Vocabulary::O200k, 200_266, IM_SEP),
];
/// Marks of a conversation: before a message's role, after it, and after its text.
pub(super) const IM_START: &str = "<|im_start|>";
pub(super) const IM_SEP: &str = "<|im_sep|>";
pub(super) const IM_END: &str = "<|im_end|>";

/// A vocabulary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Vocabulary {
    /// That of models up to GPT-4 and of embeddings.
    Cl100k,
    /// That of all newer ones, and of models that are not the vendor's.
    O200k,
}

impl Vocabulary {
    /// That of the model called `name`, perhaps behind a provider's name.
    pub(super) fn of(name: &str) -> Self {
        let name = name.rsplit('/').next().unwrap_or(name);
        let is_newer = ["gpt-4o", "gpt-4.", "gpt-4-5"].iter().any(|newer| name.starts_with(newer));
        let older = ["gpt-3.5", "gpt-35", "gpt-4", "davinci-002", "babbage-002", "text-embedding-"];
        if !is_newer && older.iter().any(|older| name.starts_with(older)) { Self::Cl100k } else { Self::O200k }
    }

    fn tokenizer(self) -> &'static Tokenizer {
        match self {
            Self::Cl100k => bpe_openai::cl100k_base(),
            Self::O200k => bpe_openai::o200k_base(),
        }
    }

    /// Appends the tokens of `text`.
    pub(super) fn encode(self, text: &str, out: &mut Vec<u32>) {
        let tokenizer = self.tokenizer();
        tokenizer.split(text).for_each(|word| out.extend(tokenizer.bpe.encode_via_backtracking(word.as_bytes())));
    }

    /// The id of one of the marks of a conversation.
    pub(super) fn mark(self, mark: &str) -> Option<u32> {
        SPECIAL.into_iter().find(|(of, _, text)| *of == self && *text == mark).map(|(_, id, _)| id)
    }

    /// Appends the bytes that `id` stands for. One that stands for nothing is written as what it is.
    pub(super) fn push_bytes(self, id: u32, out: &mut Vec<u8>) {
        let bpe = &self.tokenizer().bpe;
        if (id as usize) < bpe.num_tokens() {
            out.extend_from_slice(bpe.token_bytes(id));
        } else if let Some((_, _, text)) = SPECIAL.into_iter().find(|(of, special, _)| *of == self && *special == id) {
            out.extend_from_slice(text.as_bytes());
        } else {
            out.extend_from_slice(format!("<|{id}|>").as_bytes());
        }
    }

    /// The text of `ids`; bytes that are no text become the mark for that.
    pub(super) fn decode(self, ids: &[u32]) -> String {
        let mut bytes = Vec::with_capacity(ids.len() * 5);
        ids.iter().for_each(|id| self.push_bytes(*id, &mut bytes));
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_have_the_vocabulary_that_the_vendors_tokenizer_gives_them() {
        for (name, expected) in [
            ("gpt-3.5-turbo-instruct", Vocabulary::Cl100k),
            ("gpt-4", Vocabulary::Cl100k),
            ("text-embedding-3-small", Vocabulary::Cl100k),
            ("openai/davinci-002", Vocabulary::Cl100k),
            ("gpt-4o-mini", Vocabulary::O200k),
            ("gpt-4.1", Vocabulary::O200k),
            ("gpt-5", Vocabulary::O200k),
            ("meta-llama/Llama-3.1-8B", Vocabulary::O200k),
        ] {
            assert_eq!(Vocabulary::of(name), expected, "{name}");
        }
    }

    #[test]
    fn ids_read_back_as_their_text() {
        for vocabulary in [Vocabulary::Cl100k, Vocabulary::O200k] {
            for text in ["", "Hello, world!", "naïve café 東京都 👩‍👩‍👧‍👦\r\n\t  x"] {
                let mut ids = Vec::new();
                vocabulary.encode(text, &mut ids);
                assert_eq!(vocabulary.decode(&ids), text);
            }
            let end = vocabulary.mark(IM_END).expect("a mark");
            assert_eq!(vocabulary.decode(&[end, u32::MAX]), "<|im_end|><|4294967295|>");
        }
        let mut ids = Vec::new();
        Vocabulary::Cl100k.encode("hello world", &mut ids);
        assert_eq!(ids, [15339, 1917], "as the vendor's own tokenizer has it");
    }
}
