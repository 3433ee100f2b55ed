//! Heads of HTTP/1.1: what is sent for a request without a body, and what an answer begins with. Knows no connection.

use http::Uri;
use httparse::{EMPTY_HEADER, Status};

/// Longest head that is read.
pub(super) const MOST_BYTES: usize = 64 << 10;
/// Most headers of an answer.
const HEADERS_MAX: usize = 64;

/// The head of an answer and what came with it.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    /// Bytes that follow; none when they come in another shape than one piece of a known length.
    pub(super) length: Option<usize>,
    /// Whether the connection may be used again.
    pub(super) keeps_alive: bool,
    /// The first of what follows.
    pub(super) rest: Vec<u8>,
}

impl Head {
    /// The head, once all of it is there.
    pub(super) fn parsed(bytes: &[u8]) -> Result<Option<Self>, httparse::Error> {
        let mut found = [EMPTY_HEADER; HEADERS_MAX];
        let mut answer = httparse::Response::new(&mut found);
        let Status::Complete(end) = answer.parse(bytes)? else {
            return Ok(None);
        };
        let text = |bytes: &[u8]| {
            String::from_utf8(bytes.to_vec()).map_err(|_| httparse::Error::HeaderValue)
        };
        let mut headers = Vec::with_capacity(answer.headers.len());
        for header in &*answer.headers {
            headers.push((header.name.to_ascii_lowercase(), text(header.value)?));
        }
        Ok(Some(Self {
            status: answer.code.ok_or(httparse::Error::Status)?,
            length: length(&headers),
            keeps_alive: answer.version == Some(1) && !says(&headers, "connection", "close"),
            rest: bytes[end..].to_vec(),
            headers,
        }))
    }
}

fn length(headers: &[(String, String)]) -> Option<usize> {
    let of = |name: &str| -> Vec<&str> {
        let named = headers.iter().filter(|(of, _)| of == name);
        named.map(|(_, value)| value.trim()).collect()
    };
    match (
        &of("content-length")[..],
        of("transfer-encoding").is_empty(),
    ) {
        ([only], true) if only.bytes().all(|byte| byte.is_ascii_digit()) => only.parse().ok(),
        _ => None,
    }
}

fn says(headers: &[(String, String)], name: &str, word: &str) -> bool {
    let named = headers.iter().filter(|(of, _)| of == name);
    named
        .flat_map(|(_, value)| value.split(','))
        .any(|said| said.trim().eq_ignore_ascii_case(word))
}

/// The bytes of a GET; none when it cannot be one.
pub(super) fn asked<'a>(
    uri: &Uri,
    headers: impl Iterator<Item = (&'a str, &'a str)>,
) -> Option<Vec<u8>> {
    let host = uri.authority()?.as_str();
    let path = uri.path_and_query()?.as_str();
    let mut sent = format!("GET {path} HTTP/1.1\r\n");
    let mut has_host = false;
    for (name, value) in headers {
        has_host |= name.eq_ignore_ascii_case("host");
        sent.extend([name, ": ", value, "\r\n"]);
    }
    if !has_host {
        sent.extend(["host: ", host, "\r\n"]);
    }
    sent.push_str("\r\n");
    Some(sent.into_bytes())
}
