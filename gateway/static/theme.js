"use strict";
// Light or dark: the reader's choice, else the system's. Loaded before anything is shown, so that nothing flashes.
(() => {
  const root = document.documentElement;
  const remembered = localStorage.getItem("theme");
  if (remembered === "light" || remembered === "dark") root.dataset.theme = remembered;
  document.addEventListener("DOMContentLoaded", () => {
    document.getElementById("theme").addEventListener("click", () => {
      const dark = root.dataset.theme
        ? root.dataset.theme === "dark"
        : matchMedia("(prefers-color-scheme: dark)").matches;
      root.dataset.theme = dark ? "light" : "dark";
      localStorage.setItem("theme", root.dataset.theme);
    });
  });
})();
