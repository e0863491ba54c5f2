// verify.mjs reads our golden chain, and sees when a byte of it, a link or a receipt is off.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const golden = join(here, '../golden');
const dir = mkdtempSync(join(tmpdir(), 'fieldpost-verify-'));
after(() => rmSync(dir, { recursive: true }));
const pub = join(golden, 'rfc9052.pub');

function bytes(name) {
  return Buffer.from(readFileSync(join(golden, `${name}.hex`), 'utf8').trim(), 'hex');
}
function put(name, content) {
  const path = join(dir, name);
  writeFileSync(path, content);
  return path;
}
function run(...args) {
  const r = spawnSync(process.execPath, [join(here, 'verify.mjs'), '--key', pub, '--city-key', pub,
                                         ...args], { encoding: 'utf8' });
  return { status: r.status, out: r.stdout, err: r.stderr };
}
const control = put('1.cose', bytes('batch-1-control'));
const data = put('2.cose', bytes('batch-2-data'));
const receipt = put('2.receipt', bytes('receipt-2'));

test('the golden chain and its receipt verify and decode', () => {
  const r = run(data, control, '--receipt', receipt);
  assert.equal(r.err, '');
  assert.equal(r.status, 0);
  assert.equal(r.out, [
    'series,ts_ms,value',
    'meter-1/power,1795318200000,230.5',
    'meter-1/state,1795318200000,1',
    'air-1/pm25,1795318200250,12.3',
    '',
  ].join('\n'));
});

test('a compressed batch reads the same', () => {
  const z = spawnSync('zstd', ['-cq', data]);
  assert.equal(z.status, 0);
  const r = run(put('2.cose.zst', z.stdout));
  assert.equal(r.status, 0);
  assert.equal(r.out, run(data).out);
});

test('a folder of sealed batches is read by its manifest', () => {
  mkdirSync(join(dir, 'gw-1/c1'), { recursive: true });
  const batches = ['batch-1-control', 'batch-2-data'].map((name, i) => {
    const z = spawnSync('zstd', ['-cq'], { input: bytes(name) });
    put(`gw-1/c1/${i + 1}.cose.zst`, z.stdout);
    return { chain: 'c1', seq: i + 1, sha256: createHash('sha256').update(bytes(name)).digest('hex') };
  });
  const manifest = (change) => put('gw-1/manifest.json', JSON.stringify(
    { format: 'fieldpost sealed export', version: 1, batches, count: 2, ...change }));
  const two = put('two.receipts', Buffer.concat([bytes('receipt-2'), bytes('receipt-2')]));
  const r = run(manifest(), '--receipt', two);
  assert.equal(r.err, '');
  assert.equal(r.out, run(data).out);
  assert.equal(run(manifest({ count: 3 })).status, 1);
  assert.match(run(manifest({ batches: [batches[1], { ...batches[0], sha256: batches[1].sha256 }] }))
    .err, /not the bytes that the manifest names/);
  rmSync(join(dir, 'gw-1/c1/1.cose.zst'));
  assert.equal(run(manifest()).status, 1);
});

test('a changed byte, link or receipt is seen', () => {
  const flipped = (name, at) => {
    const b = bytes(name);
    b[at] ^= 1;
    return put(`flipped-${name}`, b);
  };
  assert.equal(run(flipped('batch-2-data', 40)).status, 1);
  assert.match(run(flipped('batch-2-data', bytes('batch-2-data').length - 80)).err, /signature/);
  assert.match(run(data, '--receipt', flipped('receipt-2', 100)).err, /flipped-receipt-2: the signature/);
  assert.match(run(control, '--receipt', receipt).err, /not given/);
});
