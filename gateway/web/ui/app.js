// The technician's page: asks the gateway every two seconds, counts ages in between. Text reaches
// the document through textContent alone.
const POLL_MS = 2000, TICK_MS = 1000, PATIENCE_MS = 5000, STALE_PERIODS = 3;
const UNITS = {
  "Cel": "°C", "%RH": "%", "%EL": "%", "/100": "%", "/": "", "count": "", "deg": "°",
  "ug/m3": "µg/m³", "ug/l": "µg/l", "m3": "m³", "m3/s": "m³/s", "W/m2": "W/m²", "VA": "VA",
};
const BAD_FLAGS = 1 | 2 | 4;
const SHORT_DAYS = 7, MANY_DAYS = 3650, MANY_YEARS = 100;

let words = {}, language = "vi", chosen = false;
let status = null, points = [], labels = {}, at = 0; // at: performance.now() of the answer
let failedSince = 0; // Date.now() of the first request without an answer; 0: it answers
let shape = "", rows = new Map(), cards = new Map();

const byId = (id) => document.getElementById(id);

function t(key, values = {}) {
  const text = words[language][key];
  return text.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

function element(tag, className, text) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  if (text) e.textContent = text;
  return e;
}

// Only what changed: a selection, the focus and a screen reader's place survive.
function put(e, text) {
  if (e.textContent !== text) e.textContent = text;
}
function dress(e, className) {
  if (e.className !== className) e.className = className;
}

// ---- numbers, ages, times --------------------------------------------------------------------

const locale = () => (language === "vi" ? "vi-VN" : "en-GB");

function number(value, decimals = 0, atLeast = decimals) {
  return new Intl.NumberFormat(locale(), {
    minimumFractionDigits: atLeast, maximumFractionDigits: decimals,
  }).format(value);
}

function span(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 120) return t("s", { n: s });
  if (s < 7200) return t("min", { n: Math.floor(s / 60) });
  if (s < 172800) return t("h", { n: Math.floor(s / 3600) });
  return t("d", { n: Math.floor(s / 86400) });
}

function clockTime(ms) {
  const d = new Date(ms), today = new Date().toDateString() === d.toDateString();
  const time = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
  return d.toLocaleString(locale(), today ? time : { day: "2-digit", month: "2-digit", ...time });
}

// By the gateway's clock, carried on: this phone's may be wrong.
const gatewayNow = () => status.now_ms + (performance.now() - at);
const elapsed = () => performance.now() - at;

// ---- what is wrong ---------------------------------------------------------------------------

const deviceName = (d) => {
  const name = d.name || d.id;
  return d.place && !name.includes(d.place) ? `${name} (${d.place})` : name;
};
const broken = (d) => d.state === "silent" || d.state === "faulty";

function deviceProblem(d) {
  const device = deviceName(d), time = clockTime(d.since_ms);
  const network = d.bus === "connectivity" && d.state === "silent";
  const kind = network ? "network" : "device";
  return {
    level: d.state === "late" ? "warn" : d.state === "never" ? "wait" : "bad", device: d.id,
    text: t(`${kind}_${d.state}`, { device, time }),
    step: t(`${kind}_${d.state}_step`, { age: span(d.period_ms) }),
  };
}

// Values that came, or should have, from devices that are well otherwise.
function doubtful() {
  const state = new Map(status.devices.map((d) => [d.id, d]));
  const list = points.filter((p) => {
    const d = state.get(p.device);
    return d && (d.state === "good" || d.state === "late") && (p.missing || p.q & BAD_FLAGS);
  });
  if (!list.length) return [];
  const p = list[0], names = { point: pointName(p, false), device: deviceName(state.get(p.device)) };
  return [{ level: "warn", device: p.device, step: t("doubtful_step"),
    text: list.length > 1 ? t("doubtful_many", { n: number(list.length), ...names })
      : t("doubtful", { quality: qualityOf(p), ...names }) }];
}

