// The page: which screen, the frame around it, and the second's tick.
import { h, show } from "./dom.js";
import { check, elapsed, follow, forget, seen, state, watch } from "./state.js";
import { LANGUAGES, clock, language, preferred, speak, t } from "./words.js";
import { begin, door } from "./door.js";
import { deviceOf } from "./parts.js";
import { overview } from "./overview.js";
import { device, devices } from "./devices.js";
import { charts } from "./charts.js";
import { city } from "./city.js";
import { network } from "./network.js";
import { events } from "./events.js";
import { about } from "./about.js";
import { why } from "./why.js";
import { survey } from "./survey.js";

const TICK_MS = 1000;
const SCREENS = { "": overview, devices, device, charts, city, network, events, about, why, survey };
// For the bar: where to, its word, the strokes of its sign.
const BAR = [["", "nav.overview", "M3 11 12 3l9 8M6 9v11h12V9"],
  ["devices", "nav.devices", "M4 5h16v5H4zM4 14h16v5H4zM8 7.5h.1M8 16.5h.1"],
  ["charts", "nav.charts", "M4 4v16h16M7 15l4-5 3 3 5-7"],
  ["city", "nav.city", "M4 20V8l6-3v15M10 20V10l10-3v13M2 20h20"],
  ["network", "nav.network", "M4 10a11 11 0 0 1 16 0M7 13.5a7 7 0 0 1 10 0M10 17a3 3 0 0 1 4 0M12 20h.1"],
  ["events", "nav.events", "M5 6h14M5 12h14M5 18h9"]];
const WATCHED = { devices: () => "all", network: () => "all", survey: () => (deviceOf("survey") ? "survey" : ""), device: (rest) => rest }; // whose readings it shows
const UNDER = { device: "devices", why: "devices", survey: "network", about: "" }; // which of them a deeper screen is under

// "#/device/meter-1?r=24h" is [device, "meter-1", r=24h].
function place() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, ...rest] = path.split("/");
  return { name: SCREENS[name] ? name : "", rest: rest.map(decodeURIComponent).join("/"),
    query: new URLSearchParams(query) };
}

const sign = (strokes) => h("svg", { viewBox: "0 0 24 24", class: "sign", "aria-hidden": "true" },
  h("path", { d: strokes }));

function header() {
  const s = state.status?.site, other = LANGUAGES.find((l) => l !== language);
  const name = s ? s.name || t("site.nameless", { id: s.id }) : t("page.title");
  document.title = name;
  return [h("div", { class: "site" }, h("p", { id: "site" }, h("a", { href: "#/" }, name)),
    h("p", { id: "link", class: state.lost_ms ? "lost" : "live" }, link())),
  h("button", { type: "button", id: "language", lang: other, "aria-label": t("page.other_language"), onclick: () => choose(other) }, t("page.other_short"))];
}

function link() {
  if (state.lost_ms) return `✕ ${t("link.lost", { time: clock(state.lost_ms) })}`;
  if (!state.session) return "";
  return state.status ? `● ${t("link.live", { time: clock(Date.now() - elapsed()) })}` : t("page.reading");
}

function draw() {
  if (!language) return;
  document.getElementById("bar").setAttribute("aria-label", t("nav.label"));
  const at = place(), inside = state.session && state.status;
  watch((inside && WATCHED[at.name]?.(at.rest)) || "");
  show(document.getElementById("head"), header());
  show(document.getElementById("bar"), inside ? BAR.map(([to, word, strokes]) => h("a", { href: `#/${to}`,
    "aria-current": (UNDER[at.name] ?? at.name) === to ? "page" : null }, sign(strokes), h("span", {}, t(word)))) : []);
  show(document.getElementById("screen"), [
    state.lost_ms > 0 && h("div", { class: "banner act", id: "lost", role: "alert" },
      h("p", { class: "sentence" }, t("link.lost_sentence", { time: clock(state.lost_ms) })), h("p", {}, t("link.lost_next"))),
    h("div", { key: `${at.name}/${at.rest}`, class: `screen ${at.name || "overview"}` },
      state.session ? (state.status ? SCREENS[at.name](at, draw) : h("p", { role: "status" }, t("page.reading"))) : door(draw)),
  ]);
}

async function choose(wanted) {
  await speak(wanted, true).catch(() => null); // out of reach: what it spoke before it speaks still
  draw();
}

// A new screen begins at its top, and a screen reader begins there too; another range is no new screen.
let shown = "";
function moved() {
  const { name, rest } = place();
  draw();
  if (shown === `${name}/${rest}`) return;
  shown = `${name}/${rest}`;
  window.scrollTo(0, 0);
  document.querySelector("#screen h1")?.focus();
}

async function start() {
  try {
    await speak(preferred(), false);
  } catch {
    setTimeout(start, TICK_MS);
    return;
  }
  window.addEventListener("hashchange", moved);
  document.addEventListener("visibilitychange", () => {
    seen(!document.hidden);
    draw();
  });
  setInterval(() => {
    check();
    if (!document.hidden) draw();
  }, TICK_MS);
  draw();
  await begin(draw, () => follow(draw), forget);
}

start();
