//! Pictures of a run: panels over one axis of time, a line for each model, class or tenant, as SVG that any browser and any README shows.
//!
//! [`Panel`] is what can be drawn, [`draw`] draws it. `axis` finds round numbers, `svg` writes. Equal runs give equal pictures, to the byte.

use std::str::FromStr;

use crate::clock::Nanos;
use crate::report::timeline::{Line, Slice, Timeline};

mod axis;
mod svg;

use axis::{Axis, Unit, time, time_ticks};
use svg::{LINES_MAX, Sheet, WIDTH};

/// Left of the panels: what stands at the vertical axes.
const LEFT: f64 = 66.0;
const RIGHT: f64 = 18.0;
/// Above the first panel: the title and what the lines are.
const TOP: f64 = 62.0;
/// A panel without its title.
const PANEL: f64 = 104.0;
const PANEL_TITLE: f64 = 30.0;
/// Below the last panel: what stands at the axis of time.
const BOTTOM: f64 = 34.0;
/// About the width of a letter of a legend, and what stands before its text.
const LETTER: f64 = 6.6;
const KEY: f64 = 38.0;

/// One part of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Panel {
    /// Attempts a second.
    Requests,
    /// The share of the attempts that gave no whole reply.
    Failures,
    /// Median and 99th percentile of the time to the first token.
    FirstToken,
    /// Median and 99th percentile of the time to the end of a whole reply.
    Duration,
    /// Tokens of replies a second.
    Tokens,
}

impl Panel {
    /// All of them, from top to bottom.
    pub const ALL: [Self; 5] = [Self::Requests, Self::Failures, Self::FirstToken, Self::Duration, Self::Tokens];

    /// Its word on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Failures => "failures",
            Self::FirstToken => "ttft",
            Self::Duration => "duration",
            Self::Tokens => "tokens",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Requests => "requests, retries included",
            Self::Failures => "requests that fail",
            Self::FirstToken => "time to the first token: median, and 99th percentile (dotted)",
            Self::Duration => "time to the whole reply: median, and 99th percentile (dotted)",
            Self::Tokens => "tokens of replies",
        }
    }

    fn unit(self) -> Unit {
        match self {
            Self::Requests | Self::Tokens => Unit::PerSecond,
            Self::Failures => Unit::Share,
            Self::FirstToken | Self::Duration => Unit::Time,
        }
    }

    /// What of `slice`, which is so many seconds long, is drawn: the line, and the dotted one above it.
    fn values(self, slice: &Slice, seconds: f64) -> (Option<f64>, Option<f64>) {
        let of = |times: &crate::stats::histogram::Snapshot| {
            let quantile = |share| (times.count() > 0).then(|| times.quantile(share) as f64);
            (quantile(0.5), quantile(0.99))
        };
        match self {
            Self::Requests => (Some(slice.attempts as f64 / seconds), None),
            Self::Tokens => (Some(slice.tokens / seconds), None),
            Self::Failures => ((slice.attempts > 0).then(|| slice.failed as f64 / slice.attempts as f64), None),
            Self::FirstToken => of(&slice.first_token),
            Self::Duration => of(&slice.duration),
        }
    }
}

impl FromStr for Panel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|panel| panel.word() == text).ok_or_else(|| {
            let words: Vec<&str> = Self::ALL.iter().map(|panel| panel.word()).collect();
            format!("`{text}` is no panel; there are {}", words.join(", "))
        })
    }
}

/// The panels of which `timeline` has something to show: failures only if there are any.
pub fn telling(timeline: &Timeline) -> Vec<Panel> {
    let any = |panel: Panel| {
        let mut slices = timeline.lines().flat_map(|line| &line.slices);
        slices.any(|slice| panel.values(slice, 1.0).0.is_some_and(|value| value > 0.0))
    };
    Panel::ALL.into_iter().filter(|panel| any(*panel)).collect()
}

/// Draws `panels` of `timeline`, one below the other. More lines than there are colours become one.
pub fn draw(timeline: &Timeline, panels: &[Panel], title: &str) -> String {
    let mut lines: Vec<Line> = timeline.lines().cloned().collect();
    if lines.len() > LINES_MAX {
        lines = vec![timeline.sum()];
    }
    let mut sheet = Sheet::new(title);
    sheet.text((LEFT, 28.0), "title", title);
    sheet.text((WIDTH - RIGHT, 28.0), "end", &format!("a point is {}", time(timeline.slice_ns() as f64)));
    legend(&mut sheet, &lines);
    for (index, panel) in panels.iter().enumerate() {
        let top = TOP + index as f64 * (PANEL + PANEL_TITLE) + PANEL_TITLE;
        Frame { timeline, lines: &lines, top }.draw(&mut sheet, *panel);
    }
    let bottom = TOP + panels.len() as f64 * (PANEL + PANEL_TITLE);
    for (at, label) in time_ticks(timeline.newest_ns()) {
        sheet.text((across(timeline, at as f64), bottom + 18.0), "middle", &label);
    }
    sheet.finish(bottom + BOTTOM)
}

/// What the lines are, if there are several.
fn legend(sheet: &mut Sheet, lines: &[Line]) {
    if lines.len() < 2 {
        return;
    }
    let mut x = LEFT;
    for (index, line) in lines.iter().enumerate() {
        let name = if line.name.is_empty() { "no model" } else { &line.name };
        sheet.rule((x, 47.0), (x + 16.0, 47.0), &format!("main l{index}"));
        sheet.text((x + 22.0, 51.0), "", name);
        x += KEY + LETTER * name.chars().count() as f64;
    }
}

