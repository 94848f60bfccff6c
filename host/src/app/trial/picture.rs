//! Pictures made of characters: histograms, a line over time, the tokens of one stream. Of Unicode's blocks, or of ASCII alone.

/// How to draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pen {
    /// Columns that a picture may have.
    pub width: usize,
    /// Only letters that every terminal has?
    pub is_ascii: bool,
}

/// Eighths of a column, and of a row.
const PARTS: [char; 9] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];
const STEPS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Rows of a histogram.
const ROWS: usize = 10;

impl Pen {
    /// A bar for `part` of `whole`, at most `columns` long. What is there at all is seen.
    fn bar(self, part: u64, whole: u64, columns: usize) -> String {
        let eighths = (part as f64 / whole.max(1) as f64 * (columns * 8) as f64).round() as usize;
        let eighths = eighths.clamp(usize::from(part > 0), columns * 8);
        if self.is_ascii {
            return "#".repeat(eighths.div_ceil(8));
        }
        let rest = PARTS[eighths % 8];
        let full = "█".repeat(eighths / 8);
        if rest == ' ' { full } else { format!("{full}{rest}") }
    }

    /// Where `values` lie, in nanoseconds: one row a range, with how many lie in it.
    pub fn histogram(self, values: &[u64]) -> Vec<String> {
        let edges = edges(values);
        let count = |from: u64, to: u64, is_last: bool| {
            values.iter().filter(|value| (from..to).contains(*value) || (is_last && **value == to)).count() as u64
        };
        let last = edges.len().saturating_sub(2);
        let rows: Vec<(String, u64)> = edges
            .windows(2)
            .enumerate()
            .map(|(row, pair)| (format!("{} to {}", time(pair[0]), time(pair[1])), count(pair[0], pair[1], row == last)))
            .collect();
        let label = rows.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
        let number = rows.iter().map(|(_, count)| count.to_string().len()).max().unwrap_or(0);
        let most = rows.iter().map(|(_, count)| *count).max().unwrap_or(0);
        let columns = self.width.saturating_sub(label + number + 6).max(8);
        let row =
            |(text, count): &(String, u64)| format!("  {text:>label$}  {count:>number$}  {}", self.bar(*count, most, columns));
        rows.iter().map(|one| row(one).trim_end().to_owned()).collect()
    }

    /// One character for each of `values`, as high as it is in relation to the highest; a blank where there is none.
    pub fn spark(self, values: &[Option<f64>]) -> String {
        let most = values.iter().flatten().fold(0.0_f64, |most, value| most.max(*value));
        let one = |value: &Option<f64>| {
            let Some(value) = value else { return ' ' };
            let share = if most > 0.0 { value / most } else { 0.0 };
            if self.is_ascii {
                return [b'_', b'.', b'-', b'=', b'*', b'#'][((share * 6.0) as usize).min(5)] as char;
            }
            STEPS[((share * 8.0) as usize).min(7)]
        };
        values.iter().map(one).collect()
    }

    /// Tokens that leave at these times, on an axis from the request to the last of them; `strikes` are marked.
    pub fn stream(self, tokens: &[u64], strikes: &[(u64, &str)]) -> Vec<String> {
        let end = tokens.iter().chain(strikes.iter().map(|(at, _)| at)).copied().max().unwrap_or(0).max(1);
        let columns = self.width.saturating_sub(4).max(20);
        let column = |at: u64| ((at as f64 / end as f64 * (columns - 1) as f64).round() as usize).min(columns - 1);
        let mut counts = vec![0_usize; columns];
        tokens.iter().for_each(|at| counts[column(*at)] += 1);
        let marks = if self.is_ascii { ['.', ':', '#'] } else { ['·', '•', '●'] };
        let dot = |count: &usize| match count {
            0 => ' ',
            1 => marks[0],
            2 | 3 => marks[1],
            _ => marks[2],
        };
        let mut line: Vec<char> = counts.iter().map(dot).collect();
        for (at, _) in strikes {
            line[column(*at)] = if self.is_ascii { 'x' } else { '✗' };
        }
        let (dash, tick) = if self.is_ascii { ('-', '|') } else { ('─', '┬') };
        let axis: String =
            (0..columns).map(|at| if at == 0 || at + 1 == columns || at == columns / 2 { tick } else { dash }).collect();
        let (left, middle, right) = ("0ms".to_owned(), time(end / 2), time(end));
        let middle_at = (columns / 2).saturating_sub(middle.chars().count() / 2).max(left.len() + 1);
        let right_at = columns.saturating_sub(right.chars().count()).max(middle_at + middle.chars().count() + 1);
        let mut labels = format!("{left:<middle_at$}{middle}");
        labels = format!("{labels:<right_at$}{right}");
        let mut lines =
            vec![format!("  {}", line.into_iter().collect::<String>().trim_end()), format!("  {axis}"), format!("  {labels}")];
        let mark = if self.is_ascii { 'x' } else { '✗' };
        lines.extend(strikes.iter().map(|(at, what)| format!("  {mark} {what} after {}", time(*at))));
        lines
    }
}

