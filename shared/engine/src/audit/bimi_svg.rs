//! BIMI logos: whether a file is SVG Tiny 1.2 Portable/Secure (draft-svg-tiny-ps-abrotman), and each fault in words.

use std::io::Read;

use roxmltree::{Document, Node, ParsingOptions};

/// A logo may be this large.
pub(super) const MOST_BYTES: usize = 32 * 1024;
/// A logo that was compressed may be this large when it is unpacked; more is not read.
pub(super) const MOST_UNPACKED: usize = 256 * 1024;
/// Nesting that is parsed; the parser itself goes down with its own stack.
const MOST_DEPTH: usize = 64;
/// Nodes that are parsed.
const MOST_NODES: u32 = 50_000;
/// Attributes of one element, and namespaces declared in all of the file: the parser compares each with all others.
const MOST_ATTRIBUTES: usize = 256;
const MOST_NAMESPACES: usize = 1_000;
/// Characters of the file that a fault quotes.
const MOST_QUOTED: usize = 60;
/// Faults that are said.
const MOST_FAULTS: usize = 8;
/// How far from square a logo may be, in parts of its side: rounding.
const OFF_SQUARE: f64 = 0.01;
const SVG: &str = "http://www.w3.org/2000/svg";
/// Its scripts and frames run inside of an SVG file as well.
const XHTML: &str = "http://www.w3.org/1999/xhtml";

/// Elements that run, move, play or load something.
const FORBIDDEN: [(&str, &str); 17] = [
    ("script", "a script"),
    ("handler", "a script (handler)"),
    ("listener", "a script (listener)"),
    ("animate", "an animation"),
    ("animateColor", "an animation"),
    ("animateMotion", "an animation"),
    ("animateTransform", "an animation"),
    ("animation", "an animation"),
    ("set", "an animation (set)"),
    ("discard", "an animation (discard)"),
    ("foreignObject", "foreignObject"),
    ("image", "an image element (a bitmap or another file)"),
    ("audio", "sound"),
    ("video", "a film"),
    ("prefetch", "prefetch"),
    ("iframe", "an iframe"),
    ("a", "a link (a)"),
];

/// Elements of SVG that SVG Tiny 1.2 does not have: drawing programs write them, and checkers of the profile refuse the file.
const NOT_TINY: [(&str, &str); 11] = [
    ("style", "a style sheet (style); write fill= and the like at each element"),
    ("clipPath", "a clipping path (clipPath); cut the shapes themselves"),
    ("mask", "a mask; cut the shapes themselves"),
    ("filter", "a filter"),
    ("pattern", "a pattern"),
    ("symbol", "a symbol; draw it where it stands"),
    ("marker", "a marker"),
    ("textPath", "text along a path; turn it into a path"),
    ("view", "a view"),
    ("cursor", "a cursor"),
    ("tref", "a reference to text (tref)"),
];

/// The file without its compression: a gzip file (SVGZ) is unpacked, as far as a logo may go.
pub(super) fn unpacked(bytes: &[u8]) -> Result<Vec<u8>, String> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(bytes.to_vec());
    }
    let mut plain = Vec::new();
    let most = u64::try_from(MOST_UNPACKED).unwrap_or(u64::MAX);
    flate2::read::GzDecoder::new(bytes).take(most + 1).read_to_end(&mut plain).map_err(|error| format!("its compression is broken: {error}"))?;
    if plain.len() > MOST_UNPACKED { Err(format!("it is larger than {} KiB when it is unpacked", MOST_UNPACKED / 1024)) } else { Ok(plain) }
}

/// What keeps mailbox providers from showing the logo; empty for a good one. Takes the unpacked file.
pub(super) fn faults(bytes: &[u8]) -> Vec<String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else { return vec!["the file is not UTF-8 text".to_owned()] };
    match depth(text) {
        Depth::Dtd => return vec!["it has a DOCTYPE".to_owned()],
        Depth::Crowded => return vec![format!("an element has more than {MOST_ATTRIBUTES} attributes")],
        Depth::Levels(levels) if levels > MOST_DEPTH => return vec![format!("its elements are nested more than {MOST_DEPTH} deep")],
        Depth::Levels(_) => {}
    }
    if text.matches("xmlns").nth(MOST_NAMESPACES).is_some() {
        return vec![format!("it declares more than {MOST_NAMESPACES} namespaces")];
    }
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MOST_NODES };
    let document = match Document::parse_with_options(text, options) {
        Ok(document) => document,
        Err(roxmltree::Error::DtdDetected) => return vec!["it has a DOCTYPE".to_owned()],
        Err(error) => return vec![format!("it is not well-formed XML: {error}")],
    };
    let mut faults = Faults(Vec::new());
    root(document.root_element(), &mut faults);
    for node in document.descendants() {
        if let Some(instruction) = node.pi()
            && instruction.target == "xml-stylesheet"
        {
            faults.add("it loads a style sheet (xml-stylesheet)");
        }
        if node.is_element() {
            element(node, &mut faults);
        }
    }
    faults.0
}

struct Faults(Vec<String>);

impl Faults {
    /// Each once, and no more than a sentence can carry.
    fn add(&mut self, fault: impl Into<String>) {
        let fault = fault.into();
        if self.0.len() < MOST_FAULTS && !self.0.contains(&fault) {
            self.0.push(fault);
        }
    }
}

