//! Strings are looked at in pieces: a byte that does not stand for itself is found wherever it is.

use _native::json::check_canonical;

#[test]
fn a_special_byte_is_found_at_every_place() {
    for length in 0..100 {
        let plain = format!("\"{}\"", "y".repeat(length));
        check_canonical(plain.as_bytes(), 200, 1).unwrap();
        let open = &plain[..=length];
        assert_eq!(check_canonical(open.as_bytes(), 200, 1).unwrap_err().code, "json.syntax", "{length}");
        for at in 1..=length {
            let with = |bytes: &[u8]| [&plain.as_bytes()[..at], bytes, &plain.as_bytes()[at..]].concat();
            for good in [&b"\\\""[..], b"\\n", b"\\u001f", "\u{7f}".as_bytes(), "\u{9752}".as_bytes(), b" "] {
                check_canonical(&with(good), 200, 1).unwrap();
            }
            for (bad, code) in [(b"\n", "json.escape"), (b"\x1f", "json.escape"), (b"\"", "json.trailing")] {
                let error = check_canonical(&with(bad), 200, 1).unwrap_err();
                assert_eq!(error.code, code, "{length} {at}");
                let place = if code == "json.trailing" { at + 1 } else { at };
                assert!(error.message.ends_with(&format!("(byte {place})")), "{} at {at}", error.message);
            }
        }
    }
}
