// What the parts of the page "my results" share: texts, times, names, questions to the gateway.
export { element, filled, rowsOf } from "./licence-show.js";

export const texts = JSON.parse(document.body.dataset.texts);
export const language = document.body.dataset.language;
export const byId = (id) => document.getElementById(id);
const locale = language === "zh" ? "zh-CN" : "en-GB";

export const day = (ms) => new Date(ms).toLocaleDateString(locale, { dateStyle: "medium" });
export const moment = (ms) => new Date(ms).toLocaleString(locale, { dateStyle: "medium", timeStyle: "short" });
export const joined = (parts) => parts.join(language === "zh" ? "、" : ", ");

export const timeOf = (ms, text = moment(ms)) => {
  const made = document.createElement("time");
  made.dateTime = new Date(ms).toISOString();
  made.append(text);
  return made;
};

const members = {};
export const learn = (named) => Object.assign(members, named);
export const nameOf = (uscc) => (members[uscc] ? members[uscc].name : uscc);
export const proofOf = (uscc, index) => (members[uscc] ? `/${members[uscc].handle}/proof/inclusion?index=${index}` : "");
export const purposeOf = (code) => (code ? texts[`purpose_${code}`] || code : texts.purpose_none);
