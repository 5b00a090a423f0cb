// What both pages of the desk have: the secret of the address, asking this machine's service, words, light or dark.
export const words = JSON.parse(document.body.dataset.words);
export const language = document.body.dataset.language;
export const byId = (id) => document.getElementById(id);
export const filled = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);

export const element = (tag, className, ...content) => {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...content.filter((part) => part !== undefined && part !== null && part !== ""));
  return made;
};
export const button = (className, text, label, pressed) => {
  const made = element("button", className, text);
  made.type = "button";
  if (label) made.setAttribute("aria-label", label);
  made.addEventListener("click", pressed);
  return made;
};

// The secret of the address: taken out of it, kept for this tab.
if (location.hash.length > 1) {
  sessionStorage.setItem("key", location.hash.slice(1));
  history.replaceState(null, "", location.pathname + location.search);
}

export class Refused extends Error {}

export const asked = async (path, value) => {
  const headers = { "Content-Type": "application/json", "civicledger-desk": sessionStorage.getItem("key") || "" };
  let answer;
  try {
    answer = await fetch(path, { method: "POST", cache: "no-store", headers, body: JSON.stringify(value) });
  } catch {
    throw new Refused(words.away);
  }
  const found = await answer.json();
  if (!answer.ok) throw new Refused(`${found.message}. ${found.hint || ""} (${words.code}: ${found.code})`);
  return found;
};
export const nonce = () => [...crypto.getRandomValues(new Uint8Array(32))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

export const say = (place, kind, ...lines) => place.replaceChildren(...lines.filter(Boolean).map((line) => element("p", kind, line)));

// --- light or dark ---------------------------------------------------------------------------------------------------
const theme = (name) => {
  document.documentElement.dataset.theme = name;
};
if (localStorage.getItem("theme")) theme(localStorage.getItem("theme"));
byId("theme").addEventListener("click", () => {
  const now = document.documentElement.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  const other = now === "dark" ? "light" : "dark";
  localStorage.setItem("theme", other);
  theme(other);
});
