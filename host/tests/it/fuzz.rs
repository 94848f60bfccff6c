//! Scenarios with random mistakes: the built-in one and every one in `examples/`, spoilt byte by byte, word by word, line by line and
//! value by value. None may cause a panic or take long, and every refusal says where.
//!
//! The seed is fixed. A failure prints the text, so that it can become a test of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use simwright::app::workshop::Workshop;
use simwright::clock::real::{RealClock, thread_cpu_ns};
use simwright::random::{Key, Stream};
use simwright::scenario::read;
use simwright::scenario::refusal::Refusal;

use super::support::guests::workspace;
use super::support::host::full;

/// CPU time that one scenario may take, in nanoseconds.
const CPU_NS_MAX: u64 = 1_000_000_000;

/// Values that have no business anywhere, and words that mean something in YAML.
const ODD: [&str; 44] = [
    ".nan",
    ".inf",
    "-.inf",
    "1e999",
    "-1e999",
    "1e-999",
    "-1",
    "-0",
    "0",
    "0.5",
    "1.5e308",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775809",
    "340282366920938463463374607431768211456",
    "0x7f",
    "0o17",
    "1_000",
    "true",
    "null",
    "~",
    "''",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "[]",
    "{}",
    "[[[[]]]]",
    "{ a: { b: { c: 1 } } }",
    "*gone",
    "&a",
    "&a [*a]",
    "!!binary eA==",
    "!!float x",
    "!custom {}",
    "<<",
    "? ",
    "|",
    ">-",
    "%YAML 1.9",
    "---",
    "999999999999999h",
    "1e30s",
    "200%",
    "-5%",
];

/// The files to spoil, with their folders.
fn corpus() -> Vec<(String, PathBuf)> {
    let mut corpus = vec![(read::DEFAULT.to_owned(), PathBuf::new())];
    let mut folders = vec![workspace().join("examples")];
    while let Some(folder) = folders.pop() {
        let mut paths: Vec<_> = std::fs::read_dir(&folder).expect("a folder").flatten().map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            // Scenarios beside example packs are good only where these are installed.
            if path.is_dir() && !path.ends_with("target") && !path.ends_with("examples/packs") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "yaml") {
                let text = std::fs::read_to_string(&path).expect("a text");
                // Other tools have YAML too.
                if text.lines().any(|line| line.starts_with("simwright:")) {
                    corpus.push((text, folder.clone()));
                }
            }
        }
    }
    corpus
}

/// Any of `items`; panics if there are none.
fn pick<'a, T>(items: &'a [T], draws: &mut Stream) -> &'a T {
    &items[draws.below(items.len() as u32) as usize]
}

/// `text` with one mistake more.
fn spoil(text: &str, draws: &mut Stream) -> String {
    match draws.below(7) {
        0 => spoil_bytes(text, draws),
        1 | 2 => spoil_word(text, draws),
        3 => spoil_lines(text, draws),
        4 => spoil_indentation(text, draws),
        5 => nest(text, draws),
        _ => text.replacen(*pick(&["{", "}", "[", "]", ":", ",", "- ", "'", "%", "ms"], draws), "", 1 + draws.below(3) as usize),
    }
}

/// One to four characters taken out, put in or exchanged.
fn spoil_bytes(text: &str, draws: &mut Stream) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for _ in 0..=draws.below(4) {
        let at = draws.below(chars.len() as u32 + 1) as usize;
        let other =
            *pick(&['\0', '\t', '\n', ' ', ':', '-', '[', '{', '}', '"', '*', '&', '!', '#', '9', 'é', '\u{feff}'], draws);
        match draws.below(3) {
            0 => chars.insert(at, other),
            1 if at < chars.len() => chars[at] = other,
            _ if at < chars.len() => drop(chars.remove(at)),
            _ => chars.push(other),
        }
    }
    chars.into_iter().collect()
}

/// A word of a line exchanged for an odd one or for another word of the file.
fn spoil_word(text: &str, draws: &mut Stream) -> String {
    let parts = text.split_inclusive([' ', '\n', ',']).scan(0, |at, part| {
        let start = *at;
        *at += part.len();
        Some((start, part.trim_end_matches([' ', '\n', ','])))
    });
    let words: Vec<(usize, &str)> = parts.filter(|(_, word)| !word.is_empty()).collect();
    if words.is_empty() {
        return (*pick(&ODD, draws)).to_owned();
    }
    let &(at, word) = pick(&words, draws);
    let other = if draws.below(3) == 0 { pick(&words, draws).1 } else { *pick(&ODD, draws) };
    // A key keeps its colon half of the time.
    let colon = if word.ends_with(':') && draws.below(2) == 0 { ":" } else { "" };
    format!("{}{other}{colon}{}", &text[..at], &text[at + word.len()..])
}

