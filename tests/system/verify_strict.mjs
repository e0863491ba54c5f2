// What verify.html and `fieldpost verify` refuse: every batch of tests/support/python/fp_bad.py, which
// break a rule each and are signed by the right key wherever the signature is not the rule; and that
// they take values of every form, each in its one form alone.
//   node --test verify_strict.mjs    with FP_BIN, the folder of the built programs
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { decompress } from 'fzstd';
import { openBatch, readKey } from '../../gateway/doc/verify/batch.js';
import { checkAll } from '../../gateway/doc/verify/check.js';
import { Fault } from '../../gateway/doc/verify/cbor.js';

const here = dirname(fileURLToPath(import.meta.url));
const dir = mkdtempSync(join(tmpdir(), 'fieldpost-strict-'));
after(() => rmSync(dir, { recursive: true }));
const seed = process.env.FP_SEED ?? '1';
const made = spawnSync('python3', [join(here, 'bad_batches.py'), dir, seed], { encoding: 'utf8' });
assert.equal(made.status, 0, made.stderr);
const { bad, values, chains } = JSON.parse(readFileSync(join(dir, 'names.json'), 'utf8'));
const key = await readKey(readFileSync(join(dir, 'device.pub'), 'utf8'));
const bytes = (name) => new Uint8Array(readFileSync(join(dir, `${name}.cose`)));
const program = join(process.env.FP_BIN ?? '', 'fieldpost');
const verify = (...names) => spawnSync(program, ['verify', '--key', join(dir, 'device.pub'),
  ...names.map((x) => join(dir, `${x}.cose`))], { encoding: 'utf8', maxBuffer: 1 << 24 });

test(`the page refuses what breaks a rule (seed ${seed})`, async () => {
  assert.ok(Object.keys(bad).length > 200);
  for (const [name, rule] of Object.entries(bad))
    await assert.rejects(openBatch(bytes(name), [key], decompress), Fault, `accepted: ${rule}`);
});

test('so does fieldpost verify', () => {
  const r = verify(...Object.keys(bad));
  assert.equal(r.status, 1);
  for (const [name, rule] of Object.entries(bad))
    assert.ok(r.stderr.includes(`/${name}.cose: `), `accepted: ${rule}`);
  assert.match(r.stdout, /^0 batches/);
});

test('both take each value in its one form', async () => {
  const b = await openBatch(bytes('good'), [key], decompress);
  assert.deepEqual(b.readings.map((r) => r.value), values);
  assert.equal(verify('good').status, 0);
});

// Of a chain with a fault the page says that and no other; with the day it says that of the day, too.
test('what batches break together is told by both', async () => {
  const pem = readFileSync(join(dir, 'device.pub'), 'utf8');
  for (const { name, files, fault, day } of chains) {
    const input = (d) => ({ keys: [pem], proof: '', day: d, inflate: decompress,
      files: files.map((f) => ({ path: `${f}.cose`, bytes: async () => bytes(f) })) });
    const codes = (r) => [...new Set(r.faults.map((f) => f.code))];
    assert.deepEqual(codes(await checkAll(input(''))), fault ? [fault] : [], name);
    const ofDay = codes(await checkAll(input('2026-09-21')));
    if (day) assert.ok(day === 'good' ? !ofDay.length : ofDay.includes(day), `${name}: ${ofDay}`);
    if (name.startsWith('rotation')) continue; // fieldpost verify is given each key
    const args = files.map((f) => join(dir, `${f}.cose`)), of = ['verify', '--key', join(dir, 'device.pub')];
    // single files may have holes for the program, and it looks at a digest when its day is asked for
    const batches = spawnSync(program, [...of, ...args], { encoding: 'utf8' });
    assert.equal(batches.status, fault && !/hole|digest/.test(fault) ? 1 : 0, `${name}: ${batches.stderr}`);
    const whole = spawnSync(program, [...of, '--day', '2026-09-21', ...args], { encoding: 'utf8' });
    const good = (day ?? fault ?? 'digest_none') === 'good' || name === 'a good day';
    assert.equal(whole.status, good ? 0 : 1, `${name}: ${whole.stderr}`);
  }
});

test('a batch under another key, and a frame that is not as it should be', async () => {
  const good = bytes('good'), pack = (...options) => {
    const z = spawnSync('zstd', ['-cq', ...options], { input: good, maxBuffer: 1 << 24 });
    assert.equal(z.status, 0);
    return new Uint8Array(z.stdout);
  };
  const packed = spawnSync('zstd', ['-cq', '--stream-size', String(good.length)], { input: good });
  const frame = new Uint8Array(packed.stdout);
  assert.equal((await openBatch(frame, [key], decompress)).readings.length, values.length);
  const other = { ...key, kid: '0011223344556677' };
  for (const [what, b, keys] of [
    ['no key', good, []], ['another key id', good, [other]],
    ['a frame without its size', pack(), [key]],
    ['a byte behind the frame', Uint8Array.from([...frame, 0]), [key]],
    ['two frames', Uint8Array.from([...frame, ...frame]), [key]],
    ['a cut frame', frame.subarray(0, frame.length - 1), [key]],
  ]) await assert.rejects(openBatch(b, keys, decompress), Fault, what);
});
