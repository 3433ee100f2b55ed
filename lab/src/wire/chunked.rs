//! Undoes the `aws-chunked` content encoding, in which some clients send a streaming body.
//!
//! Each chunk is `HEX-SIZE[;chunk-signature=...]\r\n DATA \r\n`; a chunk of size 0 and optional trailing headers end
//! the body (Signature Version 4 streaming, "Transferring payload in multiple chunks"). Chunk signatures are not
//! verified. Must not know what the body means.

use bytes::{Bytes, BytesMut};
use http::HeaderMap;

/// Returns `true` when the headers announce an `aws-chunked` body.
pub fn is_chunked(headers: &HeaderMap) -> bool {
    let holds = |name: &str, needle: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.contains(needle))
    };
    holds("content-encoding", "aws-chunked") || holds("x-amz-content-sha256", "STREAMING-")
}

/// Joins the chunks of `body`; a single chunk is sliced without a copy. `None` when the framing is broken.
pub fn decode(body: &Bytes) -> Option<Bytes> {
    let mut rest = body.clone();
    let mut chunks: Vec<Bytes> = Vec::new();
    loop {
        let line_end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        let size = chunk_size(&rest[..line_end])?;
        let data = rest.split_off(line_end + 2);
        if size == 0 {
            return Some(join(chunks));
        }
        if data.len() < size.checked_add(2)? || &data[size..size + 2] != b"\r\n" {
            return None;
        }
        chunks.push(data.slice(..size));
        rest = data.slice(size + 2..);
    }
}

fn chunk_size(line: &[u8]) -> Option<usize> {
    let line = std::str::from_utf8(line).ok()?;
    usize::from_str_radix(line.split(';').next()?.trim(), 16).ok()
}

fn join(mut chunks: Vec<Bytes>) -> Bytes {
    if chunks.len() == 1 {
        return chunks.remove(0);
    }
    let mut all = BytesMut::with_capacity(chunks.iter().map(Bytes::len).sum());
    chunks.iter().for_each(|chunk| all.extend_from_slice(chunk));
    all.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_chunks_and_refuses_broken_ones() {
        let body = Bytes::from_static(
            b"3;chunk-signature=ab\r\nabc\r\n2\r\nde\r\n0\r\nx-amz-checksum-sha256:x\r\n\r\n",
        );
        assert_eq!(decode(&body).as_deref(), Some(&b"abcde"[..]));
        for broken in [
            &b"3\r\nab\r\n0\r\n\r\n"[..],
            b"zz\r\n",
            b"3\r\nabc",
            b"",
            b"ffffffffffffffff\r\na\r\n",
        ] {
            assert_eq!(decode(&Bytes::copy_from_slice(broken)), None);
        }
    }
}