// The most important first: what loses data now, then what may, then what only waits.
function problems() {
  const list = [], whole = new Set();
  if (status.store.fault) {
    list.push({ level: "bad", text: t("fault"), step: `${t("fault_step")} (${status.store.fault})` });
  }
  for (const b of status.buses) {
    const on = status.devices.filter((d) => d.bus === b.id);
    if (b.id === "connectivity" || on.length < 2 || !on.every((d) => d.state === "silent")) continue;
    whole.add(b.id);
    list.push({ level: "bad", device: on[0].id, step: t("bus_silent_step"),
      text: t("bus_silent", { id: b.id, n: on.length }) });
  }
  const sick = status.devices.filter((d) => d.state !== "good" && !whole.has(d.bus));
  const own = (d) => d.bus === "connectivity";
  list.push(...sick.filter((d) => broken(d) && !own(d)).map(deviceProblem));
  if (status.store.queue_dropped > 0) {
    list.push({ level: "bad", step: t("queue_lost_step"),
      text: t("queue_lost", { n: number(status.store.queue_dropped) }) });
  }
  for (const u of status.uplinks) {
    if (u.text) list.push({ level: "warn", text: t("uplink_problem", { id: u.id }),
      step: `${t("uplink_problem_step")} (${u.text})` });
    else if (u.data.metered && u.data.budget_bytes && u.data.left_bytes < u.data.budget_bytes / 5) {
      list.push({ level: "warn", text: t("budget_low", { id: u.id }), step: t("budget_low_step") });
    }
    if (u.certificate && u.certificate.text) list.push({ level: "warn",
      text: t("certificate_problem", { id: u.id }),
      step: `${t("certificate_problem_step")} (${u.certificate.text})` });
    if (u.trust && u.trust.text) list.push({ level: "warn", text: t("trust_problem", { id: u.id }),
      step: `${t("trust_problem_step")} (${u.trust.text})` });
  }
  list.push(...storageProblems());
  list.push(...sick.filter((d) => broken(d) && own(d)).map(deviceProblem));
  if (status.clock === "unknown") {
    list.push({ level: "warn", text: t("clock_unknown_problem"), step: t("clock_unknown_step") });
  }
  list.push(...doubtful());
  list.push(...sick.filter((d) => d.state === "late").map(deviceProblem));
  list.push(...sick.filter((d) => d.state === "never").map(deviceProblem));
  return list;
}

function showBanner() {
  const banner = byId("banner"), more = byId("more");
  dress(document.body, failedSince ? "gone" : "");
  if (failedSince) {
    dress(banner, "banner bad");
    put(byId("sentence"), t("offline", { time: clockTime(failedSince) }));
    put(byId("step"), t("offline_step"));
    put(more, "");
    return;
  }
  if (!status) return;
  const list = problems(), first = list[0];
  dress(banner, `banner ${first ? first.level : "good"}`);
  put(byId("sentence"), first ? first.text : t("all_well"));
  put(byId("step"), first ? first.step : t("all_well_detail",
    { devices: number(status.devices.length), points: number(points.length) }));
  showMore(more, first, list.length - 1);
}

function showMore(more, first, others) {
  const text = others > 0 ? t("more", { n: others }) : "";
  const target = first && first.device ? `#device-${first.device}` : "";
  const key = `${language} ${target} ${text}`;
  if (more.dataset.key === key) return;
  more.dataset.key = key;
  more.replaceChildren();
  if (target) {
    const a = element("a", "", t("where"));
    a.href = target;
    more.append(a, text ? " · " : "");
  }
  more.append(text);
}

// ---- sending ---------------------------------------------------------------------------------

function acknowledged(u) {
  if (!u.receipt) return t("last_ack_none");
  return t("seq", { n: number(u.receipt.seq), time: clockTime(u.receipt.at_ms),
    age: t("ago", { age: span(gatewayNow() - u.receipt.at_ms) }) });
}

function showSending() {
  const s = status.store, facts = [];
  for (const u of status.uplinks) {
    facts.push([status.uplinks.length > 1 ? `${t("last_ack")}: ${u.id}` : t("last_ack"),
      acknowledged(u)]);
  }
  for (const u of status.uplinks.filter((x) => x.data.budget_bytes)) {
    facts.push([status.uplinks.length > 1 ? `${t("data_month")}: ${u.id}` : t("data_month"),
      t("data_of", { n: number(u.data.month_bytes / 1e6, 1), total: number(u.data.budget_bytes / 1e6) })]);
  }
  if (!status.uplinks.length) facts.push([t("last_ack"), t("no_uplink")]);
  facts.push([t("unsent"), t("batches", { n: number(s.batches_unsent) })],
    [t("not_sealed"), t("readings", { n: number(s.readings_waiting) })],
    [t("queue"), t("waiting", { n: number(s.queue_polls) })],
    [t("last_commit"), s.last_commit_ms
      ? t("ago", { age: span(gatewayNow() - s.last_commit_ms) }) : t("last_ack_none")]);
  showFacts(byId("sending"), facts);
}

