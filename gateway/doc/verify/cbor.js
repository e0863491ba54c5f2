// A strict reader of deterministic CBOR (RFC 8949 4.2.1), as gateway/doc/batch.cddl wants it, and of
// a zstd frame's outside. What breaks a rule is thrown as a Fault: a code of words.js and its words.
export class Fault extends Error {
  constructor(code, ...args) {
    super(code);
    this.code = code;
    this.args = args;
  }
}
export function need(condition, code, ...args) {
  if (!condition) throw new Fault(code, ...args);
}

export class Tag {
  constructor(tag, value) {
    this.tag = tag;
    this.value = value;
  }
}
export class Simple {
  constructor(n) {
    this.simple = n;
  }
}
// A float keeps its size in bytes, head included.
export class Float {
  constructor(value, size) {
    this.value = value;
    this.size = size;
  }
}

const DEPTH_MAX = 8;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function half(bits) {
  const e = (bits >> 10) & 31, m = bits & 1023, sign = bits & 0x8000 ? -1 : 1;
  if (e === 31) return m ? NaN : sign * Infinity;
  return sign * (e ? 2 ** (e - 15) * (1 + m / 1024) : 2 ** -14 * (m / 1024));
}
// Whether a float of so many bytes (head included) holds v.
export function fits(v, size) {
  if (size === 9) return true;
  if (Object.is(Math.fround(v), v) === false) return false;
  if (size === 5 || !Number.isFinite(v) || v === 0) return true;
  const a = Math.abs(v);
  return a <= 65504 && Number.isInteger(a * 2 ** (a < 2 ** -14 ? 24 : 10 - Math.floor(Math.log2(a))));
}

function compare(a, b) {
  for (let i = 0; i < a.length && i < b.length; i++) if (a[i] !== b[i]) return a[i] - b[i];
  return a.length - b.length;
}

