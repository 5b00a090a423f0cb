"use strict";
// The page's own script: live refresh, ages, and the drop zone. No framework, no inline code (see the CSP).
(() => {
  const texts = JSON.parse(document.body.dataset.texts);
  const language = document.body.dataset.language;
  const byId = (id) => document.getElementById(id);
  const REFRESH_MS = 2000;
  const MAX_BUNDLE = 1 << 20;
  const LINKS = ["bundle", "record", "inclusion", "checkpoint", "anchor", "state", "finality", "policy"];

  const element = (tag, className, text) => {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  };

  // --- ages ----------------------------------------------------------------------------------------------------------
  const ago = (seconds) => {
    for (const [key, size] of [["ago_d", 86400], ["ago_h", 3600], ["ago_m", 60]]) {
      if (seconds >= 2 * size) return texts[key].replace("{n}", Math.floor(seconds / size));
    }
    return texts.ago_s.replace("{n}", Math.max(0, Math.floor(seconds)));
  };
  let ahead = 0; // the server's clock before ours, in milliseconds
  const tellAges = () => {
    const now = (Date.now() + ahead) / 1000;
    for (const time of document.querySelectorAll("time[data-age]")) {
      const said = ago(now - Number(time.dataset.age));
      if (time.textContent !== said) time.textContent = said;
    }
  };

  // --- live refresh --------------------------------------------------------------------------------------------------
  const figures = () => {
    const found = new Map();
    for (const item of document.querySelectorAll("[data-key]")) found.set(item.dataset.key, item.textContent);
    return found;
  };
  const pulse = (alive) => {
    byId("pulse").classList.toggle("stale", !alive);
    byId("pulse").textContent = alive ? texts.live : texts.stale;
  };
  const refresh = async () => {
    const answer = await fetch(`/live?lang=${language}`, { cache: "no-store" });
    if (!answer.ok) throw new Error(String(answer.status));
    const served = Date.parse(answer.headers.get("date"));
    if (served) ahead = served - Date.now();
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const before = figures();
    for (const part of fresh.querySelectorAll("[data-part]")) {
      const place = byId(`live-${part.dataset.part}`);
      place.replaceChildren(...part.childNodes);
    }
    tellAges();
    for (const item of document.querySelectorAll("[data-key]")) {
      const old = before.get(item.dataset.key);
      if (old !== undefined && old !== item.textContent) item.classList.add("changed");
    }
  };
  const loop = async () => {
    if (!document.hidden) {
      try {
        await refresh();
        pulse(true);
      } catch {
        pulse(false);
      }
    }
    setTimeout(loop, REFRESH_MS);
  };
  setInterval(tellAges, 1000);
  setTimeout(loop, REFRESH_MS);

  // --- the drop zone -------------------------------------------------------------------------------------------------
  const result = byId("result");
  const drop = byId("drop");
  const file = byId("file");

  const verdictBox = (kind, title, ...lines) => {
    const box = element("div", `verdict ${kind}`);
    box.append(element("h3", "", title), ...lines.filter(Boolean).map((line) => element("p", "", line)));
    return box;
  };
  const checkLine = (kind, name, detail) => {
    const line = element("li", kind);
    const body = element("div", "", texts[`check_${name}`] || name);
    if (detail) body.append(element("small", "", detail));
    line.dataset.check = name;
    line.append(body);
    return line;
  };
  const table = (rows) => {
    const list = element("dl", "subject");
    for (const [key, value] of rows) {
      const row = element("div");
      const digest = /^[0-9a-f]{64}$/.test(String(value)) ? "digest" : "";
      row.append(element("dt", "", texts[key] || key), element("dd", digest, String(value)));
      list.append(row);
    }
    return list;
  };
  const subject = (verdict) => {
    const rows = [
      ["subject_type", verdict.subject.record.type],
      ["subject_member", verdict.subject.record.member],
      ["subject_time", verdict.subject.record.time],
      ["subject_entry", `${verdict.log.origin} #${verdict.log.index} / ${verdict.log.size}`],
      ["subject_anchor", `${verdict.anchor.height} · ${verdict.anchor.time}`],
      ["subject_finality", `${verdict.finality} · ${texts[`finality_${verdict.finality}`] || ""}`],
    ];
    const body = verdict.subject.record.body;
    for (const field of ["counterpart", "purpose", "role", "bytes"]) {
      if (field in body) rows.push([`subject_${field}`, String(body[field])]);
    }
    const all = element("details");
    all.append(element("summary", "", texts.subject_fields), table(Object.entries(body)));
    return [element("h3", "subject-title", texts.subject), table(rows), all];
  };
  const showVerdict = (verdict, name) => {
    const good = verdict.verdict === "verified";
    const box = verdictBox(good ? "good" : "warn", texts[`verdict_${verdict.verdict}`], name, verdict.code);
    const list = element("ul", "checks");
    list.append(checkLine("ok", "bundle"));
    for (const check of verdict.checks) list.append(checkLine(check.ok ? "ok" : "broken", check.name, check.detail));
    result.replaceChildren(box, list, ...subject(verdict));
  };
  const showBroken = (error, name) => {
    const link = String(error.code || "").split(".")[0];
    // Only the bundle of a licence has that link.
    const links = link === "licence" ? [...LINKS, link] : LINKS;
    if (!links.includes(link) || error.code === "policy.format") {
      result.replaceChildren(verdictBox("warn", texts.verdict_unjudged, error.message, error.hint, error.code));
      return;
    }
    const box = verdictBox("bad", texts.verdict_broken, name, texts.verdict_stopped);
    const list = element("ul", "checks");
    for (const known of links) {
      if (known === link) {
        const detail = [error.message, error.hint, `${texts.error_code}: ${error.code}`].filter(Boolean).join(" — ");
        list.append(checkLine("broken", known, detail));
      } else {
        list.append(checkLine("skipped", known, texts.check_skipped));
      }
    }
    result.replaceChildren(box, list);
  };
  const verify = async (chosen) => {
    if (!chosen) return;
    if (chosen.size > MAX_BUNDLE) {
      result.replaceChildren(verdictBox("bad", texts.verdict_broken, texts.verify_too_large));
      return;
    }
    result.replaceChildren(element("p", "note", texts.verify_running.replace("{name}", chosen.name)));
    try {
      const answer = await fetch("/v1/verify", {
        method: "POST",
        headers: { "Content-Type": "application/civicledger-bundle+json" },
        body: chosen,
      });
      const value = await answer.json();
      if (answer.ok) showVerdict(value, chosen.name);
      else showBroken(value, chosen.name);
    } catch {
      result.replaceChildren(verdictBox("warn", texts.verdict_unjudged, texts.verify_failed_send));
    }
  };
  file.addEventListener("change", () => {
    verify(file.files[0]);
    file.value = "";
  });
  for (const kind of ["dragenter", "dragover"]) {
    drop.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
  }
  for (const kind of ["dragleave", "drop"]) drop.addEventListener(kind, () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    verify(event.dataTransfer.files[0]);
  });
  // A file dropped beside the zone must not replace the page.
  for (const kind of ["dragover", "drop"]) window.addEventListener(kind, (event) => event.preventDefault());
})();
