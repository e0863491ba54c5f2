// Who may in: login, and the first administrator of a new gateway.
import { h } from "./dom.js";
import { call, get, Refusal } from "./api.js";
import { state } from "./state.js";
import { clock, t } from "./words.js";

const AGAIN_MS = 2000;
let first = false, asked = false, busy = false, wrong = "", opened = () => {}, closed = () => {};

async function look(draw) {
  try {
    state.session = await get("session");
    asked = true; // its end comes back to the form
    first = false;
    state.lost_ms = 0;
    opened();
    return;
  } catch (e) {
    if (e instanceof Refusal && e.status === 401) {
      first = e.first;
      asked = true;
      state.lost_ms = 0;
    } else {
      state.lost_ms ||= Date.now();
      setTimeout(look, AGAIN_MS, draw);
    }
  }
  draw();
}

export async function begin(draw, open, close) {
  opened = open;
  closed = () => {
    close();
    void look(draw);
  };
  await look(draw);
}

export async function leave() {
  await call("DELETE", "session").catch(() => null); // its end here counts, also without an answer
  closed();
}

function reason(e) {
  if (!(e instanceof Refusal)) return t("door.unreachable");
  if (e.status === 429) return t("door.wait", { time: clock(Date.now() + e.retry_s * 1000) });
  if (e.status === 401 || e.status === 403) return t(first ? "door.wrong_code" : "door.wrong");
  return t("door.refused", { why: e.message });
}

async function enter(form, draw) {
  const field = Object.fromEntries(new FormData(form));
  if (first && field.password !== field.again) {
    wrong = t("door.differ");
    return draw();
  }
  delete field.again;
  busy = true;
  draw();
  try {
    state.session = await call("POST", first ? "first" : "session", field);
    first = false;
    wrong = "";
    form.reset();
    opened();
  } catch (e) {
    wrong = reason(e);
  }
  busy = false;
  return draw();
}

const input = (name, type, complete, more) => h("label", {}, t(`door.${name}`),
  h("input", { name, type, autocomplete: complete, required: true, autocapitalize: "none", spellcheck: "false", ...more }));

export function door(draw) {
  if (!asked) return h("p", { class: "quiet", role: "status" }, t("page.reading"));
  const secret = first ? "new-password" : "current-password";
  return h("form", { class: "door", onsubmit: (e) => {
    e.preventDefault();
    void enter(e.currentTarget, draw);
  } }, h("h1", { tabindex: "-1" }, t(first ? "door.first" : "door.title")),
  first && h("p", {}, t("door.first_why")),
  first && input("code", "text", "one-time-code"),
  input("name", "text", "username"), input("password", "password", secret, first && { minlength: 10 }),
  first && h("p", { class: "quiet" }, t("door.ten")), first && input("again", "password", secret, { minlength: 10 }),
  h("p", { role: "alert", class: "wrong" }, wrong),
  h("button", { type: "submit", class: "main", disabled: busy }, t(first ? "door.make" : "door.enter")));
}
