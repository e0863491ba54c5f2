// What batches together can break: links, holes, windows, days (gateway/doc/batch.cddl).
import { CLK_UNKNOWN, hex, sha256 } from './batch.js';

const DAY_MS = 86400000, VIET_NAM_MS = 7 * 3600000;
export const dayOf = (b) =>
  new Date(Math.floor((Number(b.to) - 1 + VIET_NAM_MS) / DAY_MS) * DAY_MS).toISOString().slice(0, 10);

// The day that an entry digests: its own chain's, or what an earlier chain held at its end.
export const dayTold = ({ name, args }) => (name === 'digest' ? args[0] : name === 'rest' ? args[1] : undefined);

// gw/chain -> its batches in order, what was given up, its digests.
export function chainsOf(batches, say) {
  const chains = new Map();
  const chainOf = (gw, id) => {
    const key = `${gw}/${id}`;
    if (!chains.has(key)) chains.set(key, { gw, id, list: [], at: new Map(), voided: new Map(), digests: [] });
    return chains.get(key);
  };
  for (const b of batches) {
    const c = chainOf(b.gw, b.chain), seq = Number(b.seq), same = c.at.get(seq);
    if (same) {
      if (same.hash !== b.hash) say(b, 'twice');
      continue;
    }
    c.at.set(seq, b);
    c.list.push(b);
    for (const { name, args } of b.entries) {
      if (name === 'void') args[2].forEach((h, i) => c.voided.set(Number(args[0]) + i, hex(h)));
      if (name === 'digest' || name === 'rest') {
        const own = name === 'digest', of = own ? c : chainOf(b.gw, hex(args[0]));
        const [day, from, to, readings, gaps, hash] = own ? args : args.slice(1);
        of.digests.push({ batch: b, own, day, from: Number(from), to: Number(to), readings, gaps, hash: hex(hash) });
      }
    }
  }
  for (const c of chains.values()) c.list.sort((a, b) => (a.seq < b.seq ? -1 : 1));
  return chains;
}

function checkLink(c, a, b, say) {
  if (a.kid !== b.kid) say(b, 'two_keys', Number(a.seq));
  if (a.entries.some((x) => x.name === 'key')) say(b, 'behind_key', Number(a.seq));
  let hash = a.hash;
  const from = Number(a.seq) + 1, to = Number(b.seq) - 1;
  for (let seq = from; seq <= to; seq++) {
    if (!c.voided.has(seq)) return say(b, from === to ? 'hole_one' : 'hole', from, to);
    hash = c.voided.get(seq);
  }
  if (b.prev !== hash) say(b, 'link', Number(a.seq));
  const moved = b.step || a.clk === CLK_UNKNOWN || b.clk === CLK_UNKNOWN || a.boot !== b.boot || a.stands || b.stands;
  if (from > to && !moved && a.to !== b.from) say(b, 'window', Number(a.seq));
}

export function checkLinks(chains, say) {
  for (const c of chains.values()) {
    c.list.forEach((b, i) => i > 0 && checkLink(c, c.list[i - 1], b, say));
    const first = c.list[0], before = first?.after && chains.get(`${c.gw}/${first.after.chain}`)?.at.get(Number(first.after.seq));
    if (before && before.hash !== first.after.hash) say(first, 'birth');
  }
}

async function reckon(c, d) {
  const sum = { readings: 0, gaps: 0, givenUp: 0, missing: 0, rightDay: true, endsRight: false };
  let h = new Uint8Array(32);
  for (let seq = d.from; seq <= d.to; seq++) {
    const b = c.at.get(seq), hash = b?.hash ?? c.voided.get(seq);
    if (!hash) return { ...sum, missing: seq };
    const both = new Uint8Array(64);
    both.set(h);
    both.set(Uint8Array.from(hash.match(/../g), (x) => parseInt(x, 16)), 32);
    h = await sha256(both);
    sum.givenUp += b ? 0 : 1;
    sum.readings += b ? b.readings.length : 0;
    sum.gaps += b ? b.gaps.length : 0;
    sum.endsRight = b ? b.tells : true;
    if (b?.tells && dayOf(b) !== d.day) sum.rightDay = false;
  }
  return { ...sum, hash: hex(h) };
}

async function checkDigest(c, d, say) {
  if (d.from > d.to || (d.own && d.to >= Number(d.batch.seq))) return say(d.batch, 'digest_range', d.day);
  const sum = await reckon(c, d);
  d.missing = sum.missing;
  if (sum.missing) return undefined; // the caller knows whether the day was asked for
  if (sum.hash !== d.hash) say(d.batch, 'digest_hash', d.day);
  if (!sum.givenUp && (sum.readings !== Number(d.readings) || sum.gaps !== Number(d.gaps))) say(d.batch, 'digest_count', d.day);
  if (!sum.rightDay || !sum.endsRight) say(d.batch, 'digest_day', d.day);
  d.givenUp = sum.givenUp;
  d.proven = true;
  return undefined;
}

// All digests whose batches are here; with `day` those of that day must be, and cover all of it.
export async function checkDays(chains, day, say) {
  const digests = [];
  for (const c of chains.values())
    for (const d of c.digests) {
      await checkDigest(c, d, say);
      if (d.missing && d.day === day) say(d.batch, 'digest_missing', d.missing, d.day);
      digests.push({ gw: c.gw, chain: c.id, ...d });
    }
  if (!day) return digests;
  // Where another chain follows: the last number, which it names with its hash.
  const followed = new Map();
  for (const { gw, list: [first] } of chains.values())
    if (first?.after) followed.set(`${gw}/${first.after.chain}`, Number(first.after.seq));
  let linked = 0;
  for (const [key, c] of chains) {
    const last = Math.max(0, ...c.digests.map((d) => d.to)), end = followed.get(key) ?? 0;
    for (const b of c.list) {
      if (!b.tells || dayOf(b) !== day) continue;
      const over = c.digests.find((d) => d.from <= b.seq && d.to >= b.seq);
      const leads = !over && b.seq > last && b.seq <= end ? missingTo(c, Number(b.seq), end) : NaN;
      if (leads > 0) say(b, 'digest_end', day, leads);
      else if (over ? over.day !== day : leads !== 0) say(b, 'digest_uncovered', day);
      linked += leads === 0 ? 1 : 0;
    }
  }
  if (!linked && !digests.some((d) => d.day === day)) say(null, 'digest_none', day);
  return digests;
}

// The first number from `seq` to `end` that is neither here nor given up; 0: none.
function missingTo(c, seq, end) {
  while (seq <= end && (c.at.has(seq) || c.voided.has(seq))) seq++;
  return seq <= end ? seq : 0;
}