fn root(root: Node<'_, '_>, faults: &mut Faults) {
    if root.tag_name().name() != "svg" {
        faults.add(format!("its root is {}, not svg", short(root.tag_name().name())));
        return;
    }
    if root.tag_name().namespace() != Some(SVG) {
        faults.add(format!("the svg element lacks xmlns=\"{SVG}\""));
    }
    for (name, wanted) in [("version", "1.2"), ("baseProfile", "tiny-ps")] {
        match root.attribute(name) {
            Some(value) if value == wanted => {}
            Some(value) => faults.add(format!("{name} is “{}”, not “{wanted}”", short(value))),
            None => faults.add(format!("the svg element lacks {name}=\"{wanted}\"")),
        }
    }
    for name in ["x", "y"] {
        if root.attribute(name).is_some() {
            faults.add(format!("the svg element has {name}="));
        }
    }
    let title = root.children().find(|node| node.is_element() && node.tag_name().name() == "title");
    match title {
        None => faults.add("it has no title element"),
        Some(title) if title.text().is_none_or(|text| text.trim().is_empty()) => faults.add("its title is empty"),
        Some(_) => {}
    }
    match root.attribute("viewBox").map(view_box) {
        None => faults.add("the svg element lacks viewBox"),
        Some(None) => faults.add("its viewBox is not four numbers"),
        Some(Some((width, height))) if (width - height).abs() > OFF_SQUARE * width.max(height) => {
            faults.add(format!("it is not square: the viewBox is {width} by {height}"));
        }
        Some(Some(_)) => {}
    }
}

/// Width and height.
fn view_box(text: &str) -> Option<(f64, f64)> {
    let numbers: Vec<f64> =
        text.split(|c: char| c.is_ascii_whitespace() || c == ',').filter(|part| !part.is_empty()).map(str::parse).collect::<Result<_, _>>().ok()?;
    match numbers.as_slice() {
        [_, _, width, height] if *width > 0.0 && *height > 0.0 && width.is_finite() && height.is_finite() => Some((*width, *height)),
        _ => None,
    }
}

fn element(node: Node<'_, '_>, faults: &mut Faults) {
    let name = node.tag_name().name();
    // Editors leave elements of their own namespaces behind; what counts is what a viewer of SVG acts on.
    if node.tag_name().namespace().is_none_or(|namespace| matches!(namespace, SVG | XHTML))
        && let Some((_, words)) = FORBIDDEN.iter().find(|(forbidden, _)| *forbidden == name)
    {
        faults.add(format!("it contains {words}"));
        return;
    }
    let own = node.tag_name().namespace().is_none_or(|namespace| namespace == SVG);
    if own && let Some((_, words)) = NOT_TINY.iter().find(|(unknown, _)| *unknown == name) {
        faults.add(format!("SVG Tiny has no such thing as {words}"));
    }
    for attribute in node.attributes() {
        if own && attribute.namespace().is_none() && attribute.name() == "style" {
            faults.add("SVG Tiny knows no style=; write fill=, stroke= and the like instead");
        }
        let (key, value) = (attribute.name(), attribute.value());
        if key == "href" && !value.trim().starts_with('#') {
            faults.add(format!("{name} refers to “{}” outside of the file", short(value)));
        }
        if attribute.namespace().is_none() && key.len() > 2 && key.starts_with("on") && key.bytes().all(|b| b.is_ascii_lowercase()) {
            faults.add(format!("{name} has a script in {key}="));
        }
        outside(value, name, faults);
    }
    if name == "style" {
        for text in node.children().filter_map(|child| child.text()) {
            outside(text, name, faults);
            if text.to_ascii_lowercase().contains("@import") {
                faults.add("a style imports another file (@import)");
            }
        }
    }
}

/// `url(…)` that leads out of the file.
fn outside(text: &str, element: &str, faults: &mut Faults) {
    let lower = text.to_ascii_lowercase();
    for (at, _) in lower.match_indices("url(") {
        let inner = lower[at + 4..].trim_start().trim_start_matches(['"', '\'']).trim_start();
        if !inner.starts_with('#') {
            // No further than what is quoted: each of very many may have no end.
            let address: String = inner.chars().take_while(|c| !matches!(c, ')' | '"' | '\'')).take(MOST_QUOTED + 1).collect();
            faults.add(format!("{element} refers to “{}” outside of the file", short(&address)));
        }
    }
}

fn short(text: &str) -> String {
    crate::text::shown(text, MOST_QUOTED)
}

enum Depth {
    Levels(usize),
    /// An element has more attributes than anybody writes.
    Crowded,
    Dtd,
}

/// How deep elements are nested, told without going down: the parser must not be led into a stack overflow.
fn depth(text: &str) -> Depth {
    let (mut rest, mut level, mut deepest) = (text, 0_usize, 0);
    while let Some(at) = rest.find('<') {
        rest = &rest[at..];
        let skip = |rest: &str, until: &str| rest.find(until).map_or(rest.len(), |at| at + until.len());
        let length = if rest.starts_with("<!--") {
            skip(rest, "-->")
        } else if rest.starts_with("<![CDATA[") {
            skip(rest, "]]>")
        } else if rest.starts_with("<?") {
            skip(rest, "?>")
        } else if rest.starts_with("<!") {
            return Depth::Dtd;
        } else if rest.starts_with("</") {
            level = level.saturating_sub(1);
            skip(rest, ">")
        } else {
            let (end, attributes) = tag_end(rest);
            if attributes > MOST_ATTRIBUTES {
                return Depth::Crowded;
            }
            if !rest[..end].ends_with("/>") {
                level += 1;
                deepest = deepest.max(level);
            }
            end
        };
        rest = &rest[length..];
    }
    Depth::Levels(deepest)
}

/// Bytes of an opening tag and the attributes in it; a “>” in quotes does not end it.
fn tag_end(tag: &str) -> (usize, usize) {
    let (mut quote, mut attributes) = (None, 0);
    for (at, byte) in tag.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return (at + 1, attributes),
            (None, b'=') => attributes += 1,
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            _ => {}
        }
    }
    (tag.len(), attributes)
}

#[cfg(test)]
mod tests;
