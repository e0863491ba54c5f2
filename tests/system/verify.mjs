// An independent reader of what fieldpost sends, written from gateway/doc/batch.cddl with public
// tools alone: node:crypto, cbor-x, the zstd program.
//
//   node verify.mjs --key device.pub [--city-key city.pub] [--receipt FILE]... [--head FILE --nonce N]
//     [--digest FILE --day DAY] [--notices FILE] BATCH|MANIFEST...
//
// A batch that is signed by a known key may name the next key of its gateway in a `key` entry, so the
// first key is enough. Verifies each batch (envelope, signature, header), the links between those that are given, and
// each receipt against its batch. MANIFEST is the {gw}/manifest.json of a folder of sealed batches:
// all that it names must be there. A receipt's FILE may hold many, one behind the other. Prints all
// readings as CSV: series,ts_ms,value. A head and a day's digest of the city are held against the batches
// that are given, as is every digest that a batch holds of them. With the city's notices its first key is
// enough: a receipt counts that was signed by a key of its time. Exit 1 when anything is off.
import { spawnSync } from 'node:child_process';
import { createHash, createPublicKey, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Decoder, addExtension } from 'cbor-x';

const HALF_ORDER = BigInt('0x7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a8');
const TYPES = {
  control: 'application/vnd.fieldpost.control+cbor',
  receipt: 'application/vnd.fieldpost.receipt+cbor',
  head: 'application/vnd.fieldpost.head+cbor',
  digest: 'application/vnd.fieldpost.digest+cbor',
  notice: 'application/vnd.fieldpost.trust+cbor',
  senml: 112,
};
const Q = { unknown: 64, corrected: 128 };

class Decimal {
  constructor(exponent, mantissa) {
    this.exponent = Number(exponent);
    this.mantissa = BigInt(mantissa);
  }
}
class Sign1 {
  constructor(parts) {
    this.parts = parts;
  }
}
addExtension({ tag: 4, decode: ([e, m]) => new Decimal(e, m) });
addExtension({ tag: 18, decode: (parts) => new Sign1(parts) });
const decoder = new Decoder({ mapsAsObjects: false, useRecords: false });
const decode = (bytes) => decoder.decode(bytes);

function need(condition, what) {
  if (!condition) throw new Error(what);
}
const sha256 = (bytes) => createHash('sha256').update(bytes).digest();
const hex = (bytes) => Buffer.from(bytes).toString('hex');

// Of a file, or what was read of one.
function load(file) {
  const bytes = Buffer.isBuffer(file) ? file : readFileSync(file);
  if (bytes.length < 4 || bytes.readUInt32LE(0) !== 0xfd2fb528) return bytes;
  const r = spawnSync('zstd', ['-dcq'], { input: bytes, maxBuffer: 2 << 20 });
  need(!r.error && r.status === 0, `zstd: ${r.error ?? r.stderr}`);
  return r.stdout;
}

function bstrHead(n) {
  if (n < 24) return Buffer.from([0x40 | n]);
  if (n < 0x100) return Buffer.from([0x58, n]);
  if (n < 0x10000) return Buffer.from([0x59, n >> 8, n & 255]);
  const b = Buffer.alloc(5);
  b[0] = 0x5a;
  b.writeUInt32BE(n, 1);
  return b;
}

class UnknownKey extends Error {}

// Opens a decoded COSE_Sign1 and checks its signature by one of the keys.
function open(top, pubs) {
  need(top instanceof Sign1 && top.parts.length === 4, 'not a COSE_Sign1');
  const [header, unprotected, payload, signature] = top.parts;
  need(unprotected instanceof Map && unprotected.size === 0, 'an unprotected header');
  need(signature.length === 64, 'a signature that has not 64 bytes');
  need(BigInt('0x' + hex(signature.subarray(32))) <= HALF_ORDER, 's is above n/2');
  const toBeSigned = Buffer.concat([
    Buffer.from('846a5369676e617475726531', 'hex'),
    bstrHead(header.length), header, Buffer.from([0x40]), bstrHead(payload.length), payload,
  ]);
  const keys = decode(header);
  need(keys.get(1) === -7, 'not ES256');
  const able = pubs.filter((p) => p.kid === hex(keys.get(4)) && (!p.gw || p.gw === keys.get('gw')));
  if (!able.length) throw new UnknownKey(`the kid is that of another key, ${hex(keys.get(4))}`);
  need(able.some(({ key }) => verify('sha256', toBeSigned, { key, dsaEncoding: 'ieee-p1363' }, signature)),
       'the signature does not fit');
  return { keys, payload: decode(payload) };
}

const loadKey = (file) => ofKey(createPublicKey(readFileSync(file)));
function ofKey(key, gw) {
  return { gw, key, kid: hex(sha256(key.export({ type: 'spki', format: 'der' })).subarray(0, 8)) };
}