class Reader {
  constructor(bytes) {
    this.b = bytes;
    this.at = 0;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
  bytes(n) {
    need(n <= this.b.length - this.at, 'cut', this.at);
    this.at += Number(n);
    return this.b.subarray(this.at - Number(n), this.at);
  }
  // The argument of a head in its shortest form; a BigInt only above 2^53.
  argument(info) {
    if (info < 24) return info;
    need(info < 28, 'indefinite', this.at);
    const size = 1 << (info - 24), start = this.at;
    this.bytes(size);
    const v = size === 8 ? this.view.getBigUint64(start)
      : size === 4 ? this.view.getUint32(start) : size === 2 ? this.view.getUint16(start)
      : this.view.getUint8(start);
    need(v >= [24, 0x100, 0x10000, 0x100000000][info - 24], 'long_head', start - 1);
    return size === 8 && v <= Number.MAX_SAFE_INTEGER ? Number(v) : v;
  }
  float(info) {
    const start = this.at, size = 1 << (info - 24);
    this.bytes(size);
    const v = size === 2 ? half(this.view.getUint16(start))
      : size === 4 ? this.view.getFloat32(start) : this.view.getFloat64(start);
    if (Number.isNaN(v))
      need(size === 2 && this.view.getUint16(start) === 0x7e00, 'long_head', start - 1);
    else
      for (const smaller of [3, 5]) need(size + 1 <= smaller || !fits(v, smaller), 'long_head', start - 1);
    return new Float(v, size + 1);
  }
  map(n, depth) {
    const pairs = [];
    let last = null;
    for (let i = 0; i < n; i++) {
      const start = this.at, key = this.item(depth);
      const raw = this.b.subarray(start, this.at);
      need(last === null || compare(last, raw) < 0, 'key_order', start);
      last = raw;
      pairs.push([key, this.item(depth)]);
    }
    return pairs;
  }
  item(depth = 0) {
    const start = this.at, [head] = this.bytes(1), major = head >> 5, info = head & 31;
    if (major === 7) {
      if (info >= 25 && info <= 27) return this.float(info);
      if (info < 20 || info === 23) return new Simple(info);
      if (info === 24) {
        const [n] = this.bytes(1);
        need(n >= 32, 'long_head', start);
        return new Simple(n);
      }
      need(info <= 22, 'indefinite', start);
      return [false, true, null][info - 20];
    }
    const n = this.argument(info);
    if (major === 0) return n;
    if (major === 1) return typeof n === 'bigint' || n === Number.MAX_SAFE_INTEGER ? -1n - BigInt(n) : -1 - n;
    if (major === 2) return this.bytes(n);
    if (major === 3) {
      const raw = this.bytes(n);
      try {
        return utf8.decode(raw);
      } catch {
        throw new Fault('utf8', start);
      }
    }
    need(depth < DEPTH_MAX, 'deep', start);
    if (major === 6) return new Tag(n, this.item(depth + 1));
    need(n <= this.b.length - this.at, 'cut', start);
    if (major === 5) return new Map2(this.map(n, depth + 1));
    return Array.from({ length: n }, () => this.item(depth + 1));
  }
}
// A map whose keys are integers and texts, in their order.
export class Map2 {
  constructor(pairs) {
    this.pairs = pairs;
  }
  get(key) {
    return this.pairs.find(([k]) => k === key)?.[1];
  }
  has(key) {
    return this.pairs.some(([k]) => k === key);
  }
  get size() {
    return this.pairs.length;
  }
}

export function decode(bytes) {
  const r = new Reader(bytes), item = r.item();
  need(r.at === bytes.length, 'trailing', r.at);
  return item;
}

// ---- the one form of a value (rule of `number` in batch.cddl) ----------------------------------

function intSize(n) {
  const u = n < 0n ? -1n - n : n;
  return u < 24n ? 1 : u < 0x100n ? 2 : u < 0x10000n ? 3 : u < 0x100000000n ? 5 : u < 1n << 64n ? 9 : 99;
}
function floatSize(v) {
  return fits(v, 3) ? 3 : fits(v, 5) ? 5 : 9;
}
const tagSize = (m) => (m < -(1n << 63n) || m >= 1n << 64n ? 99 : 3 + intSize(m));

// v as m * 10^-k with k >= 0, m not divisible by 10 unless k is 0.
function decimalOf(v) {
  let k = 0n, x = v;
  while (!Number.isInteger(x) && k < 1100n) {
    x *= 2;
    k++;
  }
  let m = BigInt(x) * 5n ** k;
  while (k > 0n && m % 10n === 0n) {
    m /= 10n;
    k--;
  }
  return [m, k];
}

// Throws unless it is the shortest form; gives [mantissa, k] of m * 10^-k, or the float itself.
export function number(v) {
  if (typeof v === 'number' || typeof v === 'bigint') {
    const n = BigInt(v), f = Number(n);
    need(!(intSize(n) === 9 && BigInt(f) === n && floatSize(f) < 9), 'value_form');
    need(n >= -(1n << 63n) || BigInt(f) === n, 'value_form');
    return { text: n.toString() };
  }
  if (v instanceof Float) {
    need(Number.isFinite(v.value), 'value_form');
    if (!Object.is(v.value, -0)) {
      const [m, k] = decimalOf(v.value);
      need(k > 0n || intSize(m) > v.size, 'value_form');
      need(k === 0n || k > 24n || tagSize(m) >= v.size, 'value_form');
    }
    return { text: floatText(v.value) };
  }
  need(v instanceof Tag && v.tag === 4 && Array.isArray(v.value) && v.value.length === 2, 'value_form');
  const [e, mantissa] = v.value;
  need(Number.isInteger(e) && e >= -24 && e <= -1, 'value_form');
  need(typeof mantissa === 'number' || typeof mantissa === 'bigint', 'value_form');
  const m = BigInt(mantissa), five = 5n ** BigInt(-e);
  need(m % 10n !== 0n && tagSize(m) < 99, 'value_form');
  if (m % five === 0n) { // a float may hold it, too
    const q = m / five, f = Number(q) / 2 ** -e;
    need(BigInt(Number(q)) !== q || floatSize(f) > tagSize(m), 'value_form');
  }
  return { text: decimalText(m, -e) };
}
export function decimalText(m, k) {
  const digits = (m < 0n ? -m : m).toString().padStart(k + 1, '0');
  return `${m < 0n ? '-' : ''}${digits.slice(0, -k)}.${digits.slice(-k)}`;
}
function floatText(v) {
  if (Object.is(v, -0)) return '-0';
  const [mantissa, exponent] = v.toString().split('e');
  if (exponent === undefined) return mantissa;
  const minus = mantissa.startsWith('-') ? '-' : '';
  const [whole, fraction = ''] = mantissa.replace('-', '').split('.');
  const point = whole.length + Number(exponent), digits = whole + fraction;
  return point <= 0 ? `${minus}0.${'0'.repeat(-point)}${digits}` : minus + digits.padEnd(point, '0');
}

// ---- the outside of a zstd frame (RFC 8878): one, with its size, no dictionary, nothing behind ----

const WINDOW_MAX = 8 << 20;
export const isZstd = (b) => b.length >= 4 && b[0] === 0x28 && b[1] === 0xb5 && b[2] === 0x2f && b[3] === 0xfd;

export function unpack(b, inflate, max) {
  const view = new DataView(b.buffer, b.byteOffset, b.byteLength);
  try {
    const flags = b[4], single = flags & 32, sizeBytes = [single ? 1 : 0, 2, 4, 8][flags >> 6];
    need(sizeBytes && !(flags & 8) && !(flags & 3), 'zstd');
    let at = 5;
    if (!single) {
      const exponent = 10 + (b[at] >> 3), base = 2 ** exponent;
      need(base + (base / 8) * (b[at] & 7) <= WINDOW_MAX, 'zstd');
      at++;
    }
    const size = sizeBytes === 8 ? Number(view.getBigUint64(at, true)) : sizeBytes === 4 ? view.getUint32(at, true)
      : sizeBytes === 2 ? view.getUint16(at, true) + 256 : b[at];
    need(size <= max, 'too_large');
    at += sizeBytes;
    for (let last = 0; !last;) {
      const head = view.getUint8(at) | (view.getUint16(at + 1, true) << 8);
      last = head & 1;
      need(((head >> 1) & 3) !== 3, 'zstd');
      at += 3 + (((head >> 1) & 3) === 1 ? 1 : head >> 3);
    }
    need(at + (flags & 4 ? 4 : 0) === b.length, 'zstd');
    const out = inflate(b);
    need(out.length === size, 'zstd');
    return out;
  } catch (e) {
    if (e instanceof Fault) throw e;
    throw new Fault('zstd');
  }
}
