//! Reads `application/x-www-form-urlencoded` text and URL paths, for the Query services and for REST labels.
//!
//! Must not know any service: it turns text into pairs and nothing more.

use std::collections::BTreeMap;

/// Decoded name-value pairs of a form body or a query string; the last of two equal names wins.
#[derive(Debug, Default, Clone)]
pub struct Form(BTreeMap<String, String>);

impl Form {
    /// Reads a form body, in which `+` is a space.
    pub fn from_body(body: &[u8]) -> Form {
        Form::parse(&String::from_utf8_lossy(body), true)
    }

    /// Reads a URL's query string, in which `+` is itself (SigV4 clients write `%20` for a space).
    pub fn from_query(query: &str) -> Form {
        Form::parse(query, false)
    }

    /// Returns the value of `name`, when present.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Returns `true` when any name starts with `prefix`.
    pub fn has_prefix(&self, prefix: &str) -> bool {
        self.0
            .range(prefix.to_owned()..)
            .next()
            .is_some_and(|(name, _)| name.starts_with(prefix))
    }

    fn parse(text: &str, plus_is_space: bool) -> Form {
        let pair = |part: &str| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (decode(name, plus_is_space), decode(value, plus_is_space))
        };
        Form(
            text.split('&')
                .filter(|part| !part.is_empty())
                .map(pair)
                .collect(),
        )
    }
}

/// Undoes percent encoding. A `%` that starts no valid escape stays as it is, as servers commonly do.
pub fn decode(text: &str, plus_is_space: bool) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%')
            .then(|| bytes.get(at + 1..at + 3))
            .flatten();
        match escaped.and_then(hex_byte) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(if plus_is_space && bytes[at] == b'+' {
                    b' '
                } else {
                    bytes[at]
                });
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn hex_byte(pair: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let value = digit(pair[0])? * 16 + digit(pair[1])?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_pairs_and_escapes() {
        let form = Form::from_body(b"Action=Get&A.1=x+y%2Bz&Empty&Bad=%zz%4");
        assert_eq!(form.get("Action"), Some("Get"));
        assert_eq!(form.get("A.1"), Some("x y+z"));
        assert_eq!(form.get("Empty"), Some(""));
        assert_eq!(form.get("Bad"), Some("%zz%4"));
        assert!(form.has_prefix("A.") && !form.has_prefix("B."));
    }

    #[test]
    fn a_query_string_keeps_its_plus() {
        assert_eq!(
            Form::from_query("blockToken=a+b%2F%3D").get("blockToken"),
            Some("a+b/=")
        );
    }
}
