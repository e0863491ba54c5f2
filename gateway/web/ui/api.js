// The gateway's API, and nothing else, is where the page gets what it shows.
const PATIENCE_MS = 8000;
let csrf = null;

// Somebody is there who touches the page: the next request is a use of the session. Those that the page
// makes by itself say so, or a tab that was left open would never log out.
let touched = true;
for (const event of ["pointerdown", "keydown", "wheel"]) {
  addEventListener(event, () => { touched = true; }, { capture: true, passive: true });
}

// The phone is carried about (survey_here.js): that is somebody, too.
export function touch() {
  touched = true;
}

export class Refusal extends Error {
  constructor(status, body, retry_s) {
    super(body.detail ?? String(status));
    Object.assign(this, { status, code: body.code ?? "", first: body.first === true, retry_s });
  }
}

export async function call(method, path, body, patience_ms = PATIENCE_MS) {
  const headers = {};
  if (body) headers["Content-Type"] = "application/json";
  if (method !== "GET" && csrf) headers["X-CSRF-Token"] = csrf;
  if (!touched) headers["X-Unasked"] = "1";
  touched = false;
  const answer = await fetch(`/api/v1/${path}`, { method, headers, credentials: "same-origin",
    body: body ? JSON.stringify(body) : undefined, signal: AbortSignal.timeout(patience_ms) });
  const json = /json/.test(answer.headers.get("Content-Type") ?? "") ? await answer.json() : {};
  if (!answer.ok) throw new Refusal(answer.status, json, Number(answer.headers.get("Retry-After")) || 0);
  if (json.csrf) csrf = json.csrf;
  return json;
}
export const get = (path, patience_ms) => call("GET", path, undefined, patience_ms);
