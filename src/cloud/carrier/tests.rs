use super::head::{Head, asked};

fn head(text: &str) -> Head {
    Head::parsed(text.as_bytes())
        .expect("well formed")
        .expect("complete")
}

#[test]
fn a_head_tells_length_rest_and_whether_the_connection_lives() {
    let found = head("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Amz-Checksum: abc=\r\n\r\nhel");
    assert_eq!(
        (found.status, found.length, found.keeps_alive),
        (200, Some(5), true)
    );
    assert_eq!(found.rest, b"hel");
    assert_eq!(
        found.headers[1],
        ("x-amz-checksum".to_owned(), "abc=".to_owned())
    );
    let closing = head("HTTP/1.1 400 No\r\nConnection: foo, Close\r\ncontent-length: 0\r\n\r\n");
    assert_eq!((closing.status, closing.keeps_alive), (400, false));
    assert!(!head("HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n").keeps_alive);
}

#[test]
fn an_answer_without_one_plain_length_is_of_another_shape() {
    for headers in [
        "",
        "transfer-encoding: chunked\r\n",
        "content-length: 5\r\ntransfer-encoding: chunked\r\n",
        "content-length: 5\r\ncontent-length: 6\r\n",
        "content-length: +5\r\n",
        "content-length: \r\n",
    ] {
        assert_eq!(
            head(&format!("HTTP/1.1 200 OK\r\n{headers}\r\n")).length,
            None,
            "{headers}"
        );
    }
}

#[test]
fn half_a_head_is_waited_for_and_nonsense_is_an_error() {
    assert!(
        Head::parsed(b"HTTP/1.1 200 OK\r\ncontent-le")
            .expect("so far")
            .is_none()
    );
    assert!(Head::parsed(b"SSH-2.0-OpenSSH\r\n").is_err());
}

#[test]
fn a_request_names_its_host_once() {
    let uri = "http://127.0.0.1:9/snapshots/snap-1/blocks/3?blockToken=a%3D"
        .parse()
        .expect("a URI");
    let sent = asked(&uri, [("authorization", "x")].into_iter()).expect("a GET");
    let expected = "GET /snapshots/snap-1/blocks/3?blockToken=a%3D HTTP/1.1\r\nauthorization: x\r\nhost: 127.0.0.1:9\r\n\r\n";
    assert_eq!(String::from_utf8_lossy(&sent), expected);
    let sent = asked(&uri, [("Host", "elsewhere")].into_iter()).expect("a GET");
    assert_eq!(String::from_utf8_lossy(&sent).matches("ost: ").count(), 1);
}
