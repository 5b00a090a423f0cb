"use strict";
// The page's own script: live refresh, ages, theme. No framework, no inline code (see the CSP).
(() => {
  const texts = JSON.parse(document.body.dataset.texts);
  const language = document.body.dataset.language;
  const byId = (id) => document.getElementById(id);
  const REFRESH_MS = 2000;

  const root = document.documentElement;
  const remembered = localStorage.getItem("theme");
  if (remembered === "light" || remembered === "dark") root.dataset.theme = remembered;
  byId("theme").addEventListener("click", () => {
    const dark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    localStorage.setItem("theme", root.dataset.theme);
  });

  // Ages move between two refreshes, by the server's clock.
  const ago = (seconds) => {
    for (const [key, size] of [["ago_d", 86400], ["ago_h", 3600], ["ago_m", 60]]) {
      if (seconds >= 2 * size) return texts[key].replace("{n}", Math.floor(seconds / size));
    }
    return texts.ago_s.replace("{n}", Math.max(0, Math.floor(seconds)));
  };
  let ahead = 0;
  const tellAges = () => {
    const now = (Date.now() + ahead) / 1000;
    for (const time of document.querySelectorAll("time[data-age]")) {
      const said = ago(now - Number(time.dataset.age));
      if (time.textContent !== said) time.textContent = said;
    }
  };

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
    // Tables that are scrolled or focused keep their place.
    const places = [...document.querySelectorAll(".scroll")].map((box) => [box.scrollLeft, box === document.activeElement]);
    byId("live").replaceChildren(...fresh.body.childNodes);
    [...document.querySelectorAll(".scroll")].forEach((box, at) => {
      if (!places[at]) return;
      box.scrollLeft = places[at][0];
      if (places[at][1]) box.focus({ preventScroll: true });
    });
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
})();
