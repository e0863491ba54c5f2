// This phone as the receiver of a walk: its browser's position goes to the gateway while the page is open.
// The gateway believes no clock of a phone: it gets the browser's stamp, and how long ago the fix came.
import { h } from "./dom.js";
import { call, Refusal, touch } from "./api.js";
import { gone, moment, state } from "./state.js";
import { number, t } from "./words.js";

const SEND_MS = 3000, OLD_MS = 5000, PATIENCE_MS = 5000, MOVED_M = 20, METRES = 111e3;
const ASK = { enableHighAccuracy: true, maximumAge: 0, timeout: 20000 };
const WHY = { 1: "denied", 2: "unavailable", 3: "timeout" }; // GeolocationPositionError
const HAS_WORDS = ["stale_position", "inaccurate_position", "other_phone", "no_survey", "wrong_role", "rate"];
const it = { on: false, watch: 0, timer: 0, lock: null, fix: null, at: null, sent: null, said: "off", accuracy: 0, touched: null, draw: () => {} };

function say(said) {
  it.said = said;
  it.draw();
}

function stop(said = "off") {
  clearTimeout(it.timer);
  navigator.geolocation?.clearWatch(it.watch);
  void it.lock?.then((l) => l?.release());
  Object.assign(it, { on: false, lock: null, fix: null, sent: null });
  say(said);
}

// Whoever carries it about is there, though nobody touches the page.
function carried({ latitude, longitude }) {
  const was = it.touched, far = was ? Math.hypot(latitude - was[0], (longitude - was[1]) * Math.cos((latitude * Math.PI) / 180)) * METRES : 0;
  if (!was || far > MOVED_M) it.touched = [latitude, longitude];
  if (far > MOVED_M) touch();
}

function heard(fix) {
  if (!it.on) return;
  Object.assign(it, { fix, at: moment() });
  carried(fix.coords);
}

// A browser that may not tells nothing ever; one that cannot now may later.
function missed({ code }) {
  if (!it.on) return;
  if (code === 1) stop("denied");
  else if (!it.fix || gone(it.at) > 2 * OLD_MS) say(WHY[code]);
}

async function tell(fix) {
  const { latitude, longitude, accuracy, altitude } = fix.coords;
  it.sent = fix;
  try {
    const { used } = await call("POST", "position", { lat: latitude, lon: longitude, accuracy_m: accuracy, stamp_ms: Math.floor(fix.timestamp), age_ms: Math.round(gone(it.at)),
      ...(altitude === null ? {} : { altitude_m: altitude }) }, PATIENCE_MS);
    it.accuracy = accuracy;
    if (it.on) say(used ? "used" : "spare");
  } catch (e) {
    if (!it.on) return;
    if (e instanceof Refusal && [401, 403].includes(e.status)) stop(e.status === 403 ? "wrong_role" : "off");
    else say(e instanceof Refusal && HAS_WORDS.includes(e.code) ? e.code : "lost");
  }
}

// The browser lets the screen go dark again once the page was out of sight.
async function awake() {
  const had = await it.lock;
  if (it.on && !document.hidden && (!had || had.released)) it.lock = navigator.wakeLock?.request("screen").catch(() => null) ?? null;
}

async function turn() {
  void awake();
  if (it.fix && it.fix !== it.sent) await tell(it.fix);
  else if (it.fix && gone(it.at) > OLD_MS) navigator.geolocation.getCurrentPosition(heard, missed, ASK); // some say nothing while one stands
  if (it.on) it.timer = setTimeout(turn, SEND_MS);
}

function start() {
  if (!window.isSecureContext || !navigator.geolocation) return say("insecure");
  Object.assign(it, { on: true, touched: null, watch: navigator.geolocation.watchPosition(heard, missed, ASK) });
  it.timer = setTimeout(turn, SEND_MS / 10);
  return say("asking");
}

export function here(draw) {
  it.draw = draw;
  if (!state.status.survey.browser) return null;
  if (state.session.role === "viewer") return h("p", { class: "quiet" }, t("here.wrong_role"));
  const good = ["used", "spare"].includes(it.said), wait = ["off", "asking", "rate"].includes(it.said);
  return h("div", { class: "here" }, h("button", { type: "button", id: "here", "aria-pressed": String(it.on), onclick: () => (it.on ? stop() : start()) }, t("here.use")),
    h("p", { role: "status", id: "here-says", class: wait || good ? null : "wrong" }, good ? "✓ " : wait ? "" : "✕ ", t(`here.${it.said}`, { accuracy: number(it.accuracy) })));
}