function ms(t) {
  if (t === undefined) return 0n;
  if (t instanceof Decimal) {
    need(t.exponent === -3, 'a time that is not in milliseconds');
    return t.mantissa;
  }
  need(Number.isInteger(t) || typeof t === 'bigint', 'a time that is no integer');
  return BigInt(t) * 1000n;
}

// Never an exponent; a decimal exactly, a float as the shortest text that gives it back.
function text(v) {
  if (typeof v === 'bigint') return v.toString();
  if (v instanceof Decimal) {
    const minus = v.mantissa < 0n ? '-' : '';
    const digits = (v.mantissa < 0n ? -v.mantissa : v.mantissa).toString();
    const padded = digits.padStart(1 - v.exponent, '0');
    return `${minus}${padded.slice(0, v.exponent)}.${padded.slice(v.exponent)}`;
  }
  need(typeof v === 'number' && Number.isFinite(v), 'a value that is no finite number');
  if (Object.is(v, -0)) return '-0';
  const [mantissa, exponent] = v.toString().split('e');
  if (exponent === undefined) return mantissa;
  const minus = mantissa.startsWith('-') ? '-' : '';
  const [whole, fraction = ''] = mantissa.replace('-', '').split('.');
  const point = whole.length + Number(exponent);
  const digits = whole + fraction;
  if (point <= 0) return `${minus}0.${'0'.repeat(-point)}${digits}`;
  return minus + digits.padEnd(point, '0');
}

function* readings(batch) {
  const flag = { 2: Q.corrected, 3: Q.unknown }[batch.clk] ?? 0;
  let base, at;
  for (const r of batch.payload) {
    need(r instanceof Map && r.has(0) && r.has(2), 'a record without name or value');
    for (const key of [-1, -4, -5, -6]) need(!r.has(key), 'a base member that may not be there');
    need(r.has(-2) === r.has(-3), 'bn and bt go together');
    if (r.has(-2)) [base, at] = [r.get(-2), ms(r.get(-3))];
    need(base?.startsWith(`${batch.gw}/`), 'a base name of another gateway');
    need(((r.get('q') ?? 0) & flag) === flag, 'a reading without the flag of its clock');
    const series = base.slice(batch.gw.length + 1) + r.get(0);
    yield `${series},${at + ms(r.get(6))},${text(r.get(2))}`;
  }
}

// [file, hash] of what a manifest names; of a batch itself, whose hash nobody named.
function filesOf(file) {
  if (basename(file) !== 'manifest.json') return [[file, null]];
  const m = JSON.parse(readFileSync(file, 'utf8'));
  need(m.format === 'fieldpost sealed export' && m.version === 1, 'not a manifest');
  need(m.batches.length === m.count, 'a manifest that does not name as many as it says');
  return m.batches.map((b) => [join(dirname(file), b.chain, `${b.seq}.cose.zst`), b.sha256]);
}

function openBatch(file, pubs, named) {
  const bytes = load(file);
  need(!named || hex(sha256(bytes)) === named, 'not the bytes that the manifest names');
  const { keys, payload } = open(decode(bytes), pubs);
  const type = keys.get(3);
  need(type === TYPES.senml || type === TYPES.control, 'neither a data nor a control batch');
  need(keys.get('v') === 1, 'another version');
  const seq = keys.get('seq');
  need(seq === 1 ? keys.has('after') && !keys.has('prev') : hex(keys.get('prev')).length === 64,
       'prev or after is missing');
  need(keys.get('from') <= keys.get('to'), 'a window that ends before it begins');
  for (const [series, from, to, cause] of keys.get('gaps'))
    need(series && cause && from < to && from >= keys.get('from') && to <= keys.get('to'),
         'a gap out of its window');
  return {
    file, payload, seq, named: Boolean(named), gw: keys.get('gw'), chain: hex(keys.get('chain')), clk: keys.get('clk'),
    prev: seq > 1 ? hex(keys.get('prev')) : null, hash: hex(sha256(bytes)),
    data: type === TYPES.senml, from: keys.get('from'), to: keys.get('to'),
    abuts: keys.get('clk') !== 3 && !keys.has('step') && !keys.has('for'),
    boot: hex(keys.get('boot')), kid: hex(keys.get(4)),
    next: type === TYPES.control ? payload.filter((e) => e[0] === 'key').map((e) => e[1]) : [],
    gaps: keys.get('gaps').length,
    tells: type === TYPES.senml && keys.get('clk') !== 3 && !keys.has('for'), // its day
  };
}

