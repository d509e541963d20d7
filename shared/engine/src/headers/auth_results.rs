//! Authentication-Results and its ARC form (RFC 8601, RFC 8617 4.1.1), and Received-SPF (RFC 7208 9.1), as receivers write them.

use waypost_types::headers::{AuthMethod, AuthProperty, AuthResults, ReceivedSpf};

use super::tokens::{Token, tokens};

/// Results of one field.
const MAX_RESULTS: usize = 100;

/// Reads an unfolded field. With `arc`, the instance comes first.
pub(super) fn parse(raw: &str, arc: bool) -> AuthResults {
    let all = tokens(raw, true);
    let mut sections = all.split(|token| *token == Token::Semicolon).peekable();
    let mut out = AuthResults { version: 1, raw: raw.to_owned(), ..AuthResults::default() };
    if arc {
        match sections.next() {
            Some([Token::Word(name), Token::Equals, Token::Word(instance)]) if name.eq_ignore_ascii_case("i") => out.instance = instance.parse().ok(),
            _ => out.remarks.push("The ARC instance (i=) does not come first".to_owned()),
        }
    }
    // Microsoft 365 writes no authserv-id: the first section is a result already.
    let has_id = sections.peek().is_some_and(|section| !section.contains(&Token::Equals));
    if has_id {
        let words = sections.next().unwrap_or_default().iter().filter_map(word);
        let mut words = words.peekable();
        out.authserv_id = words.next().map(|id| id.trim_end_matches('.').to_ascii_lowercase()).filter(|id| !id.is_empty());
        // “host none” without a semicolon is written too, so what is no number is left alone.
        if let Some(Ok(version)) = words.next().map(str::parse) {
            out.version = version;
        }
    }
    if out.authserv_id.is_none() {
        out.remarks.push("The field names no authserv-id (who checked), as Microsoft 365 leaves it out".to_owned());
    }
    if out.version != 1 {
        out.remarks.push(format!("The field is of version {}, which readers of version 1 must not use (RFC 8601)", out.version));
    }
    for (at, section) in sections.enumerate() {
        if at >= MAX_RESULTS {
            out.remarks.push(format!("Only the first {MAX_RESULTS} results are read"));
            break;
        }
        match method(section) {
            Ok(Some(method)) => out.results.push(method),
            Ok(None) => {}
            Err(remark) => out.remarks.push(remark),
        }
    }
    out
}

fn word(token: &Token) -> Option<&str> {
    match token {
        Token::Word(word) => Some(word),
        _ => None,
    }
}

/// `method[/version]=result [reason=…] [ptype.property=value]…`; nothing for an empty section and for `none`.
fn method(section: &[Token]) -> Result<Option<AuthMethod>, String> {
    let comments: Vec<String> = section
        .iter()
        .filter_map(|token| match token {
            Token::Comment(comment) => Some(comment.clone()),
            _ => None,
        })
        .collect();
    let plain: Vec<&Token> = section.iter().filter(|token| !matches!(token, Token::Comment(_))).collect();
    let mut pairs = pairs(&plain).into_iter();
    let Some((name, value)) = pairs.next() else { return Ok(None) };
    let Some(result) = value else {
        return if name.eq_ignore_ascii_case("none") {
            Ok(None)
        } else {
            Err(format!("“{}” is no result: results are written method=result", cut(&name)))
        };
    };
    let (method, version) = match name.split_once('/') {
        Some((method, version)) => (method, version.parse().ok()),
        None => (name.as_str(), None),
    };
    let mut out = AuthMethod { method: method.to_ascii_lowercase(), version, result: result.to_ascii_lowercase(), comments, ..AuthMethod::default() };
    for (name, value) in pairs {
        let Some(value) = value else { continue };
        if name.eq_ignore_ascii_case("reason") {
            out.reason = Some(value);
        } else {
            out.properties.push(AuthProperty { name: name.to_ascii_lowercase(), value });
        }
    }
    Ok(Some(out))
}

/// Names with the value after their equals sign, or none. Comments may stand around `/` and `.` (RFC 8601 2.2), so names are put together again.
fn pairs(plain: &[&Token]) -> Vec<(String, Option<String>)> {
    let mut out: Vec<(String, Option<String>)> = Vec::new();
    let mut after_equals = false;
    for (at, token) in plain.iter().enumerate() {
        let Token::Word(word) = token else {
            after_equals = matches!(token, Token::Equals);
            continue;
        };
        let is_name = matches!(plain.get(at + 1), Some(Token::Equals));
        match out.last_mut() {
            Some((_, value @ None)) if after_equals && !is_name => *value = Some(word.clone()),
            // “smtp.mailfrom= smtp.helo=…”: the value is empty.
            Some((_, value @ None)) if after_equals => {
                *value = Some(String::new());
                out.push((word.clone(), None));
            }
            Some((name, None)) if name.ends_with(['/', '.']) || word.starts_with(['/', '.']) => name.push_str(word),
            _ => out.push((word.clone(), None)),
        }
        after_equals = false;
    }
    out
}

fn cut(text: &str) -> String {
    crate::text::shown(text, 60)
}

