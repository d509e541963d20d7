//! The frame of every mail: one column, inline styles, a heading, paragraphs, facts, one button, a footer. Written twice: as text and as HTML.

use std::fmt::Write as _;

use super::Mail;
use crate::{cut, markdown};

/// The parts of a mail.
pub(super) struct Letter<'a> {
    pub subject: String,
    pub heading: String,
    /// Colour of the bar above the heading.
    pub accent: &'static str,
    pub paragraphs: Vec<String>,
    /// A heading, and Markdown that people wrote.
    pub written: Option<(&'static str, &'a str)>,
    pub facts: Vec<(&'a str, String)>,
    /// Title and address of a page that says what to do.
    pub guide: Option<(&'a str, &'a str)>,
    pub button: Option<(&'static str, &'a str)>,
    pub footer: String,
}

/// Longest subject; longer ones are cut, since some receivers refuse very long headers.
const SUBJECT_CHARS: usize = 200;

impl Letter<'_> {
    pub(super) fn render(&self) -> Mail {
        Mail { subject: one_line(&self.subject), text: self.text(), html: self.html() }
    }

    fn text(&self) -> String {
        let mut out = String::new();
        let heading = one_line(&self.heading);
        push(&mut out, &heading);
        push(&mut out, &"=".repeat(heading.chars().count().min(72)));
        for paragraph in &self.paragraphs {
            out.push('\n');
            push(&mut out, &plain(paragraph));
        }
        if let Some((heading, text)) = self.written {
            push(&mut out, &format!("\n{heading}:\n{}", plain(text)));
        }
        if !self.facts.is_empty() {
            out.push('\n');
        }
        for (name, value) in &self.facts {
            push(&mut out, &format!("{name}: {}", one_line(value)));
        }
        if let Some((title, url)) = self.guide {
            push(&mut out, &format!("\nStep by step: {}\n{url}", one_line(title)));
        }
        if let Some((label, url)) = self.button {
            out.push('\n');
            push(&mut out, &format!("{label}:\n{url}"));
        }
        push(&mut out, &format!("\n-- \n{}", plain(&self.footer)));
        out
    }

    fn html(&self) -> String {
        let mut body = String::new();
        push(
            &mut body,
            &format!("<h1 style=\"margin:0 0 16px;font-size:20px;line-height:1.35;color:#14181f\">{}</h1>", escape(&one_line(&self.heading))),
        );
        for paragraph in &self.paragraphs {
            let text = escape(&plain(paragraph)).replace('\n', "<br>");
            push(&mut body, &format!("<p style=\"margin:0 0 14px\">{text}</p>"));
        }
        if let Some((heading, text)) = self.written {
            push(&mut body, &format!("<h2 style=\"margin:0 0 6px;font-size:15px\">{heading}</h2>\n{}", markdown::html(&plain(text))));
        }
        if !self.facts.is_empty() {
            push(&mut body, "<table role=\"presentation\" cellpadding=\"0\" cellspacing=\"0\" style=\"margin:0 0 18px;border-collapse:collapse\">");
            for (name, value) in &self.facts {
                push(
                    &mut body,
                    &format!(
                        "<tr><td style=\"padding:3px 18px 3px 0;color:#5b6472;vertical-align:top\">{}</td><td style=\"padding:3px 0\">{}</td></tr>",
                        escape(name),
                        escape(&one_line(value))
                    ),
                );
            }
            push(&mut body, "</table>");
        }
        if let Some((title, url)) = self.guide {
            let link = format!("<a href=\"{}\" style=\"color:#1f4fd8\">{}</a>", escape(url), escape(&one_line(title)));
            push(&mut body, &format!("<p style=\"margin:0 0 18px\">Step by step: {link}</p>"));
        }
        if let Some((label, url)) = self.button {
            let url = escape(url);
            push(
                &mut body,
                &format!(
                    "<p style=\"margin:0 0 18px\"><a href=\"{url}\" style=\"display:inline-block;padding:10px 18px;border-radius:6px;background:#1f4fd8;color:#ffffff;text-decoration:none;font-weight:600\">{}</a></p>\n<p style=\"margin:0 0 18px;font-size:13px;color:#5b6472\">Or open this address: <a href=\"{url}\" style=\"color:#1f4fd8;word-break:break-all\">{url}</a></p>",
                    escape(label)
                ),
            );
        }
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n<meta name=\"color-scheme\" content=\"light\">\n<title>{title}</title>\n</head>\n<body style=\"margin:0;padding:24px 12px;background:#f3f5f8;font-family:system-ui,-apple-system,'Segoe UI',Roboto,Arial,sans-serif;font-size:15px;line-height:1.5;color:#14181f\">\n<table role=\"presentation\" width=\"100%\" cellpadding=\"0\" cellspacing=\"0\"><tr><td align=\"center\">\n<table role=\"presentation\" width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" style=\"max-width:560px;background:#ffffff;border-top:4px solid {accent};border-radius:6px\"><tr><td style=\"padding:24px;text-align:left\">\n{body}</td></tr></table>\n<p style=\"max-width:560px;margin:16px auto 0;font-size:12px;color:#5b6472;text-align:left\">{footer}</p>\n</td></tr></table>\n</body>\n</html>\n",
            title = escape(&one_line(&self.subject)),
            accent = self.accent,
            footer = escape(&plain(&self.footer)).replace('\n', "<br>"),
        )
    }
}

fn push(out: &mut String, line: &str) {
    // Writing to a String can not fail.
    if writeln!(out, "{line}").is_err() {
        out.push('\n');
    }
}

/// One line without control characters or characters that reverse the reading direction, cut at the longest subject.
pub(super) fn one_line(text: &str) -> String {
    let flat: String = text.chars().map(|c| if c.is_control() || is_invisible(c) { ' ' } else { c }).collect();
    cut(&flat.split_whitespace().collect::<Vec<_>>().join(" "), SUBJECT_CHARS)
}

/// Text that may have lines, but no other control characters.
pub(super) fn plain(text: &str) -> String {
    text.replace("\r\n", "\n").chars().filter(|c| *c == '\n' || !(c.is_control() || is_invisible(*c))).collect()
}

/// Directional overrides and line separators, with which a title could pretend to be another.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Text as HTML text or attribute value.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}
