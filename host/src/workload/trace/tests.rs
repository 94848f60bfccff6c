use super::lines::LINES_NAMED;
use super::*;

const HEADER: &str = "TIMESTAMP,ContextTokens,GeneratedTokens\n";

fn parse(text: &str, format: Option<Format>, limit: Option<u64>) -> Result<Trace, Vec<Problem>> {
    read("t", text.as_bytes(), format, limit)
}

fn told(text: &str, format: Option<Format>) -> Vec<String> {
    parse(text, format, None).expect_err("mistakes").iter().map(ToString::to_string).collect()
}

#[test]
fn every_wrong_line_of_a_recording_is_told_with_line_and_column() {
    let lines = "2023-11-16 18:15:46.6,374,44\n\
                 2023-11-16 18:15:47.6,0,44\n\
                 2023-11-16 18:15:48.6,374,0\n\
                 2023-11-16 18:15:45.6,374,44\n\
                 2023-11-16 18:15:49.6,374\n\
                 2023-11-16 18:15:50.6,374,-4\n\
                 2023-11-16 18:75:50.6,374,4\n\
                 2023-11-16 18:15:51.6,200000000,4\n";
    let problems = told(&format!("{HEADER}{lines}"), None);
    let expected = [
        "t:3:1: this request has a prompt of 0 tokens",
        "t:4:1: this request has a reply of 0 tokens",
        "t:5:1: this request is earlier than the first one",
        "t:6:1: expected 3 columns, found 2",
        "t:7:27: `-4` is no number of tokens",
        "t:8:1: `2023-11-16 18:75:50.6` is no time",
        "t:9:1: a prompt of 200000000 tokens, and one may have 100000000",
    ];
    assert_eq!(problems.len(), expected.len(), "{problems:?}");
    for (problem, expected) in problems.iter().zip(expected) {
        assert!(problem.starts_with(expected) && problem.contains("hint: "), "{problem}");
    }
}

#[test]
fn json_lines_are_judged_too() {
    let lines = "{\"at\": 1, \"input\": 5, \"output\": 6}\n\
                 {\"at\": 0.5, \"input\": 5}\n\
                 {\"at\": -1, \"input\": 5}\n\
                 {\"at\": 2, \"inputs\": 5}\n\
                 {\"at\": 2, \"input\": 5\n\
                 {\"at\": 3, \"input\": 5, \"blocks\": [1, 2]}\n\
                 {\"at\": 1e300, \"input\": 5}\n";
    let problems = told(lines, None);
    let expected = [
        "t:2:1: this request is earlier",
        "t:3:1: `at` is `-1`",
        "t:4:",
        "t:5:",
        "t:6:1: 2 blocks of a prompt of 5 tokens",
        "t:7:1: this request is more than a year after",
    ];
    assert_eq!(problems.len(), expected.len(), "{problems:?}");
    for (problem, expected) in problems.iter().zip(expected) {
        assert!(problem.starts_with(expected), "{problem}");
    }
}

#[test]
fn a_file_without_a_request_or_of_no_known_kind_is_refused() {
    assert!(told("", None)[0].contains("`t` is empty"));
    assert!(told("time,tokens\n1,2\n", None)[0].contains("no known recording begins like this"));
    assert!(told(HEADER, None)[0].contains("has no request"));
    let many = format!("{HEADER}{}", "nonsense\n".repeat(50));
    let problems = told(&many, None);
    assert_eq!(problems.len(), LINES_NAMED + 1);
    assert!(problems[LINES_NAMED].contains("40 more lines"), "{problems:?}");
}

#[test]
fn a_limit_reads_only_the_beginning() {
    let text = "{\"at\": 0, \"input\": 1}\n{\"at\": 1, \"input\": 2}\nnonsense\n";
    assert_eq!(parse(text, None, Some(2)).expect("a trace").requests, 2);
}

