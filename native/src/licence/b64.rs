//! Strict base64url without padding, as JOSE writes it. Source: RFC 7515, section 2; RFC 4648, sections 3.5 and 5.

use super::Refusal;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/// What is no character of the alphabet.
const FOREIGN: u32 = 1 << 31;
/// The value of a character in its place among four.
static PLACES: [[u32; 256]; 4] = [values(18), values(12), values(6), values(0)];

const fn values(shift: u32) -> [u32; 256] {
    let mut table = [FOREIGN; 256];
    let mut at = 0;
    while at < 64 {
        table[ALPHABET[at] as usize] = (at as u32) << shift;
        at += 1;
    }
    table
}

/// The bytes of a text that is exactly what [`encode`] writes. Refuses with licence.base64 and licence.base64-bits.
pub fn decode(text: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    let whole = text.chunks_exact(4);
    let rest = whole.remainder();
    out.resize(whole.len() * 3, 0);
    let mut foreign = 0;
    for (bytes, characters) in out.chunks_exact_mut(3).zip(whole) {
        let group = group(characters);
        foreign |= group;
        bytes.copy_from_slice(&group.to_be_bytes()[1..]);
    }
    let last = group(rest);
    if (foreign | last) & FOREIGN != 0 || rest.len() == 1 {
        return Err(refusal(text));
    }
    let last = last.to_be_bytes();
    let (bytes, unused) = last[1..].split_at(rest.len().saturating_sub(1));
    if unused.iter().any(|byte| *byte != 0) {
        return Err("licence.base64-bits");
    }
    out.extend_from_slice(bytes);
    Ok(out)
}

/// Three bytes of at most four characters.
fn group(characters: &[u8]) -> u32 {
    PLACES.iter().zip(characters).fold(0, |sum, (place, character)| sum | place[usize::from(*character)])
}

/// The text of bytes.
pub fn encode(data: &[u8]) -> String {
    let mut out = String::with_capacity((data.len() * 4).div_ceil(3));
    for chunk in data.chunks(3) {
        let group = chunk.iter().fold(0u32, |sum, byte| sum << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            out.push(char::from(ALPHABET[(group >> (18 - 6 * place)) as usize & 63]));
        }
    }
    out
}

/// A `+` or `/` in the last place stands for bits that the right character has too: only the last character is wrong.
fn refusal(text: &[u8]) -> Refusal {
    let (before, last) = text.split_at(text.len() - 1);
    let known = before.iter().all(|character| ALPHABET.contains(character));
    if known && text.len() % 4 != 1 && matches!(last, b"+" | b"/") { "licence.base64-bits" } else { "licence.base64" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for length in 0..70u8 {
            let data: Vec<u8> = (0..length).map(|byte| byte.wrapping_mul(151)).collect();
            let text = encode(&data);
            assert_eq!(decode(text.as_bytes()), Ok(data));
        }
        // RFC 4648, section 10, and RFC 7515, appendix C.
        assert_eq!(encode(b"foobar"), "Zm9vYmFy");
        assert_eq!(encode(b"fooba"), "Zm9vYmE");
        assert_eq!(encode(b"foob"), "Zm9vYg");
        assert_eq!(encode(&[3, 236, 255, 224, 193]), "A-z_4ME");
    }

    #[test]
    fn a_second_encoding_is_refused() {
        for text in ["Zm9vYh", "Zm9vYmF", "Zm9+", "Zm9/", "A+"] {
            assert_eq!(decode(text.as_bytes()), Err("licence.base64-bits"), "{text}");
        }
        for text in ["A", "Zm9vY", "Zm9vYg==", "Zm 9", "Zm+v", "Zm9vY+Fy", "Z\u{e9}", "=", "Zm9v\n", "Zm9vA", "Zm9v+"] {
            assert_eq!(decode(text.as_bytes()), Err("licence.base64"), "{text}");
        }
    }
}
