//! The writer of all styles: sentences of a [`Language`], and what stands between them by the text's [`Shape`].
//!
//! A sentence is chosen when the one before has ended, so that the last one ends with its full stop exactly where the text does. A
//! heading, a table or a piece of code is only begun if a sentence fits behind it.

use crate::behavior::writer::{Pen, TextWriter};
use crate::builtin::responder::style::language::{LONGEST, Language, SHORTEST, Sentence, Slot};
use crate::builtin::responder::style::snippets::{self, Snippet};
use crate::random::{Key, Stream};

/// How a text is built of sentences and other things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Prose,
    List,
    Chat,
    Markdown,
    Code,
}

/// Writes texts of one shape in one language.
#[derive(Debug)]
pub(super) struct Document {
    shape: Shape,
    language: &'static Language,
    /// The mark of a list's item.
    dash: &'static str,
    /// What may stand between sentences, by the `BLOCK_` values.
    blocks: [Vec<Token>; 5],
}

/// One token of a block.
#[derive(Debug, Clone, Copy)]
enum Token {
    /// One of these.
    Words(Slot),
    /// One of these without its blank.
    Bare(Slot),
    /// The number of a list's item.
    Number,
}

// What the numbers of a pen's state mean.
/// Where in the text: one of the `AT_` and `AFTER_` values, `IN_BLOCK`, or `INSIDE` + the slot of the sentence that comes next.
const PLACE: usize = 0;
/// Which length of sentence, as an index of the language's sentences.
const LENGTH: usize = 1;
/// Which sentence of that length.
const WHICH: usize = 2;
/// How many sentences are still to come in this paragraph, or items in this list.
const PARAGRAPH: usize = 3;
/// Which block is being written: one of the `BLOCK_` values, or `SNIPPETS` + the index of a snippet.
const BLOCK: usize = 4;
/// Which of the block's tokens comes next.
const TOKEN: usize = 5;
/// How many parts of the text have begun.
const PART: usize = 6;
/// How the list marks its items: `NO_LIST`, `DASHES`, `BOLD`, or `NUMBERS` + the items that there were.
const LIST: usize = 7;

const AT_BEGINNING: u16 = 0;
const AT_LINE: u16 = 1;
const AFTER_SENTENCE: u16 = 2;
const AFTER_MARK: u16 = 3;
const IN_BLOCK: u16 = 4;
const INSIDE: u16 = 5;

const BLOCK_HEADING: u16 = 0;
const BLOCK_TABLE: u16 = 1;
const BLOCK_GREETING: u16 = 2;
const BLOCK_BOLD_ITEM: u16 = 3;
const BLOCK_NUMBERED_ITEM: u16 = 4;
const SNIPPETS: u16 = 5;

const NO_LIST: u16 = 0;
const DASHES: u16 = 1;
const BOLD: u16 = 2;
const NUMBERS: u16 = 3;

/// A sentence leaves either nothing or at least this many tokens, so that no text ends on a stump.
const REST_MIN: u32 = 5;
/// Rows of a table below its head.
const TABLE_ROWS: usize = 3;

impl Document {
    pub(super) fn new(shape: Shape, language: &'static Language) -> Self {
        let words = |slots: &[Slot]| slots.iter().copied().map(Token::Words).collect::<Vec<_>>();
        let (noun, adjective) = (language.nouns, language.adjectives);
        let mut table = words(&[&["|"], noun, &[" |"], noun, &[" |\n"], &["|---"], &["|---"], &["|\n"]]);
        for row in 1..=TABLE_ROWS {
            table.extend(words(&[&["|"], noun, &[" |"], adjective]));
            table.extend(words(if row < TABLE_ROWS { &[&[" |\n"]] } else { &[&[" |\n\n"]] }));
        }
        // Where words have no blanks of their own, marks bring them.
        let spaced = noun[0].starts_with(' ');
        let mut heading = words(if spaced { &[&["##", "##", "###"]] } else { &[&["## ", "## ", "### "]] });
        heading.extend(words(language.title));
        heading.extend(words(&[&["\n\n"]]));
        let mut bold = words(&[&["-"], &[" **"]]);
        bold.push(Token::Bare(noun));
        bold.extend(words(&[&["**:"]]));
        let numbered = vec![Token::Number, Token::Words(if spaced { &["."] } else { &[". "] })];
        let dash = if spaced { "-" } else { "- " };
        Self { shape, language, dash, blocks: [heading, table, words(language.greeting), bold, numbered] }
    }
}

