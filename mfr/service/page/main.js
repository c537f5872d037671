// The frame of the page: which view is shown, in which collection, with which key.

import { el, say } from "/page/dom.js";
import { get, keepKey, keptKey, Problem } from "/page/api.js";
import { audit } from "/page/audit.js";
import { enrol } from "/page/enrol.js";
import { identify } from "/page/identify.js";
import { keys } from "/page/keys.js";
import { operatingPoint } from "/page/operating_point.js";
import { people } from "/page/people.js";
import { verify } from "/page/verify.js";
import { watch } from "/page/watch.js";

const PAGES = [
  ["people", "People", people], ["enrol", "Enrol", enrol], ["verify", "Verify", verify],
  ["identify", "Identify", identify], ["watch", "Watch", watch],
  ["operating-point", "Operating point", operatingPoint], ["audit", "Audit log", audit],
  ["keys", "API keys", keys],
];

const view = document.getElementById("view");
const chosen = document.getElementById("collection");
let left = () => {};

function place() {
  const [name, ...rest] = location.hash.slice(1).split("/");
  return { name: PAGES.some(([id]) => id === name) ? name : "people", rest };
}

function pages() {
  const { name } = place();
  document.getElementById("pages").replaceChildren(el("ul", {}, PAGES.map(([id, title]) =>
    el("li", {}, el("a", { href: `#${id}`, "aria-current": id === name ? "page" : undefined }, title)))));
  document.querySelector("nav [aria-current]").scrollIntoView({ block: "nearest", inline: "nearest" });
}

async function collections() {
  const found = await get("/v1/collections");
  const before = chosen.value || sessionStorage.getItem("mfr-collection");
  chosen.replaceChildren(...found.map((each) => el("option", { value: each.name }, `${each.name} (${each.people})`)));
  if (found.some((each) => each.name === before)) chosen.value = before;
  return found;
}

async function show({ focus = false } = {}) {
  left();
  left = () => {};
  pages();
  const { name, rest } = place();
  const [, title, draw] = PAGES.find(([id]) => id === name);
  document.title = `${title} – MFR`;
  view.replaceChildren(el("h1", {}, title));
  try {
    const found = await collections();
    if (!found.length && name !== "keys") {
      view.append(el("p", {}, "There is no collection yet: make one with POST /v1/collections, or start the service with a gallery."));
      return;
    }
    const context = { name: chosen.value, path: `/v1/collections/${chosen.value}`, rest, again: show };
    left = (await draw(view, context)) ?? (() => {});
  } catch (error) {
    failed(error);
  }
  if (focus) view.focus();
}

function failed(error) {
  view.append(el("p", { role: "alert", class: "card bad" }, error.message));
  if (error instanceof Problem && error.status === 401) askForKey();
  else if (!(error instanceof Problem)) console.error(error);
}

function askForKey() {
  const box = document.getElementById("ask-key");
  if (!box.open) box.showModal();
}

document.getElementById("key").addEventListener("click", askForKey);
document.getElementById("ask-key").addEventListener("close", (event) => {
  if (event.target.returnValue !== "use") return;
  const input = document.getElementById("key-text");
  keepKey(input.value.trim());
  input.value = "";
  say(keptKey() ? "The key is used from now on." : "No key is used any more.");
  show();
});
chosen.addEventListener("change", () => { sessionStorage.setItem("mfr-collection", chosen.value); show(); });
window.addEventListener("hashchange", () => show({ focus: true }));
window.addEventListener("unhandledrejection", (event) => {
  say(event.reason?.message ?? "Something went wrong.");
  if (event.reason instanceof Problem && event.reason.status === 401) askForKey();
});
show();
