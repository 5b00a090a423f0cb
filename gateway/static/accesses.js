// The section "who fetched it": sign in, what every department's log says, sign out. Nothing is kept on this device.
import { ask, session } from "./citizen-session.js";
import { element, filled, rowsOf } from "./licence-show.js";

const byId = (id) => document.getElementById(id);
const texts = JSON.parse(byId("accesses").dataset.texts);
const language = document.body.dataset.language;
const locale = language === "zh" ? "zh-CN" : "en-GB";
const list = byId("accesses-list");
const older = byId("accesses-older");
let next = 0;

const moment = (ms) => new Date(ms).toLocaleString(locale, { dateStyle: "medium", timeStyle: "medium" });
const say = (words) => {
  byId("accesses-said").textContent = words;
};

const whatOf = (entry) => entry.title[language] || entry.datasetName || entry.system;

const rows = (entry) => {
  const time = element("time", "", moment(entry.time));
  time.dateTime = new Date(entry.time).toISOString();
  const made = [[texts.time, time]];
  if (entry.from) made.push([texts.from, entry.from.name]);
  if (entry.fields.length) made.push([texts.fields, entry.fields.map((field) => field.title).join(language === "zh" ? "、" : ", ")]);
  if (entry.matter) made.push([texts.matter, entry.matter]);
  if (entry.purpose) made.push([texts.purpose, entry.purpose]);
  return made;
};

const evidence = (entry) => {
  const made = [];
  if (entry.exchange) made.push([texts.exchange, element("span", "digest", entry.exchange)]);
  if (entry.receipt) made.push([texts.receipt, element("span", "digest", entry.receipt)]);
  const proofs = entry.records.map((record) => {
    const link = element("a", "", filled(texts.proof, record));
    link.href = record.proof;
    return element("li", "", link);
  });
  return [made.length ? rowsOf(made) : "", element("ul", "proofs", ...proofs)];
};

const shown = (entry) => {
  const title = element("h3", "", element("span", "by", entry.by.name), ` ${texts[entry.kind]}`);
  const what = whatOf(entry);
  const made = element("li", "use", title, what && element("p", "what", what), rowsOf(rows(entry)));
  if (entry.exchange && !entry.complete) made.append(element("p", "alert", texts.incomplete));
  made.append(element("details", "", element("summary", "", texts.evidence), ...evidence(entry)));
  made.dataset.key = entry.key;
  return made;
};

const members = (found) => {
  const failed = found.filter((member) => member.state === "failed").map((member) => member.name);
  const off = found.filter((member) => member.state === "off").map((member) => member.name);
  const parts = [];
  if (failed.length) parts.push(element("p", "alert", `${texts.away} ${failed.join("；")}`));
  if (off.length) parts.push(element("p", "note", `${texts.off} ${off.join("；")}`));
  byId("accesses-members").replaceChildren(...parts);
};

const forget = () => {
  next = 0;
  list.replaceChildren();
  byId("accesses-members").replaceChildren();
  older.hidden = true;
};

const read = async () => {
  older.hidden = true;
  say(texts.asking);
  try {
    const page = await ask(`/citizen/accesses?before=${next}`);
    const known = new Set([...list.children].map((item) => item.dataset.key));
    const fresh = page.entries.filter((entry) => !known.has(entry.key)).map(shown);
    list.append(...fresh);
    members(page.members);
    next = page.next;
    older.hidden = next === 0;
    say(list.children.length ? "" : texts.none);
    return fresh;
  } catch (error) {
    failed(error);
    return [];
  }
};

older.addEventListener("click", async () => {
  const [first] = await read();
  // The button may be gone: the keyboard goes on at what is new.
  if (first) first.querySelector("summary").focus();
});

const { begin, failed } = session({ texts, say, read, forget, title: byId("accesses-title") });
begin();
