//! The strings of an instance: formats, patterns, and otherwise words.
//!
//! A pattern is parsed as a regular expression and walked; what the parser does not know (look-around, back references) is
//! refused. All strings are plain ASCII where the schema allows it.

use regex_syntax::hir::{Class, Hir, HirKind};
use serde_json::Value;

use crate::behavior::writer::SchemaRefused;
use crate::builtin::responder::json_schema::refuse;
use crate::builtin::responder::json_schema::shape::Shape;
use crate::builtin::responder::json_schema::value::bound;
use crate::builtin::responder::style::english::{ADJECTIVES, NOUNS};
use crate::random::Stream;
use crate::types::limits::SCHEMA_STRING_CHARS_MAX;

/// Draws of a pattern that are tried to meet the bounds on length.
const PATTERN_DRAWS: u32 = 64;
/// Parts of a pattern that are walked for one text, so that repetitions of nothing within repetitions of nothing end.
const WALK_STEPS: u64 = 4 * SCHEMA_STRING_CHARS_MAX;
/// How often an unbounded repetition goes beyond its least number.
const REPEATS_MORE: u32 = 6;

/// A string that satisfies `format`, `pattern` and the bounds on length.
pub(super) fn string(shape: &Shape, pointer: &str, stream: &mut Stream) -> Result<String, SchemaRefused> {
    let least = bound(shape, "minLength").unwrap_or(0);
    let most = bound(shape, "maxLength").unwrap_or(u64::MAX);
    if least > SCHEMA_STRING_CHARS_MAX {
        let message = format!("the text must have more than {SCHEMA_STRING_CHARS_MAX} characters; ask for fewer");
        return Err(refuse(format!("{pointer}/minLength"), message));
    }
    if most < least {
        return Err(refuse(format!("{pointer}/maxLength"), "`maxLength` is less than `minLength`; swap the two"));
    }
    if let Some(pattern) = shape.get("pattern").and_then(Value::as_str) {
        return matching(pattern, least, most, stream).map_err(|message| refuse(format!("{pointer}/pattern"), message));
    }
    let formatted = shape.get("format").and_then(Value::as_str).and_then(|format| formatted(format, stream));
    Ok(formatted.unwrap_or_else(|| words(least as usize, most, stream)))
}

/// One word.
pub(super) fn word(stream: &mut Stream) -> &'static str {
    pick(NOUNS, stream)
}

