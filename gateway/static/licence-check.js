// The reader's own device computes again what arithmetic can show of a licence: the issuer's signature, the digest of
// every disclosed field, the holder's signature. No library: WebCrypto. Source: RFC 9901, RFC 7515, RFC 7518.
import { unpacked } from "./licence-packed.js";
import { openSlip } from "./licence-slip.js";

const utf8 = new TextEncoder();
const MAX_DISCLOSURES = 1000;

const fromBase64 = (text) =>
  Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (character) => character.charCodeAt(0));
export const toBase64Url = (bytes) =>
  btoa(String.fromCharCode(...new Uint8Array(bytes)))
    .replace(/\+/g, "-")
    .replace(/\//g, "_")
    .replace(/=+$/, "");
export const json = (part) => JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(fromBase64(part)));
const sha256 = (bytes) => crypto.subtle.digest("SHA-256", bytes);
export const digestOf = async (text) => toBase64Url(await sha256(utf8.encode(text)));

// r || s over the bytes, by a P-256 key: `form` is "spki" (DER) or "jwk".
const signedBy = async (form, key, signature, message) => {
  const algorithm = { name: "ECDSA", namedCurve: "P-256" };
  const opened = await crypto.subtle.importKey(form, key, algorithm, false, ["verify"]);
  return crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, opened, signature, message);
};

const jwtSigned = async (jwt, form, key) => {
  const [header, payload, signature] = jwt.split(".");
  return signedBy(form, key, fromBase64(signature), utf8.encode(`${header}.${payload}`));
};

// Every digest that a value refers to: in `_sd` of an object, in `{"...": digest}` of an array, at any depth.
export const digestsIn = (value, found) => {
  if (Array.isArray(value)) {
    for (const item of value) {
      if (item && typeof item === "object" && typeof item["..."] === "string") found.add(item["..."]);
      else digestsIn(item, found);
    }
  } else if (value && typeof value === "object") {
    if (Array.isArray(value._sd)) for (const digest of value._sd) found.add(digest);
    for (const [name, item] of Object.entries(value)) if (name !== "_sd") digestsIn(item, found);
  }
};

// Whether each disclosure's digest is referred to by the signed content, or by another disclosure that is.
const allReferred = async (payload, disclosures) => {
  const referred = new Set();
  digestsIn(payload, referred);
  let open = await Promise.all(disclosures.map(async (text) => ({ text, digest: await digestOf(text) })));
  while (open.length) {
    const reached = open.filter(({ digest }) => referred.has(digest));
    if (!reached.length) return false;
    for (const { text } of reached) digestsIn(json(text).at(-1), referred);
    open = open.filter((item) => !reached.includes(item));
  }
  return true;
};

const holds = async (work) => {
  try {
    return (await work()) ? "pass" : "fail";
  } catch {
    return "fail";
  }
};

const rechecked = async (opened, key) => {
  if (opened.alg !== -7) return [{ name: "signature", outcome: "skip", alg: "COSE" }];
  if (!key || !key.spki) return [{ name: "key", outcome: "skip" }];
  const spki = fromBase64(key.spki);
  const start = new Uint8Array(await sha256(spki)).slice(0, opened.kid.length);
  return [
    { name: "key", outcome: await holds(() => opened.kid.every((byte, place) => byte === start[place])) },
    { name: "signature", outcome: await holds(() => signedBy("spki", spki, opened.signature, opened.message)) },
  ];
};

// `given`: an SD-JWT presentation, packed or not, or a slip; `key`: {kid, alg, spki} as the gateway's verdict names it, or nothing.
// Answers lines {name, outcome: "pass" | "fail" | "skip", n}; null where the text is neither.
export const recheck = async (given, key) => {
  const text = await unpacked(given);
  const slip = openSlip(text);
  if (slip) return rechecked(slip, key);
  const parts = text.split("~");
  if (parts.length < 2 || parts[0].split(".").length !== 3 || parts.length > MAX_DISCLOSURES) return null;
  const [jwt, ...rest] = parts;
  const binding = rest.pop();
  let header;
  let payload;
  try {
    [header, payload] = jwt.split(".").slice(0, 2).map(json);
  } catch {
    return null;
  }
  if (header.alg !== "ES256") return [{ name: "signature", outcome: "skip", alg: String(header.alg) }];
  const lines = [];
  if (key && key.spki) {
    const spki = fromBase64(key.spki);
    lines.push({ name: "key", outcome: await holds(async () => toBase64Url(await sha256(spki)) === header.kid) });
    lines.push({ name: "signature", outcome: await holds(() => jwtSigned(jwt, "spki", spki)) });
  } else {
    lines.push({ name: "key", outcome: "skip" });
  }
  if (rest.length) {
    lines.push({ name: "disclosures", n: rest.length, outcome: await holds(() => allReferred(payload, rest)) });
  }
  if (binding) {
    const outcome = await holds(async () => {
      const over = await digestOf(text.slice(0, text.length - binding.length));
      const { kty, crv, x, y } = payload.cnf.jwk;
      return json(binding.split(".")[1]).sd_hash === over && (await jwtSigned(binding, "jwk", { kty, crv, x, y }));
    });
    lines.push({ name: "holder", outcome });
  }
  return lines;
};
