// The page "check a licence": takes what was shown (camera, picture, text, file), asks the gateway, computes again.
import { recheck } from "./licence-check.js";
import { Camera, Refused, readPicture } from "./licence-read.js";
import { busy, filled, refuse, show, tell } from "./licence-show.js";

const texts = JSON.parse(document.body.dataset.texts);
const byId = (id) => document.getElementById(id);
const result = byId("result");
const MAX_TEXT = 1 << 16;
const MAX_BUNDLE = 1 << 20;
const MAX_FILE = 64 << 20;
const USCC = /^[0-9A-HJ-NP-RTUW-Y]{18}$/;
// The links of a proof file: the code of a refusal begins with the one that broke.
const LINKS = ["bundle", "record", "inclusion", "checkpoint", "anchor", "state", "finality", "policy", "licence"];
// These say that the gateway's policy does not reach so far, and nothing against the file.
const BEYOND_POLICY = ["policy.expired", "policy.format", "policy.licences", "policy.unproven", "finality.unproven"];

// The bundle of a licence (.civic) is JSON; no licence and no slip begins like one.
const isBundle = (text) => text.startsWith("{");
const brokenProof = (code) => {
  const link = filled(texts.proof_link, { link: texts[`check_${code.split(".")[0]}`] });
  return refuse(result, texts.proof_broken, texts.proof_broken_todo, [link, `${texts.code}: ${code}`], code);
};
// What a refused proof file means; false where the refusal is no word on the file.
const refuseProof = ({ code }) => {
  if (code === "licence.proof-kind") return tell(result, "warn", texts.proof_record, texts.proof_record_todo);
  if (BEYOND_POLICY.includes(code)) return tell(result, "warn", texts.unsent, texts.proof_policy, `${texts.code}: ${code}`);
  return LINKS.includes(code.split(".")[0]) && brokenProof(code);
};

// What a request that got no verdict means, and what to do.
const refusal = (error) => {
  if (!(error instanceof Refused)) return [texts.unsent, texts.unsent_todo];
  const { code, message, hint } = error.answer;
  if (code === "licence.reference-unknown") return [texts.ended, texts.ended_todo];
  if (code === "licence.picture" || code === "licence.picture-size") return [texts.no_picture, texts.no_picture_todo];
  if (error.status === 429) return [texts.unsent, texts.slow_todo];
  if (error.status === 503) return [texts.unsent, texts.away_todo, `${texts.code}: ${code}`];
  return [texts.unsent, hint, message, `${texts.code}: ${code}`];
};

// Of several judgements under way only the newest is shown.
let newest = 0;
const alone = async (work) => {
  const mine = ++newest;
  result.setAttribute("aria-busy", "true");
  try {
    await work(() => mine === newest);
  } catch (error) {
    if (mine !== newest) return;
    tell(result, "warn", ...refusal(error));
  } finally {
    if (mine === newest) result.setAttribute("aria-busy", "false");
  }
};

const recipient = () => {
  const code = byId("recipient").value.trim().toUpperCase();
  if (code && !USCC.test(code)) {
    byId("more").open = true;
    byId("recipient").setAttribute("aria-invalid", "true");
    tell(result, "warn", texts.recipient_bad, texts.recipient_todo);
    return null;
  }
  byId("recipient").removeAttribute("aria-invalid");
  if (code) localStorage.setItem("recipient", code);
  else localStorage.removeItem("recipient");
  return code;
};

const judge = async (text, current) => {
  const shown = text.trim();
  if (!shown) return tell(result, "warn", texts.empty, texts.empty_todo);
  // A bundle has the proofs too.
  const most = isBundle(shown) ? MAX_BUNDLE : MAX_TEXT;
  if (new TextEncoder().encode(shown).length > most) return tell(result, "warn", texts.too_large, texts.too_large_todo);
  const code = recipient();
  if (code === null) return null;
  busy(result, texts.judging);
  const answer = await fetch("/v1/licence/verify", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    cache: "no-store",
    body: JSON.stringify(code ? { licence: shown, recipient: code } : { licence: shown }),
  });
  const verdict = await answer.json();
  if (!current()) return null;
  if (!answer.ok) {
    if (isBundle(shown) && refuseProof(verdict)) return null;
    throw new Refused(answer.status, verdict);
  }
  // A copy cannot be judged before the reader says for whom.
  if (verdict.code === "recipient-needed") byId("more").open = true;
  return show(result, verdict, recheck(verdict.presentation || shown, verdict.key));
};

