// What verify.mjs makes of the city's heads and digests, and of the digests in batches.
import { X509Certificate, createPublicKey } from 'node:crypto';
import { TYPES, hex, need, ofKey, open, sha256 } from './verify.mjs';

const DAY_MS = 86400000, VIET_NAM_MS = 7 * 3600000;
const dayOf = (b) => new Date(Math.floor((Number(b.to) - 1 + VIET_NAM_MS) / DAY_MS) * DAY_MS).toISOString().slice(0, 10);

// chain -> number -> hash, as void entries name it.
function voidsOf(batches) {
  const voids = new Map();
  for (const b of batches.filter((x) => !x.data))
    for (const [name, from, , hashes] of b.payload)
      if (name === 'void') hashes.forEach((h, i) => voids.set(`${b.chain}/${Number(from) + i}`, hex(h)));
  return voids;
}

// What the numbers from..to of a chain come to; whole: each hash is known.
function reckon(batches, chain, from, to) {
  const voids = voidsOf(batches), sum = { held: 0, readings: 0, gaps: 0, whole: true, days: new Set(), last: null };
  let h = Buffer.alloc(32);
  for (let seq = from; seq <= to; seq++) {
    const b = batches.find((x) => x.chain === chain && x.seq === seq), hash = b?.hash ?? voids.get(`${chain}/${seq}`);
    if (hash) h = sha256(Buffer.concat([h, Buffer.from(hash, 'hex')]));
    else sum.whole = false;
    if (!b) continue;
    sum.held++;
    sum.readings += b.data ? b.payload.length : 0;
    sum.gaps += b.gaps;
    if (b.tells) sum.days.add(dayOf(b));
    sum.last = b;
  }
  return { ...sum, hash: hex(h) };
}

// Every digest in a batch whose batches are given.
export function checkSealedDigests(batches) {
  for (const b of batches.filter((x) => !x.data))
    for (const [name, ...args] of b.payload) {
      if (name !== 'digest' && name !== 'rest') continue;
      const chain = name === 'rest' ? hex(args.shift()) : b.chain, [day, from, to, readings, gaps, hash] = args;
      need(from <= to && (name === 'rest' || to < b.seq), `${b.file}: its digest names what was not sealed before it`);
      const sum = reckon(batches, chain, from, to);
      if (!sum.whole) continue;
      need(sum.hash === hex(hash), `${b.file}: not the batches that its digest of ${day} has`);
      if (sum.held === to - from + 1)
        need(sum.readings === readings && sum.gaps === gaps && sum.last.tells, `${b.file}: its digest of ${day} counts otherwise`);
      need([...sum.days].every((d) => d === day), `${b.file}: its digest has batches of another day than ${day}`);
    }
}

export function checkHead(head, pub, batches, nonce) {
  const { keys, payload: h } = open(head, [pub]);
  need(keys.get(3) === TYPES.head, 'not a head');
  need(h.get('v') === 1 && batches.every((b) => b.gw === h.get('gw')), 'a head of another gateway');
  need(h.get('nonce') === nonce, 'a head for another question');
  const chains = new Map([...h.get('chains')].map(([id, c]) => [hex(id), c]));
  for (const b of batches) {
    const c = chains.get(b.chain);
    need(c, `a head without the chain of ${b.file}`);
    const [seq, hash] = c.get('through');
    need(seq !== b.seq || hex(hash) === b.hash, 'its through is not the hash that is given');
    need(!c.get('broken').includes(b.seq), `${b.file}: broken, says the head`);
  }
}

export function checkDigest(digest, pub, batches, day) {
  const { keys, payload: d } = open(digest, [pub]);
  need(keys.get(3) === TYPES.digest, 'not a digest');
  need(d.get('v') === 1 && batches.every((b) => b.gw === d.get('gw')), 'a digest of another gateway');
  need(d.get('day') === day, 'a digest of another day');
  for (const b of batches.filter((x) => x.tells && dayOf(x) === day))
    need(d.get('runs').some((r) => hex(r.get('chain')) === b.chain && r.get('seq')[0] <= b.seq && r.get('seq')[1] >= b.seq),
         `${b.file}: is of ${day}, and not in the digest`);
  for (const r of d.get('runs')) {
    const chain = hex(r.get('chain')), [from, to] = r.get('seq'), sum = reckon(batches, chain, from, to);
    if (!sum.whole || sum.held !== r.get('held')) continue; // the city holds others than are given
    need(r.get('hash') && hex(r.get('hash')) === sum.hash, 'not the batches that it has');
    need(r.get('readings') === sum.readings && r.get('gaps') === sum.gaps, 'it counts otherwise');
    need([...sum.days].every((x) => x === day), `it has batches of another day than ${day}`);
    if (!r.get('sealed')) continue;
    const [seq, readings, gaps, hash] = r.get('sealed');
    const later = r.get('in') && hex(r.get('in'));
    const entry = batches.find((b) => b.chain === (later ?? chain) && b.seq === seq)?.payload
      .find((e) => (later ? e[0] === 'rest' && hex(e[1]) === chain : e[0] === 'digest'))?.slice(later ? 2 : 1);
    need(!entry || (entry[0] === day && entry[1] === from && entry[2] === to && entry[3] === readings && entry[4] === gaps &&
      hex(entry[5]) === hex(hash)), `not what was sealed in batch ${seq}`);
  }
}

// The keys of the city, each with its end, from its first one and its notices, each signed by the key that
// the one before it left.
export function followNotices(notices, first) {
  const keys = [{ ...first }];
  let before = Buffer.alloc(32), n;
  for (const notice of notices) {
    const { keys: header, payload: x } = open(notice, [keys.at(-1)]);
    need(header.get(3) === TYPES.notice, 'not a notice');
    need(x.get('v') === 1 && (n === undefined || x.get('n') === n + 1), 'a notice is missing');
    need(x.get('n') === 1 || n === undefined || hex(x.get('prev')) === hex(before), 'a notice of another row');
    need(x.get('at') <= x.get('from') && x.get('from') < x.get('until'), 'times that are none');
    need(x.has('key') || x.has('ca'), 'a notice of nothing');
    for (const der of x.get('ca') ?? []) need(new X509Certificate(der).ca, 'a CA that is none');
    if (x.has('key')) {
      keys.at(-1).until = x.get('until');
      keys.push(ofKey(createPublicKey({ key: x.get('key'), format: 'der', type: 'spki' })));
    }
    n = x.get('n');
    before = sha256(encodeAgain(notice));
  }
  return keys;
}

// The bytes of a COSE_Sign1 from its parts.
function encodeAgain({ parts }) {
  const head = (n) => (n < 24 ? Buffer.from([0x40 | n]) : n < 256 ? Buffer.from([0x58, n]) : Buffer.from([0x59, n >> 8, n & 255]));
  const [header, , payload, signature] = parts;
  return Buffer.concat([Buffer.from([0xd2, 0x84]), head(header.length), header, Buffer.from([0xa0]), head(payload.length), payload,
    head(signature.length), signature]);
}
