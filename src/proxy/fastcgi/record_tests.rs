//! Records as bytes.

use super::*;

#[test]
fn what_is_written() {
    let long = vec![b'v'; 200];
    let begun = begin([(&b"A"[..], &b"bc"[..]), (b"L", &long)].into_iter());
    let expected = [
        &[1, 1, 0, 1, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0][..],
        &[1, 4, 0, 1, 0, 211, 0, 0, 1, 2, b'A', b'b', b'c', 1, 0x80, 0, 0, 200, b'L'],
        &long,
        &[1, 4, 0, 1, 0, 0, 0, 0],
    ]
    .concat();
    assert_eq!(begun, expected);
    assert_eq!(stdin(b""), [1, 5, 0, 1, 0, 0, 0, 0][..]);
    assert_eq!(stdin(b"x"), [1, 5, 0, 1, 0, 1, 0, 0, b'x'][..]);
    let pieces = stdin(&vec![0; MOST + 1]);
    assert_eq!(pieces.len(), MOST + 1 + 2 * HEADER);
}

/// What a responder wrote, and the answer or the fault.
#[tokio::test]
async fn what_is_read() {
    let end = [1, 3, 0, 1, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let out = |content: &[u8], padding: u8| {
        let head = [1, 6, 0, 1, 0, u8::try_from(content.len()).unwrap(), padding, 0];
        [&head[..], content, &vec![0; padding.into()]].concat()
    };
    let errors = [1, 7, 0, 1, 0, 2, 0, 0, b'n', b'o'];
    let busy = [1, 3, 0, 1, 0, 8, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0];
    let rows = [
        ([out(b"ab", 6), errors.to_vec(), out(b"c", 0), out(b"", 0), end.to_vec()].concat(), Ok("abc")),
        (end.to_vec(), Ok("")),
        (out(b"ab", 0), Err(Fault::Broken)),
        (busy.to_vec(), Err(Fault::Refused)),
        (vec![1, 3, 0, 1, 0, 0, 0, 0], Err(Fault::Refused)),
        (b"HTTP/1.1 200 OK\r\n".to_vec(), Err(Fault::Record)),
        (vec![], Err(Fault::Broken)),
    ];
    for (bytes, expected) in rows {
        let mut reader = Reader::new(&*bytes);
        let mut all = Vec::new();
        let result = loop {
            match reader.stdout().await {
                Ok(Some(piece)) => all.extend_from_slice(&piece),
                Ok(None) => break Ok(String::from_utf8(all).unwrap()),
                Err(fault) => break Err(fault),
            }
        };
        assert_eq!(result, expected.map(str::to_owned), "{bytes:?}");
    }
}
