// An independent reading of gateway/doc/batch.cddl: parses the part of RFC 8610 that it uses (rules
// with generics, choices, groups, occurrences, ranges, tags, .size .cbor .regexp .ne) and judges CBOR
// by it. No package of Debian or npm does: npm's `cddl` reads neither generics nor .cbor. What the
// comments that begin with "rule:" say is not seen here.
import { Float, Map2, Tag, decode } from '../../gateway/doc/verify/cbor.js';

const TOKEN = /\s+|;[^\n]*|(#6\.\d+|\.\.|\.[a-z]+|=>|\/\/|[()[\]{}<>,:/?*+=]|"(?:[^"\\]|\\.)*"|-?\d+|[A-Za-z][\w-]*)/y;
const NAME = /^[A-Za-z][\w-]*$/;
const CONTROLS = ['.size', '.cbor', '.regexp', '.ne'];

class Parser {
  constructor(text, where) {
    [this.tokens, this.at, this.where] = [[], 0, where];
    for (TOKEN.lastIndex = 0; TOKEN.lastIndex < text.length;) {
      const at = TOKEN.lastIndex, m = TOKEN.exec(text);
      if (!m) throw new Error(`${where}: unknown sign at "${text.slice(at, at + 20)}"`);
      if (m[1]) this.tokens.push(m[1]);
    }
  }
  peek(n = 0) {
    return this.tokens[this.at + n];
  }
  take(token) {
    if (this.peek() !== token) throw new Error(`${this.where}: "${token}" expected, found "${this.peek() ?? 'the end'}"`);
    this.at++;
  }
  is(token) {
    if (this.peek() !== token) return false;
    this.at++;
    return true;
  }
  end() {
    if (this.at < this.tokens.length) throw new Error(`${this.where}: "${this.peek()}" is one too many`);
  }
  list(item, close) {
    const items = [item()];
    while (this.is(',')) items.push(item());
    this.take(close);
    return items;
  }
  type() {
    const choices = [this.type1()];
    while (this.is('/')) choices.push(this.type1());
    return choices.length > 1 ? { kind: 'choice', choices } : choices[0];
  }
  type1() {
    const left = this.type2();
    if (this.is('..')) return { kind: 'range', low: left.value, high: this.type2().value };
    if (this.peek()?.startsWith('.') && !CONTROLS.includes(this.peek())) throw new Error(`${this.where}: ${this.peek()} is not known here`);
    if (CONTROLS.includes(this.peek())) return { kind: 'control', left, name: this.tokens[this.at++], right: this.type2() };
    return left;
  }
  type2() {
    const t = this.tokens[this.at++];
    if (t === '(') {
      const inner = this.type();
      this.take(')');
      return inner;
    }
    if (t === '{' || t === '[') {
      const close = t === '{' ? '}' : ']', group = this.group(close);
      this.take(close);
      return { kind: t === '{' ? 'map' : 'array', group };
    }
    if (t?.startsWith('#6.')) {
      this.take('(');
      const inner = this.type();
      this.take(')');
      return { kind: 'tag', tag: Number(t.slice(3)), inner };
    }
    if (t?.startsWith('"')) return { kind: 'value', value: JSON.parse(t) };
    if (/^-?\d+$/.test(t ?? '')) return { kind: 'value', value: BigInt(t) };
    if (!NAME.test(t ?? '')) throw new Error(`${this.where}: a type expected, found "${t ?? 'the end'}"`);
    return { kind: 'name', name: t, args: this.is('<') ? this.list(() => this.type(), '>') : [] };
  }
  group(close) {
    const choices = [[]];
    while (this.peek() !== close && this.at < this.tokens.length)
      if (this.is('//')) choices.push([]);
      else {
        choices.at(-1).push(this.entry());
        this.is(',');
      }
    return choices;
  }
  entry() {
    const occur = { '?': [0, 1], '*': [0, Infinity], '+': [1, Infinity] }[this.peek()] ?? [1, 1];
    if ('?*+'.includes(this.peek())) this.at++;
    if (this.peek() === '(') { // a group, unless it reads as a type
      const start = this.at;
      try {
        return { occur, ...this.member() };
      } catch {
        this.at = start + 1;
        const group = this.group(')');
        this.take(')');
        return { occur, group };
      }
    }
    return { occur, ...this.member() };
  }
  member() {
    if (NAME.test(this.peek()) && this.peek(1) === ':') {
      this.at += 2;
      return { type: this.type() };
    }
    const first = this.type();
    if (this.peek() === ',' || this.peek() === '//' || !this.is('=>')) return { type: first };
    return { key: first, type: this.type() };
  }
}

const RULE = /^([A-Za-z][\w-]*)(?:<([\w, -]+)>)?\s*=(?!>)/gm;
const PRELUDE = {
  any: () => true,
  int: (v) => typeof v === 'number' || typeof v === 'bigint',
  uint: (v) => (typeof v === 'number' || typeof v === 'bigint') && v >= 0,
  tstr: (v) => typeof v === 'string',
  bstr: (v) => v instanceof Uint8Array,
  bool: (v) => typeof v === 'boolean',
  true: (v) => v === true,
  null: (v) => v === null,
  float16: (v) => v instanceof Float && v.size === 3,
  float32: (v) => v instanceof Float && v.size === 5,
  float64: (v) => v instanceof Float && v.size === 9,
};

// name -> {params, type} or {params, group}. Every name that is used is defined.
export function parse(text) {
  const rules = new Map(), starts = [...text.matchAll(RULE)];
  starts.forEach((m, i) => {
    const body = text.slice(m.index + m[0].length, starts[i + 1]?.index), where = `rule ${m[1]}`;
    if (rules.has(m[1])) throw new Error(`${where}: twice`);
    const rule = { params: m[2]?.split(',').map((x) => x.trim()) ?? [] };
    let p = new Parser(body, where);
    try {
      rule.type = p.type();
      p.end();
    } catch (e) {
      p = new Parser(body, where);
      if (p.peek() !== '(') throw e;
      p.take('(');
      delete rule.type;
      rule.group = p.group(')');
      p.take(')');
      p.end();
    }
    rules.set(m[1], rule);
  });
  for (const [name, used] of usedNames(rules))
    for (const { name: n, args } of used) {
      const rule = rules.get(n), params = rules.get(name).params;
      if (!rule && !params.includes(n) && !Object.hasOwn(PRELUDE, n)) throw new Error(`rule ${name}: ${n} is not defined`);
      if (rule && rule.params.length !== args.length) throw new Error(`rule ${name}: ${n} takes ${rule.params.length} arguments`);
    }
  return rules;
}

function names(x, found = []) {
  if (Array.isArray(x)) x.forEach((y) => names(y, found));
  else if (x && typeof x === 'object') {
    if (x.kind === 'name') found.push(x);
    Object.values(x).forEach((y) => names(y, found));
  }
  return found;
}
const usedNames = (rules) => [...rules].map(([name, r]) => [name, names(r.type ?? r.group)]);

// The rules that nothing from `roots` on reaches.
export function unreached(rules, roots) {
  const used = new Map(usedNames(rules)), seen = new Set(), next = [...roots];
  for (let n = next.pop(); n; n = next.pop())
    if (rules.has(n) && !seen.has(n)) {
      seen.add(n);
      next.push(...used.get(n).map((x) => x.name));
    }
  return [...rules.keys()].filter((n) => !seen.has(n));
}

export class Judge {
  constructor(rules) {
    this.rules = rules;
  }
  // Whether the bytes are deterministic CBOR of that rule.
  fits(bytes, name = 'start') {
    try {
      return this.type({ kind: 'name', name, args: [] }, decode(bytes), {});
    } catch (e) {
      if (e.code) return false; // not even deterministic CBOR
      throw e;
    }
  }
  // A name: its rule and what its parameters stand for, or what a parameter stands for.
  resolve(t, env) {
    if (t.kind !== 'name') return { t, env };
    if (Object.hasOwn(env, t.name)) return this.resolve(env[t.name].t, env[t.name].env);
    const rule = this.rules.get(t.name);
    if (!rule) return { t, env };
    const inner = Object.fromEntries(rule.params.map((p, i) => [p, { t: t.args[i], env }]));
    return rule.group ? { group: rule.group, env: inner } : this.resolve(rule.type, inner);
  }
  type(t0, v, env0) {
    const { t, env } = this.resolve(t0, env0);
    switch (t.kind) {
      case 'name': return PRELUDE[t.name](v);
      case 'value': return typeof t.value === 'bigint' ? PRELUDE.int(v) && BigInt(v) === t.value : v === t.value;
      case 'choice': return t.choices.some((c) => this.type(c, v, env));
      case 'range': return PRELUDE.int(v) && BigInt(v) >= t.low && BigInt(v) <= t.high;
      case 'tag': return v instanceof Tag && BigInt(v.tag) === BigInt(t.tag) && this.type(t.inner, v.value, env);
      case 'map': return v instanceof Map2 && this.ends(t.group, v.pairs, env, true);
      case 'array': return Array.isArray(v) && this.ends(t.group, v, env, false);
      default: return this.type(t.left, v, env) && this.control(t, v, env);
    }
  }
  control(t, v, env) {
    if (t.name === '.size') return this.type(t.right, typeof v === 'string' ? Buffer.byteLength(v) : v.length, env);
    if (t.name === '.regexp') return new RegExp(`^(?:${t.right.value})$`, 's').test(v);
    if (t.name === '.ne') return !this.type(t.right, v, env);
    try {
      return this.type(t.right, decode(v), env);
    } catch (e) {
      if (e.code) return false;
      throw e;
    }
  }
  ends(group, items, env, isMap) {
    return this.group(group, items, env, isMap).some((left) => left.length === 0);
  }
  // What is left of the items behind the group, for each way to take them.
  group(choices, items, env, isMap) {
    return choices.flatMap((entries) => entries.reduce(
      (ways, e) => ways.flatMap((left) => this.entry(e, left, env, isMap)), [items]));
  }
  entry(e, items, env, isMap) {
    const [low, high] = e.occur, ways = [];
    let now = [items];
    for (let n = 0; now.length; n++) {
      if (n >= low) ways.unshift(...now);
      if (n === high) break;
      now = now.flatMap((left) => this.once(e, left, env, isMap).filter((after) => after.length < left.length || n < low));
    }
    return high === Infinity ? ways.slice(0, 1) : ways; // the longest: what follows wants other items
  }
  once(e, items, env, isMap) {
    if (e.group) return this.group(e.group, items, env, isMap);
    if (!e.key && e.type.kind === 'name') {
      const r = this.resolve(e.type, env);
      if (r.group) return this.group(r.group, items, r.env, isMap);
    }
    if (!isMap) return items.length && this.type(e.type, items[0], env) ? [items.slice(1)] : [];
    if (!e.key) return [];
    const i = items.findIndex(([k, v]) => this.type(e.key, k, env) && this.type(e.type, v, env));
    return i < 0 ? [] : [[...items.slice(0, i), ...items.slice(i + 1)]];
  }
}
