//! What the `robots.txt` of a host permits us (RFC 9309).
//!
//! Rules are those of the groups that name `tidemill`, else of those that name everybody; of the rules that match a path
//! the longest decides, and of equally long ones that which allows. Delays are not part of the standard: how often is
//! asked is a setting of the origin.

use std::fmt::Write as _;

/// Name that groups may mention.
const AGENT: &str = "tidemill";
/// Bytes of a file that are read.
const MOST: usize = 500 * 1_024;

/// The rules that hold for us; none: everything is permitted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Robots(Vec<Rule>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    allow: bool,
    pattern: String,
}

impl Robots {
    /// Reads a file; what is not understood is passed over, as the standard wants it.
    pub(super) fn parse(body: &[u8]) -> Self {
        let body = body.get(..MOST).unwrap_or(body);
        let text = String::from_utf8_lossy(body);
        let (mut ours, mut everybodys) = (None::<Vec<Rule>>, Vec::new());
        let (mut names, mut in_rules) = ((false, false), false);
        for line in text.trim_start_matches('\u{feff}').split(['\n', '\r']) {
            let line = line.split('#').next().unwrap_or_default();
            let Some((key, value)) = line.split_once(':') else { continue };
            let (key, value) = (key.trim().to_ascii_lowercase(), value.trim());
            match key.as_str() {
                "user-agent" => {
                    if std::mem::take(&mut in_rules) {
                        names = (false, false);
                    }
                    let token = value.split(|c: char| !(c.is_ascii_alphabetic() || matches!(c, '_' | '-'))).next();
                    names.0 |= token.is_some_and(|token| token.eq_ignore_ascii_case(AGENT));
                    names.1 |= value == "*";
                    if names.0 {
                        ours.get_or_insert_default();
                    }
                }
                "allow" | "disallow" => {
                    in_rules = true;
                    if value.is_empty() {
                        continue;
                    }
                    let rule = Rule { allow: key == "allow", pattern: plain(value) };
                    if names.0 {
                        ours.get_or_insert_default().push(rule.clone());
                    }
                    if names.1 {
                        everybodys.push(rule);
                    }
                }
                _ => {}
            }
        }
        Self(ours.unwrap_or(everybodys))
    }

    /// Whether a path with its query may be asked for.
    pub(super) fn permit(&self, path: &str) -> bool {
        let path = plain(path);
        if path == "/robots.txt" {
            return true;
        }
        let matching = self.0.iter().filter(|rule| matches(&rule.pattern, &path));
        matching.max_by_key(|rule| (rule.pattern.len(), rule.allow)).is_none_or(|rule| rule.allow)
    }
}

/// Whether a path begins with a pattern, in which `*` is any text and a `$` at the end is the end.
fn matches(pattern: &str, path: &str) -> bool {
    let (pattern, to_end) = match pattern.strip_suffix('$') {
        Some(pattern) => (pattern, true),
        None => (pattern, false),
    };
    let mut parts = pattern.split('*');
    let Some(mut rest) = path.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let last = if to_end { parts.pop() } else { None };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    match last {
        Some(last) => rest.ends_with(last),
        None => !to_end || rest.is_empty(),
    }
}

/// A path in one way of writing: bytes that need no escape stand for themselves, all others are escaped.
fn plain(path: &str) -> String {
    let bytes = path.as_bytes();
    let (mut made, mut at) = (String::with_capacity(path.len()), 0);
    while let Some(byte) = bytes.get(at) {
        let hex = bytes.get(at + 1..at + 3).and_then(|hex| std::str::from_utf8(hex).ok());
        let escaped = hex.filter(|_| *byte == b'%').and_then(|hex| u8::from_str_radix(hex, 16).ok());
        at += if escaped.is_some() { 3 } else { 1 };
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        match escaped {
            Some(byte) if is_plain(byte) => made.push(char::from(byte)),
            None if byte.is_ascii_graphic() => made.push(char::from(*byte)),
            // Writing to a text cannot fail.
            escaped => _ = write!(made, "%{:02X}", escaped.unwrap_or(*byte)),
        }
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_rule_of_the_most_specific_group_decides() {
        // The example of RFC 9309, section 5.1, with our name for its first crawler.
        let robots = Robots::parse(
            b"User-Agent: *\nDisallow: *.gif$\nDisallow: /example/\nAllow: /publications/\n\n\
              User-Agent: tidemill\nDisallow: /example/page.html\nDisallow: /example/disallowed.gif\n\
              Allow:/example/\n",
        );
        assert!(robots.permit("/example/") && robots.permit("/a.gif") && robots.permit("/example/page"));
        assert!(!robots.permit("/example/page.html") && !robots.permit("/example/disallowed.gif?x=1"));
        // Section 5.2: the longest match.
        let robots = Robots::parse(b"user-agent: *\nallow: /example/page/\ndisallow: /example/page/disallowed.gif\n");
        assert!(robots.permit("/example/page/x") && !robots.permit("/example/page/disallowed.gif"));
    }

    #[test]
    fn groups_are_joined_names_are_words_and_everybody_is_the_last_resort() {
        let text = b"User-agent: other\nUser-agent: Tidemill/2\nDisallow: /a\n\nUser-agent: tidemill\nDisallow: /b\n\n\
                     User-agent: *\nDisallow: /";
        let robots = Robots::parse(text);
        assert!(!robots.permit("/a") && !robots.permit("/b") && robots.permit("/c"));
        let robots = Robots::parse(b"User-agent: tidemillers\nDisallow: /x\nUser-agent: *\nDisallow: /y # all of it");
        assert!(robots.permit("/x") && !robots.permit("/y"));
        // A group of ours without a rule permits everything, and so does an empty file.
        let robots = Robots::parse(b"User-agent: tidemill\nDisallow:\n\nUser-agent: *\nDisallow: /");
        assert!(robots.permit("/x") && Robots::parse(b"").permit("/x") && Robots::parse(b"\xff<html>").permit("/x"));
    }

    #[test]
    fn patterns_hold_any_text_and_ends_and_equal_paths_are_written_alike() {
        let robots = Robots::parse(b"user-agent: *\ndisallow: /*/private*.json$\ndisallow: /caf%c3%a9\nallow: /\n");
        assert!(!robots.permit("/v1/private/x.json") && robots.permit("/v1/private/x.json5"));
        assert!(!robots.permit("/caf\u{e9}/1") && !robots.permit("/%63af%C3%A9"));
        let robots = Robots::parse(b"user-agent: *\ndisallow: /a\nallow: /a\ndisallow: /q?secret\ndisallow: /end$\n");
        assert!(robots.permit("/a") && !robots.permit("/q?secret=1") && robots.permit("/q"));
        assert!(!robots.permit("/end") && robots.permit("/ending"));
        let all = Robots::parse(b"user-agent: *\ndisallow: /");
        assert!(all.permit("/robots.txt") && !all.permit("/"));
    }
}