/// Round edges around all `values`: evenly apart, or where they are far apart in equal ratios.
fn edges(values: &[u64]) -> Vec<u64> {
    let (Some(least), Some(most)) = (values.iter().min().copied(), values.iter().max().copied()) else { return Vec::new() };
    if least == most {
        return vec![least, most];
    }
    if least > 0 && most / least >= 16 {
        // Two edges to a doubling at most, so that rows have the same width on paper as in ratio.
        let ratio = (most as f64 / least as f64).powf(1.0 / ROWS as f64).max(1.2);
        let mut edges = vec![rounded(least as f64, f64::floor)];
        while edges.last().is_some_and(|last| *last < most) {
            let last = edges.last().copied().unwrap_or(1).max(1) as f64;
            edges.push(rounded(last * ratio, f64::ceil));
        }
        return edges;
    }
    let step = rounded((most - least) as f64 / ROWS as f64, f64::ceil).max(1);
    let first = least / step * step;
    let rows = (most - first).div_ceil(step).max(1);
    (0..=rows).map(|row| first + row * step).collect()
}

/// `value` with two digits that count.
fn rounded(value: f64, to: fn(f64) -> f64) -> u64 {
    if value < 1.0 {
        return to(value).max(0.0) as u64;
    }
    let unit = 10_f64.powf((value.log10().floor() - 1.0).max(0.0));
    (to(value / unit) * unit) as u64
}

/// A time for people, three digits of it: `352ms`, `1.31s`.
pub fn time(ns: u64) -> String {
    let us = ns as f64 / 1e3;
    let digits = |value: f64, unit: &str| {
        let places = if value >= 100.0 {
            0
        } else if value >= 10.0 {
            1
        } else {
            2
        };
        let text = format!("{value:.places$}");
        let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
        format!("{text}{unit}")
    };
    match us {
        us if us < 999.5 => digits(us, "us"),
        us if us < 999_500.0 => digits(us / 1e3, "ms"),
        us if us < 599.5e6 => digits(us / 1e6, "s"),
        us if us < 3_600e6 => digits(us / 60e6, "m"),
        us => digits(us / 3_600e6, "h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEN: Pen = Pen { width: 50, is_ascii: false };
    const MS: u64 = 1_000_000;

    #[test]
    fn a_histogram_counts_every_value_once_and_keeps_its_width() {
        for values in [vec![5 * MS], vec![MS, 2 * MS, 2 * MS, 900 * MS], (1..400).map(|ms| ms * MS).collect(), vec![0, 0, 7]] {
            for pen in [PEN, Pen { is_ascii: true, ..PEN }] {
                let rows = pen.histogram(&values);
                let counted: usize = rows
                    .iter()
                    .map(|row| row.split_whitespace().nth(3).expect("a count").parse::<usize>().expect("a number"))
                    .sum();
                assert_eq!(counted, values.len(), "{rows:#?}");
                assert!(rows.iter().all(|row| row.chars().count() <= 50) && rows.len() <= 14, "{rows:#?}");
                assert!(!pen.is_ascii || rows.iter().all(|row| row.is_ascii()));
            }
        }
    }

    #[test]
    fn a_stream_has_a_dot_where_a_token_leaves() {
        let tokens: Vec<u64> = (1..=5).map(|token| token * 200 * MS).collect();
        let lines = PEN.stream(&tokens, &[(600 * MS, "stall")]);
        let dots = |mark: char| lines[0].chars().filter(|c| *c == mark).count();
        assert_eq!((dots('·'), dots('✗'), lines[0].chars().count()), (4, 1, 48), "{lines:#?}");
        assert!(lines[2].starts_with("  0ms") && lines[2].ends_with("1s"), "{lines:#?}");
        assert_eq!(lines.last().map(String::as_str), Some("  ✗ stall after 600ms"));
    }

    #[test]
    fn times_have_three_digits() {
        let shown: Vec<String> = [0, 950, 12_345, 20 * MS, 352_400_000, 1_310 * MS, 90_000 * MS, 7_200_000 * MS].map(time).into();
        assert_eq!(shown, ["0us", "0.95us", "12.3us", "20ms", "352ms", "1.31s", "90s", "2h"]);
    }

    #[test]
    fn a_spark_is_as_high_as_its_value() {
        assert_eq!(PEN.spark(&[Some(1.0), None, Some(8.0), Some(4.0), Some(0.0)]), "▂ █▅▁");
        assert_eq!(Pen { is_ascii: true, ..PEN }.spark(&[Some(1.0), None, Some(6.0)]), ". #");
    }
}
