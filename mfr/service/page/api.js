// The service as the page asks it. The key stays in this tab.

const KEY = "mfr-key";

export class Problem extends Error {
  constructor(status, found) {
    super(found.detail ?? `The service answered ${status}.`);
    this.status = status;
    this.code = found.code ?? "unknown";
  }
}

export function keptKey() { return sessionStorage.getItem(KEY) ?? ""; }

export function asKey() { return keptKey() ? { Authorization: `Bearer ${keptKey()}` } : {}; }

export function keepKey(text) {
  if (text) sessionStorage.setItem(KEY, text); else sessionStorage.removeItem(KEY);
}

async function sent(method, path, { body, json, headers = {} } = {}) {
  const more = { ...headers, ...asKey() };
  if (json !== undefined) { more["Content-Type"] = "application/json"; body = JSON.stringify(json); }
  if (method === "POST") more["Idempotency-Key"] = idempotency();
  for (let tries = 0; ; tries++) {
    const reply = await fetch(path, { method, body, headers: more, credentials: "omit" });
    if ((reply.status === 429 || reply.status === 503) && tries < 3) {
      await pause(1000 * Math.min(10, Number(reply.headers.get("retry-after") ?? 1)));
      continue;
    }
    if (reply.ok) return reply;
    throw new Problem(reply.status, await reply.json().catch(() => ({})));
  }
}

function idempotency() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (x) => x.toString(16).padStart(2, "0")).join("");
}

export function pause(ms) { return new Promise((resolve) => setTimeout(resolve, ms)); }

export async function get(path, more) { return (await sent("GET", path, more)).json(); }
export async function post(path, more) { return (await sent("POST", path, more)).json(); }
export async function patch(path, more) { return (await sent("PATCH", path, more)).json(); }
export async function remove(path, more) {
  const reply = await sent("DELETE", path, more);
  return reply.status === 204 ? null : reply.json();
}
export async function withTag(path) {
  const reply = await sent("GET", path);
  return [await reply.json(), reply.headers.get("etag")];
}

// Photos and their choices as the API takes them.
export function form(photos, choices = {}) {
  const made = new FormData();
  for (const photo of photos) made.append("photos", photo.file, photo.name);
  for (const [name, value] of Object.entries(choices)) {
    if (Array.isArray(value)) for (const each of value) made.append(name, each);
    else if (value !== "" && value !== null && value !== undefined) made.append(name, value);
  }
  return made;
}
