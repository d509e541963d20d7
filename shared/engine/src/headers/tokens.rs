//! Words, quoted strings and nested comments of a structured field (RFC 5322 3.2).

/// Comments nest no deeper than this; deeper parentheses are text.
const MAX_DEPTH: usize = 50;
/// Tokens of one field.
const MAX_TOKENS: usize = 1_000;

/// A piece of a structured field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// A run without blanks; quotes and their escapes are gone.
    Word(String),
    /// A comment without its outer parentheses.
    Comment(String),
    /// A semicolon.
    Semicolon,
    /// An equals sign, where they are told apart.
    Equals,
}

/// Takes a field apart. With `equals`, an equals sign ends a name; a value goes on to the next blank, semicolon or comment.
pub(super) fn tokens(text: &str, equals: bool) -> Vec<Token> {
    let mut out = Vec::new();
    let mut chars = text.chars().peekable();
    // The equals sign stands right before: what follows is a value, with whatever equals signs are in it.
    let mut value = false;
    while let Some(&first) = chars.peek() {
        if out.len() >= MAX_TOKENS {
            break;
        }
        match first {
            c if c.is_whitespace() => {
                chars.next();
            }
            ';' => {
                chars.next();
                out.push(Token::Semicolon);
            }
            // After an equals sign another one belongs to the value.
            '=' if equals && out.last() != Some(&Token::Equals) => {
                chars.next();
                out.push(Token::Equals);
                value = true;
                continue;
            }
            '(' => {
                chars.next();
                out.push(Token::Comment(comment(&mut chars)));
            }
            _ => {
                out.push(Token::Word(word(&mut chars, equals && !value)));
            }
        }
        value = false;
    }
    out
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn comment(chars: &mut Chars<'_>) -> String {
    let (mut text, mut depth) = (String::new(), 1_usize);
    while let Some(c) = chars.next() {
        match c {
            '\\' => text.extend(chars.next()),
            '(' if depth < MAX_DEPTH => {
                depth += 1;
                text.push(c);
            }
            ')' => {
                depth -= 1;
                if depth == 0 {
                    break;
                }
                text.push(c);
            }
            _ => text.push(c),
        }
    }
    text.trim().to_owned()
}

/// A word; within quotes and angle brackets blanks, semicolons and parentheses are part of it.
fn word(chars: &mut Chars<'_>, stop_at_equals: bool) -> String {
    let mut text = String::new();
    let mut angle = false;
    while let Some(&c) = chars.peek() {
        match c {
            '"' => {
                chars.next();
                while let Some(c) = chars.next() {
                    match c {
                        '"' => break,
                        '\\' => text.extend(chars.next()),
                        _ => text.push(c),
                    }
                }
                continue;
            }
            '<' => angle = true,
            '>' => angle = false,
            _ if angle => {}
            '=' if stop_at_equals => break,
            ';' | '(' => break,
            c if c.is_whitespace() => break,
            _ => {}
        }
        text.push(c);
        chars.next();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_apart() {
        let word = |text: &str| Token::Word(text.to_owned());
        let comment = |text: &str| Token::Comment(text.to_owned());
        for (text, equals, expected) in [
            ("a (b (c) \\) d) e;f", false, vec![word("a"), comment("b (c) ) d"), word("e"), Token::Semicolon, word("f")]),
            ("a=\"b; \\\"c\" d =e=f", true, vec![word("a"), Token::Equals, word("b; \"c"), word("d"), Token::Equals, word("e=f")]),
            ("<a b;c> (", false, vec![word("<a b;c>"), comment("")]),
            ("\"", false, vec![word("")]),
            ("(", false, vec![comment("")]),
        ] {
            assert_eq!(tokens(text, equals), expected, "{text}");
        }
    }
}
