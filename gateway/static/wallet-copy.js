// A copy for one body and one matter: signed on this device, checked, and drawn as a PDF by the gateway.
import { busy, element, filled, rowsOf, tell } from "./licence-show.js";
import { makeCopy } from "./wallet-make.js";

const texts = JSON.parse(document.body.dataset.texts);
const language = document.body.dataset.language;
const byId = (id) => document.getElementById(id);
const result = byId("result");

// Digits and capitals of a unified social credit code, each with its value; the last makes the sum a multiple of 31.
const DIGITS = "0123456789ABCDEFGHJKLMNPQRTUWXY";
const USCC = /^[0-9A-HJ-NPQRTUWXY]{18}$/;
const weighed = (code) => {
  let sum = DIGITS.indexOf(code[17]);
  for (let place = 0, weight = 1; place < 17; place += 1, weight = (weight * 3) % 31) sum += DIGITS.indexOf(code[place]) * weight;
  return sum % 31;
};
export const isUscc = (code) => USCC.test(code) && weighed(code) === 0;

// A day in China as YYYY-MM-DD, so many days from now, and its last second.
const dayFromNow = (days) => new Date(Date.now() + (days * 24 + 8) * 3_600_000).toISOString().slice(0, 10);
const lastSecond = (day) => Date.parse(`${day}T23:59:59+08:00`) / 1000;
const MOST_DAYS = 365;

const isLine = (text) => text.length > 0 && [...text].length <= 60 && !/\p{C}/u.test(text);
const lineIn = (id) => byId(id).value.normalize("NFC").trim();

export const freshDays = () => {
  const until = byId("until");
  [until.min, until.max, until.value] = [dayFromNow(0), dayFromNow(MOST_DAYS), dayFromNow(7)];
};

// What was asked for; null, with the reason told, where a field is wrong.
const asked = () => {
  const terms = { recipient: lineIn("copy-to").toUpperCase(), name: lineIn("copy-name"), matter: lineIn("matter"), day: byId("until").value };
  const wrong = {
    "copy-to": !isUscc(terms.recipient) && [texts.to_bad, texts.to_bad_todo],
    "copy-name": !isLine(terms.name) && [texts.name_bad, texts.line_todo],
    matter: !isLine(terms.matter) && [texts.matter_bad, texts.line_todo],
    until: !(terms.day >= dayFromNow(0) && terms.day <= dayFromNow(MOST_DAYS)) && [texts.until_bad, texts.until_todo],
  };
  for (const id of Object.keys(wrong)) byId(id).removeAttribute("aria-invalid");
  const first = Object.keys(wrong).find((id) => wrong[id]);
  if (!first) return terms;
  byId(first).setAttribute("aria-invalid", "true");
  tell(result, "warn", ...wrong[first]);
  return null;
};

const posted = (path, value) =>
  fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, cache: "no-store", body: JSON.stringify(value) });

const refused = ({ message, hint, code }) => tell(result, "warn", texts.copy_unmade, hint, message, `${texts.code}: ${code}`);

let address = "";
// The PDF lives in this page alone, until something else is shown.
export const dropPage = () => {
  if (address) URL.revokeObjectURL(address);
  address = "";
};

const offer = (copy, terms, page) => {
  dropPage();
  address = URL.createObjectURL(page);
  const heading = element("h2", "", texts.copy_made);
  heading.tabIndex = -1;
  const save = element("a", "plain strong save", texts.copy_save);
  save.href = address;
  save.download = filled(texts.copy_file, { to: terms.recipient, day: terms.day });
  const text = element("textarea");
  text.readOnly = true;
  text.rows = 4;
  text.value = copy;
  text.setAttribute("aria-label", texts.copy_text);
  const rows = rowsOf([
    [texts.copy_name, terms.name],
    [texts.copy_to, terms.recipient],
    [texts.matter, terms.matter],
    [texts.until, terms.day],
  ]);
  const more = element("details", "", element("summary", "", texts.copy_text), text);
  result.replaceChildren(element("div", "panel made", heading, rows, save, element("p", "note", texts.copy_made_note), more));
  heading.focus({ preventScroll: true });
  result.firstChild.scrollIntoView({ block: "nearest" });
};

// `current()` still answers the wallet that the copy was begun with: else it was closed meanwhile.
export const copyFrom = async (wallet, chosen, current) => {
  const terms = asked();
  if (!terms) return;
  busy(result, texts.copy_making);
  try {
    const copy = await makeCopy(wallet, chosen, { ...terms, expires: lastSecond(terms.day) });
    const judged = await posted("/v1/licence/verify", { licence: copy, recipient: terms.recipient });
    const verdict = await judged.json();
    if (current() !== wallet) return;
    if (!judged.ok) return refused(verdict);
    if (!verdict.accepted) {
      tell(result, "bad", texts.copy_refused, verdict.title[language], verdict.todo[language], `${texts.code}: ${verdict.code}`);
      return;
    }
    const drawn = await posted("/v1/licence/copy", { licence: copy, recipient_name: terms.name });
    const page = drawn.ok ? await drawn.blob() : await drawn.json();
    if (current() !== wallet) return;
    if (drawn.ok) offer(copy, terms, page);
    else refused(page);
  } catch {
    if (current() === wallet) tell(result, "warn", texts.copy_unmade, texts.unsent_todo);
  }
};
