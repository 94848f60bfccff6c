//! A reader of Prometheus' text format, as far as a scrape of one server needs it.
//!
//! It knows names, labels with escapes, values, `+Inf` and `NaN`. Comments are skipped and timestamps are ignored; a line that is
//! neither is an error that names the line.

use anyhow::{Context, Result, bail};

use crate::figures::buckets::Buckets;

/// One line of a scrape.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The series' name, suffixes such as `_bucket` included.
    pub name: String,
    /// Labels in the order of the line.
    pub labels: Vec<(String, String)>,
    /// Its value; may be infinite or not a number.
    pub value: f64,
}

impl Sample {
    /// The value of a label.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}

/// All samples of one scrape.
#[derive(Debug, Clone, Default)]
pub struct Scrape {
    samples: Vec<Sample>,
}

impl Scrape {
    /// Reads a scrape; an unreadable line is an error that gives its number.
    pub fn parse(text: &str) -> Result<Self> {
        let mut samples = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            samples.push(sample(line).with_context(|| format!("line {} of the metrics is unreadable: `{line}`", index + 1))?);
        }
        Ok(Self { samples })
    }

    /// The sum of a series over all its labels; `None` if the scrape has none of that name.
    pub fn sum(&self, name: &str) -> Option<f64> {
        let mut values = self.samples.iter().filter(|sample| sample.name == name).map(|sample| sample.value).peekable();
        values.peek()?;
        Some(values.sum())
    }

    /// A histogram summed over all its labels but `le`; empty if the scrape has none of that name.
    pub fn histogram(&self, name: &str) -> Result<Buckets> {
        let bucket = format!("{name}_bucket");
        let mut buckets = Buckets::default();
        for sample in self.samples.iter().filter(|sample| sample.name == bucket) {
            let bound = sample.label("le").with_context(|| format!("a bucket of `{name}` has no `le` label"))?;
            buckets.add(number(bound)?, sample.value);
        }
        Ok(buckets)
    }
}

fn sample(line: &str) -> Result<Sample> {
    let name_end = line.find(|letter: char| letter == '{' || letter.is_whitespace()).context("it has no value")?;
    let (name, rest) = line.split_at(name_end);
    if name.is_empty() {
        bail!("it has no name");
    }
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(inside) => labels(inside)?,
        None => (Vec::new(), rest),
    };
    let value = rest.split_whitespace().next().context("it has no value")?;
    Ok(Sample { name: name.to_owned(), labels, value: number(value)? })
}

/// Reads `key="value",…}` and gives what follows the brace.
fn labels(mut rest: &str) -> Result<(Vec<(String, String)>, &str)> {
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(after) = rest.strip_prefix('}') {
            return Ok((labels, after));
        }
        let (key, after) = rest.split_once("=\"").context("a label has no quoted value")?;
        let (value, after) = quoted(after)?;
        labels.push((key.trim().to_owned(), value));
        rest = after;
    }
}

/// Reads up to the closing quote, undoing `\\`, `\"` and `\n`.
fn quoted(text: &str) -> Result<(String, &str)> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => match letters.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, other)) => value.push(other),
                None => break,
            },
            other => value.push(other),
        }
    }
    bail!("a label's value has no closing quote")
}

fn number(text: &str) -> Result<f64> {
    match text {
        "+Inf" => Ok(f64::INFINITY),
        "-Inf" => Ok(f64::NEG_INFINITY),
        other => other.parse().with_context(|| format!("`{other}` is not a number")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRAPE: &str = "# HELP a_seconds Time.\n# TYPE a_seconds histogram\n\
        a_seconds_bucket{model=\"x\",le=\"0.1\"} 2\na_seconds_bucket{model=\"x\",le=\"+Inf\"} 3\n\
        a_seconds_bucket{model=\"y\",le=\"0.1\"} 5\na_seconds_bucket{model=\"y\",le=\"+Inf\"} 5\n\
        a_seconds_sum{model=\"x\"} 0.5\n\nrunning 7 1700000000000\nodd{path=\"a\\\"b\\\\c\\nd\",} NaN\n";

    #[test]
    fn a_histogram_is_summed_over_its_labels() {
        let buckets = Scrape::parse(SCRAPE).unwrap().histogram("a_seconds").unwrap();
        assert_eq!(buckets.pairs(), [(0.1, 7.0), (f64::INFINITY, 8.0)]);
    }

    #[test]
    fn a_missing_series_is_none_and_a_missing_histogram_is_empty() {
        let scrape = Scrape::parse(SCRAPE).unwrap();
        assert_eq!(scrape.sum("nothing"), None);
        assert_eq!(scrape.histogram("nothing").unwrap().count(), 0.0);
    }

    #[test]
    fn a_timestamp_is_ignored() {
        assert_eq!(Scrape::parse(SCRAPE).unwrap().sum("running"), Some(7.0));
    }

    #[test]
    fn escapes_in_labels_are_undone() {
        let scrape = Scrape::parse(SCRAPE).unwrap();
        assert_eq!(scrape.samples.last().unwrap().label("path"), Some("a\"b\\c\nd"));
        assert!(scrape.samples.last().unwrap().value.is_nan());
    }

    #[test]
    fn an_unreadable_line_is_named() {
        for bad in ["name", "name{a=\"b} 1", "name{a} 1", "name one", "{a=\"b\"} 1"] {
            let error = Scrape::parse(&format!("ok 1\n{bad}\n")).unwrap_err();
            assert!(error.to_string().starts_with("line 2 "), "{bad}: {error}");
        }
    }
}