function showFacts(dl, facts) {
  while (dl.children.length > facts.length) dl.lastChild.remove();
  facts.forEach(([name, value], i) => {
    if (!dl.children[i]) {
      const row = element("div");
      row.append(element("dt"), element("dd"));
      dl.append(row);
    }
    put(dl.children[i].firstChild, name);
    put(dl.children[i].lastChild, value);
  });
}

// ---- keeping ---------------------------------------------------------------------------------

// Days and years are estimates: two digits say enough.
const about = (n) => number(n, n < 10 ? 1 : 0, 0);
const measured = (value, hours) => (hours < 24
  ? t("measured", { value, age: span(hours * 3600000) }) : value);

function autonomy(s) {
  if (s.days_of_autonomy === null) return t("not_known");
  const much = s.days_of_autonomy >= MANY_DAYS;
  return measured(t(much ? "autonomy_more" : "autonomy_value",
    { n: about(much ? MANY_DAYS : s.days_of_autonomy) }), s.measured_over_hours);
}

function flashYears(f) {
  if (f.years_left === null) return t("not_known");
  const much = f.years_left >= MANY_YEARS;
  return t(much ? "flash_more" : "flash_years_value",
    { n: about(much ? MANY_YEARS : f.years_left), cycles: number(f.assumed_erase_cycles) });
}

function showKeeping() {
  const s = status.store, f = status.flash, mega = f.written_bytes_a_day / 1e6;
  const life = Math.max(f.life_used_percent_a ?? -1, f.life_used_percent_b ?? -1);
  const facts = [
    [t("held"), s.days_held === null ? t("last_ack_none") : t("held_value", { n: about(s.days_held) })],
    [t("autonomy"), autonomy(s)],
    [t("flash_day"), f.written_bytes_a_day === null ? t("not_known")
      : measured(t("megabytes", { n: about(mega) }), f.measured_over_hours)],
    [t("flash_years"), flashYears(f)]];
  if (life >= 0) facts.push([t("flash_life"), t("flash_life_value", { n: number(life) })]);
  showFacts(byId("keeping"), facts);
}

// What the storage asks for: now, or soon.
function storageProblems() {
  const s = status.store, f = status.flash, list = [], r = status.refused;
  if (f.pre_eol === "urgent" || f.pre_eol === "warning") {
    list.push({ level: f.pre_eol === "urgent" ? "bad" : "warn", text: t("flash_worn"),
      step: t("flash_worn_step", { device: f.device }) });
  }
  const stuck = status.uplinks.some((u) => u.text);
  if (stuck && s.days_of_autonomy === 0) {
    list.push({ level: "warn", text: t("thinning"), step: t("thinning_step") });
  } else if (stuck && s.days_of_autonomy !== null && s.days_of_autonomy < SHORT_DAYS) {
    list.push({ level: "warn", text: t("autonomy_short", { n: about(s.days_of_autonomy) }),
      step: t("autonomy_short_step") });
  }
  if (status.not_configured.length) {
    list.push({ level: "warn", step: t("not_configured_step"),
      text: t("not_configured", { names: status.not_configured.join(", ") }) });
  }
  if (r) {
    list.push({ level: "warn", step: t("set_aside_step", { code: r.code }),
      text: t("set_aside", { n: number(r.batches), batch: `${r.chain}/${r.seq}` }) });
  }
  return list;
}

// ---- devices and points ----------------------------------------------------------------------

