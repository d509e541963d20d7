//! The picture that stands beside a shared link: name, grade and the most important things, 1200 by 630, as SVG. The grade is drawn as lines, so
//! that it shows where the machine has no fonts.

use std::fmt::Write as _;

use waypost_types::{
    Severity,
    lookup::{AddressLookup, Lookup},
    outcome::{BlacklistReport, ListState, Status},
};

use crate::cut;

/// Size of the picture in pixels.
pub const SIZE: (u32, u32) = (1200, 630);

/// Lines that say what is the matter.
const MOST_LINES: usize = 3;
/// Characters of such a line, and lines that one thing may take.
const LINE_CHARS: usize = 56;
const ROWS: usize = 2;
/// Characters of a line of the name at its smallest, and such lines.
const NAME_CHARS: usize = 48;
const NAME_LINES: usize = 2;
/// Where the name may stand, and the size of its letters, in pixels.
const NAME_WIDTH: f64 = 1040.0;
const NAME_SIZE: (f64, f64) = (36.0, 76.0);
/// Width of a letter of the bold face against its height, for the widest usual text.
const LETTER: f64 = 0.6;

/// What the picture says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// The domain or address.
    pub name: String,
    /// `A` to `F` for a domain that could be graded.
    pub grade: Option<String>,
    /// The colour of the box beside the lines.
    pub status: Status,
    /// One short sentence.
    pub headline: String,
    /// The most important things, the worst first.
    pub lines: Vec<(Status, String)>,
}

impl Preview {
    /// Of a domain.
    pub fn of_domain(found: &Lookup) -> Self {
        let audit = &found.audit;
        let listed = listed_on(&found.scan());
        let problems: Vec<_> = audit.findings.iter().filter(|finding| finding.severity >= Severity::Medium).collect();
        let many = problems.len() + usize::from(!listed.is_empty());
        let headline = match (audit.score, many) {
            (None, _) => "Too much did not answer to give a grade".to_owned(),
            (Some(score), 0) => format!("{score} of 100, nothing to mend"),
            (Some(score), 1) => format!("{score} of 100, one thing to mend"),
            (Some(score), many) => format!("{score} of 100, {many} things to mend"),
        };
        let mut lines: Vec<(Status, String)> = listed_line(&listed).into_iter().collect();
        lines.extend(problems.iter().map(|finding| (finding.severity.into(), finding.summary.clone())));
        lines.sort_by_key(|(status, _)| *status != Status::Bad);
        if lines.is_empty() && audit.score.is_some() {
            lines.extend(clean_line(&found.scan()));
        }
        lines.truncate(MOST_LINES);
        let status = match audit.grade.as_deref() {
            Some("A" | "B") => Status::Ok,
            Some("C" | "D") => Status::Warn,
            Some(_) => Status::Bad,
            None => Status::None,
        };
        Self { name: found.display.clone(), grade: audit.grade.clone(), status, headline, lines }
    }

    /// Of an address.
    pub fn of_address(found: &AddressLookup) -> Self {
        let report = &found.blacklists;
        let listed = listed_on(report);
        let (told, _) = report.lists_told();
        let (status, headline) = match (listed.iter().map(|(_, severity)| *severity).max(), told) {
            (Some(worst), _) if listed.len() == 1 => (worst.into(), "On one block list".to_owned()),
            (Some(worst), _) => (worst.into(), format!("On {} block lists", listed.len())),
            (None, 0) => (Status::None, "No block list could tell".to_owned()),
            (None, _) => (Status::Ok, "On no block list that could tell".to_owned()),
        };
        let mut lines: Vec<(Status, String)> = listed_line(&listed).into_iter().collect();
        lines.push((found.reverse.status, format!("Reverse name: {}", found.reverse.word)));
        if listed.is_empty() {
            lines.extend(clean_line(report));
        }
        Self { name: found.address.clone(), grade: None, status, headline, lines }
    }