fn pick(words: &[&'static str], stream: &mut Stream) -> &'static str {
    words[stream.below(words.len() as u32) as usize].trim_start()
}

/// Words with at least `least` and at most `most` characters; they are ASCII, so characters are bytes.
fn words(least: usize, most: u64, stream: &mut Stream) -> String {
    let usual = 8 + stream.below(24) as usize;
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let target = usual.clamp(least, most.max(least));
    let mut text = String::new();
    while text.is_empty() || text.len() < target.min(most) {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(pick(ADJECTIVES, stream));
        text.push(' ');
        text.push_str(pick(NOUNS, stream));
    }
    if text.len() > most {
        // Whole words where the bounds allow it.
        let whole = text[..=most].rfind(' ').filter(|end| *end >= least.max(1));
        text.truncate(whole.unwrap_or(most));
        if text.ends_with(' ') {
            text.pop();
            text.push('s');
        }
    }
    text
}

/// A value of a format, or `None` if the format is not known and so demands nothing.
fn formatted(format: &str, stream: &mut Stream) -> Option<String> {
    let date =
        |stream: &mut Stream| format!("20{:02}-{:02}-{:02}", 20 + stream.below(8), 1 + stream.below(12), 1 + stream.below(28));
    let time = |stream: &mut Stream| format!("{:02}:{:02}:{:02}Z", stream.below(24), stream.below(60), stream.below(60));
    Some(match format {
        "date" => date(stream),
        "time" => time(stream),
        "date-time" => format!("{}T{}", date(stream), time(stream)),
        "duration" => format!("PT{}M", 1 + stream.below(59)),
        "email" | "idn-email" => format!("{}.{}@example.com", pick(ADJECTIVES, stream), word(stream)),
        "hostname" | "idn-hostname" => format!("{}.example.com", word(stream)),
        "uri" | "url" | "iri" | "uri-reference" | "iri-reference" => {
            format!("https://example.com/{}/{}", word(stream), 1 + stream.below(1_000))
        }
        "ipv4" => format!("192.0.2.{}", 1 + stream.below(254)),
        "ipv6" => format!("2001:db8::{:x}", 1 + stream.below(0xfffe)),
        "uuid" => {
            let (high, low) = (stream.bits(), stream.bits());
            let (first, second, third) = (high >> 32, (high >> 16) & 0xffff, high & 0xfff);
            let (fourth, fifth) = (0x8000 | ((low >> 48) & 0x3fff), low & 0xffff_ffff_ffff);
            format!("{first:08x}-{second:04x}-4{third:03x}-{fourth:04x}-{fifth:012x}")
        }
        _ => return None,
    })
}

/// A string that matches `pattern` and has a length within the bounds. The error is a sentence.
fn matching(pattern: &str, least: u64, most: u64, stream: &mut Stream) -> Result<String, String> {
    let hir = regex_syntax::parse(pattern)
        .map_err(|_| format!("no text can be written for the pattern `{pattern}`; use a simpler one"))?;
    for _ in 0..PATTERN_DRAWS {
        let mut text = String::new();
        if walk(&hir, stream, &mut text, &mut { WALK_STEPS }).is_none() {
            break;
        }
        // A pattern without anchors matches wherever it stands, so a short text may go on.
        if !hir.properties().look_set().contains_anchor() {
            while (text.len() as u64) < least {
                text.push_str(word(stream));
            }
        }
        if (least..=most).contains(&(text.chars().count() as u64)) {
            return Ok(text);
        }
    }
    Err(format!("no text of the length that is asked for was found for the pattern `{pattern}`; use a simpler one"))
}

/// Appends a text that `hir` matches; `None` if there is none or it is too long. Looks at places (`^`, `\b`) are left to the validator.
fn walk(hir: &Hir, stream: &mut Stream, out: &mut String, steps: &mut u64) -> Option<()> {
    *steps = steps.checked_sub(1)?;
    if out.len() as u64 > SCHEMA_STRING_CHARS_MAX {
        return None;
    }
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => out.push_str(std::str::from_utf8(&literal.0).ok()?),
        HirKind::Class(class) => out.push(character(class, stream)?),
        HirKind::Capture(capture) => walk(&capture.sub, stream, out, steps)?,
        HirKind::Repetition(repetition) => {
            let more = repetition.max.map_or(REPEATS_MORE, |max| max.saturating_sub(repetition.min));
            let count = repetition.min.saturating_add(stream.below(more.min(REPEATS_MORE) + 1));
            for _ in 0..count {
                walk(&repetition.sub, stream, out, steps)?;
            }
        }
        HirKind::Concat(parts) => {
            for part in parts {
                walk(part, stream, out, steps)?;
            }
        }
        HirKind::Alternation(parts) => walk(&parts[stream.below(parts.len() as u32) as usize], stream, out, steps)?,
    }
    Some(())
}

/// A character of `class`, printable ASCII if it has any.
fn character(class: &Class, stream: &mut Stream) -> Option<char> {
    let ranges: Vec<(char, char)> = match class {
        Class::Unicode(class) => class.ranges().iter().map(|range| (range.start(), range.end())).collect(),
        Class::Bytes(class) => class.ranges().iter().map(|range| (char::from(range.start()), char::from(range.end()))).collect(),
    };
    let overlap = |low: char, high: char| ranges.iter().map(move |(start, end)| ((*start).max(low), (*end).min(high)));
    // Letters and digits first: `.` or `[^,]` should not make line noise.
    let preferred = [('a', 'z'), ('0', '9'), ('A', 'Z')].into_iter().flat_map(|(low, high)| overlap(low, high));
    let mut choices: Vec<(char, char)> = preferred.filter(|(low, high)| low <= high).collect();
    if choices.is_empty() {
        choices = overlap(' ', '~').filter(|(low, high)| low <= high).collect();
    }
    if choices.is_empty() {
        choices = ranges;
    }
    let (low, high) = *choices.get(stream.below(choices.len() as u32) as usize)?;
    char::from_u32(u32::from(low) + stream.below(u32::from(high) - u32::from(low) + 1)).or(Some(low))
}
