//! Logos, good and bad: each fault by itself, real shapes, and files that are made to hurt the parser.

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
        (svg(HEAD, "<h:script xmlns:h='http://www.w3.org/1999/xhtml'>1</h:script>"), "a script"),
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
    let exported = r#"<svg version="1.1" xmlns="http://www.w3.org/2000/svg" xmlns:inkscape="http://www.inkscape.org/namespaces/inkscape" width="64mm" height="64mm" viewBox="0 0 64 64" inkscape:version="1.3">
<defs><clipPath id="c"><rect width="64" height="64"/></clipPath><style>.a{fill:#036}</style></defs><inkscape:grid/><path class="a" style="stroke:none" d="M0 0h64v64z" clip-path="url(#c)"/></svg>"#;
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