    /// The picture as SVG.
    pub fn svg(&self) -> String {
        let (width, height) = SIZE;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"'Noto Sans','DejaVu Sans','Liberation Sans',sans-serif\">\
             <rect width=\"{width}\" height=\"{height}\" fill=\"#f5f6f8\"/><rect width=\"{width}\" height=\"10\" fill=\"#1b57c4\"/>\
             <g transform=\"translate(72 52) scale(2)\" color=\"#1b57c4\"><path d=\"M12 2.500v19\" stroke=\"#1b57c4\" stroke-width=\"2.400\" stroke-linecap=\"round\"/>\
             <path d=\"M10 4.500h9.200l2.800 2.750-2.800 2.750H10Z\" fill=\"#1b57c4\"/><path d=\"M14 12H5.600L3 14.500 5.600 17H14Z\" fill=\"#1b57c4\" opacity=\".45\"/></g>\
             <text x=\"132\" y=\"90\" font-size=\"32\" font-weight=\"bold\" fill=\"#12161b\">Waypost</text>\
             <text x=\"1120\" y=\"90\" font-size=\"28\" fill=\"#5a646f\" text-anchor=\"end\">Mail check</text>"
        );
        let (size, lines) = name_lines(&plain(&self.name));
        let first = if lines.len() > 1 { 168.0 } else { 198.0 };
        for (nth, line) in (0_u32..).zip(&lines) {
            let y = first + f64::from(nth) * size * 1.25;
            // Writing to a String can not fail, here and below.
            let _ = write!(svg, "<text x=\"80\" y=\"{y:.0}\" font-size=\"{size:.0}\" font-weight=\"bold\" fill=\"#12161b\">{}</text>", escaped(line));
        }
        let (fill, edge, ink) = colours(self.status);
        let _ = write!(
            svg,
            "<rect x=\"80\" y=\"270\" width=\"240\" height=\"280\" rx=\"24\" fill=\"{fill}\" stroke=\"{edge}\" stroke-width=\"3\"/>\
             <g fill=\"none\" stroke=\"{ink}\" stroke-width=\"20\" stroke-linecap=\"round\" stroke-linejoin=\"round\"><path transform=\"translate(150 340)\" d=\"{}\"/></g>\
             <text x=\"372\" y=\"316\" font-size=\"40\" font-weight=\"bold\" fill=\"#12161b\">{}</text>",
            self.sign(),
            escaped(&cut(&plain(&self.headline), 40))
        );
        for (nth, (status, line)) in (0_u32..).zip(self.lines.iter().take(MOST_LINES)) {
            let (_, _, ink) = colours(*status);
            let y = 350 + nth * 84;
            let rows = wrapped(&plain(line));
            let first = if rows.len() > 1 { y + 14 } else { y + 27 };
            let mut texts = String::new();
            for (row, text) in (0_u32..).zip(&rows) {
                let _ = write!(texts, "<text x=\"424\" y=\"{}\" font-size=\"25\" fill=\"#3f4851\">{}</text>", first + row * 32, escaped(text));
            }
            let _ = write!(
                svg,
                "<g transform=\"translate(372 {y})\" fill=\"none\" stroke=\"{ink}\" stroke-width=\"4\" stroke-linecap=\"round\" stroke-linejoin=\"round\"><path d=\"{}\"/></g>{texts}",
                mark(*status)
            );
        }
        svg.push_str("</svg>");
        svg
    }

    /// What stands in the box, as lines in 100 by 140: the grade, or a sign where there is none.
    fn sign(&self) -> &'static str {
        match (self.grade.as_deref(), self.status) {
            (Some("A"), _) => "M0 140 50 0 100 140M20 92H80",
            (Some("B"), _) => "M8 0V140H55A35 36 0 0 0 55 66H8H50A32 33 0 0 0 50 0H8",
            (Some("C"), _) => "M96 28A52 70 0 1 0 96 112",
            (Some("D"), _) => "M8 0V140H35A65 70 0 0 0 35 0H8",
            (Some("E"), _) => "M92 0H10V140H92M10 68H76",
            (Some("F"), _) => "M92 0H10V140M10 68H76",
            (_, Status::Ok) => "M2 76 36 112 98 32",
            (_, Status::Bad | Status::Warn) => "M50 6V90M50 132V134",
            _ => "M10 70H90",
        }
    }
}

/// Lists that accuse, each once, with the severity of a listing.
fn listed_on(report: &BlacklistReport) -> Vec<(String, Severity)> {
    let mut found: Vec<(String, Severity)> = Vec::new();
    for (entry, finding) in report.listings() {
        if !found.iter().any(|(list, _)| *list == entry.list) {
            found.push((entry.list.clone(), finding.severity));
        }
    }
    found.sort_by_key(|(_, severity)| std::cmp::Reverse(*severity));
    found
}

fn listed_line(listed: &[(String, Severity)]) -> Option<(Status, String)> {
    let (first, severity) = listed.first()?;
    let more = listed.len() - 1;
    Some(((*severity).into(), if more == 0 { format!("Listed on {first}") } else { format!("Listed on {first} and {more} more") }))
}

fn clean_line(report: &BlacklistReport) -> Option<(Status, String)> {
    let (told, silent) = report.lists_told();
    let all_clean = !report.entries.iter().any(|entry| entry.state == ListState::Listed);
    match (told, silent) {
        (0, _) => None,
        (told, _) if !all_clean => Some((Status::Ok, format!("{told} block lists answered, no problem among them"))),
        (told, 0) => Some((Status::Ok, format!("Clean on {told} block lists"))),
        (told, silent) => Some((Status::Ok, format!("Clean on {told} block lists, {silent} could not tell"))),
    }
}

const fn colours(status: Status) -> (&'static str, &'static str, &'static str) {
    match status {
        Status::Ok => ("#e4f5ef", "#a9d9ca", "#00644d"),
        Status::Warn => ("#fdf2da", "#ecca85", "#7f4a00"),
        Status::Bad => ("#fdebe7", "#f1b6aa", "#ab1f14"),
        Status::Info => ("#eaf1fd", "#b7cff5", "#1b57c4"),
        Status::None => ("#eef1f3", "#cbd2d9", "#5a646f"),
    }
}

