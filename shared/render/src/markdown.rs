//! Markdown that people write, as HTML that is safe to show: what looks like HTML stays text, links lead to `http`, `https` and `mailto`
//! alone, and no picture is loaded.

use pulldown_cmark::{CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd, TextMergeStream, html::push_html};

use crate::mail::escape;

/// Quotes, lists and emphasis within each other; what is deeper is shown without its frame, or 4,000 `>` would be 4,000 boxes.
const DEEPEST: usize = 12;

/// The text as HTML. Its headings begin at `h3`: the parts of a page have `h2`. A line break that was typed is one.
pub fn html(text: &str) -> String {
    let readable: String = text.chars().filter(|c| *c == '\n' || *c == '\t' || !c.is_control()).collect();
    let events = TextMergeStream::new(Parser::new_ext(&readable, Options::ENABLE_STRIKETHROUGH));
    let mut safe = Safe::default();
    for event in events {
        safe.take(event);
    }
    let mut out = String::with_capacity(text.len() * 2);
    push_html(&mut out, safe.out.into_iter());
    out
}

#[derive(Default)]
struct Safe<'a> {
    out: Vec<Event<'a>>,
    /// How each tag that is open is ended.
    open: Vec<Ending<'a>>,
    in_code: bool,
}

enum Ending<'a> {
    /// As it began.
    Same,
    /// As something else.
    With(Event<'a>),
    /// Its frame is not shown.
    Nothing,
}

impl<'a> Safe<'a> {
    fn take(&mut self, event: Event<'a>) {
        match event {
            Event::Start(tag) => {
                self.in_code |= matches!(tag, Tag::CodeBlock(_));
                self.start(tag);
            }
            Event::End(end) => match self.open.pop() {
                Some(Ending::With(event)) => self.out.push(event),
                Some(Ending::Nothing) => {}
                Some(Ending::Same) | None => {
                    self.in_code &= end != TagEnd::CodeBlock;
                    self.out.push(Event::End(end));
                }
            },
            Event::Html(text) | Event::InlineHtml(text) => self.out.push(Event::Text(text)),
            Event::Text(text) if self.may_link() => self.linked(&text),
            Event::SoftBreak => self.out.push(Event::HardBreak),
            other => self.out.push(other),
        }
    }

    fn start(&mut self, tag: Tag<'a>) {
        let nests = matches!(tag, Tag::BlockQuote(_) | Tag::List(_) | Tag::Item | Tag::Emphasis | Tag::Strong | Tag::Strikethrough);
        let (begin, end) = match tag {
            Tag::HtmlBlock => (Some(Event::Start(Tag::Paragraph)), Ending::With(Event::End(TagEnd::Paragraph))),
            Tag::Link { dest_url, .. } => match address(&dest_url) {
                Some(anchor) => (Some(anchor), Ending::With(Event::InlineHtml("</a>".into()))),
                None => (None, Ending::Nothing),
            },
            // Its description is shown, and where it is: looking is the reader's decision.
            Tag::Image { dest_url, .. } => (None, Ending::With(Event::Text(format!(" ({dest_url})").into()))),
            Tag::Heading { level, .. } => {
                let level = lower(level);
                let heading = Tag::Heading { level, id: None, classes: Vec::new(), attrs: Vec::new() };
                (Some(Event::Start(heading)), Ending::With(Event::End(TagEnd::Heading(level))))
            }
            _ if nests && self.open.len() >= DEEPEST => (None, Ending::Nothing),
            other => (Some(Event::Start(other)), Ending::Same),
        };
        self.out.extend(begin);
        self.open.push(end);
    }

    /// Code stays as it is, and a link holds no other.
    fn may_link(&self) -> bool {
        !self.in_code && !self.open.iter().any(|end| matches!(end, Ending::With(Event::InlineHtml(_))))
    }

    /// Addresses that were pasted become links.
    fn linked(&mut self, text: &str) {
        let mut rest = text;
        while let Some(at) = ["https://", "http://"].iter().filter_map(|scheme| rest.find(scheme)).min() {
            let (before, from) = rest.split_at(at);
            let end = from.find(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"' | '`')).unwrap_or(from.len());
            let url = from[..end].trim_end_matches(['.', ',', ';', ':', '!', '?', ')', ']', '\'']);
            self.text(before);
            match address(url).filter(|_| url.len() > "https://".len()) {
                Some(anchor) => {
                    self.out.push(anchor);
                    self.text(url);
                    self.out.push(Event::InlineHtml("</a>".into()));
                }
                None => self.text(url),
            }
            rest = &from[url.len()..];
        }
        self.text(rest);
    }

    fn text(&mut self, text: &str) {
        if !text.is_empty() {
            self.out.push(Event::Text(CowStr::from(text.to_owned())));
        }
    }
}

/// The beginning of a link, where it leads to a place that a link may lead to.
fn address<'a>(url: &str) -> Option<Event<'a>> {
    let (scheme, rest) = url.split_once(':')?;
    let web = ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) && rest.starts_with("//");
    let fine = (web || scheme.eq_ignore_ascii_case("mailto")) && !url.chars().any(|c| c.is_control() || c.is_whitespace());
    fine.then(|| Event::InlineHtml(format!("<a href=\"{}\" rel=\"nofollow noopener\">", escape(url)).into()))
}

