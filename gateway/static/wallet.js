// The page "my licence": opens a wallet file on this device, shows what is chosen for five minutes.
import { element, filled, plain, rank, rowsOf, tell } from "./licence-show.js";
import { copyFrom, dropPage, freshDays, isUscc } from "./wallet-copy.js";
import { openWallet, present } from "./wallet-make.js";

const texts = JSON.parse(document.body.dataset.texts);
const labels = JSON.parse(document.body.dataset.labels);
const byId = (id) => document.getElementById(id);
const result = byId("result");
const MAX_FILE = 1 << 18;
const MACHINES = ["_sd", "_sd_alg", "cnf", "exp", "iat", "iss", "nbf", "status", "vct"];

let wallet = null;
let clock = 0;

const nameOf = (name) => labels[name] || name;
const picked = () => [...byId("fields").querySelectorAll("input:checked")].map((input) => input.value);
const clear = () => {
  clearInterval(clock);
  dropPage();
  result.replaceChildren();
};

const inOrder = (fields) => [...fields].sort((a, b) => rank(a) - rank(b));

const pick = ({ name, value }) => {
  const input = element("input");
  input.type = "checkbox";
  input.value = name;
  return element("label", "pick", input, element("span", "", nameOf(name), element("small", "", plain(value))));
};

const offer = () => {
  byId("held").textContent = wallet.payload.ZZMC || "";
  byId("no-key").hidden = wallet.key !== null;
  byId("copying").hidden = wallet.key === null;
  freshDays();
  const always = Object.keys(wallet.payload).filter((name) => !MACHINES.includes(name)).map((name) => ({ name }));
  const rows = inOrder(always).map(({ name }) => [nameOf(name), plain(wallet.payload[name])]);
  byId("always").replaceChildren(...rowsOf(rows).childNodes);
  byId("fields").replaceChildren(...inOrder(wallet.fields).map(pick));
  byId("all").checked = false;
  byId("choice").hidden = false;
};

const forget = () => {
  wallet = null;
  byId("choice").hidden = true;
  byId("copying").open = false;
  for (const form of document.querySelectorAll("#choice form")) form.reset();
  for (const id of ["held", "always", "fields"]) byId(id).replaceChildren();
  clear();
};

byId("wallet").addEventListener("change", async (event) => {
  const [file] = event.target.files;
  event.target.value = "";
  if (!file) return;
  forget();
  try {
    if (file.size > MAX_FILE) throw new TypeError();
    wallet = await openWallet(await file.text());
    offer();
  } catch (error) {
    if (error instanceof RangeError) tell(result, "warn", texts.key_bad, texts.key_bad_todo);
    else tell(result, "warn", texts.no_wallet, texts.no_wallet_todo);
  }
});

byId("all").addEventListener("change", (event) => {
  for (const input of byId("fields").querySelectorAll("input")) input.checked = event.target.checked;
});
byId("forget").addEventListener("click", () => {
  forget();
  byId("wallet").focus();
});

const showCode = (url, expires, presentation) => {
  const code = element("img", "code");
  code.src = `/wallet/code/${url.slice(-32)}`;
  code.alt = texts.code_alt;
  const left = element("p", "left");
  const text = element("textarea");
  text.readOnly = true;
  text.rows = 4;
  text.value = presentation;
  text.setAttribute("aria-label", texts.text);
  const heading = element("h2", "", texts.showing);
  const more = element("details", "", element("summary", "", texts.text), text);
  result.replaceChildren(element("div", "panel showing", heading, code, left, element("p", "note", url), more));
  const tick = () => {
    const seconds = Math.ceil((expires - Date.now()) / 1000);
    left.textContent = filled(texts.left, { n: Math.max(0, seconds) });
    if (seconds > 0) return;
    clear();
    tell(result, "warn", texts.ended, texts.ended_todo);
  };
  clock = setInterval(tick, 1000);
  tick();
  result.firstChild.scrollIntoView({ block: "nearest" });
};

byId("copy").addEventListener("submit", async (event) => {
  event.preventDefault();
  clear();
  byId("make").disabled = true;
  await copyFrom(wallet, picked(), () => wallet);
  byId("make").disabled = false;
});

byId("present").addEventListener("submit", async (event) => {
  event.preventDefault();
  clear();
  const to = byId("to").value.trim().toUpperCase();
  if (to && !isUscc(to)) return tell(result, "warn", texts.to_bad, texts.to_bad_todo);
  try {
    const made = await present(wallet, picked(), to ? `urn:cn:uscc:${to}` : location.origin);
    const answer = await fetch("/v1/licence/reference", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      cache: "no-store",
      body: JSON.stringify({ licence: made }),
    });
    const value = await answer.json();
    if (answer.ok) showCode(value.url, value.expires, made);
    else tell(result, "warn", texts.unsent, value.hint, value.message, `${texts.code}: ${value.code}`);
  } catch {
    tell(result, "warn", texts.unsent, texts.unsent_todo);
  }
  return null;
});
