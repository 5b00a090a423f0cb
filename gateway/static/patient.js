// The page "my results": sign in, what every hospital says, sharing, sign out. Nothing is kept on this device.
import { ask, session } from "./citizen-session.js";
import { card, searched, whenOf } from "./patient-report.js";
import { confirmed, listenToOne, outcome, shownSharing } from "./patient-sharing.js";
import { byId, element, filled, joined, learn, texts } from "./patient-words.js";

const AT_ONCE = 20;
let hospitals = [];
let shownReports = 0;
let working = false;

const say = (words) => {
  byId("said").textContent = words;
};

const forget = () => {
  hospitals = [];
  shownReports = 0;
  for (const id of ["sharing", "results", "searches"]) byId(id).hidden = true;
  for (const id of ["reports", "searches-list", "absent", "done", "at", "said-list", "all", "more-row", "state", "count"]) byId(id).replaceChildren();
};

const entries = () => {
  const found = hospitals.flatMap((hospital) => (hospital.reports || []).map((report) => ({ hospital, report })));
  return found.sort((left, right) => whenOf(right.report) - whenOf(left.report) || left.report.id.localeCompare(right.report.id));
};

const absent = () => {
  const away = hospitals.filter((one) => one.state === "failed").map((one) => one.name);
  const off = hospitals.filter((one) => one.state === "off").map((one) => one.name);
  const parts = [];
  if (away.length) {
    const again = element("button", "plain", texts.retry);
    again.type = "button";
    again.addEventListener("click", () => read());
    const box = element("div", "alert", `${texts.away} `, element("strong", "", joined(away)), again);
    box.setAttribute("role", "alert");
    parts.push(box);
  }
  if (off.length) parts.push(element("p", "note", `${texts.off} ${joined(off)}`));
  byId("absent").replaceChildren(...parts);
};

// A hospital with more reports than one answer holds: what lies before them is asked for by hand.
const older = async (hospital) => {
  say(texts.asking);
  try {
    const query = new URLSearchParams({ hospital: hospital.uscc, after: hospital.next });
    const [more] = (await ask(`/citizen/results?${query}`)).hospitals;
    if (more.state !== "answered") throw Object.assign(new Error(hospital.name), { code: more.code });
    hospital.reports.push(...more.reports);
    hospital.next = more.next;
    for (const name of ["names", "reasons"]) {
      for (const [language, known] of Object.entries(more[name])) hospital[name][language] = { ...hospital[name][language], ...known };
    }
    say("");
    list(shownReports);
  } catch (error) {
    failed(error);
  }
};

const moreRow = (all) => {
  const row = [];
  const button = (text, act) => {
    const made = element("button", "plain", text);
    made.type = "button";
    made.addEventListener("click", act);
    row.push(made, " ");
  };
  if (all.length > shownReports) button(texts.more, () => list(shownReports + AT_ONCE, true));
  else for (const hospital of hospitals.filter((one) => one.next)) button(filled(texts.more_from, hospital), () => older(hospital));
  byId("more-row").replaceChildren(...row);
};

const list = (upTo, moved = false) => {
  const all = entries();
  const before = shownReports;
  shownReports = Math.min(upTo, all.length);
  byId("reports").replaceChildren(...all.slice(0, shownReports).map(card));
  const holders = new Set(all.map((one) => one.hospital.uscc)).size;
  const more = hospitals.some((one) => one.next) ? "+" : "";
  byId("count").textContent = all.length === 1 ? texts.count_one : all.length ? filled(texts.count, { n: all.length + more, h: holders }) : "";
  moreRow(all);
  // The button may be gone: the keyboard goes on at what is new.
  if (moved && byId("reports").children[before]) byId("reports").children[before].focus();
};

const nothing = () => {
  const answered = hospitals.filter((one) => one.state === "answered");
  if (!answered.length) return;
  const unknown = answered.every((one) => !one.known);
  const made = [element("p", "", unknown ? texts.none : texts.no_results_yet)];
  if (unknown) made.push(element("p", "note", texts.none_note));
  byId("reports").replaceChildren(element("li", "report", ...made));
};

const searches = () => {
  const found = hospitals.flatMap((hospital) => (hospital.searches || []).map((search) => ({ hospital, search })));
  found.sort((left, right) => right.search.last - left.search.last);
  byId("searches").hidden = !hospitals.some((one) => one.known);
  byId("searches-list").replaceChildren(...(found.length ? found.map(searched) : [element("li", "", texts.searches_none)]));
};

const show = () => {
  absent();
  shownSharing(hospitals, share);
  ready();
  byId("results").hidden = !hospitals.some((one) => one.state === "answered");
  list(Math.max(AT_ONCE, shownReports));
  if (!entries().length) nothing();
  searches();
};

const read = async () => {
  say(texts.asking);
  try {
    const page = await ask("/citizen/results");
    learn(page.members);
    hospitals = page.hospitals;
    say("");
    show();
  } catch (error) {
    failed(error);
  }
};

const share = async (wish, text) => {
  if (await confirmed(wish, text)) await send(wish);
};

const send = async (wish) => {
  if (working) return;
  working = true;
  say(texts.working);
  try {
    const body = JSON.stringify(wish);
    const headers = { "Content-Type": "application/json" };
    const { done } = await ask("/citizen/sharing", { method: "POST", headers, body });
    // What a hospital says now stands; of one that did not answer what it said before.
    for (const one of done) {
      const hospital = hospitals.find((known) => known.uscc === one.uscc);
      if (hospital && hospital.state === "answered" && one.sharing) hospital.sharing = one.sharing;
      if (hospital && one.outcome === "unknown") hospital.known = false;
    }
    say("");
    show();
    outcome(done, wish, () => send(wish));
    byId("state").focus();
  } catch (error) {
    failed(error);
  } finally {
    working = false;
  }
};

const ready = listenToOne(share);

const { begin, failed } = session({ texts, say, read, forget, title: byId("title") });
begin();