impl TextWriter for Document {
    fn begin(&self, seed: u64) -> Pen {
        Pen { stream: Key::of_seed(seed).named("text").stream(), state: [0; 8] }
    }

    fn next(&self, pen: &mut Pen, left: u32) -> &str {
        match pen.state[PLACE] {
            AT_BEGINNING | AT_LINE => self.line(pen, left),
            AFTER_SENTENCE | AFTER_MARK => self.open(pen, left, true),
            IN_BLOCK => self.block(pen),
            inside => {
                let slot = usize::from(inside - INSIDE);
                match self.current(pen).rest.get(slot) {
                    // The text ends with a full stop whatever `left` was before.
                    Some(words) if left > 0 => {
                        pen.state[PLACE] = inside + 1;
                        pick(&mut pen.stream, words)
                    }
                    _ => self.close(pen, left),
                }
            }
        }
    }
}

impl Document {
    /// The first token of a line: of a list's item, of a block if one is due and fits, or of a paragraph.
    fn line(&self, pen: &mut Pen, left: u32) -> &'static str {
        if self.shape == Shape::List || pen.state[LIST] != NO_LIST {
            return self.item(pen, left);
        }
        let part = pen.state[PART];
        pen.state[PART] = part.wrapping_add(1);
        match (self.shape, part % 4) {
            (Shape::Chat, _) if part == 0 => self.enter(pen, left, BLOCK_GREETING),
            (Shape::Markdown, 0) => self.enter(pen, left, BLOCK_HEADING),
            (Shape::Markdown, 2) => match pen.stream.below(4) {
                0 => self.enter(pen, left, BLOCK_TABLE),
                list if left > 4 * REST_MIN => {
                    pen.state[LIST] = [DASHES, BOLD, NUMBERS][list as usize - 1];
                    pen.state[PARAGRAPH] = 2 + pen.stream.below(3) as u16;
                    self.item(pen, left)
                }
                _ => self.paragraph(pen, left),
            },
            (Shape::Code, 1 | 3) => {
                let fitting = snippets::ALL.partition_point(|snippet| snippet.tokens() + REST_MIN <= left + 1) as u32;
                let which = pen.stream.below(fitting) as u16;
                self.enter(pen, left, SNIPPETS + which)
            }
            _ => self.paragraph(pen, left),
        }
    }

    /// The first token of a list's item.
    fn item(&self, pen: &mut Pen, left: u32) -> &'static str {
        let block = match pen.state[LIST] {
            NO_LIST | DASHES => None,
            BOLD => Some(BLOCK_BOLD_ITEM),
            _ => Some(BLOCK_NUMBERED_ITEM),
        };
        match block {
            Some(block) if left + 1 >= self.length(block) + REST_MIN => self.enter(pen, left, block),
            _ if left >= SHORTEST => {
                pen.state[PLACE] = AFTER_MARK;
                self.dash
            }
            _ => self.open(pen, left, false),
        }
    }

    /// The first word of a paragraph.
    fn paragraph(&self, pen: &mut Pen, left: u32) -> &'static str {
        if left > 0 {
            self.begin_paragraph(pen);
        }
        self.open(pen, left, false)
    }

    fn begin_paragraph(&self, pen: &mut Pen) {
        let (fewest, more) = match self.shape {
            Shape::Prose | Shape::List => (2, 4),
            Shape::Markdown => (1, 3),
            Shape::Chat | Shape::Code => (1, 2),
        };
        pen.state[PARAGRAPH] = fewest + pen.stream.below(more) as u16;
    }

    /// The first token of a block if there is room for it and for a sentence behind it; else that of a paragraph.
    fn enter(&self, pen: &mut Pen, left: u32, block: u16) -> &'static str {
        if left + 1 < self.length(block) + REST_MIN {
            return self.paragraph(pen, left);
        }
        pen.state[PLACE] = IN_BLOCK;
        pen.state[BLOCK] = block;
        pen.state[TOKEN] = 0;
        self.block(pen)
    }

    /// The next token of the block that is being written.
    fn block(&self, pen: &mut Pen) -> &'static str {
        let (block, token) = (pen.state[BLOCK], usize::from(pen.state[TOKEN]));
        pen.state[TOKEN] += 1;
        if token + 1 >= self.length(block) as usize {
            pen.state[PLACE] = match block {
                BLOCK_GREETING | BLOCK_BOLD_ITEM | BLOCK_NUMBERED_ITEM => AFTER_MARK,
                _ => AT_LINE,
            };
            if block == BLOCK_GREETING {
                self.begin_paragraph(pen);
            }
        }
        if let Some(snippet) = snippet(block) {
            return snippet.token(token).unwrap_or("\n");
        }
        match self.blocks[usize::from(block)].get(token) {
            Some(Token::Words(words)) => pick(&mut pen.stream, words),
            Some(Token::Bare(words)) => pick(&mut pen.stream, words).trim_start(),
            Some(Token::Number) => {
                pen.state[LIST] += 1;
                ["1", "2", "3", "4", "5"][usize::from(pen.state[LIST] - NUMBERS - 1) % 5]
            }
            None => "\n",
        }
    }

    /// How many tokens a block has.
    fn length(&self, block: u16) -> u32 {
        snippet(block).map_or_else(|| self.blocks[usize::from(block)].len() as u32, Snippet::tokens)
    }

    /// Chooses the next sentence and gives its first word. `left` tokens follow, the full stop among them.
    fn open(&self, pen: &mut Pen, left: u32, spaced: bool) -> &'static str {
        if left == 0 {
            // No room for a sentence: one word alone at the beginning, else a full stop.
            return if pen.state[PLACE] == AT_BEGINNING { self.language.lone } else { self.language.stops[0] };
        }
        let room = left + 1;
        let drawn = draw_length(&mut pen.stream);
        let length = if drawn + REST_MIN <= room {
            drawn
        } else if room <= LONGEST {
            room
        } else {
            // Too long for one sentence and too short for the drawn one and another: leave just enough for another.
            room - REST_MIN
        };
        let index = (length - SHORTEST) as usize;
        let group = &self.language.sentences[index];
        let which = pen.stream.below(group.len() as u32) as usize;
        pen.state[PLACE] = INSIDE;
        pen.state[LENGTH] = index as u16;
        pen.state[WHICH] = which as u16;
        let opening = group[which].opening;
        pick(&mut pen.stream, if spaced { opening.spaced } else { opening.bare })
    }

    /// The full stop of a sentence, with the line end if a line ends here.
    fn close(&self, pen: &mut Pen, left: u32) -> &'static str {
        let in_list = self.shape == Shape::List || pen.state[LIST] != NO_LIST;
        let is_last = pen.state[PARAGRAPH] == 0;
        pen.state[PARAGRAPH] = pen.state[PARAGRAPH].saturating_sub(1);
        if left == 0 || !(in_list || is_last) {
            pen.state[PLACE] = AFTER_SENTENCE;
            return self.language.stops[0];
        }
        pen.state[PLACE] = AT_LINE;
        if self.shape == Shape::List || !is_last {
            return self.language.stops[1];
        }
        pen.state[LIST] = NO_LIST;
        self.language.stops[2]
    }

    fn current(&self, pen: &Pen) -> &'static Sentence {
        &self.language.sentences[usize::from(pen.state[LENGTH])][usize::from(pen.state[WHICH])]
    }
}

/// The piece of code that a block is, if it is one.
fn snippet(block: u16) -> Option<&'static Snippet> {
    snippets::ALL.get(usize::from(block.checked_sub(SNIPPETS)?))
}

/// The length of a sentence, in tokens: mostly 6 to 17, with a short one now and then.
fn draw_length(stream: &mut Stream) -> u32 {
    let bits = stream.bits() >> 32;
    if bits & 15 == 0 { 4 } else { 6 + ((bits * 13) >> 32) as u32 }
}

fn pick(stream: &mut Stream, words: Slot) -> &'static str {
    words[stream.below(words.len() as u32) as usize]
}