#[test]
fn a_recording_is_played_faster_and_again_one_mean_gap_later() {
    let text = "{\"at\": 0, \"input\": 1}\n{\"at\": 1, \"input\": 2}\n{\"at\": 4, \"input\": 3}\n";
    let trace = parse(text, None, None).expect("a trace");
    let mut run = Run::begin(&Arc::new(Trace { speed: 2.0, repeat: 2, ..trace }));
    let times: Vec<_> = std::iter::from_fn(|| run.next().map(|at| (at, run.row().input_tokens))).collect();
    let ms = 1_000_000;
    assert_eq!(times, [(0, 1), (500 * ms, 2), (2_000 * ms, 3), (3_000 * ms, 1), (3_500 * ms, 2), (5_000 * ms, 3)]);
}

#[test]
fn a_recording_that_is_too_large_to_be_held_is_played_from_its_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let text: String = (0..1_000).map(|at| format!("{{\"at\": {at}, \"input\": {}}}\n", at % 7 + 1)).collect();
    std::fs::write(folder.path().join("t.jsonl"), &text).expect("written");
    let play = |rows| {
        let room = Room { rows, hashes: 0 };
        let trace = open_holding(folder.path(), "t.jsonl", None, Some(900), room).expect("a trace");
        assert_eq!(matches!(trace.rows, Rows::InFile(_)), rows < 900);
        let mut run = Run::begin(&Arc::new(Trace { repeat: 2, speed: 3.0, ..trace }));
        let rows: Vec<_> = std::iter::from_fn(|| run.next().map(|at| (at, run.row().clone()))).collect();
        assert_eq!(run.trouble(), None);
        rows
    };
    assert_eq!(play(899), play(900));
    assert_eq!(play(10).len(), 1_800);
}

#[test]
fn hashes_of_blocks_count_towards_what_is_held() {
    let folder = tempfile::tempdir().expect("a folder");
    let text: String = (0..10).map(|at| format!("{{\"at\": {at}, \"input\": 40, \"blocks\": [1, 2]}}\n")).collect();
    std::fs::write(folder.path().join("t.jsonl"), &text).expect("written");
    let play = |hashes| {
        let trace = open_holding(folder.path(), "t.jsonl", None, None, Room { rows: 10, hashes }).expect("a trace");
        assert_eq!(matches!(trace.rows, Rows::InFile(_)), hashes < 20);
        let mut run = Run::begin(&Arc::new(trace));
        std::iter::from_fn(|| run.next().map(|at| (at, run.row().clone()))).collect::<Vec<_>>()
    };
    assert_eq!(play(20).len(), 10);
    assert_eq!([play(19), play(1)], [play(20), play(20)]);
}

#[test]
fn a_file_that_changes_while_it_is_played_ends_the_recording_and_says_so() {
    for (change, reason) in [("{\"at\": 0, \"input\": 1}\n", "it is shorter"), ("{\"at\": 0}\n", "line 1: missing field `input`")]
    {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("t.jsonl");
        std::fs::write(&path, "{\"at\": 0, \"input\": 1}\n{\"at\": 1, \"input\": 1}\n").expect("written");
        let trace = open_holding(folder.path(), "t.jsonl", None, None, Room { rows: 1, hashes: 0 }).expect("a trace");
        std::fs::write(&path, change).expect("written");
        let mut run = Run::begin(&Arc::new(trace));
        while run.next().is_some() {}
        assert!(run.trouble().is_some_and(|said| said.contains("has changed") && said.contains(reason)), "{:?}", run.trouble());
    }
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_a_recording_or_refused_with_a_place(
        first in 0_usize..4,
        bytes in proptest::collection::vec(proptest::prelude::prop_oneof![
            proptest::prelude::any::<u8>(),
            proptest::sample::select(&b"0123456789-: .,{}[]\"atinpuoy\n"[..]),
        ], 0..300),
    ) {
        let begins = ["", HEADER, "{\"at\": 0, \"input\": 1}\n", "{\"timestamp\": 0, \"input_length\": 1, \"output_length\": 1}\n"];
        let text = [begins[first].as_bytes(), &bytes].concat();
        match read("t", &text[..], None, None) {
            Ok(trace) => {
                let mut run = Run::begin(&Arc::new(trace));
                let times: Vec<Nanos> = std::iter::from_fn(|| run.next()).collect();
                proptest::prop_assert!(times.windows(2).all(|pair| pair[0] <= pair[1]));
            }
            Err(problems) => proptest::prop_assert!(problems.iter().all(|problem| problem.place.is_some())),
        }
    }
}
