// What the reader allows: at all hospitals, at one, or to one; and what became of a click, hospital by hospital.
import { byId, day, element, filled, moment, nameOf, texts } from "./patient-words.js";

const held = (hospitals) => hospitals.filter((one) => one.state === "answered" && one.known);
const button = (text, look, act, label) => {
  const made = element("button", look, text);
  made.type = "button";
  if (label) made.setAttribute("aria-label", label);
  made.addEventListener("click", act);
  return made;
};

// Asked before something is stopped: what follows from it.
const sure = (text) =>
  new Promise((resolve) => {
    const dialog = byId("sure");
    byId("sure-text").textContent = text;
    const end = (answer) => {
      dialog.close();
      resolve(answer);
    };
    byId("sure-yes").onclick = () => end(true);
    byId("sure-no").onclick = () => end(false);
    dialog.oncancel = () => resolve(false);
    dialog.showModal();
    byId("sure-no").focus();
  });

const standing = (hospitals) => {
  const known = held(hospitals);
  if (!known.length) return hospitals.some((one) => one.state === "answered") ? "nothing" : "away";
  const open = known.filter((one) => one.sharing.all).length;
  if (!open) return known.some((one) => one.sharing.named.some((rule) => rule.permit)) ? "some" : "none";
  return open === known.length && !known.some((one) => one.sharing.named.some((rule) => !rule.permit)) ? "all" : "some";
};

const untilOf = (rule) => (rule.until ? `（${filled(texts.until, { time: day(rule.until * 1000) })}）` : "");

const exceptions = (sharing) =>
  sharing.named
    .filter((rule) => rule.permit !== sharing.all)
    .map((rule) =>
      element("span", "but", filled(rule.permit ? texts.but_allowed : texts.but_forbidden, { name: nameOf(rule.asker) }) + untilOf(rule)),
    );

const atOne = (hospital, share) => {
  const name = element("span", "name", hospital.name);
  const row = (look, text, ...more) => element("li", "", element("span", "", name, element("span", `how ${look}`, ` ${text}`), ...more));
  if (hospital.state === "failed") return row("away", texts.at_away);
  if (hospital.state !== "answered") return row("", texts.at_off);
  if (!hospital.known) return row("", texts.at_nothing);
  const { sharing } = hospital;
  const made = row(sharing.all ? "shared" : "stopped", (sharing.all ? texts.at_shared : texts.at_stopped) + untilOf(sharing), ...exceptions(sharing));
  const label = filled(sharing.all ? texts.forbid_here_label : texts.allow_here_label, { name: hospital.name });
  const wish = { asker: "*", permit: !sharing.all, hospital: hospital.uscc };
  made.append(
    button(sharing.all ? texts.forbid_here : texts.allow_here, "plain", () => share(wish, filled(texts.sure_at, { name: hospital.name })), label),
  );
  return made;
};

const history = (hospitals) => {
  const said = held(hospitals).flatMap((hospital) => hospital.sharing.said.map((rule) => ({ hospital, rule })));
  said.sort((left, right) => right.rule.time - left.rule.time);
  byId("history").hidden = said.length === 0;
  byId("said-list").replaceChildren(
    ...said.map(({ hospital, rule }) => {
      const to = rule.asker === "*" ? texts.said_to_all : filled(texts.said_to, { name: nameOf(rule.asker) });
      const text = `${hospital.name}${document.body.dataset.language === "zh" ? "：" : ": "}${rule.permit ? texts.said_allow : texts.said_forbid} ${to}${untilOf(rule)}`;
      const via = texts[`via_${rule.via}`] || rule.via;
      return element("li", "", element("span", "", text), element("small", "", `${moment(rule.time * 1000)} · ${via}`));
    }),
  );
};

const askers = (hospitals) => {
  const select = byId("asker");
  const chosen = select.value;
  const options = hospitals.map((one) => {
    const made = element("option", "", one.name);
    made.value = one.uscc;
    return made;
  });
  const first = element("option", "", texts.one_choose);
  first.value = "";
  select.replaceChildren(first, ...options);
  select.value = chosen;
  if (select.selectedIndex < 0) select.value = "";
};

export const shownSharing = (hospitals, share) => {
  const state = standing(hospitals);
  byId("sharing").hidden = false;
  byId("state").className = `state ${state}`;
  byId("state").textContent = texts[`state_${state}`];
  const known = held(hospitals);
  const offered = [];
  if (known.some((one) => one.sharing.all)) {
    offered.push(button(texts.forbid_all, "plain", () => share({ asker: "*", permit: false }, texts.sure_all)));
  }
  if (known.some((one) => !one.sharing.all)) offered.push(button(texts.allow_all, "button", () => share({ asker: "*", permit: true })));
  byId("all").replaceChildren(...offered);
  byId("at").replaceChildren(...hospitals.map((one) => atOne(one, share)));
  byId("one").hidden = !known.length;
  askers(hospitals);
  history(hospitals);
};

export const listenToOne = (share) => {
  const select = byId("asker");
  const ready = () => {
    byId("forbid-one").disabled = byId("allow-one").disabled = select.value === "";
  };
  select.addEventListener("change", ready);
  byId("forbid-one").addEventListener("click", () => share({ asker: select.value, permit: false }, filled(texts.sure_one, { name: nameOf(select.value) })));
  byId("allow-one").addEventListener("click", () => share({ asker: select.value, permit: true }));
  return ready;
};

const became = (one, permit) => {
  if (one.outcome === "changed") return permit ? texts.did_allow : texts.did_forbid;
  return texts[`did_${one.outcome}`];
};

// What was done, and where not: nothing is called done without the hospital's own word and its record.
export const outcome = (done, wish, again) => {
  const missed = done.filter((one) => ["unsure", "off"].includes(one.outcome));
  const title = !missed.length ? "done" : missed.length === done.length ? "done_none" : "done_part";
  const list = done.map((one) => {
    const look = { changed: "", unchanged: "same", unknown: "same" }[one.outcome] ?? "unsure";
    const made = element("li", look, element("span", "", element("strong", "", one.name), ` ${became(one, wish.permit)}`));
    if (one.outcome === "changed") {
      const link = element("a", "", texts.proof);
      link.href = one.proof;
      const receipt = element("small", "", `${moment(one.time)} · ${filled(texts.receipt, { index: one.record })} · `, link);
      made.lastChild.append(receipt, element("small", "digest", `${texts.wish_commitment} ${one.commitment}`));
    }
    made.dataset.outcome = one.outcome;
    return made;
  });
  const look = { done: "", done_part: "part", done_none: "bad" }[title];
  const box = element("div", `outcome ${look}`, element("h3", "", texts[title]), element("ul", "", ...list));
  if (done.some((one) => one.outcome === "unsure")) box.append(button(texts.retry, "plain", again));
  byId("done").replaceChildren(box);
};

export const confirmed = (wish, text) => (wish.permit ? Promise.resolve(true) : sure(text));