/// Where a time is drawn.
fn across(timeline: &Timeline, ns: f64) -> f64 {
    let until = timeline.newest_ns().max(timeline.slice_ns()) as f64;
    LEFT + (WIDTH - LEFT - RIGHT) * (ns / until).min(1.0)
}

/// One panel and its place.
struct Frame<'a> {
    timeline: &'a Timeline,
    lines: &'a [Line],
    top: f64,
}

type Points = Vec<Option<(f64, f64)>>;

impl Frame<'_> {
    fn draw(&self, sheet: &mut Sheet, panel: Panel) {
        let values: Vec<Vec<_>> = self.lines.iter().map(|line| self.values(line, panel)).collect();
        let axis = Axis::of(panel.unit(), values.iter().flatten().flat_map(|(main, tail)| [*main, *tail]).flatten());
        sheet.text((LEFT, self.top - 9.0), "panel", panel.title());
        for (place, label) in axis.lines() {
            let y = self.height(place);
            sheet.rule((LEFT, y), (WIDTH - RIGHT, y), "grid");
            sheet.text((LEFT - 8.0, y + 4.0), "end", &label);
        }
        for (at, _) in time_ticks(self.timeline.newest_ns()) {
            let x = across(self.timeline, at as f64);
            sheet.rule((x, self.top), (x, self.top + PANEL), "grid");
        }
        let points: Vec<(Points, Points)> = values.iter().map(|line| self.points(line, &axis)).collect();
        for (index, (main, tail)) in points.iter().enumerate() {
            sheet.area(tail, main, &format!("area a{index}"));
        }
        for (index, (main, tail)) in points.iter().enumerate() {
            sheet.line(tail, &format!("tail l{index}"));
            sheet.line(main, &format!("main l{index}"));
        }
    }

    /// What is drawn of each slice. The last one is left out if less than half of it was played.
    fn values(&self, line: &Line, panel: Panel) -> Vec<(Option<f64>, Option<f64>)> {
        let (slice_ns, newest_ns) = (self.timeline.slice_ns(), self.timeline.newest_ns());
        let slices = (newest_ns.div_ceil(slice_ns) as usize).max(1);
        let empty = Slice::default();
        let value = |index: usize| {
            let played_ns: Nanos = newest_ns.saturating_sub(index as Nanos * slice_ns).min(slice_ns);
            if played_ns * 2 < slice_ns && slices > 1 {
                return (None, None);
            }
            panel.values(line.slices.get(index).unwrap_or(&empty), played_ns.max(1) as f64 * 1e-9)
        };
        (0..slices).map(value).collect()
    }

    /// The points of the line and of the dotted one above it, in the middle of their slices.
    fn points(&self, values: &[(Option<f64>, Option<f64>)], axis: &Axis) -> (Points, Points) {
        let slice_ns = self.timeline.slice_ns() as f64;
        let point = |index: usize, value: Option<f64>| {
            let middle = (index as f64 + 0.5) * slice_ns;
            Some((across(self.timeline, middle), self.height(axis.place(value?))))
        };
        let main = values.iter().enumerate().map(|(index, (main, _))| point(index, *main)).collect();
        (main, values.iter().enumerate().map(|(index, (_, tail))| point(index, *tail)).collect())
    }

    fn height(&self, place: f64) -> f64 {
        self.top + PANEL * (1.0 - place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::timeline::Attempt;

    const S: Nanos = 1_000_000_000;

    fn timeline(models: &[&str]) -> Timeline {
        let mut timeline = Timeline::of(models.iter().copied());
        for second in 0..600 {
            let (arrival, line) = (second * S, (second % models.len() as u64) as usize);
            let first_token = Some(arrival + S / 4);
            timeline.record(&Attempt { line: Some(line), arrival, first_token, end: arrival + S, is_failed: false, tokens: 9 });
        }
        timeline.settle();
        timeline
    }

    #[test]
    fn only_what_tells_something_is_drawn_unless_asked_for() {
        let words: Vec<&str> = telling(&timeline(&["m"])).into_iter().map(Panel::word).collect();
        assert_eq!(words, ["requests", "ttft", "duration", "tokens"]);
        assert_eq!("failures".parse(), Ok(Panel::Failures));
        assert!("latency".parse::<Panel>().is_err_and(|error| error.contains("requests, failures, ttft, duration, tokens")));
    }

    #[test]
    fn a_picture_has_its_titles_axes_and_lines_and_is_the_same_again() {
        let panels = [Panel::FirstToken, Panel::Requests];
        let picture = draw(&timeline(&["with", "without"]), &panels, "night & day");
        for part in
            ["night &amp; day", "a point is 15 s", ">with<", ">without<", ">200 ms<", ">0.6/s<", ">8 min<", "main l1", "tail l0"]
        {
            assert!(picture.contains(part), "{part} is missing in\n{picture}");
        }
        assert_eq!(picture, draw(&timeline(&["with", "without"]), &panels, "night & day"));
    }

    #[test]
    fn many_models_are_one_line() {
        let names: Vec<String> = (0..7).map(|index| format!("model-{index}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let picture = draw(&timeline(&names), &[Panel::Tokens], "many");
        assert!(
            !picture.contains("model-") && picture.contains("main l0") && !picture.contains("class=\"main l1\""),
            "{picture}"
        );
    }

    #[test]
    fn a_run_without_requests_is_a_picture_too() {
        let picture = draw(&Timeline::of(["m"]), &Panel::ALL, "nothing");
        assert!(picture.starts_with("<svg") && !picture.contains("NaN") && !picture.contains("inf"), "{picture}");
    }
}
