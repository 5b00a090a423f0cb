// The verdict as the reader sees it: a sign and words first, then every check, what was disclosed, and what it rests on.
const texts = JSON.parse(document.body.dataset.texts);
const language = document.body.dataset.language;
const UNSURE = ["status-unknown", "issue-time-unproven", "recipient-needed", "malformed"];
const SIGNS = { good: "✓", bad: "✗", warn: "!" };
const MARKS = { pass: "ok", fail: "broken", warn: "noted", skip: "skipped" };

export const element = (tag, className, ...content) => {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...content.filter((part) => part !== undefined && part !== null && part !== ""));
  return made;
};
const said = (words) => (typeof words === "string" ? words : (words && words[language]) || "");
export const filled = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);

const ago = (ms) => {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  for (const [key, size] of [["ago_d", 86400], ["ago_h", 3600], ["ago_m", 60]]) {
    if (seconds >= 2 * size) return filled(texts[key], { n: Math.floor(seconds / size) });
  }
  return filled(texts.ago_s, { n: seconds });
};

const kindOf = ({ accepted, code }) => (accepted ? "good" : UNSURE.includes(code) ? "warn" : "bad");

// `advice`: what to do; `lines`: what it is about, and why.
const box = (kind, title, advice, lines, code) => {
  const heading = element("h2", "", title);
  heading.tabIndex = -1;
  const sign = element("span", "sign", SIGNS[kind]);
  sign.setAttribute("aria-hidden", "true");
  const made = element("div", `panel verdict ${kind}`, sign, element("div", "", heading, element("p", "advice", advice)));
  for (const line of lines.filter(Boolean)) made.lastChild.append(element("p", "", line));
  if (code) made.dataset.code = code;
  return made;
};

const line = (kind, name, outcome, ...small) => {
  const mark = element("span", "outcome", texts[`outcome_${outcome}`]);
  const body = element("div", "", element("span", "check-name", name), mark);
  for (const text of small.filter(Boolean)) body.append(element("small", "", text));
  return element("li", kind, body);
};

const panel = (title, ...content) => element("section", "panel", element("h2", "", title), ...content);

const checksOf = (verdict) => {
  const list = element("ul", "checks");
  for (const check of verdict.checks) {
    const unclear = check.outcome === "fail" || check.outcome === "warn";
    const reason = said(check.text);
    const made = line(
      MARKS[check.outcome],
      said(check.label) || check.name,
      check.outcome,
      reason,
      unclear && said(check.todo) !== said(verdict.todo) ? said(check.todo) : "",
      unclear ? `${texts.code}: ${check.code}` : "",
    );
    made.dataset.check = check.name;
    made.dataset.outcome = check.outcome;
    list.append(made);
  }
  return panel(texts.checks, list);
};

export const plain = (value) => {
  if (value === "长期") return texts.long_term;
  if (value === true || value === false) return value ? texts.yes : texts.no;
  if (Array.isArray(value)) return value.map(plain).join("、");
  if (value && typeof value === "object") return Object.entries(value).map(([key, item]) => `${key}: ${plain(item)}`).join("; ");
  return String(value);
};

export const rowsOf = (rows) => {
  const list = element("dl", "subject");
  for (const [name, value] of rows) list.append(element("div", "", element("dt", "", name), element("dd", "", value)));
  return list;
};

// The licence and its holder first, then what it says, then who issued it and how it is numbered.
const FIRST = ["ZZMC", "CZZT", "CZZTDMLXDM", "CZZTDM", "ZZBH", "ZZYXQQSRQ", "ZZYXQJZRQ"];
const LAST = ["ZZBFJG", "ZZBFJGDM", "ZZBFRQ", "ZZLXDM", "ZZBS"];
export const rank = ({ name }) => (FIRST.includes(name) ? FIRST.indexOf(name) - 100 : 100 * LAST.includes(name) + LAST.indexOf(name));

const fieldsOf = (verdict) => {
  const rows = [...verdict.claims].sort((a, b) => rank(a) - rank(b)).map((claim) => [said(claim.label) || claim.name, plain(claim.value)]);
  const hidden = verdict.hidden ? element("p", "note", filled(texts.hidden, { n: verdict.hidden })) : "";
  return panel(texts.fields, rowsOf(rows), hidden);
};

const restsOn = (verdict) => {
  const rows = [];
  if (verdict.issuer) rows.push([texts.issuer, [said(verdict.issuer_name), verdict.issuer].filter(Boolean).join(" · ")]);
  if (verdict.type) rows.push([texts.type, [said(verdict.type_title), verdict.type].filter(Boolean).join(" · ")]);
  const { view, status } = verdict;
  if (view) rows.push([texts.chain, filled(texts.view_chain, { height: view.height, age: ago(view.age_ms) })]);
  if (status && status.version !== undefined && status.version !== null) {
    rows.push([texts.list, filled(texts.view_status, { version: status.version, age: ago(Date.now() - status.time) })]);
  }
  return rows.length ? panel(texts.view, rowsOf(rows)) : "";
};

const deviceLine = (item) => {
  const name = filled(texts[`device_${item.name}`], item);
  const why = item.outcome === "skip" ? filled(texts[`device_${item.name}_skip`], item) : "";
  const made = line(MARKS[item.outcome], name, item.outcome, why);
  made.dataset.device = item.name;
  made.dataset.outcome = item.outcome;
  return made;
};

const reveal = (glance) => {
  glance.querySelector("h2").focus({ preventScroll: true });
  const { top, bottom } = glance.getBoundingClientRect();
  if (top < 0 || bottom > innerHeight) glance.scrollIntoView({ block: "start" });
};

// Everything below is put into `place`, the result's section.
export const show = (place, verdict, recomputed) => {
  const kind = kindOf(verdict);
  const claims = verdict.claims || [];
  const about = ["ZZMC", "CZZT"].map((name) => claims.find((claim) => claim.name === name)?.value).filter(Boolean);
  const first = ["fail", "warn"].map((outcome) => verdict.checks.find((check) => check.outcome === outcome)).find(Boolean);
  const glance = box(kind, said(verdict.title), said(verdict.todo), [about.join(" · "), first && said(first.text)], verdict.code);
  const list = element("ul", "checks", line("skipped", texts.device_running, "skip"));
  const device = element("section", "panel device", element("h2", "", texts.device), element("p", "note", texts.device_note), list);
  device.setAttribute("aria-busy", "true");
  const parts = [glance, checksOf(verdict)];
  if (claims.length) parts.push(fieldsOf(verdict));
  place.replaceChildren(...parts, restsOn(verdict), device);
  reveal(glance);
  return recomputed.then((items) => {
    if (!items) list.replaceChildren(element("li", "skipped", element("div", "", texts.device_none)));
    else list.replaceChildren(...items.map(deviceLine));
    device.setAttribute("aria-busy", "false");
    // Only a licence that the gateway relies on can be contradicted: a forged one fails here as well.
    if (kind !== "bad" && items && items.some((item) => item.outcome === "fail")) {
      glance.replaceWith(box("bad", texts.device_differs, texts.device_differs_todo, [], "device-differs"));
    }
  });
};

const alone = (place, only) => {
  place.replaceChildren(only);
  reveal(only);
  return true;
};
// What is no verdict: why nothing was judged, and what to do.
export const tell = (place, kind, title, todo, ...lines) => alone(place, box(kind, title, todo, lines));
// What does not hold before there is a verdict.
export const refuse = (place, title, todo, lines, code) => alone(place, box("bad", title, todo, lines, code));

export const busy = (place, words) => {
  place.replaceChildren(element("div", "panel waiting", element("p", "line", words)));
};
