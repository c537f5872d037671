// People: searched, looked at, edited, erased with proof.

import { ask, el, field, mark, say, table, when } from "/page/dom.js";
import { form, get, patch, post, remove, withTag } from "/page/api.js";
import { place } from "/page/photos.js";

export async function people(view, context) {
  if (context.rest[0]) return person(view, context, Number(context.rest[0]));
  const search = el("input", { type: "search", placeholder: "A part of the name" });
  const groups = el("select", {}, el("option", { value: "" }, "all"),
    Object.entries(await get(`${context.path}/groups`)).map(([name, count]) => el("option", { value: name }, `${name} (${count})`)));
  const list = el("div");
  const more = el("button", { type: "button", hidden: true }, "Show more");
  const rows = [];
  let cursor = null;
  const load = async (fresh) => {
    if (fresh) { rows.length = 0; cursor = null; }
    const asked = new URLSearchParams({ limit: 50 });
    if (search.value.trim()) asked.set("q", search.value.trim());
    if (groups.value) asked.set("group", groups.value);
    if (cursor) asked.set("cursor", cursor);
    const page = await get(`${context.path}/people?${asked}`);
    cursor = page.next;
    more.hidden = !cursor;
    for (const each of page.people) {
      rows.push([each.id, el("a", { href: `#people/${each.id}` }, each.display_name || each.identity),
        each.identity, each.external_id, each.groups.join(", "), each.faces, when(each.changed)]);
    }
    list.replaceChildren(rows.length
      ? table("People", ["Number", "Name", "Enrolled as", "External id", "Groups", "Faces", "Changed"], rows)
      : el("p", {}, search.value || groups.value ? "Nobody fits." : "Nobody is enrolled yet: ",
        search.value || groups.value ? null : el("a", { href: "#enrol" }, "enrol somebody")));
  };
  let waits;
  search.addEventListener("input", () => { clearTimeout(waits); waits = setTimeout(() => load(true), 250); });
  groups.addEventListener("change", () => load(true));
  more.addEventListener("click", () => load(false));
  view.append(el("div", { class: "row" }, field("Search", search), field("Group", groups)), list, more);
  await load(true);
}

async function person(view, context, number) {
  const address = `${context.path}/people/${number}`;
  const [one, tag] = await withTag(address);
  view.replaceChildren(el("p", {}, el("a", { href: "#people" }, "All people")),
    el("h1", {}, one.display_name || one.identity),
    el("p", { class: "faint" }, `Number ${one.id}, enrolled as ${one.identity} on ${when(one.created)}`));
  const inputs = {
    display_name: el("input", { value: one.display_name, maxlength: "256" }),
    external_id: el("input", { value: one.external_id, maxlength: "256" }),
    groups: el("input", { value: one.groups.join(", ") }),
    consent: el("textarea", { rows: 2, maxlength: "4096" }, one.consent),
    metadata: el("textarea", { rows: 4, spellcheck: "false" }, JSON.stringify(one.metadata, null, 2)),
  };
  const save = async (event) => {
    event.preventDefault();
    let metadata;
    try { metadata = JSON.parse(inputs.metadata.value || "{}"); } catch { say("The metadata are no JSON object: correct them."); return; }
    await patch(address, {
      headers: { "If-Match": tag },
      json: {
        display_name: inputs.display_name.value, external_id: inputs.external_id.value,
        groups: inputs.groups.value.split(",").map((each) => each.trim()).filter(Boolean),
        consent: inputs.consent.value, metadata,
      },
    });
    say("Saved.");
    context.again();
  };
  view.append(el("form", { class: "card", onsubmit: save },
    el("h2", {}, "What is noted"),
    el("div", { class: "split" }, field("Name to show", inputs.display_name), field("External id", inputs.external_id),
      field("Groups, with commas between", inputs.groups), field("Consent", inputs.consent), field("Metadata (JSON)", inputs.metadata)),
    el("p", { class: "buttons" }, el("button", { class: "main" }, "Save"))));
  const faces = await get(`${address}/faces`);
  view.append(el("h2", {}, `Faces (${faces.length})`), table("Faces", ["Number", "Photo", "Enrolled", "Between the eyes", "State", ""],
    faces.map((face) => [face.id, face.photo, when(face.enrolled), face.quality.inter_ocular ? `${Math.round(face.quality.inter_ocular)} pixels` : "",
      face.damaged ? mark("damaged", "bad") : mark("sound", "good"),
      el("button", { type: "button", class: "danger", onclick: () => eraseFace(face) }, `Erase face ${face.id}`)])));
  const eraseFace = async (face) => {
    const last = faces.length === 1 ? " It is the last one, so the person is erased with it." : "";
    if (!await ask(`Erase face ${face.id}?`, el("p", {}, `The face from ${face.photo} is erased.${last}`), "Erase", { danger: true })) return;
    proof(view, await remove(`${address}/faces/${face.id}`), context);
  };
  view.append(el("h3", {}, "Add photos"), place("Drop photos of this person here.", async (photos) => {
    const done = await post(`${address}/faces`, { body: form(photos) });
    results(view, done);
    if (done.added) say(`${done.added} faces were added.`);
  }));
  view.append(el("div", { class: "card" }, el("h2", {}, "Rights of this person"), el("p", { class: "buttons" },
    el("button", { type: "button", onclick: async () => download(await get(`${address}/export`), `person-${number}.json`) }, "Export all that is kept"),
    el("button", { type: "button", class: "danger", onclick: async () => {
      if (!await ask("Erase this person?", el("p", {}, `All ${faces.length} faces and notes of ${one.display_name || one.identity} are erased. This cannot be undone.`), "Erase", { danger: true })) return;
      proof(view, await remove(address, { headers: { "If-Match": tag } }), context);
    } }, "Erase this person"))));
}

function proof(view, done, context) {
  view.replaceChildren(el("h1", {}, done.person_erased ? "The person is erased" : "The face is erased"),
    el("p", {}, `${done.faces} faces were erased. The audit log says so in entry ${done.audit_number}, without a name; note its link to prove it:`),
    el("pre", {}, done.audit_link),
    el("p", {}, el("a", { href: "#people" }, "All people")));
  view.focus();
}

function download(found, name) {
  const link = el("a", { download: name });
  link.href = URL.createObjectURL(new Blob([JSON.stringify(found, null, 2)], { type: "application/json" }));
  link.click();
  URL.revokeObjectURL(link.href);
}

// What became of each photo.
export function results(view, done) {
  const kinds = { added: ["added", "good"], already: ["was there", "doubt"], refused: ["refused", "bad"] };
  view.append(el("section", { "aria-label": "What became of the photos" },
    el("p", { role: "status" }, `${done.added} added, ${done.already} there before, ${done.refused} refused.`),
    table("Photos", ["Photo", "", "Reason or remark"], done.results.map((each) =>
      [each.photo, mark(...kinds[each.status]), each.reason ?? each.remarks.join(" ")]))));
}