/// Reads an unfolded Received-SPF field.
pub(super) fn received_spf(raw: &str) -> ReceivedSpf {
    let all = tokens(raw, true);
    let mut out = ReceivedSpf { raw: raw.to_owned(), ..ReceivedSpf::default() };
    let mut rest: Vec<&Token> = Vec::new();
    for token in &all {
        match token {
            Token::Word(word) if out.result.is_empty() => out.result = word.to_ascii_lowercase(),
            Token::Comment(comment) if out.comment.is_none() => out.comment = Some(comment.clone()),
            other => rest.push(other),
        }
    }
    out.properties = pairs(&rest)
        .into_iter()
        .filter_map(|(name, value)| Some(AuthProperty { name: name.to_ascii_lowercase(), value: value?.trim_matches(['<', '>']).to_owned() }))
        .collect();
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// authserv-id, version, instance, and `method=result name=value … (comment) “reason”` for each result.
    fn seen(field: &AuthResults) -> String {
        let results = field.results.iter().map(|method| {
            let version = method.version.map(|version| format!("/{version}")).unwrap_or_default();
            let properties: Vec<_> = method.properties.iter().map(|property| format!(" {}={}", property.name, property.value)).collect();
            let comments: Vec<_> = method.comments.iter().map(|comment| format!(" ({comment})")).collect();
            let reason = method.reason.as_ref().map(|reason| format!(" “{reason}”")).unwrap_or_default();
            format!("{}{version}={}{}{}{reason}", method.method, method.result, properties.concat(), comments.concat())
        });
        let instance = field.instance.map(|instance| format!("i={instance} ")).unwrap_or_default();
        format!("{instance}{} {} | {}", field.authserv_id.as_deref().unwrap_or("-"), field.version, results.collect::<Vec<_>>().join(" | "))
    }

    #[test]
    fn the_forms_receivers_write() {
        for (raw, expected) in [
            ("example.org 1; none", "example.org 1 | "),
            ("example.com; none", "example.com 1 | "),
            (
                "example.com; spf=pass smtp.mailfrom=example.net; auth=pass (cram-md5) smtp.auth=sender@example.net",
                "example.com 1 | spf=pass smtp.mailfrom=example.net | auth=pass smtp.auth=sender@example.net (cram-md5)",
            ),
            (
                "foo.example.net (foobar) 1 (baz); dkim (Because I like it) / 1 (One yay) = (wait for it) fail policy (A dot) . (like that) expired (this) = (wait) 1362471462",
                "foo.example.net 1 | dkim/1=fail policy.expired=1362471462 (Because I like it) (One yay) (wait for it) (A dot) (like that) (this) (wait)",
            ),
            (
                "example.com; dkim/1=fail reason=\"bad; signature\" header.d=mail-router.example.net header.b=\"oIn=fwY\"",
                "example.com 1 | dkim/1=fail header.d=mail-router.example.net header.b=oIn=fwY “bad; signature”",
            ),
            // Gmail
            (
                "mx.google.com; dkim=pass header.i=@example.org header.s=s1 header.b=Ab1/; spf=pass (google.com: domain of b@example.org designates 192.0.2.1 as permitted sender) smtp.mailfrom=b@example.org; dmarc=pass (p=REJECT sp=REJECT dis=NONE) header.from=example.org",
                "mx.google.com 1 | dkim=pass header.i=@example.org header.s=s1 header.b=Ab1/ | spf=pass smtp.mailfrom=b@example.org (google.com: domain of b@example.org designates 192.0.2.1 as permitted sender) | dmarc=pass header.from=example.org (p=REJECT sp=REJECT dis=NONE)",
            ),
            // Microsoft 365
            (
                "spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=example.org; dkim=pass (signature was verified) header.d=example.org;dmarc=pass action=none header.from=example.org;compauth=pass reason=100",
                "- 1 | spf=pass smtp.mailfrom=example.org (sender IP is 192.0.2.1) | dkim=pass header.d=example.org (signature was verified) | dmarc=pass action=none header.from=example.org | compauth=pass “100”",
            ),
            ("MX.Example.com.; IPREV=Pass policy.iprev=192.0.2.1;;", "mx.example.com 1 | iprev=pass policy.iprev=192.0.2.1"),
            ("", "- 1 | "),
            ("mx.example.com", "mx.example.com 1 | "),
        ] {
            assert_eq!(seen(&parse(raw, false)), expected, "{raw}");
        }
    }

    #[test]
    fn the_arc_form_has_an_instance() {
        let field = parse("i=2; mx.microsoft.com 1; spf=fail smtp.mailfrom=a.example; arc=pass (0 oda=0)", true);
        assert_eq!(seen(&field), "i=2 mx.microsoft.com 1 | spf=fail smtp.mailfrom=a.example | arc=pass (0 oda=0)");
        assert!(!parse("mx.example.com; none", true).remarks.is_empty());
    }

    #[test]
    fn malformed_results_are_said() {
        for raw in ["a.example; garbage", "a.example; x y z", "spf=pass smtp.mailfrom=a.example"] {
            assert!(!parse(raw, false).remarks.is_empty(), "{raw}");
        }
    }

    #[test]
    fn received_spf_is_read() {
        let field = received_spf(
            "Pass (mx.example.com: domain of a@example.org designates 192.0.2.1) receiver=mx.example.com; client-ip=192.0.2.1; envelope-from=\"a@example.org\"; helo=mail.example.org;",
        );
        let pairs: Vec<_> = field.properties.iter().map(|property| (property.name.as_str(), property.value.as_str())).collect();
        assert_eq!(field.result, "pass");
        assert!(field.comment.is_some_and(|comment| comment.starts_with("mx.example.com:")));
        assert_eq!(
            pairs,
            [("receiver", "mx.example.com"), ("client-ip", "192.0.2.1"), ("envelope-from", "a@example.org"), ("helo", "mail.example.org")]
        );
        assert_eq!(received_spf("").result, "");
    }
}
