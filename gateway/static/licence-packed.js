// A whole presentation in the QR code of a page: Base45 of a ZLIB stream of its parts as bytes (docs/formats.md).
import { fromBase45 } from "./licence-slip.js";

const PREFIX = "EP1:";
const MAX_CHARACTERS = 3391;
const MAX_BYTES = 1 << 16;

const inflated = async (bytes) => {
  const reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate")).getReader();
  const found = [];
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return Uint8Array.from(found);
    if (found.length + value.length > MAX_BYTES) {
      await reader.cancel();
      throw new RangeError();
    }
    for (const byte of value) found.push(byte);
  }
};

const toBase64Url = (bytes) =>
  btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""))
    .replace(/\+/g, "-")
    .replace(/\//g, "_")
    .replace(/=+$/, "");

// The presentation that a text stands for: unpacked where it is packed, else as it is. A broken one stays as it is too:
// it is nothing that can be checked here.
export const unpacked = async (text) => {
  if (!text.startsWith(PREFIX) || text.length > MAX_CHARACTERS) return text;
  try {
    const data = await inflated(fromBase45(text.slice(PREFIX.length)));
    const numberAt = (at) => (data[at] << 8) | data[at + 1];
    const count = numberAt(0);
    const parts = [];
    let at = 2;
    while (at < data.length) {
      const end = at + 2 + numberAt(at);
      if (!(end <= data.length)) return text;
      parts.push(toBase64Url(data.slice(at + 2, end)));
      at = end;
    }
    const bound = parts.slice(3 + count);
    if (parts.length < 3 + count || (bound.length !== 0 && bound.length !== 3)) return text;
    return [parts.slice(0, 3).join("."), ...parts.slice(3, 3 + count), bound.join(".")].join("~");
  } catch {
    return text;
  }
};
