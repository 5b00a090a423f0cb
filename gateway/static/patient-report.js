// One report: what it is, and what happened to it, in the order in which it happened.
import { day, element, filled, joined, moment, nameOf, proofOf, purposeOf, rowsOf, texts, timeOf } from "./patient-words.js";

const MARKS = { received: "＋", opened: "◉", recognised: "✓", certified: "▤", retested: "↻", corrected: "✎", withdrawn: "✗", told: "→", owed: "…" };
const FEW = 6;

const items = (hospital, codes) => {
  const names = hospital.names[document.body.dataset.language] || {};
  return codes.split(" ").filter(Boolean).map((code) => names[code] || code);
};

const itemsOf = (hospital, event) => {
  const named = items(hospital, event.items);
  return named.length ? joined(named) : filled(texts.items_count, { n: event.count });
};

const reasonOf = (hospital, code) => {
  const known = hospital.reasons[document.body.dataset.language] || {};
  return known[code] || texts[`reason_${code}`] || code;
};

const sentence = (hospital, event) => {
  const kind = ["told", "owed"].includes(event.kind) ? `${event.kind}_${event.reason}` : event.kind;
  return filled(texts[`event_${kind}`] || kind, {
    hospital: hospital.name,
    by: nameOf(event.by),
    version: event.version,
    items: itemsOf(hospital, event),
  });
};

const notes = (hospital, event) => {
  const made = [];
  if (["opened", "certified"].includes(event.kind)) made.push(filled(texts.purpose, { purpose: purposeOf(event.purpose) }));
  if (event.kind === "recognised") made.push(texts.event_recognised_note);
  if (["retested", "withdrawn"].includes(event.kind)) made.push(filled(texts.why, { reason: reasonOf(hospital, event.reason) }));
  if (event.kind === "withdrawn") made.push(texts.event_withdrawn_note);
  if (event.by && event.purpose && !event.receipt) made.push(texts.half);
  if (event.notice) made.push(filled(texts[`notice_${event.notice}`], { time: moment(event.noticed) }));
  return made.map((text) => element("small", "", text));
};

const shownEvent = (hospital, event) => {
  const made = element("li", "", timeOf(event.time), element("p", "", sentence(hospital, event)), ...notes(hospital, event));
  made.dataset.kind = event.kind;
  made.dataset.mark = MARKS[event.kind] || "·";
  return made;
};

const evidence = (hospital, report) => {
  const rows = [];
  for (const event of report.events) {
    const proof = event.record >= 0 && proofOf(hospital.uscc, event.record);
    if (!proof) continue;
    const link = element("a", "", filled(texts.in_log, { name: hospital.name, index: event.record }));
    link.href = proof;
    const digest = event.receipt && element("span", "digest", `${texts.receipt_digest} ${event.receipt}`);
    rows.push([moment(event.time), element("span", "", link, digest && element("br", ""), digest)]);
  }
  rows.push([texts.report_id, element("span", "digest", report.id)]);
  return element("details", "", element("summary", "", texts.evidence), rowsOf(rows));
};

const badges = (report) => {
  const kinds = new Set(report.events.map((event) => event.kind));
  const made = [element("span", "badge", texts[report.category] || report.category)];
  const add = (look, name) => made.push(element("span", `badge ${look}`, texts[`badge_${name}`]));
  if (report.withdrawn) add("bad", "withdrawn");
  else if (report.version > 1) add("warn", "corrected");
  if (report.held) add("quiet", "held");
  if (kinds.has("recognised")) add("good", "recognised");
  if (kinds.has("retested")) add("warn", "retested");
  if (!kinds.has("opened") && !kinds.has("certified")) add("quiet", "unseen");
  else if (!kinds.has("recognised") && !kinds.has("retested")) add("", "opened");
  return made;
};

const titleOf = (named, report) => {
  if (!named.length) return texts.no_items;
  const rest = named.length - FEW;
  return joined(named.slice(0, FEW)) + (rest > 0 ? " …" : report.unmapped ? ` ${filled(texts.unmapped, { n: report.unmapped })}` : "");
};

const allItems = (named, report) => {
  if (named.length <= FEW) return "";
  const list = element("ul", "", ...named.map((name) => element("li", "", name)));
  const more = report.unmapped ? element("p", "note", filled(texts.unmapped, { n: report.unmapped })) : "";
  return element("details", "items", element("summary", "", filled(texts.all_items, { n: named.length })), list, more);
};

export const whenOf = (report) => (report.taken || report.issued) * 1000 || report.received;

export const card = ({ hospital, report }) => {
  const named = items(hospital, report.items);
  const when = [
    report.taken && filled(texts.taken, { time: day(report.taken * 1000) }),
    report.issued && filled(texts.issued, { time: day(report.issued * 1000) }),
  ].filter(Boolean);
  const head = element("header", "", element("h3", "", titleOf(named, report)), ...badges(report));
  const made = element(
    "li",
    report.withdrawn ? "report void" : "report",
    head,
    element("p", "where", [hospital.name, ...when].join(" · ")),
    allItems(named, report),
    report.earlier ? element("p", "note", filled(texts.earlier, { n: report.earlier })) : "",
    element("ol", "line-of-time", ...report.events.map((event) => shownEvent(hospital, event))),
    evidence(hospital, report),
  );
  made.dataset.report = report.id;
  made.tabIndex = -1;
  return made;
};

export const searched = ({ hospital, search }) => {
  const parts = [
    search.shown ? filled(texts.search_shown, { n: search.shown }) : texts.search_nothing,
    search.count > 1 ? filled(texts.search_times, { n: search.count }) : "",
    filled(texts.purpose, { purpose: purposeOf(search.purpose) }),
  ];
  return element(
    "li",
    "",
    timeOf(search.last),
    element("span", "", filled(texts.searched, { by: nameOf(search.by), hospital: hospital.name })),
    element("small", "", parts.filter(Boolean).join(" · ")),
  );
};
