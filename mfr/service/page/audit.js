// The audit log, and whether it is whole.

import { el, mark, table, when } from "/page/dom.js";
import { get } from "/page/api.js";

export async function audit(view, context) {
  const verdict = el("div", { role: "status", "aria-live": "polite" });
  const check = el("button", { type: "button", class: "main", onclick: async () => {
    const found = await get(`${context.path}/audit/verify`);
    verdict.replaceChildren(found.whole
      ? el("p", {}, mark("whole", "good"), " Each entry follows from those before it. The last link, to be noted elsewhere:")
      : el("p", {}, mark("changed", "bad"), ` ${found.reason}`), found.whole ? el("pre", {}, found.last_link) : "");
  } }, "Check the log");
  const list = el("div");
  const rows = [];
  let after = 0;
  const more = el("button", { type: "button", onclick: () => load() }, "Show more");
  const load = async () => {
    const page = await get(`${context.path}/audit?after=${after}&limit=200`);
    for (const each of page.entries) {
      rows.push([each.number, when(each.at), each.actor, each.event, each.person === null ? "" : each.person,
        el("code", {}, JSON.stringify(each.facts))]);
    }
    after = page.next ?? after;
    more.hidden = page.next === null;
    list.replaceChildren(rows.length ? table("Entries", ["Number", "When", "Who", "What", "Person", "More"], rows) : el("p", {}, "Nothing has happened yet."));
  };
  view.append(el("p", {}, "Who did what, and when. A person stands here by number, never by name."),
    el("div", { class: "row" }, check), verdict, list, more);
  await load();
}