const fn lower(level: HeadingLevel) -> HeadingLevel {
    match level {
        HeadingLevel::H1 | HeadingLevel::H2 => HeadingLevel::H3,
        HeadingLevel::H3 => HeadingLevel::H4,
        HeadingLevel::H4 => HeadingLevel::H5,
        HeadingLevel::H5 | HeadingLevel::H6 => HeadingLevel::H6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_reads_as_they_meant_it() {
        let table = [
            ("**Port 25** was _closed_ by `ufw`.", "<p><strong>Port 25</strong> was <em>closed</em> by <code>ufw</code>.</p>\n"),
            ("one\ntwo", "<p>one<br />\ntwo</p>\n"),
            ("- a\n- b", "<ul>\n<li>a</li>\n<li>b</li>\n</ul>\n"),
            ("# Cause", "<h3>Cause</h3>\n"),
            ("```\npostfix reload <now>\n```", "<pre><code>postfix reload &lt;now&gt;\n</code></pre>\n"),
            ("[why](https://example.com/?a=1&b=2)", "<p><a href=\"https://example.com/?a=1&amp;b=2\" rel=\"nofollow noopener\">why</a></p>\n"),
            (
                "see https://example.com/a_b_c, please",
                "<p>see <a href=\"https://example.com/a_b_c\" rel=\"nofollow noopener\">https://example.com/a_b_c</a>, please</p>\n",
            ),
            ("`https://example.com`", "<p><code>https://example.com</code></p>\n"),
            ("    https://example.com", "<pre><code>https://example.com</code></pre>\n"),
            ("[ask](mailto:a@example.com)", "<p><a href=\"mailto:a@example.com\" rel=\"nofollow noopener\">ask</a></p>\n"),
        ];
        for (text, wanted) in table {
            assert_eq!(html(text), wanted, "{text}");
        }
    }

    #[test]
    fn no_picture_is_loaded_and_it_says_where_it_is() {
        assert_eq!(html("![graph](https://example.com/track.png)"), "<p>graph (https://example.com/track.png)</p>\n");
    }

    #[test]
    fn hostile_input_stays_text() {
        let table = [
            "<script>alert(1)</script>",
            "a <img src=x onerror=alert(1)> b",
            "<div onclick=alert(1)>\n\n**x**\n</div>",
            "[x](javascript:alert(1))",
            "[x](JaVaScRiPt:alert(1))",
            "[x](&#106;avascript:alert(1))",
            "[x](java\tscript:alert(1))",
            "[x](data:text/html;base64,PHNjcmlwdD4=)",
            "[x](vbscript:x)",
            "[x](//example.com)",
            "[x](https:alert)",
            "[x](https://example.com/\"onmouseover=\"alert(1))",
            "[x](<https://example.com/ \"onmouseover=\"alert(1)>)",
            "[x](https://example.com \"t\" onclick=\"a\")",
            "<javascript:alert(1)>",
            "https://example.com/\"onmouseover=\"alert(1)",
            "![x](javascript:alert(1))",
            "[![x](https://e.example/p.png)](javascript:alert(1))",
            "[a]: javascript:alert(1)\n\n[a]",
            "```\"><script>alert(1)</script>\nx\n```",
            "# x {onclick=alert(1)}",
            "<!--\n--><svg onload=alert(1)>",
            "<![CDATA[<script>]]>",
            "\u{0}<scr\u{0}ipt>",
        ];
        for text in table {
            let out = html(text);
            // Whatever stands between `<` and `>` is a tag of ours.
            for tag in out.split('<').skip(1).map(|rest| rest.split('>').next().unwrap()) {
                let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap();
                assert!(["p", "a", "br", "h3", "pre", "code", "strong", "em"].contains(&name), "{text} -> {out}");
                let quotes = tag.matches('"').count();
                let fine = match name {
                    "a" => {
                        tag == "/a"
                            || (quotes == 4
                                && tag.ends_with("\" rel=\"nofollow noopener\"")
                                && (tag.starts_with("a href=\"http") || tag.starts_with("a href=\"mailto:")))
                    }
                    "code" => quotes == 0 || (quotes == 2 && tag.starts_with("code class=\"language-")),
                    _ => quotes == 0,
                };
                assert!(fine, "{text} -> {out}");
            }
        }
    }

    #[test]
    fn however_deep_it_is_nested_it_ends() {
        for unit in [">", "- ", "*a ", "[", "![", "**", "1. ", "> - "] {
            let out = html(&unit.repeat(2_000));
            assert!(out.matches("<blockquote>").count() <= DEEPEST && out.matches("<ul>").count() <= 2_000, "{unit}");
            assert_eq!(out.matches("<blockquote>").count(), out.matches("</blockquote>").count());
            assert_eq!(out.matches("<li>").count(), out.matches("</li>").count());
        }
    }
}
