// The page: what was chosen goes to checkAll, what it finds is shown in words.
import { checkAll } from './check.js';
import { FAULTS, WORDS, fill } from './words.js';

const ROWS = 200, FIRST = 12;
const $ = (id) => document.getElementById(id);
let language = 0, chosen = [], result = null, shown = FIRST;
const word = (key, ...args) => fill(WORDS[key][language], args);
const inflate = (b) => globalThis.fzstd.decompress(b);

function node(tag, text, ...children) {
  const n = document.createElement(tag);
  n.textContent = text;
  n.append(...children);
  return n;
}
function list(id, items) {
  $(id).hidden = items.length === 0;
  $(id).querySelector('ul').replaceChildren(...items);
}
function banner(kind, text) {
  $('result').hidden = false;
  $('banner').className = `banner ${kind}`;
  $('banner').textContent = text;
}

const local = new Intl.DateTimeFormat('sv-SE', { timeZone: 'Asia/Ho_Chi_Minh', dateStyle: 'short', timeStyle: 'medium' });
const timeText = (ms) => ms < 536870912000n ? word('boot_time', (ms - 268435456000n) / 1000n) : local.format(Number(ms));

function dayItem(d) {
  const state = d.proven ? (d.givenUp ? word('day_given_up', d.givenUp) : word('day_good'))
    : d.missing ? word('day_signed', d.missing) : word('day_bad');
  return node('li', '', node('b', `${d.gw} · ${word('day_line', d.day, d.from, d.to, d.readings, d.gaps)}`),
    node('span', state), node('br', ''), node('code', d.hash));
}
function batchItem(b) {
  const what = b.control ? word('control', [...new Set(b.entries.map((x) => x.name))].join(', '))
    : `${timeText(BigInt(b.from))} – ${timeText(BigInt(b.to))}, ${b.readings.length} ${word('readings').toLowerCase()}` +
      (b.gaps.length ? `, ${word('gaps', b.gaps.length)}` : '');
  return node('li', '', node('b', word('batch_line', b.seq, what)), node('code', b.path));
}

function showReadings() {
  const wanted = $('filter').value, rows = [];
  let more = false;
  for (const b of result.batches)
    for (const r of b.readings) {
      if (wanted && !r.series.includes(wanted)) continue;
      more = rows.length === shown;
      if (more) break;
      rows.push(node('tr', '', node('td', r.series), node('td', timeText(r.ms)), node('td', `${r.value} ${r.unit}`),
        node('td', String(r.q))));
    }
  $('readings').hidden = !result.batches.some((b) => b.readings.length);
  $('readings').querySelector('tbody').replaceChildren(...rows);
  $('more').hidden = !more;
}

function show() {
  const { batches, faults, digests } = result;
  const readings = batches.reduce((n, b) => n + b.readings.length, 0);
  if (faults.length) banner('bad', word('bad', faults.length, batches.length));
  else banner('good', word('good', batches.length, readings));
  list('faults', faults.slice(0, ROWS).map((f) => node('li', '', node('b', fill(FAULTS[f.code][language], f.args)), node('code', f.where))));
  list('days', digests.map(dayItem));
  list('batches', batches.slice(0, ROWS).map(batchItem));
  showReadings();
}

function translate() {
  document.documentElement.lang = ['vi', 'en'][language];
  $('language').textContent = ['EN', 'VI'][language];
  for (const n of document.querySelectorAll('[data-word]')) n.textContent = word(n.dataset.word);
  for (const n of document.querySelectorAll('[data-hint]')) {
    n.placeholder = word(n.dataset.hint);
    n.setAttribute('aria-label', word(n.dataset.hint));
  }
  $('day').setAttribute('aria-label', word('day'));
  $('chosen').textContent = chosen.length ? word('chosen', chosen.length) : '';
  if (result) show();
}

function choose(files) {
  chosen = [...files].filter((f) => /(\.cose|\.cose\.zst|manifest\.json)$/.test(f.name) || !f.webkitRelativePath)
    .map((f) => ({ path: f.webkitRelativePath || f.name, bytes: async () => new Uint8Array(await f.arrayBuffer()) }));
  translate();
}

async function check() {
  const keys = $('key-text').value.match(/-----BEGIN[^]*?-----END[^-]*-----/g) ?? ($('key-text').value.trim() ? ['?'] : []);
  const proof = $('proof').value.trim();
  if (!keys.length) return banner('bad', word('need_key'));
  if (!chosen.length && !proof) return banner('bad', word('need_data'));
  result = null;
  $('check').disabled = true;
  try {
    result = await checkAll({ files: chosen, keys, proof, day: $('day').value, inflate,
      progress: (i, n) => banner('wait', word('working', i, n)) });
    result.batches.sort((a, b) => a.chain < b.chain ? -1 : a.chain > b.chain ? 1 : a.seq < b.seq ? -1 : 1);
    shown = FIRST;
    show();
  } finally {
    $('check').disabled = false;
  }
  return undefined;
}

$('language').addEventListener('click', () => {
  language = 1 - language;
  translate();
});
$('key-file').addEventListener('change', async () => {
  $('key-text').value = await $('key-file').files[0]?.text() ?? '';
});
$('folder').addEventListener('change', () => choose($('folder').files));
$('files').addEventListener('change', () => choose($('files').files));
$('filter').addEventListener('input', () => {
  shown = FIRST;
  if (result) showReadings();
});
$('more').addEventListener('click', () => {
  shown += ROWS;
  showReadings();
});
$('ask').addEventListener('submit', (e) => {
  e.preventDefault();
  void check();
});
language = (navigator.language ?? 'vi').startsWith('vi') ? 0 : 1;
translate();