function build() {
  rows = new Map();
  cards = new Map();
  const buses = status.buses.map((b) => {
    const section = element("section"), title = element("h2"), list = element("div", "cards");
    title.id = `bus-${b.id}`;
    section.setAttribute("aria-labelledby", title.id);
    section.append(title, list);
    for (const d of status.devices.filter((x) => x.bus === b.id)) list.append(buildCard(d));
    cards.set(`bus ${b.id}`, title);
    return section;
  });
  byId("buses").replaceChildren(...buses);
}

function buildCard(d) {
  const card = element("article", "card"), head = element("div", "head");
  const names = element("div", "names"), title = element("h3"), where = element("p", "quiet");
  const badge = element("span", "badge"), advice = element("p", "advice");
  const table = element("table"), thead = element("thead"), tr = element("tr");
  const body = element("tbody");
  // a row is a grid on screen: say that it is still a table
  for (const [e, role] of [[table, "table"], [thead, "rowgroup"], [body, "rowgroup"], [tr, "row"]]) {
    e.setAttribute("role", role);
  }
  card.id = `device-${d.id}`;
  card.tabIndex = -1; // the banner's link moves the focus here
  names.append(title, where);
  head.append(names, badge);
  for (const c of ["column_point", "column_value", "column_quality", "column_age"]) {
    const th = element("th");
    th.setAttribute("role", "columnheader");
    th.dataset.word = c;
    tr.append(th);
  }
  thead.append(tr);
  for (const p of points.filter((x) => x.device === d.id)) body.append(buildRow(p));
  table.append(thead, body);
  card.append(head, advice, table);
  cards.set(d.id, { title, where, badge, advice, table });
  return card;
}

function buildRow(p) {
  const tr = element("tr"), name = element("th"), value = element("td", "value");
  const quality = element("td", "quality"), age = element("td", "age");
  tr.setAttribute("role", "row");
  name.setAttribute("role", "rowheader");
  for (const td of [value, quality, age]) td.setAttribute("role", "cell");
  tr.append(name, value, quality, age);
  rows.set(`${p.device}/${p.point}`, { tr, name, value, quality, age });
  return tr;
}

function pointName(p, twins) {
  const label = labels[p.quantity] ? labels[p.quantity][language] : p.point;
  return twins || p.quantity === "number" ? `${label} (${p.point})` : label;
}

function qualityOf(p) {
  if (p.missing) return t(`cause_${p.missing}`);
  if (p.value === null) return t("age_never");
  const flags = [1, 2, 4, 8, 16, 32, 64, 128].filter((f) => p.q & f);
  return flags.length ? flags.map((f) => t(`quality_${f}`)).join(", ") : t("quality_good");
}

function valueText(p) {
  if (p.value === null) return "–";
  if (p.quantity === "link_up") return t(p.value ? "link_up" : "link_down");
  // A bare number may be a count: no decimals that it does not have.
  return number(p.value, p.decimals, p.unit === null ? 0 : p.decimals);
}

function showValue(cell, p, stale) {
  const text = valueText(p);
  const unit = p.value === null ? "" : UNITS[p.unit] ?? p.unit ?? "";
  const key = `${stale} ${text} ${unit}`;
  if (cell.dataset.key === key) return;
  cell.dataset.key = key;
  cell.replaceChildren(element(stale ? "s" : "span", "", text));
  if (unit) cell.append(" ", element("span", "unit", unit));
}

function showPoint(p, twins) {
  const r = rows.get(`${p.device}/${p.point}`);
  if (!r) return;
  const has = p.value !== null, age = has ? p.age_ms + elapsed() : 0;
  const stale = has && p.period_ms > 0 && age > STALE_PERIODS * p.period_ms;
  const flags = has ? p.q : 0;
  put(r.name, pointName(p, twins));
  showValue(r.value, p, stale);
  put(r.quality, qualityOf(p));
  put(r.age, !has ? "" : stale ? t("stale", { age: span(age) }) : t("ago", { age: span(age) }));
  dress(r.tr, [stale ? "stale" : "", p.missing ? "off" : flags & BAD_FLAGS ? "doubt" : ""]
    .filter(Boolean).join(" "));
}

function showCard(d) {
  const c = cards.get(d.id);
  const level = { good: "good", late: "warn", never: "wait" }[d.state] ?? "bad";
  put(c.title, d.name || d.id);
  put(c.where, [d.place, d.name ? d.id : null, d.address, d.model].filter(Boolean).join(" · "));
  put(c.badge, t(`state_${d.state}`));
  dress(c.badge, `badge ${level}`);
  c.table.setAttribute("aria-label", deviceName(d));
  showAdvice(c.advice, d);
}

