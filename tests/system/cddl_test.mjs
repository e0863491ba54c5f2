// gateway/doc/batch.cddl is well formed, and says what goes over the wire: every good message fits it,
// those of a gateway that has sealed a day, too; broken ones do not, as far as CDDL can tell; and a
// grammar with a mistake does not pass.
//   node --test cddl_test.mjs    with FP_BIN, the folder of the built programs
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { decompress } from 'fzstd';
import { Judge, parse, unreached } from './cddl.mjs';

const here = dirname(fileURLToPath(import.meta.url)), root = join(here, '../..');
const grammar = readFileSync(join(root, 'gateway/doc/batch.cddl'), 'utf8');
const dir = mkdtempSync(join(tmpdir(), 'fieldpost-cddl-'));
after(() => rmSync(dir, { recursive: true }));
const fromHex = (file) => new Uint8Array(Buffer.from(readFileSync(file, 'utf8').replace(/\s/g, ''), 'hex'));
const golden = (name) => fromHex(join(root, 'tests/golden', `${name}.hex`));
const good = ['batch-1-control', 'batch-2-data', 'receipt-2'].map((name) => [name, golden(name)]);

test('every rule is reached, every name is defined', () => {
  assert.deepEqual(unreached(parse(grammar), ['start', 'manifest']), []);
});

test('the golden messages and the corpus fit', () => {
  const judge = new Judge(parse(grammar)), corpus = join(root, 'tests/fuzz/corpus/batch');
  for (const name of readdirSync(corpus).filter((x) => /^(control|data|demo)/.test(x)))
    good.push([name, fromHex(join(corpus, name))]);
  for (const [name, bytes] of good) assert.ok(judge.fits(bytes), name);
});

test('a change names what it is about in one of four ways, and its author', () => {
  const bytes = fromHex(join(root, 'tests/fuzz/corpus/batch/control-change.hex'));
  assert.ok(new Judge(parse(grammar)).fits(bytes, 'control-batch'));
  for (const [from, to] of [['about: id / series', 'about: series'], ['device-star / null, now', 'device-star, now'],
    ['about: id / series / device-star /', 'about: id / series /'], ['author: text1]         ; what people', 'author: int]         ; what people']]) {
    assert.ok(grammar.includes(from), from);
    assert.ok(!new Judge(parse(grammar.replace(from, to))).fits(bytes, 'control-batch'), to);
  }
});

test('a configuration for keeping fits, and no other message in its place', () => {
  const judge = new Judge(parse(grammar)), folder = join(root, 'tests/fuzz/corpus/deposit');
  const names = readdirSync(folder);
  assert.ok(names.length > 1);
  for (const name of names) {
    const bytes = fromHex(join(folder, name));
    assert.ok(judge.fits(bytes, 'config-deposit'), name);
    for (const other of ['batch', 'receipt', 'head', 'key-proof']) assert.ok(!judge.fits(bytes, other), `${name} is a ${other}`);
    for (const [from, to] of [['"files" => [deposit-file, *', '"files" => [deposit-file, deposit-file, deposit-file, deposit-file, *'],
      ['config+cbor', 'konfig+cbor'], ['"when" => 0..9007199254740992', '"when" => tstr'], ['content: tstr]', 'content: bstr]']]) {
      assert.ok(grammar.includes(from), from);
      assert.ok(!new Judge(parse(grammar.replace(from, to))).fits(bytes, 'config-deposit'), to);
    }
  }
  for (const [name, bytes] of good) assert.ok(!judge.fits(bytes, 'config-deposit'), name);
});

test('what a gateway sealed over a day fits', () => {
  const judge = new Judge(parse(grammar));
  const made = spawnSync(join(process.env.FP_BIN ?? '', 'test-day-site'), [dir], { encoding: 'utf8' });
  assert.equal(made.status, 0, made.stderr);
  const files = readdirSync(join(dir, 'usb'), { recursive: true }).filter((x) => x.endsWith('.cose.zst'));
  assert.ok(files.length > 20);
  for (const f of files) assert.ok(judge.fits(decompress(new Uint8Array(readFileSync(join(dir, 'usb', f)))), 'batch'), f);
});

test('broken batches do not fit, as far as CDDL can tell', () => {
  const judge = new Judge(parse(grammar)), out = mkdtempSync(join(dir, 'bad-'));
  const made = spawnSync('python3', [join(here, 'bad_batches.py'), out], { encoding: 'utf8' });
  assert.equal(made.status, 0, made.stderr);
  const { bad } = JSON.parse(readFileSync(join(out, 'names.json'), 'utf8'));
  const rules = Object.entries(bad).filter(([name]) => name.startsWith('bad-'));
  const fit = rules.filter(([name]) => judge.fits(new Uint8Array(readFileSync(join(out, `${name}.cose`)))));
  console.log(`${rules.length - fit.length} of ${rules.length} broken batches do not fit; these need a "rule:": ` +
    fit.map(([, rule]) => rule).join('; '));
  assert.ok(judge.fits(new Uint8Array(readFileSync(join(out, 'good.cose')))));
  assert.ok(fit.length < rules.length / 5, 'the grammar tells too little');
});

test('a grammar with a mistake does not pass', () => {
  for (const [from, to, what] of [
    ['"gw" => id,', '"gw" => idd,', /idd is not defined/], ['hash        = bstr .size 32', 'hash        = bstr .size 32)', /one too many|expected/],
    ['sign1<data-header, data-payload>', 'sign1<data-header>', /takes 2 arguments/], ['.regexp', '.regex', /./],
    ['"clk" => 0..3,', '"clk" => 0..3),', /./]]) {
    assert.ok(grammar.includes(from), from);
    assert.throws(() => parse(grammar.replace(from, to)), what, to);
  }
  const judged = (from, to) => {
    assert.ok(grammar.includes(from), from);
    const judge = new Judge(parse(grammar.replace(from, to)));
    return good.map(([, bytes]) => judge.fits(bytes));
  };
  for (const [from, to] of [
    ['hash        = bstr .size 32', 'hash        = bstr .size 31'], ['#6.18(', '#6.98('], ['1 => -7', '1 => -8'],
    ['"v" => 1,\n', '"v" => 2,\n'], ['"gaps" => [* gap]', '"gaps" => [+ gap]'], ['plan     = ["plan", ', 'plan     = ["plan", tstr, '],
    ['3 => 112', '3 => 111'], ['signature: bstr .size 64', 'signature: bstr .size 63'], ['id8         = bstr .size 8', 'id8         = bstr .size 9']])
    assert.ok(judged(from, to).includes(false), `${to} passes`);
});