/// A line that comes twice, is gone, or has moved.
fn spoil_lines(text: &str, draws: &mut Stream) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    if lines.is_empty() {
        return text.to_owned();
    }
    let line = lines[draws.below(lines.len() as u32) as usize];
    let (from, to) = (draws.below(lines.len() as u32) as usize, draws.below(lines.len() as u32) as usize);
    match draws.below(3) {
        0 => lines.insert(to, line),
        1 => drop(lines.remove(from)),
        _ => lines.swap(from, to),
    }
    lines.join("\n")
}

fn spoil_indentation(text: &str, draws: &mut Stream) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let at = draws.below(lines.len().max(1) as u32) as usize;
    let by = *pick(&["", " ", "  ", "\t", "        "], draws);
    let indent =
        |(index, line): (usize, &&str)| if index == at { format!("{by}{}", line.trim_start()) } else { (*line).to_owned() };
    lines.iter().enumerate().map(indent).collect::<Vec<_>>().join("\n")
}

/// A value that is deep, wide, or expands to more than memory holds.
fn nest(text: &str, draws: &mut Stream) -> String {
    let depth = 1 << draws.below(10);
    let deep = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    match draws.below(4) {
        0 => format!("{text}\ndeep: {deep}\n"),
        1 => format!("{text}\nwide: [{}]\n", "1, ".repeat(depth * 10)),
        2 => {
            let level = |index: usize| format!("a{index}: &a{index} [{}]\n", vec![format!("*a{}", index - 1); 9].join(", "));
            let bomb: String = (1..=draws.below(12) as usize).map(level).collect();
            format!("a0: &a0 [x, x]\n{bomb}{text}")
        }
        _ => text.replacen(": ", &format!(": {deep} "), 1 + draws.below(5) as usize),
    }
}

fn assert_placed(text: &str, refusal: &Refusal) {
    assert!(!refusal.problems.is_empty(), "refused for nothing:\n{text}");
    let lines = text.lines().count().max(1) as u32;
    for problem in &refusal.problems {
        let place = problem.place.as_ref().unwrap_or_else(|| panic!("no place: {problem}\n{text}"));
        assert!(place.line >= 1 && place.line <= lines + 1 && place.column >= 1, "no such place: {problem}\n{text}");
        assert!(!problem.message.is_empty() && !problem.message.contains(char::is_control), "{problem:?}");
    }
    assert!(!refusal.to_string().is_empty());
}

/// Reads and builds `text` as a reload would; says whether it was good.
fn judge(workshop: &Workshop, text: &str, folder: &Path) -> bool {
    let start = thread_cpu_ns();
    let built = catch_unwind(AssertUnwindSafe(|| {
        read::parse("s.yaml", text, folder).and_then(|draft| workshop.build(draft, 1)).map(drop)
    }));
    let used = thread_cpu_ns() - start;
    assert!(used < CPU_NS_MAX, "{used} ns of CPU time for:\n{text}");
    match built {
        Ok(Ok(())) => true,
        Ok(Err(refusal)) => {
            assert_placed(text, &refusal);
            false
        }
        Err(_) => panic!("a panic, see above, for:\n{text}"),
    }
}

#[test]
fn spoilt_scenarios_are_refused_with_places_or_built_but_never_a_panic() {
    let each = if full() { 5_000 } else { 100 };
    let workshop = Workshop::open(RealClock::start(), Some(1), 1).expect("a workshop");
    let corpus = corpus();
    assert!(corpus.len() >= 3, "the built-in scenario and the examples");
    let (mut good, mut bad) = (0, 0);
    for (file, (text, folder)) in corpus.iter().enumerate() {
        assert!(judge(&workshop, text, folder), "file {file} is good before it is spoilt");
        for number in 0..each {
            let mut draws = Key::of_seed(number).named("fuzz").with(file as u64).stream();
            let mut spoilt = text.clone();
            for _ in 0..=draws.below(3) {
                spoilt = spoil(&spoilt, &mut draws);
            }
            *(if judge(&workshop, &spoilt, folder) { &mut good } else { &mut bad }) += 1;
        }
    }
    // Mistakes that all miss, or all hit, would test nothing.
    assert!(good * 20 > bad && bad * 20 > good, "{good} good, {bad} bad");
}

#[test]
fn every_odd_value_in_every_place_of_a_scenario_is_refused_with_its_place_or_means_something() {
    let workshop = Workshop::open(RealClock::start(), Some(1), 1).expect("a workshop");
    let text = std::fs::read_to_string(workspace().join("examples/quickstart/scenario.yaml")).expect("a text");
    let values: Vec<(usize, usize)> = text
        .match_indices(": ")
        .map(|(at, colon)| at + colon.len())
        .map(|start| (start, start + text[start..].find(['\n', ',', '}', ']']).unwrap_or(0)))
        .collect();
    assert!(values.len() > 5);
    for (start, end) in values {
        for odd in ODD {
            judge(&workshop, &format!("{}{odd}{}", &text[..start], &text[end..]), Path::new(""));
        }
    }
}