function showAdvice(advice, d) {
  const lines = d.state === "good" || d.state === "never" ? ["", ""]
    : [`${deviceProblem(d).text} ${deviceProblem(d).step}`, d.text,
      t("tries", { polls: number(d.polls), failures: number(d.failures),
        lost: number(Math.round(d.lost_ms / 1000)) })];
  const key = lines.join("\n");
  if (advice.dataset.key === key) return;
  advice.dataset.key = key;
  advice.replaceChildren();
  if (lines[0]) advice.append(element("strong", "", lines[0]));
  if (lines[1]) {
    const note = element("span", "quiet", lines[1]); // the gateway's own words, English
    note.lang = "en";
    advice.append(note, element("br"));
  }
  if (lines[2]) advice.append(element("span", "quiet", lines[2]));
}

function showBuses() {
  for (const b of status.buses) {
    const name = b.id === "connectivity" ? t("bus_connectivity") : t("bus", { id: b.id });
    put(cards.get(`bus ${b.id}`),
      `${name} — ${t("answering", { n: number(b.answering), all: number(b.devices) })}`);
  }
}

// ---- the whole -------------------------------------------------------------------------------

function showHead() {
  const s = status.site, name = s.name || t("site_none", { id: s.id });
  put(byId("site"), name);
  document.title = name;
  put(byId("about"), [t("about", { id: s.id, version: status.version }), s.territory,
    t(`clock_${status.clock}`)].filter(Boolean).join(" · "));
  put(byId("foot"), t("updated", { time: clockTime(Date.now() - elapsed()) }));
}

function showWords() {
  document.documentElement.lang = language;
  for (const e of document.querySelectorAll("[data-word]")) put(e, t(e.dataset.word));
  const button = byId("language");
  put(button, t("switch"));
  button.lang = language === "vi" ? "en" : "vi";
  if (!status && !failedSince) put(byId("sentence"), t("reading"));
}

function show() {
  if (status) {
    const now = JSON.stringify([status.devices.map((d) => [d.id, d.bus]),
      points.map((p) => [p.device, p.point])]);
    if (now !== shape) build();
    shape = now;
    const count = new Map();
    const twin = (p) => `${p.device}/${p.quantity}`;
    for (const p of points) count.set(twin(p), (count.get(twin(p)) ?? 0) + 1);
    showHead();
    showSending();
    showKeeping();
    showBuses();
    status.devices.forEach(showCard);
    points.forEach((p) => showPoint(p, count.get(twin(p)) > 1));
  }
  showWords();
  showBanner();
}

async function get(path) {
  const answer = await fetch(path, { signal: AbortSignal.timeout(PATIENCE_MS) });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

async function poll() {
  const asked = performance.now();
  try {
    const [s, series] = await Promise.all([get("/api/v1/status"), get("/api/v1/series")]);
    status = s;
    points = series.series;
    labels = series.quantities;
    at = performance.now();
    failedSince = 0;
    if (!chosen && words[s.site.language]) language = s.site.language;
  } catch {
    failedSince ||= Date.now();
  }
  show();
  setTimeout(poll, Math.max(POLL_MS - (performance.now() - asked), POLL_MS / 4));
}

// Storage may be forbidden in a private window: then the choice lasts as long as the page.
function remembered() {
  try {
    return localStorage.getItem("language");
  } catch {
    return null;
  }
}
function remember() {
  try {
    localStorage.setItem("language", language);
  } catch {
    return;
  }
}

async function start() {
  try {
    const [vi, en] = await Promise.all([get("/vi.json"), get("/en.json")]);
    words = { vi, en };
  } catch {
    setTimeout(start, POLL_MS);
    return;
  }
  if (words[remembered()]) {
    language = remembered();
    chosen = true;
  }
  byId("language").addEventListener("click", () => {
    language = language === "vi" ? "en" : "vi";
    chosen = true;
    remember();
    show();
  });
  showWords();
  setInterval(show, TICK_MS);
  poll();
}

start();
