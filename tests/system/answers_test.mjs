// What a real gateway has sealed over a day and a real city has answered, before independent readers:
// verify.mjs (node:crypto, cbor-x), @auth0/cose and the grammar in batch.cddl take it; verify.mjs refuses
// it with any bit flipped, under another key, as an answer to another question, and with the content type
// of something else. Started by verifiers.py; FP_ANSWERS is the folder of what it has gathered.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { checkDigest, checkHead, followNotices } from './answers.mjs';
import { Judge, parse } from './cddl.mjs';
import { checkReceipt, decode, decoder, hex, load, loadKey, openBatch } from './verify.mjs';

const here = dirname(fileURLToPath(import.meta.url)), dir = process.env.FP_ANSWERS;
const at = (...path) => join(dir, ...path), bytes = (...path) => load(at(...path));
const info = JSON.parse(readFileSync(at('info.json'), 'utf8'));
const device = loadKey(at('device.pub')), city = loadKey(at('city.pub'));
const manifest = at('usb', info.gw, 'manifest.json');
const listed = JSON.parse(readFileSync(manifest, 'utf8')).batches;
const file = (b) => at('usb', info.gw, b.chain, `${b.seq}.cose.zst`);
const batches = listed.map((b) => openBatch(file(b), [device], b.sha256));
const receipts = readdirSync(at('receipts'));
const small = (kind) => listed.filter((b) => b.kind === kind).reduce((a, b) => load(file(b)).length < load(file(a)).length ? b : a);
const [data, control] = [small('data'), small('control')];
const ofDigest = listed.find((b) => b.seq === info.sealed_in);
const MESSAGES = {
  data: [load(file(data)), (f, key = device) => openBatch(f, [key])],
  control: [load(file(control)), (f, key = device) => openBatch(f, [key])],
  'sealed digest': [load(file(ofDigest)), (f, key = device) => openBatch(f, [key])],
  receipt: [bytes('receipts', receipts[0]), (f, key = city) => checkReceipt(decode(load(f)), key, batches)],
  head: [bytes('head'), (f, key = city) => checkHead(decode(load(f)), key, batches, info.nonce)],
  notice: [bytes('notice'), (f, key = city) => followNotices([decode(load(f))], key)],
  digest: [bytes('digest'), (f, key = city) => checkDigest(decode(load(f)), key, batches, info.day)],
};

test('verify.mjs takes all of it', () => {
  const r = spawnSync(process.execPath, [join(here, 'verify.mjs'), '--key', at('device.pub'), '--city-key', at('city.pub'),
    ...receipts.flatMap((x) => ['--receipt', at('receipts', x)]), '--head', at('head'), '--nonce', info.nonce,
    '--digest', at('digest'), '--day', info.day, '--notices', at('notices'), manifest], { encoding: 'utf8', maxBuffer: 1 << 26 });
  assert.equal(r.stderr, '');
  assert.equal(r.status, 0);
  assert.ok(receipts.length > 5 && batches.some((b) => b.data && b.payload.length));
});

test('the grammar in batch.cddl takes each kind', () => {
  const judge = new Judge(parse(readFileSync(join(here, '../../gateway/doc/batch.cddl'), 'utf8')));
  for (const [name, [message]] of Object.entries(MESSAGES)) assert.ok(judge.fits(new Uint8Array(message)), name);
});

// In a process of its own: it and verify.mjs share cbor-x, and want different things of tag 18.
test('@auth0/cose takes each kind, and none of it with a flipped bit in payload or signature', () => {
  for (const [name, [message]] of Object.entries(MESSAGES)) {
    const key = at(/receipt|head|^digest|notice/.test(name) ? 'city.pub' : 'device.pub');
    const r = spawnSync(process.execPath, [join(here, 'auth0.mjs'), key], { input: message, encoding: 'utf8' });
    assert.equal(r.stderr, '', name);
    assert.equal(r.status, 0, name);
  }
});

test('the digest of the city is that of the gateway', () => {
  const runs = decode(decode(bytes('digest')).parts[2]).get('runs'), sealed = runs.filter((r) => r.get('sealed'));
  assert.equal(sealed.length, 1);
  const [seq, readings, gaps, hash] = sealed[0].get('sealed');
  assert.equal(seq, info.sealed_in);
  assert.ok(readings > 0);
  assert.deepEqual([sealed[0].get('readings'), sealed[0].get('gaps')], [readings, gaps]);
  assert.deepEqual(sealed[0].get('hash'), hash);
});

test('each kind is refused with any bit flipped, and under another key', (t) => {
  const stranger = { key: generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey };
  for (const [name, [message, check]] of Object.entries(MESSAGES)) {
    const kid = /receipt|head|^digest|notice/.test(name) ? city.kid : device.kid;
    check(message);
    assert.throws(() => check(message, { ...stranger, kid }), /signature/, name);
    for (let bit = 0; bit < message.length * 8; bit++) {
      const b = Buffer.from(message);
      b[bit >> 3] ^= 1 << (bit & 7);
      assert.throws(() => check(b), `${name} with bit ${bit} flipped`);
    }
    t.diagnostic(`${name}: ${message.length * 8} flipped bits refused`);
  }
});

test('each receipt is by a key of its time', () => {
  const all = decoder.decodeMultiple(load(at('notices'))), keys = followNotices(all, city);
  assert.equal(keys.length, 3);
  const by = new Map(receipts.map((x) => decode(bytes('receipts', x))).map((r) => [hex(decode(r.parts[0]).get(4)), r]));
  assert.deepEqual(new Set(by.keys()), new Set(keys.slice(0, 2).map((k) => k.kid)));
  for (const r of by.values()) {
    checkReceipt(r, keys, batches);
    assert.throws(() => checkReceipt(r, keys.map((k) => ({ ...k, until: 1 })), batches), /had ended/);
  }
  assert.throws(() => checkReceipt(by.get(keys[1].kid), city, batches), /another key/);
  assert.throws(() => followNotices([all[0], all[2]], city), /missing/);
  assert.throws(() => followNotices(all.slice(1), city), /another key/);
});

test('an answer to another question is refused', () => {
  assert.throws(() => checkHead(decode(bytes('head')), city, batches, 'another'), /another question/);
  assert.throws(() => checkDigest(decode(bytes('digest')), city, batches, '2026-01-01'), /another day/);
  const others = batches.map((b) => ({ ...b, gw: 'other' }));
  assert.throws(() => checkHead(decode(bytes('head')), city, others, info.nonce), /another gateway/);
  assert.throws(() => checkDigest(decode(bytes('digest')), city, others, info.day), /another gateway/);
  assert.throws(() => checkReceipt(decode(bytes('receipts', receipts[0])), city, others), /another gateway/);
});

// Signed by the right key over the right payload, under the type of another kind.
test('the content type of something else is refused', () => {
  const kinds = { receipt: /not a receipt/, head: /not a head/, digest: /not a digest/, notice: /not a notice/ };
  for (const [name, why] of Object.entries(kinds))
    for (const other of readdirSync(at('swapped')).filter((x) => x.startsWith(`${name}-`)))
      assert.throws(() => MESSAGES[name][1](at('swapped', other)), why, other);
  for (const other of readdirSync(at('swapped')).filter((x) => x.startsWith('data-')))
    assert.throws(() => MESSAGES.data[1](at('swapped', other)), /neither a data nor a control batch/, other);
});