// Opens all of them, those first whose keys are known: each may bring a key to light.
function openAll(listed, pubs) {
  const batches = [];
  for (let waiting = [...listed]; waiting.length;) {
    const left = [];
    let why;
    for (const [file, hash] of waiting) {
      try {
        const b = openBatch(file, pubs, hash);
        for (const der of b.next)
          pubs.push(ofKey(createPublicKey({ key: der, format: 'der', type: 'spki' }), b.gw));
        batches.push(b);
      } catch (e) {
        why = new Error(`${file}: ${e.message}`);
        if (!(e instanceof UnknownKey)) throw why;
        left.push([file, hash]);
      }
    }
    if (left.length === waiting.length) throw why;
    waiting = left;
  }
  return batches;
}

function checkLinks(batches) {
  for (let i = 1; i < batches.length; i++) {
    const [a, b] = [batches[i - 1], batches[i]];
    if (a.chain !== b.chain) continue;
    need(a.kid === b.kid, `${b.file}: another key than that of ${a.file} in one chain`);
    need(!a.next.length, `${b.file}: stands behind the batch that names the next key`);
    if (b.named && b.seq > a.seq + 1) continue; // the manifest says what there is
    need(b.seq === a.seq + 1, `${b.file}: batch ${a.seq + 1} of its chain is missing`);
    need(b.prev === a.hash, `${b.file}: its prev is not the hash of ${a.file}`);
    if (a.abuts && b.abuts && a.boot === b.boot)
      need(b.from === a.to, `${b.file}: its window does not begin where that of ${a.file} ends`);
  }
}

// city: its key, or all of them.
function checkReceipt(receipt, city, batches) {
  const pubs = [city].flat(), { keys, payload: r } = open(receipt, pubs);
  need(keys.get(3) === TYPES.receipt, 'not a receipt');
  const until = pubs.find((p) => p.kid === hex(keys.get(4))).until ?? Infinity;
  need(r.get('received') < until, 'a receipt by a key that had ended');
  const find = (seq) => batches.find((b) => b.chain === hex(r.get('chain')) && b.seq === seq);
  const b = find(r.get('seq'));
  need(b, 'a receipt for a batch that is not given');
  need(r.get('v') === 1 && r.get('gw') === b.gw, 'a receipt for another gateway');
  need(hex(r.get('sha256')) === b.hash, 'a receipt for other bytes');
  need(r.get('n') === (b.data ? b.payload.length : 0), 'a receipt for another number of records');
  const [seq, hash] = r.get('through');
  need(!find(seq) || hex(hash) === find(seq).hash, 'its through is not the hash that is given');
}

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      key: { type: 'string' },
      'city-key': { type: 'string' },
      receipt: { type: 'string', multiple: true, default: [] },
      head: { type: 'string' },
      nonce: { type: 'string' },
      digest: { type: 'string' },
      day: { type: 'string' },
      notices: { type: 'string' },
    },
  });
  if (!values.key || !positionals.length || ((values.receipt.length || values.head || values.digest) && !values['city-key'])) {
    console.error('usage: verify.mjs --key PUB [--city-key PUB --receipt FILE]... BATCH|MANIFEST...');
    return 2;
  }
  const inFile = (file, fn) => {
    try {
      return fn();
    } catch (e) {
      throw new Error(`${file}: ${e.message}`);
    }
  };
  const pubs = [loadKey(values.key)];
  const listed = new Map(positionals.flatMap((file) => inFile(file, () => filesOf(file))));
  const batches = openAll(listed, pubs);
  const order = new Map(batches.map((b, i) => [b.chain, i]).reverse());
  batches.sort((a, b) => order.get(a.chain) - order.get(b.chain) || a.seq - b.seq);
  checkLinks(batches);
  const { checkDigest, checkHead, checkSealedDigests, followNotices } = await import('./answers.mjs');
  const city = values['city-key'] && loadKey(values['city-key']), all = [city];
  if (values.notices)
    inFile(values.notices, () => all.splice(0, 1, ...followNotices(decoder.decodeMultiple(load(values.notices)), city)));
  for (const file of values.receipt)
    inFile(file, () => decoder.decodeMultiple(load(file)).forEach((receipt) => checkReceipt(receipt, all, batches)));
  checkSealedDigests(batches);
  if (values.head) inFile(values.head, () => checkHead(decode(load(values.head)), city, batches, values.nonce));
  if (values.digest) inFile(values.digest, () => checkDigest(decode(load(values.digest)), city, batches, values.day));
  const lines = ['series,ts_ms,value'];
  for (const b of batches)
    if (b.data) inFile(b.file, () => lines.push(...readings(b)));
  process.stdout.write(lines.join('\n') + '\n');
  return 0;
}

export { TYPES, checkLinks, checkReceipt, decode, decoder, hex, load, loadKey, need, ofKey, open, openBatch, sha256 };

if (process.argv[1] === fileURLToPath(import.meta.url)) // not awaited: answers.mjs imports this file
  main().then((code) => { process.exitCode = code; }, (e) => {
    console.error(e.message);
    process.exitCode = 1;
  });
