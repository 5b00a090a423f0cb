// What a holder makes of a licence on the own device: the chosen disclosures, and the holder's signature over them.
// Source: RFC 9901, 4.3 (key binding), 7.2 (presenting).
import { digestOf, digestsIn, json, toBase64Url } from "./licence-check.js";

const utf8 = new TextEncoder();

// The licence in a wallet file: {licence, jwt, payload, fields, key}. Each field: {name, value, parts}, where parts are
// the disclosures that showing it takes. Throws where the text is no wallet file.
export const openWallet = async (text) => {
  const file = JSON.parse(text);
  if (file.v !== 1 || typeof file.licence !== "string" || !file.licence.endsWith("~")) throw new TypeError();
  const [jwt, ...disclosures] = file.licence.slice(0, -1).split("~");
  const payload = json(jwt.split(".")[1]);
  const known = new Map();
  for (const part of disclosures) known.set(await digestOf(part), part);
  const within = (part, found = []) => {
    const digests = new Set();
    digestsIn(json(part).at(-1), digests);
    found.push(part);
    for (const digest of digests) if (known.has(digest)) within(known.get(digest), found);
    return found;
  };
  const fields = (payload._sd || [])
    .filter((digest) => known.has(digest))
    .map((digest) => within(known.get(digest)))
    .map((parts) => ({ name: json(parts[0])[1], value: json(parts[0])[2], parts }));
  return { jwt, payload, fields, key: file.holder_key ? await holderKey(file.holder_key, payload) : null };
};

// The holder's key, usable but not readable any more. Throws RangeError where it is not the one of the licence.
const holderKey = async (pem, payload) => {
  const algorithm = { name: "ECDSA", namedCurve: "P-256" };
  try {
    const der = Uint8Array.from(atob(pem.replace(/-----[^-]+-----|\s/g, "")), (character) => character.charCodeAt(0));
    const readable = await crypto.subtle.importKey("pkcs8", der, algorithm, true, ["sign"]);
    const { x, y } = await crypto.subtle.exportKey("jwk", readable);
    const bound = payload.cnf?.jwk;
    if (bound?.x === x && bound?.y === y) return await crypto.subtle.importKey("pkcs8", der, algorithm, false, ["sign"]);
  } catch {
    // No key of this curve: not the licence's either.
  }
  throw new RangeError();
};

const part = (value) => toBase64Url(utf8.encode(JSON.stringify(value)));

// The chosen fields with what the holder says of them, signed by the holder's key where the wallet has one.
const shownWith = async (wallet, chosen, said) => {
  const parts = wallet.fields.filter((field) => chosen.includes(field.name)).flatMap((field) => field.parts);
  const shown = [wallet.jwt, ...new Set(parts), ""].join("~");
  if (!wallet.key) return shown;
  const claims = {
    ...said,
    iat: Math.floor(Date.now() / 1000),
    nonce: toBase64Url(crypto.getRandomValues(new Uint8Array(16))),
    sd_hash: await digestOf(shown),
  };
  const signed = `${part({ alg: "ES256", typ: "kb+jwt" })}.${part(claims)}`;
  const signature = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, wallet.key, utf8.encode(signed));
  return `${shown}${signed}.${toBase64Url(signature)}`;
};

// A presentation of the chosen fields for `audience`.
export const present = (wallet, chosen, audience) => shownWith(wallet, chosen, { aud: audience });

// A copy of the chosen fields for one body (USCC), one matter, until `expires` (Unix seconds).
export const makeCopy = (wallet, chosen, { recipient, matter, expires }) =>
  shownWith(wallet, chosen, { aud: `urn:cn:uscc:${recipient}`, copy: { matter }, exp: expires });