const judgePicture = async (file, current) => {
  busy(result, texts.reading);
  const found = await readPicture(file);
  if (!current()) return null;
  if (found === null) return tell(result, "warn", texts.no_picture, texts.no_picture_todo);
  if (!found.length) return tell(result, "warn", texts.no_code, texts.no_code_todo);
  return judge(found[0], current);
};

const isWallet = (text) => {
  try {
    const value = JSON.parse(text);
    return "licence" in value && ("holder_key" in value || "record" in value);
  } catch {
    return false;
  }
};

const take = (file) => {
  if (!file) return;
  alone(async (current) => {
    if (file.size > MAX_FILE) return tell(result, "warn", texts.too_large, texts.too_large_todo);
    if (file.type.startsWith("image/")) return judgePicture(file, current);
    if (file.size > MAX_BUNDLE) return tell(result, "warn", texts.too_large, texts.too_large_todo);
    const proof = /\.civic$/i.test(file.name);
    let text;
    try {
      text = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
    } catch {
      if (proof) return brokenProof("bundle.format");
      return tell(result, "warn", texts.no_picture, texts.no_picture_todo);
    }
    // Nothing is read out of a proof file but as a proof file.
    if (proof && !isBundle(text)) return brokenProof("bundle.format");
    if (isWallet(text)) return tell(result, "bad", texts.wallet, texts.wallet_todo);
    return judge(text, current);
  });
};

// --- camera ----------------------------------------------------------------------------------------------------------
const camera = new Camera(byId("video"), (found) => {
  closeCamera();
  alone((current) => judge(found[0], current));
});
const closeCamera = () => {
  camera.stop();
  byId("finder").hidden = true;
  byId("camera").setAttribute("aria-expanded", "false");
};
byId("camera").addEventListener("click", async () => {
  if (camera.stream) return closeCamera();
  byId("finder").hidden = false;
  byId("camera").setAttribute("aria-expanded", "true");
  try {
    await camera.start();
    byId("finder-sent").hidden = !camera.sends;
  } catch {
    closeCamera();
    tell(result, "warn", texts.unsent, texts.camera_refused);
  }
});
byId("camera-stop").addEventListener("click", () => {
  closeCamera();
  byId("camera").focus();
});
document.addEventListener("visibilitychange", () => document.hidden && closeCamera());

// --- picture, file, text ---------------------------------------------------------------------------------------------
byId("file").addEventListener("change", (event) => {
  take(event.target.files[0]);
  event.target.value = "";
});
byId("form").addEventListener("submit", (event) => {
  event.preventDefault();
  alone(async (current) => {
    const text = byId("text").value;
    if (isWallet(text)) return tell(result, "bad", texts.wallet, texts.wallet_todo);
    return judge(text, current);
  });
});
document.addEventListener("paste", (event) => {
  const picture = [...event.clipboardData.files].find((file) => file.type.startsWith("image/"));
  if (!picture) return;
  event.preventDefault();
  take(picture);
});
for (const kind of ["dragenter", "dragover"]) {
  window.addEventListener(kind, (event) => {
    event.preventDefault();
    document.body.classList.add("over");
  });
}
window.addEventListener("dragleave", (event) => event.relatedTarget || document.body.classList.remove("over"));
window.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  const text = event.dataTransfer.getData("text/plain");
  if (event.dataTransfer.files.length) take(event.dataTransfer.files[0]);
  else if (text) alone((current) => judge(text, current));
});

byId("recipient").value = localStorage.getItem("recipient") || "";
byId("more").open = byId("recipient").value !== "";
// Opened by a reference URL: that address is what was shown.
if (/^\/R\/[A-Z2-7]{32}$/.test(location.pathname)) {
  alone((current) => judge(location.origin.toUpperCase() + location.pathname, current));
}
