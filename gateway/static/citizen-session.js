// What the pages share on which citizens sign in: questions to the gateway, who is signed in until when, signing out.
import { filled } from "./licence-show.js";

const byId = (id) => document.getElementById(id);
const locale = document.body.dataset.language === "zh" ? "zh-CN" : "en-GB";
const OVER = ["citizen.signed-out", "citizen.token-expired"];

export const clock = (ms) => new Date(ms).toLocaleTimeString(locale, { timeStyle: "short" });

export const ask = async (path, options = {}) => {
  const answer = await fetch(path, { cache: "no-store", ...options });
  const value = await answer.json();
  if (answer.ok) return value;
  throw Object.assign(new Error(value.message), { code: value.code, hint: value.hint });
};

export const problem = (texts, error) =>
  texts.reasons[error.code] || [texts.failed, error.code && error.message, error.hint].filter(Boolean).join(" · ");

// `say` shows a line, `read` asks for what is shown, `forget` takes it off the page, `title` gets the keyboard after
// signing out. Answers what to do first, and what to do with an error.
export const session = ({ texts, say, read, forget, title }) => {
  const state = (until) => {
    byId("sign-in").hidden = until > 0;
    byId("signed-in").hidden = until === 0;
    byId("signed-until").textContent = until ? filled(texts.signed_in, { time: clock(until) }) : "";
  };
  const failed = (error) => {
    if (OVER.includes(error.code)) {
      forget();
      state(0);
    }
    say(problem(texts, error));
  };
  byId("sign-out").addEventListener("click", async () => {
    try {
      await ask("/citizen/sign-out", { method: "POST" });
      forget();
      state(0);
      say(texts.signed_out);
      title.focus();
    } catch (error) {
      failed(error);
    }
  });
  const begin = async () => {
    try {
      const found = await ask("/citizen/session");
      state(found.signedIn ? found.until : 0);
      if (found.signedIn) await read();
    } catch (error) {
      state(0);
      failed(error);
    }
  };
  return { begin, failed };
};
