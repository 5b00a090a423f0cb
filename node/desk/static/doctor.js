// The doctor's view: asks the own hospital's node, shows what is offered and why, opens, and puts decisions on record.
import { Refused, asked, button, byId, element, filled, language, nonce, say, words } from "./desk.js";

// Runs `work` once at a time for its buttons; a refusal is said in `place`.
const during = async (place, buttons, text, work) => {
  for (const one of buttons) one.disabled = true;
  say(place, "soft", text);
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    say(place, "alert", words.failed, error.message);
  } finally {
    for (const one of buttons) one.disabled = false;
  }
};

const ageOf = (seconds, taken) => {
  if (!taken) return words.age_none;
  const hours = Math.max(0, Math.floor(seconds / 3600));
  return hours < 48 ? filled(words.age_h, { n: hours }) : filled(words.age_d, { n: Math.floor(hours / 24) });
};
const timeOf = (seconds) => new Date(seconds * 1000).toLocaleString(language === "zh" ? "zh-CN" : "en-GB", { dateStyle: "medium", timeStyle: "short" });

const fact = (name, value) => element("div", "", element("dt", "", name), element("dd", "", value));

// One item of a report: what is offered, then its value, then what was decided.
class Item {
  constructor(report, facts) {
    this.report = report;
    this.facts = facts;
    this.name = facts.name ? facts.name[language] : facts.item || words.no_value;
    this.value = element("dd", "value soft", report.facts.own ? "—" : words.hidden);
    this.range = element("dd", "", "—");
    this.actions = element("div", "actions");
    this.state = element("div", "said");
    this.state.setAttribute("role", "status");
    const why = facts.reasons.map((reason) => element("li", "", reason[language]));
    this.verdict = element("div", `verdict ${facts.recognisable ? "good" : "warn"}`, element("strong", "", facts.recognisable ? words.can : words.cannot));
    if (why.length) this.verdict.append(element("ul", "", ...why));
    const list = element(
      "dl",
      "",
      element("div", "", element("dt", "", words.value), this.value),
      element("div", "", element("dt", "", words.range), this.range),
      fact(words.label, facts.label || words.no_label),
    );
    const heading = element("div", "heading", element("h3", "", this.name), element("span", "soft", ageOf(facts.age, facts.taken)));
    this.node = element("li", "item", heading, list, this.verdict, this.actions, this.state);
    this.node.dataset.place = facts.place;
    this.node.dataset.recognisable = facts.recognisable;
  }

  // `differs`: the report says otherwise than was offered of it, which is what the rules judged.
  opened(value, differs) {
    const said = value || {};
    if (differs) {
      this.facts.recognisable = false;
      this.node.dataset.recognisable = false;
      this.verdict.className = "verdict warn";
      this.verdict.replaceChildren(element("strong", "", words.cannot), element("ul", "", element("li", "", words.differs)));
    }
    const shown = said.value ?? said.text ?? words.no_value;
    this.value.className = "value";
    this.value.textContent = [shown, said.value === undefined ? "" : said.unit].filter(Boolean).join(" ");
    this.range.textContent = said.low || said.high ? `${said.low ?? ""}–${said.high ?? ""}` : "—";
    const recognise = this.facts.recognisable
      ? button("act", words.recognise, `${words.recognise}: ${this.name}`, () => this.decide("recognise", ""))
      : null;
    const reasons = this.report.reasons.map((reason) =>
      button("reason", reason[language], "", () => this.decide("retest", reason.code)),
    );
    const summary = element("summary", "act", words.retest);
    summary.setAttribute("aria-label", `${words.retest}: ${this.name}`);
    this.actions.replaceChildren(...[recognise, element("details", "", summary, element("p", "soft", words.retest_why), ...reasons)].filter(Boolean));
  }

  decide(kind, reason) {
    const buttons = [...this.actions.querySelectorAll("button")];
    return during(this.state, buttons, words.deciding, async () => {
      this.decided(await this.report.decide(kind, [this.facts.place], reason));
    });
  }

  decided({ kind, reason }) {
    const why = this.report.reasons.find(({ code }) => code === reason);
    this.node.dataset.decided = kind;
    this.actions.replaceChildren();
    say(this.state, kind === "recognise" ? "good" : "warn", kind === "recognise" ? words.recognised : filled(words.retested, { reason: why ? why[language] : reason }));
    this.report.recount();
  }
}

class Report {
  constructor(facts, course, reasons) {
    this.facts = facts;
    this.course = course;
    this.reasons = reasons;
    this.step = "";
    this.nonce = nonce();
    this.nonces = new Map();
    this.items = facts.items.map((item) => new Item(this, item));
    this.bar = element("div", "actions");
    this.state = element("div", "said");
    this.state.setAttribute("role", "status");
    const heading = element("h2", "", `${facts.name} · ${words[facts.category]}`);
    const issued = facts.issued ? `${words.issued}: ${timeOf(facts.issued)}` : "";
    this.node = element("section", "panel report", heading, element("p", "soft", issued), this.bar, this.state);
    this.node.append(element("ul", "items", ...this.items.map((item) => item.node)));
    if (facts.concluded) this.node.append(element("p", "soft", words.concluded));
    if (facts.own) this.bar.append(element("p", "soft", words.own));
    else {
      const open = button("act strong", words.open, `${words.open}: ${facts.name}`, () => this.open(open));
      this.bar.append(open, element("p", "soft", words.open_note));
    }
  }

  open(pressed) {
    const { institution, report, version } = this.facts;
    return during(this.state, [pressed], words.opening, async () => {
      // The same nonce until it is open: a second press is the same step.
      const found = await asked("/open", { institution, report, version, course: this.course, nonce: this.nonce });
      this.step = found.step;
      this.state.replaceChildren();
      for (const item of this.items) item.opened(found.values[item.facts.place], found.differing.includes(item.facts.place));
      this.node.dataset.opened = "true";
      this.recount();
    });
  }

  // The same decision pressed again, after an answer that was lost, is the same step.
  decide(kind, places, reason) {
    const name = [kind, reason, ...places].join();
    if (!this.nonces.has(name)) this.nonces.set(name, nonce());
    return asked("/decide", { opening: this.step, kind, places, reason, nonce: this.nonces.get(name) });
  }

  recount() {
    const left = this.items.filter((item) => item.facts.recognisable && !item.node.dataset.decided);
    if (left.length < 2) return this.bar.replaceChildren();
    const all = button("act strong", filled(words.recognise_all, { n: left.length }), "", () =>
      during(this.state, [all], words.deciding, async () => {
        const done = await this.decide("recognise", left.map((item) => item.facts.place), "");
        this.state.replaceChildren();
        for (const item of left) if (done.places.includes(item.facts.place)) item.decided(done);
      }),
    );
    return this.bar.replaceChildren(all);
  }
}

byId("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  const [state, reports] = [byId("state"), byId("reports")];
  reports.replaceChildren();
  const course = byId("course").value;
  during(state, [byId("search")], words.searching, async () => {
    const found = await asked("/search", { identity: byId("identity").value, course });
    const shown = found.reports.map((facts) => new Report(facts, course, found.reasons));
    const names = found.absent.map(({ name, code }) => `${name} (${code})`).join(language === "zh" ? "、" : ", ");
    say(state, "soft", filled(words.asked, { n: found.asked, rules: found.rules, time: timeOf(found.judged) }));
    if (names) state.append(element("p", "alert", filled(words.absent, { names })));
    if (!shown.length) state.append(element("p", "strong", words.none), element("p", "soft", words.none_todo));
    reports.replaceChildren(...shown.map((report) => report.node));
    state.dataset.done = "true";
  });
});
