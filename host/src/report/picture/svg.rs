//! A sheet of SVG: texts, lines and areas in the colours of light and dark readers. No script, no font and no file of anybody else.

use std::fmt::Write;

/// The width of every picture.
pub(super) const WIDTH: f64 = 760.0;

/// Colours of lines that people who see few colours tell apart, too (Okabe and Ito 2008), the lighter ones for dark readers.
const COLOURS: [(&str, &str); LINES_MAX] = [
    ("#0072b2", "#56b4e9"),
    ("#d55e00", "#f0863a"),
    ("#009e73", "#2fc79d"),
    ("#b0578d", "#e79ac6"),
    ("#b98900", "#f0c34a"),
    ("#5b6770", "#aab4bd"),
];

/// Lines that have a colour of their own.
pub(super) const LINES_MAX: usize = 6;

/// A sheet that is being drawn.
pub(super) struct Sheet {
    body: String,
    title: String,
}

impl Sheet {
    pub(super) fn new(title: &str) -> Self {
        Self { body: String::new(), title: escape(title) }
    }

    /// A text of a class, which begins, ends or has its middle at a place.
    pub(super) fn text(&mut self, (x, y): (f64, f64), class: &str, text: &str) {
        let _ = writeln!(self.body, r#"<text x="{x:.1}" y="{y:.1}" class="{class}">{}</text>"#, escape(text));
    }

    /// A straight line of a class.
    pub(super) fn rule(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), class: &str) {
        let _ = writeln!(self.body, r#"<path class="{class}" d="M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}"/>"#);
    }

    /// A line through points in pieces: where one is missing, it breaks off. A point without neighbours is a dot.
    pub(super) fn line(&mut self, points: &[Option<(f64, f64)>], class: &str) {
        let mut path = String::new();
        for piece in points.split(Option::is_none).filter(|piece| !piece.is_empty()) {
            let mut letter = 'M';
            for (x, y) in piece.iter().flatten() {
                let _ = write!(path, "{letter}{x:.1} {y:.1}");
                letter = 'L';
            }
            if piece.len() == 1 {
                path.push_str("h0");
            }
        }
        if !path.is_empty() {
            let _ = writeln!(self.body, r#"<path class="{class}" d="{path}"/>"#);
        }
    }

    /// The area between two lines that have points at the same places.
    pub(super) fn area(&mut self, upper: &[Option<(f64, f64)>], lower: &[Option<(f64, f64)>], class: &str) {
        let both: Vec<_> = upper.iter().zip(lower).map(|(upper, lower)| Some(((*upper)?, (*lower)?))).collect();
        let mut path = String::new();
        for piece in both.split(Option::is_none).filter(|piece| piece.len() > 1) {
            let there = piece.iter().flatten().map(|(upper, _)| upper);
            let back = piece.iter().rev().flatten().map(|(_, lower)| lower);
            let mut letter = 'M';
            for (x, y) in there.chain(back) {
                let _ = write!(path, "{letter}{x:.1} {y:.1}");
                letter = 'L';
            }
            path.push('Z');
        }
        if !path.is_empty() {
            let _ = writeln!(self.body, r#"<path class="{class}" d="{path}"/>"#);
        }
    }

    /// The whole picture.
    pub(super) fn finish(self, height: f64) -> String {
        let Self { body, title } = self;
        let (light, dark) = (colours(&LIGHT, |pair| pair.0), colours(&DARK, |pair| pair.1));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {WIDTH:.0} {height:.0}\" \
             role=\"img\">\n<title>{title}</title>\n<style>\n{SHAPES}\n{light}\n@media(prefers-color-scheme:dark){{\n{dark}\n}}\n</style>\n\
             <rect width=\"{WIDTH:.0}\" height=\"{height:.0}\" rx=\"6\" class=\"paper\"/>\n{body}</svg>\n"
        )
    }
}

/// Paper, titles, texts and grid.
type Shades = [&'static str; 4];
const LIGHT: Shades = ["#ffffff", "#1f2328", "#59636e", "#d8dee4"];
const DARK: Shades = ["#0d1117", "#e6edf3", "#9198a1", "#2b3138"];

/// What has no colour.
const SHAPES: &str = "text{font:12px system-ui,-apple-system,Segoe UI,Helvetica,Arial,sans-serif}\
    .title{font-size:16px;font-weight:600}.panel{font-weight:600}.end{text-anchor:end}.middle{text-anchor:middle}\
    path{fill:none;stroke-linejoin:round;stroke-linecap:round}.main{stroke-width:2}.tail{stroke-width:1.2;stroke-dasharray:2 3.5}\
    path.area{opacity:.13;stroke:none}";

/// Style rules for the colours of light or dark readers. Plain rules and no variables, which many programs besides browsers do not know.
fn colours([paper, ink, soft, grid]: &Shades, of: impl Fn(&(&'static str, &'static str)) -> &'static str) -> String {
    let lines = COLOURS.iter().map(of).enumerate();
    let lines: String =
        lines.map(|(index, colour)| format!(".l{index}{{stroke:{colour}}}path.a{index}{{fill:{colour}}}")).collect();
    format!(".paper{{fill:{paper}}}text{{fill:{soft}}}.title,.panel{{fill:{ink}}}.grid{{stroke:{grid}}}{lines}")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_breaks_off_where_there_is_nothing_and_a_lone_point_is_a_dot() {
        let mut sheet = Sheet::new("t");
        sheet.line(&[Some((0.0, 1.0)), Some((1.0, 2.0)), None, Some((3.0, 4.0))], "main l0");
        assert_eq!(sheet.body, "<path class=\"main l0\" d=\"M0.0 1.0L1.0 2.0M3.0 4.0h0\"/>\n");
    }

    #[test]
    fn names_of_people_cannot_leave_their_text() {
        let mut sheet = Sheet::new("a<b");
        sheet.text((0.0, 0.0), "title", "</text><script>\"&");
        let picture = sheet.finish(10.0);
        assert!(
            picture.contains("&lt;/text&gt;&lt;script&gt;&quot;&amp;") && picture.contains("<title>a&lt;b</title>"),
            "{picture}"
        );
    }
}
