// Figures of mutual recognition: charts by hospital, item, specialty and reason, what was saved, and a CSV of it all.
import { Refused, asked, byId, element, language, say, words } from "./desk.js";

const DAY_S = 86_400;
const COUNTS = ["offered", "opened", "recognised", "retested", "unrecognised"];
const yuan = (cents) => (cents / 100).toLocaleString(language === "zh" ? "zh-CN" : "en-GB", { minimumFractionDigits: 2 });
const nameOf = (row) => row[language] || row.key;

// A bar for the eye; the figures beside it say the same.
const bar = (row, most) => {
  const whole = element("div", "bar-whole");
  whole.setAttribute("aria-hidden", "true");
  for (const [name, count] of [["recognised", row.recognised], ["unrecognised", row.unrecognised]]) {
    const part = element("span", name);
    part.style.width = `${(100 * count) / Math.max(1, most)}%`;
    whole.append(part);
  }
  return whole;
};

const cell = (word, text) => {
  const made = element("td", "", text);
  made.dataset.word = word;
  return made;
};
const heads = (names) => {
  const row = element("tr", "", ...names.map((name) => element("th", "", name)));
  for (const head of row.children) head.scope = "col";
  return element("thead", "", row);
};
const rowHead = (...content) => {
  const head = element("th", "", ...content);
  head.scope = "row";
  return head;
};

const panel = (title, table) => {
  const box = element("div", "scroll", table);
  box.tabIndex = 0;
  box.setAttribute("role", "region");
  box.setAttribute("aria-label", title);
  return element("section", "panel chart", element("h2", "", title), box);
};

const chart = (title, rows) => {
  const most = Math.max(...rows.map((row) => row.recognised + row.unrecognised));
  const ordered = [...rows].sort((a, b) => b.opened - a.opened || b.offered - a.offered);
  const lines = ordered.map((row) =>
    element(
      "tr",
      "",
      rowHead(nameOf(row), bar(row, most)),
      ...COUNTS.map((name) => cell(words[`count_${name}`], String(row[name]))),
      cell(words.saved, yuan(row.saved)),
    ),
  );
  const table = element("table", "", heads([words.what, ...COUNTS.map((name) => words[`count_${name}`]), words.saved]), element("tbody", "", ...lines));
  return panel(title, table);
};

const reasonsChart = (rows) => {
  const most = Math.max(...rows.map((row) => row.retested));
  const lines = [...rows]
    .sort((a, b) => b.retested - a.retested)
    .map((row) =>
      element("tr", "", rowHead(nameOf(row), bar({ recognised: 0, unrecognised: row.retested }, most)), cell(words.count_retested, String(row.retested))),
    );
  return panel(words.by_reason, element("table", "", heads([words.reason, words.count_retested]), element("tbody", "", ...lines)));
};

// A spreadsheet takes a text that begins so for a formula.
const plain = (text) => `"${(/^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/.test(text) ? "'" : "") + String(text).replaceAll('"', '""')}"`;
const csvOf = (found) => {
  const lines = [["by", "key", "name", "reason", ...COUNTS, "saved_cents"].join(",")];
  for (const by of ["total", "provider", "asker", "item", "specialty"]) {
    for (const row of found[by]) lines.push([by, plain(row.key), plain(nameOf(row)), "", ...COUNTS.map((name) => row[name]), row.saved].join(","));
  }
  for (const row of found.reason) lines.push(["total", "", plain(nameOf(row)), plain(row.code), "", "", "", row.retested, "", ""].join(","));
  return `\ufeff${lines.join("\r\n")}\r\n`;
};

let address = "";
const show = (found) => {
  const [total] = found.total;
  const facts = [...COUNTS.map((name) => [words[`count_${name}`], String(total[name]), name]), [words.saved, yuan(total.saved), "saved"]];
  byId("totals").replaceChildren(
    ...facts.map(([name, value, kind]) => element("div", `panel total ${kind}`, element("dt", "", name), element("dd", "", value))),
  );
  const charts = ["provider", "asker", "item", "specialty"].filter((by) => found[by].length).map((by) => chart(words[`by_${by}`], found[by]));
  if (found.reason.length) charts.push(reasonsChart(found.reason));
  byId("charts").replaceChildren(...charts);
  if (!total.offered && !total.opened) say(byId("state"), "soft", words.nothing);
  else byId("state").replaceChildren();
  if (address) URL.revokeObjectURL(address);
  address = URL.createObjectURL(new Blob([csvOf(found)], { type: "text/csv" }));
  byId("csv").href = address;
  byId("csv").hidden = false;
};

const ask = async () => {
  const days = Number(byId("since").value);
  try {
    show(await asked("/statistics", { since: days ? Math.floor(Date.now() / 1000) - days * DAY_S : 0 }));
    byId("state").dataset.done = days;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    say(byId("state"), "alert", words.failed, error.message);
  }
};

byId("since").addEventListener("change", ask);
ask();
