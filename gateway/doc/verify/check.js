// All files that were chosen, together.
import { nextKeys, openBatch, readKey, readProof, sha256, hex } from './batch.js';
import { Fault } from './cbor.js';
import { chainsOf, checkDays, checkLinks, dayTold } from './chain.js';

function checkPlace(path, b) {
  const want = `${b.gw}/${b.chain}/${b.seq}.cose.zst`;
  if (path.endsWith('.cose.zst') && path.includes('/') && !path.endsWith(`/${want}`) && !want.endsWith(path) &&
      path.split('/').length >= 3)
    throw new Fault('place', want);
}

// Batches that a manifest names and that are not there, or are others.
function checkManifest(path, bytes, good, say) {
  let m;
  try {
    m = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    m = {};
  }
  if (m.format !== 'fieldpost sealed export' || m.version !== 1 || !Array.isArray(m.batches) ||
      m.batches.length !== m.count) return say(path, 'manifest_form');
  for (const x of m.batches)
    if (good.get(`${m.gateway}/${x.chain}/${x.seq}`) !== x.sha256) say(path, 'manifest', `${x.chain}/${x.seq}`);
  return undefined;
}

// files: [{path, bytes()}]; keys: PEM texts; proof: the text of a QR code or ''; day: '' or YYYY-MM-DD.
// Gives {batches, faults: [{where, code, args}], digests}.
export async function checkAll({ files, keys, proof, day, inflate, progress }) {
  const faults = [], batches = [], manifests = [];
  const say = (where, code, ...args) => {
    faults.push({ where: typeof where === 'string' ? where : where?.path ?? '', code, args });
  };
  const attempt = async (path, fn) => {
    try {
      await fn();
    } catch (e) {
      if (!(e instanceof Fault)) throw e;
      say(path, e.code, ...e.args);
    }
  };
  const pubs = [];
  for (const pem of keys) await attempt('', async () => { pubs.push(await readKey(pem)); });
  if (faults.length) return { batches, faults, digests: [] };
  // A batch may name the next key of its gateway; what that key has signed waits for it.
  const take = async (path, bytes, check, more) => {
    const b = await openBatch(bytes, pubs, inflate);
    check(b);
    batches.push({ path, ...more, ...b });
    for (const k of await nextKeys(b)) if (!pubs.some((p) => p.kid === k.kid && p.gw === k.gw)) pubs.push(k);
  };
  let done = 0, waiting = files, known = 0;
  while (waiting.length && pubs.length > known) {
    const left = [];
    known = pubs.length;
    for (const f of waiting) {
      if (waiting === files) progress?.(++done, files.length);
      let bytes;
      try {
        bytes = await f.bytes();
      } catch {
        say(f.path, 'unreadable');
        continue;
      }
      if (f.path.endsWith('manifest.json')) manifests.push([f.path, bytes]);
      else await attempt(f.path, () => take(f.path, bytes, (b) => checkPlace(f.path, b)).catch((e) => {
        if (e.code !== 'other_key') throw e;
        left.push({ ...f, fault: e });
      }));
    }
    waiting = left;
  }
  for (const f of waiting) say(f.path, f.fault.code, ...f.fault.args);
  if (proof) await attempt('FP1', () => {
    const p = readProof(proof);
    return take('FP1', p.bytes, (b) => {
      const [x] = b.entries;
      if (b.gw !== p.gw || b.entries.length !== 1 || dayTold(x) !== p.day) throw new Fault('proof_other');
    });
  });
  if (!batches.length && !faults.length) say('', 'nothing');
  const chains = chainsOf(batches, say);
  checkLinks(chains, (b, ...what) => b.path === 'FP1' ? undefined : say(b, ...what));
  const good = new Map(batches.map((b) => [`${b.gw}/${b.chain}/${b.seq}`, b.hash]));
  for (const [path, bytes] of manifests) checkManifest(path, bytes, good, say);
  return { batches, faults, digests: await checkDays(chains, day, say) };
}
export { sha256, hex };
