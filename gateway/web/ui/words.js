// Words, numbers and times as the reader's language writes them. Times are those of the site: the
// gateways stand in Viet Nam, and a day of the contract is one of UTC+7, wherever the phone is.
export const LANGUAGES = ["vi", "en"];
const ZONE = "Asia/Ho_Chi_Minh", LOCALES = { vi: "vi-VN", en: "en-GB" };
const FILES = { vi: "./lang/vi.json", en: "./lang/en.json" };
const UNITS = {
  "Cel": "°C", "%RH": "%", "%EL": "%", "/100": "%", "/": "", "count": "", "deg": "°",
  "ug/m3": "µg/m³", "ug/l": "µg/l", "m3": "m³", "m3/s": "m³/s", "W/m2": "W/m²",
};
const formats = new Map();
let words = {};
export let language = "";

// Storage may be forbidden in a private window: then the choice lasts as long as the page.
function remembered() {
  try {
    return localStorage.getItem("language");
  } catch {
    return null;
  }
}

// What was chosen here before, else the first of the browser's languages that is known, else
// Vietnamese.
export function preferred() {
  const asked = [remembered(), ...navigator.languages.map((l) => l.slice(0, 2))];
  return asked.find((l) => LANGUAGES.includes(l)) ?? "vi";
}

export async function speak(wanted, chosen) {
  const answer = await fetch(new URL(FILES[wanted], import.meta.url));
  if (!answer.ok) throw new Error(String(answer.status));
  words = await answer.json();
  language = wanted;
  document.documentElement.lang = language;
  try {
    if (chosen) localStorage.setItem("language", language);
  } catch {
    return;
  }
}

export const has = (key) => key in words;
export const t = (key, values = {}) =>
  words[key].replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));

function format(kind, options) {
  const key = language + kind + JSON.stringify(options);
  if (!formats.has(key)) formats.set(key, new Intl[kind](LOCALES[language], options));
  return formats.get(key);
}

export const number = (value, decimals = 0, atLeast = decimals) =>
  format("NumberFormat", { minimumFractionDigits: atLeast, maximumFractionDigits: decimals }).format(value);

export const unitText = (unit) => (unit === null || unit === undefined ? "" : UNITS[unit] ?? unit);

export function span(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 120) return t("time.s", { n: s });
  if (s < 7200) return t("time.min", { n: Math.floor(s / 60) });
  if (s < 172800) return t("time.h", { n: Math.floor(s / 3600) });
  return t("time.d", { n: number(Math.floor(s / 86400)) });
}

function parts(ms) {
  const f = format("DateTimeFormat", { timeZone: ZONE, year: "numeric", month: "2-digit", day: "2-digit",
    hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
  return Object.fromEntries(f.formatToParts(ms).map((p) => [p.type, p.value]));
}
export const day = (ms) => (({ day: d, month, year }) => `${d}/${month}/${year}`)(parts(ms));
export const month = (ms) => (({ month: m, year }) => `${m}/${year}`)(parts(ms));
export const dayShort = (ms) => day(ms).slice(0, 5);
export const clock = (ms) => (({ hour, minute, second }) => `${hour}:${minute}:${second}`)(parts(ms));
export const minute = (ms) => clock(ms).slice(0, 5);
export const full = (ms) => `${day(ms)} ${clock(ms)}`;
export const since = (ms, now) => (day(ms) === day(now) ? clock(ms) : full(ms));
export const bytes = (n) => (n >= 1e9 ? `${number(n / 1e9, 1)}\u00a0GB` : n >= 1e6 ? `${number(n / 1e6, 1)}\u00a0MB`
  : `${number(n / 1e3, 1)}\u00a0kB`);
// The zone itself, for uPlot, which puts its marks on whole hours and days of it.
export const zone = ZONE;
