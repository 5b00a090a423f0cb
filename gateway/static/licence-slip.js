// The signature of a slip, computed again by the reader's own device: Base45 of a COSE_Sign1, deterministic CBOR.
// Source: RFC 9285; RFC 9052, 4.2 and 4.4; RFC 8949, 3.
const PREFIX = "EL1:";
const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";
const MAX_CHARACTERS = 600;

export const fromBase45 = (text) => {
  const bytes = [];
  for (let at = 0; at < text.length; at += 3) {
    const digits = [...text.slice(at, at + 3)].map((character) => DIGITS.indexOf(character));
    const value = digits.reduce((sum, digit, place) => sum + digit * 45 ** place, 0);
    if (digits.length === 1 || digits.includes(-1) || value >= (digits.length === 3 ? 65536 : 256)) throw new RangeError();
    if (digits.length === 3) bytes.push(value >> 8);
    bytes.push(value & 255);
  }
  return Uint8Array.from(bytes);
};

// A byte string at `at`: its content, itself with its head, and where it ends.
const byteString = (data, at) => {
  const small = data[at] & 31;
  const head = small < 24 ? 1 : small === 24 ? 2 : 3;
  if (data[at] >> 5 !== 2 || small > 25) throw new RangeError();
  const length = head === 1 ? small : head === 2 ? data[at + 1] : (data[at + 1] << 8) | data[at + 2];
  const end = at + head + length;
  if (end > data.length) throw new RangeError();
  return { content: data.slice(at + head, end), whole: data.slice(at, end), end };
};

// {alg, kid, message, signature} of a slip's text; null where the text is none.
// alg: -7 is ES256; kid: the first 8 bytes of the key's digest; message: what the signature is over.
export const openSlip = (text) => {
  if (!text.startsWith(PREFIX) || text.length > MAX_CHARACTERS) return null;
  try {
    const data = fromBase45(text.slice(PREFIX.length));
    if (data[0] !== 0xd2 || data[1] !== 0x84) return null;
    const header = byteString(data, 2);
    if (data[header.end] !== 0xa0) return null;
    const payload = byteString(data, header.end + 1);
    const signature = byteString(data, payload.end);
    if (signature.end !== data.length) return null;
    // {1: alg, 3: content type, 4: kid} in the one deterministic order: -7 is the byte 0x26.
    const [map, label, alg] = header.content;
    const named = map === 0xa3 && label === 1;
    const start = [0x84, 0x6a, ...new TextEncoder().encode("Signature1")];
    return {
      alg: named && alg === 0x26 ? -7 : 0,
      kid: header.content.slice(-8),
      message: Uint8Array.from([...start, ...header.whole, 0x40, ...payload.whole]),
      signature: signature.content,
    };
  } catch {
    return null;
  }
};
