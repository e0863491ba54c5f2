// One batch by itself: envelope, header, payload, signature (gateway/doc/batch.cddl).
import { Fault, Float, Map2, Tag, decode, decimalText, isZstd, need, number, unpack } from './cbor.js';

const BATCH_MAX = 1 << 20, HEADER_MAX = 1 << 16;
const TIME_MIN = 268435456000n, TIME_MAX = 1n << 53n, SEQ_MAX = (1n << 63n) - 1n;
export const CLK_UNKNOWN = 3;
const Q_UNKNOWN = 64, Q_CORRECTED = 128;
const CONTROL = 'application/vnd.fieldpost.control+cbor';
const CAUSES = ['off', 'bus', 'device', 'overrun', 'queue', 'paused', 'storage', 'thinned'];
const HALF_ORDER = 0x7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a8n;
const ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const POINT = /^([A-Za-z0-9][A-Za-z0-9._-]{0,63})(:(mean|min|max|count|first|last))?$/;
const SERIES = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\/[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const TARGET = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\/([A-Za-z0-9][A-Za-z0-9._-]{0,63}|\*)$/;
const DAY = /^[0-9]{4}-[0-9]{2}-[0-9]{2}$/;

export const hex = (b) => Array.from(b, (x) => x.toString(16).padStart(2, '0')).join('');
export const sha256 = async (b) => new Uint8Array(await crypto.subtle.digest('SHA-256', b));
const isInt = (v) => (typeof v === 'number' && Number.isInteger(v)) || typeof v === 'bigint';
const isBytes = (v, n) => v instanceof Uint8Array && (n === undefined || v.length === n);
const isText = (v) => typeof v === 'string' && v.length > 0;
const inRange = (v, low, high) => isInt(v) && v >= low && v <= high;
const isSeq = (v) => inRange(v, 1, SEQ_MAX);
const isCount = (v) => inRange(v, 0, SEQ_MAX);
const isMs = (v) => inRange(v, -(1n << 63n), SEQ_MAX);
const isSeries = (v) => typeof v === 'string' && SERIES.test(v);
const isTarget = (v) => typeof v === 'string' && TARGET.test(v);

// ---- keys -----------------------------------------------------------------------------------------

const SPKI = '3059301306072a8648ce3d020106082a8648ce3d03010703420004'; // P-256, named, uncompressed

// Of a SubjectPublicKeyInfo; gw: it counts for this gateway alone.
async function importKey(der, gw) {
  need(der.length === 91 && hex(der.subarray(0, 27)) === SPKI, 'key_file');
  try {
    const key = await crypto.subtle.importKey('spki', der, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['verify']);
    return { key, gw, kid: hex((await sha256(der)).subarray(0, 8)) };
  } catch {
    throw new Fault('key_file');
  }
}
// Of a PEM text "BEGIN PUBLIC KEY".
export async function readKey(pem) {
  const body = /-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----/.exec(pem);
  need(body, 'key_file');
  return importKey(Uint8Array.from(atob(body[1].replace(/\s/g, '')), (c) => c.charCodeAt(0)));
}
// The keys that a verified batch names as the next of its gateway.
export const nextKeys = (b) => Promise.all(b.entries.filter((x) => x.name === 'key').map((x) => importKey(x.args[0], b.gw)));

// ---- envelope ---------------------------------------------------------------------------------------

function head(n) {
  if (n < 24) return [0x40 | n];
  if (n < 0x100) return [0x58, n];
  return n < 0x10000 ? [0x59, n >> 8, n & 255] : [0x5a, 0, n >> 16, (n >> 8) & 255, n & 255];
}
const bigint = (bytes) => BigInt('0x' + hex(bytes));

async function openEnvelope(bytes, keys) {
  need(bytes.length <= BATCH_MAX, 'too_large');
  const top = decode(bytes);
  need(top instanceof Tag && top.tag === 18 && Array.isArray(top.value) && top.value.length === 4, 'not_cose');
  const [protectedBytes, unprotected, payload, signature] = top.value;
  need(isBytes(protectedBytes) && isBytes(payload) && isBytes(signature, 64), 'not_cose');
  need(unprotected instanceof Map2 && unprotected.size === 0, 'unprotected');
  need(protectedBytes.length <= HEADER_MAX, 'too_large');
  const header = decode(protectedBytes);
  need(header instanceof Map2 && header.pairs.every(([k]) => isInt(k) || typeof k === 'string'), 'not_cose');
  need(!header.has(2), 'critical');
  need(header.get(1) === -7, 'alg');
  need(isBytes(header.get(4), 8), 'kid');
  need(bigint(signature.subarray(32)) <= HALF_ORDER, 'high_s');
  const kid = hex(header.get(4)), own = keys.filter((k) => k.kid === kid && (!k.gw || k.gw === header.get('gw')));
  need(own.length, 'other_key', kid);
  const start = Uint8Array.from([0x84, 0x6a, ...new TextEncoder().encode('Signature1'), ...head(protectedBytes.length)]);
  const middle = Uint8Array.from([0x40, ...head(payload.length)]);
  const signed = new Uint8Array(start.length + protectedBytes.length + middle.length + payload.length);
  let at = 0;
  for (const part of [start, protectedBytes, middle, payload]) {
    signed.set(part, at);
    at += part.length;
  }
  const checks = await Promise.all(own.map((k) =>
    crypto.subtle.verify({ name: 'ECDSA', hash: 'SHA-256' }, k.key, signature, signed)));
  need(checks.includes(true), 'signature');
  return { header, payload, kid };
}

// ---- header -------------------------------------------------------------------------------------------

function readGap(g, from, to) {
  need(Array.isArray(g) && g.length === 4, 'gap');
  need(g[0] === '*' || isTarget(g[0]), 'gap');
  need(isInt(g[1]) && isInt(g[2]) && g[1] < g[2] && g[1] >= from && g[2] <= to, 'gap');
  need(CAUSES.includes(g[3]), 'gap');
  return { series: g[0], from: g[1], to: g[2], cause: g[3] };
}

function readLink(h, seq) {
  const after = h.get('after');
  need(seq === 1 ? h.has('after') && !h.has('prev') : h.has('prev') && !h.has('after'), 'link_keys');
  if (seq > 1) {
    need(isBytes(h.get('prev'), 32), 'link_keys');
    return { prev: hex(h.get('prev')), after: null };
  }
  need(after === null || (Array.isArray(after) && after.length === 3 && isBytes(after[0], 8) && isSeq(after[1]) &&
    isBytes(after[2], 32)), 'link_keys');
  return { prev: null, after: after && { chain: hex(after[0]), seq: after[1], hash: hex(after[2]) } };
}

function readHeader(h) {
  const type = h.get(3), control = type === CONTROL;
  need(control || type === 112, 'type', String(type));
  need(h.get('v') === 1, 'version');
  const [gw, seq, from, to, clk] = ['gw', 'seq', 'from', 'to', 'clk'].map((k) => h.get(k));
  need(typeof gw === 'string' && ID.test(gw), 'header', 'gw');
  need(isBytes(h.get('chain'), 8), 'header', 'chain');
  need(isSeq(seq), 'header', 'seq');
  need(isBytes(h.get('boot'), 8), 'header', 'boot');
  need(inRange(clk, 0, 3), 'header', 'clk');
  need(inRange(from, 0, TIME_MAX - 1n) && inRange(to, 0, TIME_MAX) && from <= to, 'header', 'from, to');
  need(!control || from === to, 'header', 'from, to');
  need(clk !== CLK_UNKNOWN || from >= TIME_MIN, 'header', 'from');
  need(!h.has('step') || h.get('step') === true, 'header', 'step');
  const stands = h.get('for');
  need(stands === undefined || (!control && Array.isArray(stands) && stands.length === 2 && stands.every(isSeq) &&
    stands[0] <= stands[1] && stands[1] < seq), 'header', 'for');
  need(Array.isArray(h.get('gaps')), 'header', 'gaps');
  return {
    control, gw, seq, from, to, clk, ...readLink(h, seq), chain: hex(h.get('chain')), boot: hex(h.get('boot')),
    step: h.has('step'), stands, gaps: h.get('gaps').map((g) => readGap(g, from, to)),
  };
}

// ---- SenML ------------------------------------------------------------------------------------------------

function timeMs(v) {
  if (isInt(v)) return BigInt(v) * 1000n;
  need(v instanceof Tag && v.tag === 4 && Array.isArray(v.value) && v.value.length === 2 && v.value[0] === -3 &&
    isInt(v.value[1]) && BigInt(v.value[1]) % 1000n !== 0n, 'time_form');
  return BigInt(v.value[1]);
}
const REFUSED = [-6, -5, -4, -1, 3, 4, 8]; // bs and its kin, and values of other kinds

function readRecord(r, state, b) {
  need(r instanceof Map2 && r.has(0) && r.has(2), 'record');
  need(r.has(-2) === r.has(-3) && (r.has(-2) || state.base), 'base');
  for (const [k] of r.pairs)
    need(typeof k === 'string' ? !k.endsWith('_') : isInt(k) && !REFUSED.includes(k), 'record');
  if (r.has(-2)) {
    const [gw, device, rest] = typeof r.get(-2) === 'string' ? r.get(-2).split('/') : [];
    need(gw === b.gw && ID.test(device ?? '') && rest === '' && r.get(-2).split('/').length === 3, 'base');
    need(!r.has(6), 'base');
    [state.base, state.at] = [device, timeMs(r.get(-3))];
  }
  need(!r.has(6) || timeMs(r.get(6)) !== 0n, 'time_form');
  const point = typeof r.get(0) === 'string' && POINT.exec(r.get(0));
  need(point && (!point[2] || b.stands), 'record');
  need(!r.has(1) || isText(r.get(1)), 'record');
  const q = r.has('q') ? r.get('q') : 0, flag = { 2: Q_CORRECTED, 3: Q_UNKNOWN }[b.clk] ?? 0;
  need(!r.has('q') || inRange(q, 1, 255), 'record');
  need((q & flag) === flag, 'quality');
  const ms = state.at + (r.has(6) ? timeMs(r.get(6)) : 0n);
  need(ms >= TIME_MIN && ms <= TIME_MAX, 'time_form');
  return { series: `${state.base}/${r.get(0)}`, ms, value: number(r.get(2)).text, unit: r.get(1) ?? '', q };
}

function readSenml(payload, b) {
  const records = decode(payload), state = {};
  need(Array.isArray(records), 'record');
  return records.map((r) => readRecord(r, state, b));
}

// ---- control entries ------------------------------------------------------------------------------------------

const anything = () => true;
const RUN = [(v) => typeof v === 'string' && DAY.test(v), isSeq, isSeq, isCount, isCount, (v) => isBytes(v, 32)];
const ENTRIES = {
  plan: [isSeries, isText, (v) => v === null || isText(v), isCount, isMs],
  retire: [isSeries, isMs, isText],
  void: [isSeq, isSeq, (v) => Array.isArray(v) && v.every((x) => isBytes(x, 32)), isText],
  time: [(v) => isBytes(v, 8), isSeq, isSeq, isMs, isCount],
  correct: [anything, isSeries, isMs, isMs, (v) => ['invalidate', 'rescale', 'reassign'].includes(v), anything, isText, isText],
  maintain: [isTarget, isMs, (v) => v === null || isMs(v), (v) => ['calibration', 'swap', 'meter'].includes(v), (v) => v instanceof Map2],
  key: [(v) => isBytes(v, 91) && hex(v.subarray(0, 27)) === SPKI],
  config: [(v) => isBytes(v, 32), isMs, isText],
  setup: [isMs, isText, isText],
  digest: RUN,
  rest: [(v) => isBytes(v, 8), ...RUN],
  entered: [isSeries, isMs, anything, isText, (v) => v === null || isText(v)],
  change: [isMs, isText, (v) => v === null || isTarget(v) || (typeof v === 'string' && ID.test(v)), isText, isText],
};

function readEntry(x) {
  need(Array.isArray(x) && typeof x[0] === 'string', 'entry', '?');
  const [name, ...args] = x, shape = Object.hasOwn(ENTRIES, name) ? ENTRIES[name] : null;
  need(!shape || (args.length === shape.length && shape.every((fits, i) => fits(args[i]))), 'entry', name);
  if (name === 'void') need(args[1] >= args[0] && BigInt(args[2].length) === BigInt(args[1]) - BigInt(args[0]) + 1n, 'entry', name);
  return { name, args };
}

function readControl(payload) {
  const entries = decode(payload);
  need(Array.isArray(entries), 'entry', '?');
  return entries.map(readEntry);
}

// ---- a file -------------------------------------------------------------------------------------------------------

const BASE45 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:';

// The text of a day's QR code: {gw, day, bytes}.
export function readProof(text) {
  const m = /^FP1:([^:]{1,64}):([0-9-]{10}):(.+?)[\r\n]*$/s.exec(text);
  need(m, 'proof');
  const out = [];
  for (let i = 0; i < m[3].length; i += 3) {
    const group = [...m[3].slice(i, i + 3)].map((c) => BASE45.indexOf(c));
    const v = group.reduceRight((sum, x) => sum * 45 + x, 0);
    need(group.length > 1 && !group.includes(-1) && v < (group.length === 3 ? 65536 : 256), 'proof');
    if (group.length === 3) out.push(v >> 8);
    out.push(v & 255);
  }
  return { gw: m[1], day: m[2], bytes: Uint8Array.from(out) };
}

// A batch from the bytes of a file. keys: of readKey. inflate: decompresses a zstd frame.
export async function openBatch(bytes, keys, inflate) {
  const cose = isZstd(bytes) ? unpack(bytes, inflate, BATCH_MAX) : bytes;
  const { header, payload, kid } = await openEnvelope(cose, keys);
  const b = { ...readHeader(header), kid, bytes: cose.length, hash: hex(await sha256(cose)) };
  b.readings = b.control ? [] : readSenml(payload, b);
  b.entries = b.control ? readControl(payload) : [];
  b.tells = !b.control && !b.stands && b.clk !== CLK_UNKNOWN; // its day
  return b;
}
export { Float, decimalText };
