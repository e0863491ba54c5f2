// A screen says what it should look like, each second; show() changes only what differs, so a
// selection, the focus and a screen reader's place survive. Text reaches the document as text alone.
const SVG = "http://www.w3.org/2000/svg", DRAWN = new Set(["svg", "path", "rect", "circle"]);

// A piece of a screen. props: attributes; `on…`: handlers; `key`: which of its siblings it is;
// `made`: called once with the element, whose children are its own from then on.
export function h(tag, props, ...kids) {
  return { tag, props: props ?? {}, kids };
}

function create(tag) {
  const e = DRAWN.has(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
  e.props = {};
  return e;
}

function dress(e, props) {
  const old = e.props;
  for (const name of Object.keys(old)) {
    if (name in props || name === "key" || name === "made") continue;
    if (name.startsWith("on")) e[name] = null;
    else e.removeAttribute(name);
  }
  for (const [name, v] of Object.entries(props)) {
    if (old[name] === v || name === "key" || name === "made") continue;
    if (name.startsWith("on")) e[name] = v;
    else if (v === false || v === null || v === undefined) e.removeAttribute(name);
    else e.setAttribute(name, v === true ? "" : v);
  }
  e.props = props;
}

const fits = (e, want) => e.nodeType === 1 && e.localName === want.tag && e.props?.key === want.props.key;

function place(parent, at, want) {
  if (typeof want !== "object") {
    const text = String(want);
    if (at?.nodeType !== 3) parent.insertBefore(document.createTextNode(text), at);
    else if (at.data !== text) at.data = text;
    return at?.nodeType === 3 ? at.nextSibling : at;
  }
  let e = at;
  while (e && !fits(e, want)) e = want.props.key === undefined ? null : e.nextSibling;
  if (!e) e = create(want.tag);
  const next = e === at ? at.nextSibling : at;
  if (e !== at) parent.insertBefore(e, at);
  const fresh = want.props.made && !e.props.made;
  dress(e, want.props);
  if (fresh) want.props.made(e);
  if (!want.props.made) show(e, want.kids);
  return next;
}

export function show(parent, kids) {
  let at = parent.firstChild;
  for (const kid of kids.flat(9).filter(Boolean)) at = place(parent, at, kid);
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}
