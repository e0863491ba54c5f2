// What the gateway last said, and how old that is. One place asks and listens; screens only read.
import { get, Refusal } from "./api.js";

const POLL_MS = 2000, POLL_LIVE_MS = 10000, RETRY_MS = 5000, RETRY_LIVE_MS = 30000, SILENT_BEATS = 3;
const SWITCH_MS = 1000, LEAVE_MS = 10000;
const ANSWERS_MAX = 60;

export const state = {
  session: null, // who is logged in; null: nobody
  status: null, points: [], labels: {},
  lost_ms: 0, // Date.now() of the first sign that the gateway does not answer; 0: it does
};
let changed = () => {}, timer = 0, turn = 0;

// A moment by both clocks. The steady one of a phone may stop while it sleeps, the other may be set:
// the longer of the two counts, for a value that looks older than it is does no harm.
const moment = () => ({ steady: performance.now(), wall: Date.now() });
const gone = (m) => Math.max(performance.now() - m.steady, Date.now() - m.wall, 0);
let heard = { steady: 0, wall: 0 };
export const elapsed = () => gone(heard);
// By the gateway's clock, carried on: this phone's may be wrong.
export const now = () => state.status.now_ms + gone(state.status.heard);
export const ageOf = (p) => p.age_ms + gone(p.heard);

// ---- asking ----------------------------------------------------------------------------------

async function poll() {
  clearTimeout(timer);
  const begun = performance.now(), mine = ++turn;
  try {
    const whole = !live.well || !state.status || live.anew;
    const [status, series] = await Promise.all([get("status"), whole ? get("series") : null]);
    if (mine !== turn) return; // a later question is on its way
    const known = new Set(state.points.map((p) => p.device));
    heard = moment();
    status.heard = heard;
    Object.assign(state, { status, lost_ms: 0 });
    if (series) {
      for (const p of series.series) p.heard = heard;
      Object.assign(state, { points: series.series, labels: series.quantities });
    }
    live.anew = !series && status.devices.some((d) => !known.has(d.id)); // another configuration
  } catch (e) {
    if (mine !== turn) return;
    if (e instanceof Refusal && e.status === 401) return forget();
    state.lost_ms ||= Date.now();
  }
  changed();
  const pause = live.well && !live.anew && !state.lost_ms ? POLL_LIVE_MS : POLL_MS;
  timer = setTimeout(poll, Math.max(pause - (performance.now() - begun), POLL_MS / 4));
}

// ---- listening -------------------------------------------------------------------------------

// well: events come, so there is less to ask; anew: all values must be asked for once more.
const live = { source: null, device: null, well: false, anew: false, beat_ms: 5000, retry: 0, version: null };

function hear(event, act) {
  live.source.addEventListener(event, (e) => {
    const said = JSON.parse(e.data);
    heard = moment();
    Object.assign(live, { well: true });
    if (state.lost_ms) {
      state.lost_ms = 0;
      void poll();
    }
    if (state.status) Object.assign(state.status, { now_ms: said.now_ms, heard });
    act(said);
    changed();
  });
}

function readings({ devices }) {
  for (const p of state.points) {
    const row = devices[p.device]?.find((r) => r[0] === p.point);
    if (!row) continue;
    const [, value, t_ms, age_ms, q, missing] = row;
    Object.assign(p, { value, t_ms, age_ms, q, missing, heard });
  }
}

function states(said) {
  for (const kind of ["devices", "uplinks"]) {
    for (const one of said[kind]) Object.assign(state.status?.[kind].find((x) => x.id === one.id) ?? {}, one);
  }
  Object.assign(state.status?.store ?? {}, said.store);
}

function hello({ version, beat_ms }) {
  if (live.version && live.version !== version) location.reload(); // the page of that version
  Object.assign(live, { version, beat_ms });
}

function listen() {
  clearTimeout(live.retry);
  live.source?.close();
  live.source = new EventSource(`/api/v1/live${live.device ? `?device=${encodeURIComponent(live.device)}` : ""}`);
  hear("hello", hello);
  hear("readings", readings);
  hear("states", states);
  hear("beat", ({ clock }) => Object.assign(state.status ?? {}, { clock }));
  live.source.onerror = () => {
    if (live.source?.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
    live.well = false;
    live.retry = setTimeout(listen, RETRY_LIVE_MS);
    void poll(); // the session may have ended
  };
}

function hush() {
  clearTimeout(live.retry);
  live.source?.close();
  Object.assign(live, { source: null, well: false });
}

// Whose readings the screen shows: a device's, "all" or "" for none. The gateway has room for few
// listeners and finds out a second later that one is gone, so whoever leafs through the screens opens one at the
// end: until then values are asked for, and those that nobody looks at come on for a while.
export function watch(device) {
  if (!state.session || live.device === device) return;
  const first = live.device === null;
  live.device = device;
  if (document.hidden) return;
  clearTimeout(live.retry);
  live.retry = setTimeout(listen, first ? 0 : device ? SWITCH_MS : LEAVE_MS);
  if (first || !device) return;
  live.anew = true;
  void poll();
}

// Each second: whoever hears nothing for so long has lost the connection.
export function check() {
  if (!live.well || gone(heard) < SILENT_BEATS * live.beat_ms) return;
  live.well = false;
  state.lost_ms ||= Date.now() - gone(heard);
  void poll();
}

export function follow(tell) {
  changed = tell;
  void poll();
}

// A page that nobody sees asks nothing.
export function seen(visible) {
  if (!state.session) return;
  if (!visible) {
    clearTimeout(timer);
    turn++;
    hush();
    return;
  }
  listen();
  void poll();
}

// ---- what one screen alone asks for ------------------------------------------------------------

const answers = new Map(); // path: {data, error, at (0: not yet), busy}

async function fetchInto(path, a, patience_ms) {
  a.busy = true;
  try {
    Object.assign(a, { data: await get(path, patience_ms), error: null });
  } catch (e) {
    if (e instanceof Refusal && e.status === 401) forget();
    a.error = e;
  }
  Object.assign(a, { busy: false, at: performance.now(), heard: moment() });
  changed();
}

// The answer to GET path as far as it is here: {data, error}. It is asked for when it is not, and
// again when it is older than every_ms; the screen is drawn once more when it comes.
export function ask(path, every_ms = Infinity, patience_ms = undefined) {
  let a = answers.get(path);
  if (!a) {
    if (answers.size >= ANSWERS_MAX) answers.delete(answers.keys().next().value);
    a = { data: null, error: null, at: 0, busy: false };
    answers.set(path, a);
  }
  const again_ms = a.error ? Math.min(every_ms, RETRY_MS) : every_ms;
  if (!a.busy && (a.at === 0 || performance.now() - a.at > again_ms)) void fetchInto(path, a, patience_ms);
  return a;
}

// Nobody is logged in any more: nothing of before stays on the screen.
export function forget() {
  clearTimeout(timer);
  turn++;
  hush();
  answers.clear();
  live.device = null;
  Object.assign(state, { session: null, status: null, points: [], labels: {}, lost_ms: 0 });
  changed();
}
export { gone, moment };