/// The icon of a status, as lines in 36 by 36: each has an outline of its own.
const fn mark(status: Status) -> &'static str {
    match status {
        Status::Ok => "M18 3A15 15 0 1 1 17.900 3M11 18.500 16 23.500 25 13",
        Status::Warn => "M18 4 34 32H2ZM18 14V22M18 27V27.500",
        Status::Bad => "M12 3H24L33 12V24L24 33H12L3 24V12ZM13 13 23 23M23 13 13 23",
        Status::Info => "M18 3A15 15 0 1 1 17.900 3M18 17V25M18 11V11.500",
        Status::None => "M6 18H30",
    }
}

/// The size of the name's letters, and its lines: broken after dots where it is too long for one.
fn name_lines(name: &str) -> (f64, Vec<String>) {
    let count = name.chars().count();
    #[allow(clippy::cast_precision_loss)] // names have at most some hundred characters
    let size = (NAME_WIDTH / (LETTER * count.max(1) as f64)).clamp(NAME_SIZE.0, NAME_SIZE.1);
    if count <= NAME_CHARS {
        return (size, vec![name.to_owned()]);
    }
    let mut lines: Vec<String> = vec![String::new()];
    for part in name.split_inclusive(['.', ':']) {
        let full = lines.last().is_none_or(|line| line.chars().count() + part.chars().count() > NAME_CHARS);
        match lines.last_mut() {
            Some(line) if !full || line.is_empty() => line.push_str(part),
            _ => lines.push(part.to_owned()),
        }
    }
    let more = lines.len() > NAME_LINES;
    lines.truncate(NAME_LINES);
    if let Some(last) = lines.last_mut().filter(|_| more) {
        last.push('…');
    }
    (size, lines.iter().map(|line| cut(line, NAME_CHARS)).collect())
}

/// Broken between words into as many lines as one thing may take; only what needs more is cut.
fn wrapped(text: &str) -> Vec<String> {
    let mut rows: Vec<String> = vec![String::new()];
    for word in text.split_whitespace() {
        let last = rows.len() == ROWS;
        match rows.last_mut() {
            Some(row) if row.is_empty() => row.push_str(word),
            Some(row) if last || row.chars().count() + 1 + word.chars().count() <= LINE_CHARS => {
                row.push(' ');
                row.push_str(word);
            }
            _ => rows.push(word.to_owned()),
        }
    }
    rows.iter().map(|row| cut(row, LINE_CHARS)).collect()
}

/// Without what no XML may hold, on one line.
fn plain(text: &str) -> String {
    let shown = |letter: char| if letter.is_control() || matches!(letter, '\u{fffe}' | '\u{ffff}') { ' ' } else { letter };
    text.chars().map(shown).collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preview(name: &str, line: &str) -> Preview {
        Preview {
            name: name.to_owned(),
            grade: Some("C".to_owned()),
            status: Status::Warn,
            headline: "61 of 100, 2 things to mend".to_owned(),
            lines: vec![(Status::Bad, line.to_owned())],
        }
    }

    #[test]
    fn what_comes_from_outside_is_text_and_nothing_else() {
        let svg = preview("<image href=\"x\"/>", "a & b\u{0}\n</text><script>").svg();
        assert!(svg.contains("&lt;image href=&quot;x&quot;/&gt;") && !svg.contains("<image"), "{svg}");
        assert!(svg.contains("a &amp; b &lt;/text&gt;&lt;script&gt;") && !svg.contains('\u{0}'), "{svg}");
    }

    #[test]
    fn long_names_are_broken_after_dots_and_stay_within_the_picture() {
        let (size, lines) = name_lines("example.com");
        assert_eq!((size, lines), (76.0, vec!["example.com".to_owned()]));
        let long = ["a-rather-long-label"; 9].join(".");
        let (size, lines) = name_lines(&long);
        assert!((size - 36.0).abs() < f64::EPSILON);
        assert_eq!(lines.len(), NAME_LINES);
        assert!(lines[0].ends_with('.') && lines[1].ends_with('…'), "{lines:?}");
        let (_, lines) = name_lines(&"x".repeat(200));
        assert!(lines.iter().all(|line| line.chars().count() <= NAME_CHARS), "{lines:?}");
    }

    #[test]
    fn what_does_not_fit_one_line_takes_two() {
        let rows = wrapped("The MX host mail.a-rather-long-name.example.com can not be reached by any of its addresses on port 25");
        assert_eq!(rows, ["The MX host mail.a-rather-long-name.example.com can not", "be reached by any of its addresses on port 25"]);
        assert_eq!(wrapped("short"), ["short"]);
        let rows = wrapped(&"word ".repeat(60));
        assert!(rows.len() == ROWS && rows[1].ends_with('…') && rows.iter().all(|row| row.chars().count() <= LINE_CHARS), "{rows:?}");
        let rows = wrapped(&"x".repeat(200));
        assert!(rows.iter().all(|row| row.chars().count() <= LINE_CHARS), "{rows:?}");
    }
}
