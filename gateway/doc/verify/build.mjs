// node build.mjs WORK OUT: puts the page into the one file OUT. In the folder WORK npm installs what
// package.json names, once; the bytes that go into the page are pinned here, since what decompresses
// must not change unseen. Without a network the page is left out, and the rest of a build goes on.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const FZSTD_SHA256 = 'fbea1c25c4413b620ca3f59e6037d9f6c675c5c7f690e4d660143188f686461d';
const here = dirname(fileURLToPath(import.meta.url));
const read = (name) => readFileSync(join(here, name), 'utf8');
const [work, out] = process.argv.slice(2);

const fzstd = join(work, 'node_modules/fzstd/umd/index.js');
if (!existsSync(fzstd)) {
  mkdirSync(work, { recursive: true });
  copyFileSync(join(here, 'package.json'), join(work, 'package.json'));
  const npm = spawnSync('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: work, encoding: 'utf8' });
  if (npm.error || npm.status !== 0) {
    console.error(`verify.html is left out: npm cannot install fzstd\n${npm.stderr ?? npm.error}`);
    process.exit(0);
  }
}
const inflate = readFileSync(fzstd, 'utf8');
const sum = createHash('sha256').update(inflate).digest('hex');
if (sum !== FZSTD_SHA256) {
  console.error(`${fzstd}: sha256 ${sum} is not the pinned ${FZSTD_SHA256}`);
  process.exit(1);
}
// The modules in the order of their imports become one script.
const script = `'use strict';(() => {\n${['cbor', 'batch', 'chain', 'check', 'words', 'page']
  .map((name) => read(`${name}.js`).replace(/^(import|export) \{[^]*?;$/gm, '').replace(/^export /gm, ''))
  .join('\n')}\n})();\n`;
const style = read('page.css');
const hash = (text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
const csp = `default-src 'none'; script-src ${hash(inflate)} ${hash(script)}; style-src ${hash(style)}; ` +
  "base-uri 'none'; form-action 'none'";
const put = { CSP: csp, STYLE: style, INFLATE: inflate, SCRIPT: script };
const page = read('page.html').replace(/@(CSP|STYLE|INFLATE|SCRIPT)@/g, (_, name) => put[name]);
if (!existsSync(out) || readFileSync(out, 'utf8') !== page) writeFileSync(out, page);
