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
    if node.tag_name().namespace().is_none_or(|namespace| namespace == SVG)
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEAD: &str = r#"xmlns="http://www.w3.org/2000/svg" version="1.2" baseProfile="tiny-ps" viewBox="0 0 100 100""#;

    fn svg(head: &str, inner: &str) -> String {
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- made by hand -->\n<svg {head}><title>Example</title>{inner}</svg>\n")
    }

    #[test]
    fn good_logos_have_no_faults() {
        for inner in [
            "<g id='a'><circle r='5' fill='#fff'/></g>",
            "<defs><linearGradient id='g'/></defs><path d='M0 0' fill='url(#g)'/>",
            "<use xmlns:x='http://www.w3.org/1999/xlink' x:href='#a'/>",
            "<metadata xmlns:i='http://editor.example/'><i:image href='#x'/></metadata>",
            "<desc>a &gt; b</desc>",
        ] {
            assert_eq!(faults(svg(HEAD, inner).as_bytes()), Vec::<String>::new(), "{inner}");
        }
        assert!(faults(format!("\u{feff}{}", svg(HEAD, "")).as_bytes()).is_empty(), "a byte order mark does no harm");
        assert!(faults(svg(&HEAD.replace("0 0 100 100", "-1,-1,64,64.1"), "").as_bytes()).is_empty());
    }

    #[test]
    fn each_fault_is_said_by_itself() {
        let in_head = |from: &str, to: &str| svg(&HEAD.replace(from, to), "");
        let deep = format!("{}{}", "<g>".repeat(100), "</g>".repeat(100));
        for (file, words) in [
            (in_head(r#"version="1.2""#, r#"version="1.1""#), "version is “1.1”"),
            (in_head(r#"version="1.2""#, ""), "lacks version"),
            (in_head("tiny-ps", "tiny"), "baseProfile is “tiny”"),
            (in_head("0 0 100 100", "0 0 200 100"), "200 by 100"),
            (in_head("0 0 100 100", "0 0 x 100"), "four numbers"),
            (in_head("viewBox=\"0 0 100 100\"", ""), "lacks viewBox"),
            (in_head("version", "x=\"0\" version"), "has x="),
            (in_head("http://www.w3.org/2000/svg", "http://example.com/"), "lacks xmlns"),
            (svg(HEAD, "").replace("<title>Example</title>", ""), "no title"),
            (svg(HEAD, "").replace("Example", " "), "title is empty"),
            (svg(HEAD, "<script>1</script>"), "a script"),
            (svg(HEAD, "<g onclick='x()'/>"), "script in onclick="),
            (svg(HEAD, "<circle><animate/></circle>"), "an animation"),
            (svg(HEAD, "<foreignObject/>"), "foreignObject"),
            (svg(HEAD, "<image href='data:image/png;base64,AA'/>"), "image element"),
            (svg(HEAD, "<use href='https://e.example/a.svg#b'/>"), "outside of the file"),
            (svg(HEAD, "<path fill='url(https://e.example/g#g)'/>"), "“https://e.example/g#g” outside"),
            (svg(HEAD, "<style>.a{fill:url( '#g' )}</style>"), "a style sheet (style)"),
            (svg(HEAD, "<path style='fill:#fff' d='M0 0'/>"), "no style="),
            (svg(HEAD, "<defs><clipPath id='c'/></defs>"), "clipPath"),
            (svg(HEAD, "<mask id='m'/>"), "a mask"),
            (svg(HEAD, "<filter id='f'/>"), "a filter"),
            (svg(HEAD, "<defs><pattern id='p'/></defs>"), "a pattern"),
            (svg(HEAD, "<symbol id='s'/>"), "a symbol"),
            (svg(HEAD, "").replace("<!-- made by hand -->", "<!DOCTYPE svg>"), "DOCTYPE"),
            (svg(HEAD, "").replace("<!-- made by hand -->", "<!DOCTYPE svg [<!ENTITY a 'b'>]>"), "DOCTYPE"),
            (svg(HEAD, "").replace("<!-- made by hand -->", "<?xml-stylesheet href='a.css'?>"), "style sheet"),
            (svg(HEAD, "<g>"), "well-formed"),
            (svg(HEAD, &deep), "64 deep"),
            ("<html/>".to_owned(), "root is html"),
            ("GIF89a".to_owned(), "well-formed"),
        ] {
            let faults = faults(file.as_bytes());
            assert!(faults.iter().any(|fault| fault.contains(words)), "{words}: {faults:?}");
            assert_eq!(faults.len(), 1, "{words}: {faults:?}");
        }
        assert_eq!(faults(b"\xff\xfe<\0s\0"), ["the file is not UTF-8 text"]);
        // A style sheet is no part of the profile; what it loads is said beside that.
        for (style, words) in [("@import 'a.css';", "@import"), (".a{fill:URL(b.svg#g)}", "“b.svg#g” outside")] {
            let faults = faults(svg(HEAD, &format!("<style>{style}</style>")).as_bytes());
            assert!(faults.len() == 2 && faults[1].contains(words), "{faults:?}");
        }
    }

    /// Logos as drawing programs and converters write them.
    #[test]
    fn marks_of_real_shape() {
        let converted = r##"<?xml version="1.0" encoding="utf-8"?>
<svg version="1.2" baseProfile="tiny-ps" id="Layer_1" xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 512 512" xml:space="preserve">
<title>Example Ltd</title><desc>The mark</desc>
<defs><radialGradient id="g" cx="256" cy="256" r="200" gradientUnits="userSpaceOnUse"><stop offset="0" stop-color="#fff"/><stop offset="1" stop-color="#036"/></radialGradient></defs>
<rect fill="#0A2540" width="512" height="512"/><g fill-rule="evenodd"><path fill="url(#g)" d="M256 56a200 200 0 1 0 .1 0z"/><polygon fill="#FFFFFF" points="200,180 330,256 200,332"/></g>
<use xlink:href="#Layer_1"/></svg>"##;
        assert_eq!(faults(converted.as_bytes()), Vec::<String>::new());
        let exported = r##"<svg version="1.1" xmlns="http://www.w3.org/2000/svg" xmlns:inkscape="http://www.inkscape.org/namespaces/inkscape" width="64mm" height="64mm" viewBox="0 0 64 64" inkscape:version="1.3">
<defs><clipPath id="c"><rect width="64" height="64"/></clipPath><style>.a{fill:#036}</style></defs><inkscape:grid/><path class="a" style="stroke:none" d="M0 0h64v64z" clip-path="url(#c)"/></svg>"##;
        let found = faults(exported.as_bytes());
        for words in ["version is “1.1”", "lacks baseProfile", "no title", "clipPath", "a style sheet", "no style="] {
            assert!(found.iter().any(|fault| fault.contains(words)), "{words}: {found:?}");
        }
        assert_eq!(found.len(), 6, "{found:?}");
    }

    #[test]
    fn nesting_can_not_exhaust_the_stack() {
        for bomb in ["<g>".repeat(80_000), "<g a='>'><!-- </g> --><![CDATA[</g>]]>".repeat(5000), "<g/><g b=\"/>\">".repeat(10_000)] {
            assert!(faults(svg(HEAD, &bomb).as_bytes())[0].contains("64 deep"));
        }
    }

    #[test]
    fn a_file_full_of_attributes_is_not_compared_with_itself() {
        use std::fmt::Write;
        let many = |most: usize, one: &dyn Fn(usize) -> String| {
            (0..most).fold(String::new(), |mut text, n| {
                text.push_str(&one(n));
                text
            })
        };
        let few = many(MOST_ATTRIBUTES, &|n| format!(" a{n}=''"));
        assert_eq!(faults(svg(HEAD, &format!("<g{few}/>")).as_bytes()), Vec::<String>::new());
        let attributes = many(25_000, &|n| format!(" a{n}=''"));
        assert!(faults(svg(HEAD, &format!("<g{attributes}/>")).as_bytes())[0].contains("256 attributes"));
        // Each name space of a parent is handed down to every child that declares one.
        let mut nested = many(40, &|n| format!("<g{}>", many(200, &|m| format!(" xmlns:n{}='u'", n * 200 + m))));
        nested.push_str(&"<g xmlns:x='v'/>".repeat(5_000));
        nested.push_str(&"</g>".repeat(40));
        assert!(faults(svg(HEAD, &nested).as_bytes())[0].contains("1000 namespaces"));
        // Very many references without an end, which all read the same.
        let mut style = String::from("<style>");
        write!(style, "{}</style>", "url(".repeat(60_000)).unwrap();
        let faults = faults(svg(HEAD, &style).as_bytes());
        assert!(faults.len() <= MOST_FAULTS && faults.iter().all(|fault| fault.chars().count() < 150), "{faults:?}");
    }

    #[test]
    fn compressed_logos_are_unpacked_within_bounds() {
        use std::io::Write;
        let packed = |bytes: &[u8]| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        };
        assert_eq!(unpacked(&packed(b"<svg/>")), Ok(b"<svg/>".to_vec()));
        assert_eq!(unpacked(b"<svg/>"), Ok(b"<svg/>".to_vec()));
        assert!(unpacked(&packed(&vec![b' '; 10_000_000])).unwrap_err().contains("larger"));
        assert!(unpacked(b"\x1f\x8bnothing").is_err());
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300), inner in "[<>/g!?\\-\"'= a-z(#é]{0,200}") {
            prop_assert!(!faults(&bytes).is_empty());
            let _: Result<_, _> = unpacked(&[&[0x1f, 0x8b][..], &bytes].concat());
            let found = faults(svg(HEAD, &inner).as_bytes());
            prop_assert!(found.len() <= MOST_FAULTS);
        }
    }
}
