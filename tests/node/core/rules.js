// What axe asks of any page: names, languages, one first heading, ids once, regions that the keyboard reaches.
() => {
  const faults = [];
  if (!document.documentElement.lang) faults.push("html-has-lang");
  if (!document.title) faults.push("document-title");
  if (document.querySelectorAll("h1").length !== 1) faults.push("page-has-heading-one");
  if (document.querySelectorAll("main").length !== 1) faults.push("landmark-one-main");
  const ids = [...document.querySelectorAll("[id]")].map((node) => node.id);
  if (new Set(ids).size !== ids.length) faults.push("duplicate-id");
  for (const node of document.querySelectorAll("img:not([alt])")) faults.push(`image-alt ${node.src}`);
  for (const node of document.querySelectorAll("button, a")) {
    if (!(node.getAttribute("aria-label") || node.textContent).trim()) faults.push(`name ${node.outerHTML}`);
  }
  for (const node of document.querySelectorAll("[aria-labelledby]")) {
    if (!document.getElementById(node.getAttribute("aria-labelledby"))) faults.push("aria-labelledby");
  }
  for (const node of document.querySelectorAll("[role=img]")) if (!node.getAttribute("aria-label")) faults.push("role-img-alt");
  for (const node of document.querySelectorAll(".scroll")) if (node.tabIndex !== 0) faults.push("scrollable-region-focusable");
  for (const node of document.querySelectorAll("table")) if (!node.querySelector("th[scope]")) faults.push("th-has-data-cells");
  const levels = [...document.querySelectorAll("h1, h2, h3")].map((node) => Number(node.tagName[1]));
  levels.forEach((level, at) => { if (at && level > levels[at - 1] + 1) faults.push(`heading-order ${level}`); });
  return faults;
}
