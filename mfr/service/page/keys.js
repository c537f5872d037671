// API keys: made, shown once, revoked.

import { ask, el, field, mark, say, table, when } from "/page/dom.js";
import { get, post, remove } from "/page/api.js";

const SCOPES = { read: "look at people", recognise: "verify and identify", enrol: "enrol and change", erase: "erase", admin: "all of it, keys and audit too" };

export async function keys(view, context) {
  const name = el("input", { required: true, maxlength: "100", autocomplete: "off" });
  const collections = el("input", { autocomplete: "off" });
  const rate = el("input", { type: "number", min: "0.1", step: "any", value: "50" });
  const quota = el("input", { type: "number", min: "0", value: "0" });
  const boxes = Object.keys(SCOPES).map((scope) => el("input", { type: "checkbox", value: scope }));
  const made = el("div", { role: "status", "aria-live": "polite" });
  const list = el("div");
  const load = async () => {
    const found = await get("/v1/keys");
    list.replaceChildren(found.length
      ? table("Keys", ["Id", "Name", "Good for", "Collections", "A second", "Photos a day", "Made", ""], found.map((each) => [
        el("code", {}, each.id), each.name, each.scopes.join(", "), each.collections ? each.collections.join(", ") : "all", each.rate,
        each.quota || "any number", when(each.created),
        each.revoked ? mark("revoked", "bad") : el("button", { type: "button", class: "danger", onclick: () => revoke(each) }, `Revoke ${each.name}`)]))
      : el("p", { class: "card doubt" }, "There are no keys, so whoever works on this machine may do everything, and nobody else anything."));
  };
  const revoke = async (each) => {
    if (!await ask(`Revoke ${each.name}?`, el("p", {}, "Whoever uses this key is refused from now on."), "Revoke", { danger: true })) return;
    await remove(`/v1/keys/${each.id}`);
    say("The key is revoked.");
    await load();
  };
  const create = async (event) => {
    event.preventDefault();
    const scopes = boxes.filter((box) => box.checked).map((box) => box.value);
    if (!scopes.length) { say("Say what the key is good for."); return; }
    const within = collections.value.split(",").map((each) => each.trim()).filter(Boolean);
    const answer = await post("/v1/keys", { json: { name: name.value, scopes, collections: within.length ? within : null, rate: Number(rate.value), quota: Number(quota.value) } });
    made.replaceChildren(el("div", { class: "card good" }, el("p", {}, `The key for ${answer.name}. It is shown this once:`), el("pre", { tabindex: "0" }, answer.key),
      el("p", {}, "From now on, every request needs a key, this page too.")));
    event.target.reset();
    await load().catch((error) => list.replaceChildren(el("p", { class: "card doubt" }, error.message)));
  };
  view.append(el("form", { class: "card", onsubmit: create },
    el("h2", {}, "A new key"),
    el("div", { class: "row" }, field("For whom", name), field("Only these collections", collections), field("Requests a second", rate), field("Photos a day, 0 for any", quota)),
    el("fieldset", {}, el("legend", {}, "Good for"), boxes.map((box) => el("label", { class: "check" }, box, `${box.value}: ${SCOPES[box.value]}`))),
    el("p", { class: "buttons" }, el("button", { class: "main" }, "Make the key"))), made, el("h2", {}, "Keys"), list);
  await load();
}
