// Enrolment: one person by photos or camera, or many by folders.

import { el, field, mark, say, table } from "/page/dom.js";
import { form, get, pause, post, remove } from "/page/api.js";
import { camera, place, thumb } from "/page/photos.js";
import { results } from "/page/people.js";

const TOGETHER = 50;

export async function enrol(view, context) {
  let photos = [];
  const name = el("input", { required: true, maxlength: "256", autocomplete: "off" });
  const groups = el("input", { autocomplete: "off" });
  const consent = el("input", { autocomplete: "off" });
  const anyway = el("input", { type: "checkbox" });
  const thumbs = el("div", { class: "thumbs" });
  const done = el("div");
  const send = el("button", { class: "main", disabled: true }, "Enrol");
  const show = () => {
    thumbs.replaceChildren(...photos.map(thumb));
    send.disabled = !photos.length;
  };
  const given = (list) => {
    const people = new Set(list.map(folder).filter(Boolean));
    if (people.size > 1) { many(done, context, list.filter(folder)); return; }
    if (people.size === 1 && !name.value) name.value = [...people][0];
    photos = [...photos, ...list.map((each) => ({ file: each.file, name: each.name.split("/").pop() }))];
    show();
  };
  const submit = async (event) => {
    event.preventDefault();
    send.disabled = true;
    done.replaceChildren(el("p", { role: "status" }, "Looking for faces …"));
    try {
      const answer = await post(`${context.path}/people`, { body: form(photos, {
        identity: name.value, consent: consent.value, anyway: anyway.checked,
        groups: groups.value.split(",").map((each) => each.trim()).filter(Boolean) }) });
      done.replaceChildren();
      if (answer.person) {
        done.append(el("p", { class: "answer good" }, `${answer.person.identity} is enrolled`),
          el("p", {}, el("a", { href: `#people/${answer.person.id}` }, "Look at what is kept")));
      } else done.append(el("p", { class: "answer bad" }, "Nobody was enrolled"));
      results(done, answer);
      photos = [];
      show();
    } catch (error) {
      done.replaceChildren(el("p", { role: "alert", class: "card bad" }, error.message));
      send.disabled = false;
    }
  };
  const look = camera(given);
  view.append(el("p", {}, "Drop photos of one person, or a folder that has a folder for each person."),
    place("Drop photos or a folder here.", given, { folders: true }),
    el("details", {}, el("summary", {}, "Use the camera"), look),
    el("form", { class: "card", onsubmit: submit },
      el("div", { class: "row" }, field("Enrol as", name), field("Groups, with commas between", groups), field("Consent", consent),
        el("label", { class: "check" }, anyway, "in spite of doubts")),
      thumbs, el("p", { class: "buttons" }, send,
        el("button", { type: "button", onclick: () => { photos = []; show(); } }, "Leave these photos out"))), done);
  const jobs = (await get(`${context.path}/jobs`)).filter((job) => ["waiting", "running"].includes(job.state));
  for (const job of jobs) follow(done, context, job);
  return look.stop;
}

function folder(photo) {
  const parts = photo.name.split("/").filter(Boolean);
  return parts.length > 1 ? parts[parts.length - 2] : "";
}

// Photos of many people go as jobs, some at a time.
async function many(view, context, list) {
  const people = new Set(list.map(folder));
  view.replaceChildren(el("p", { role: "status" }, `${list.length} photos of ${people.size} people are sent.`));
  for (let start = 0; start < list.length; start += TOGETHER) {
    const some = list.slice(start, start + TOGETHER);
    follow(view, context, await post(`${context.path}/jobs`, { body: form(some) }));
  }
}

async function follow(view, context, first) {
  let job = first;
  const bar = el("progress", { max: job.photos, "aria-label": `Job ${job.id}` });
  const text = el("p", { role: "status" });
  const cancel = el("button", { type: "button", onclick: async () => { await remove(`${context.path}/jobs/${job.id}`); say("The job is ended; who was enrolled stays."); } }, "End this job");
  const card = el("section", { class: "card", "aria-label": `Job ${job.id}` }, bar, text, cancel);
  view.append(card);
  for (;;) {
    bar.value = job.photos - job.waiting;
    text.textContent = `${job.state}: ${job.added} added, ${job.already} there before, ${job.refused} refused, ${job.waiting} of ${job.photos} to go. ${job.reason}`;
    if (!["waiting", "running"].includes(job.state)) break;
    await pause(500);
    if (!card.isConnected) return;
    job = await get(`${context.path}/jobs/${job.id}`);
  }
  cancel.remove();
  const refused = (await get(`${context.path}/jobs/${job.id}/photos`)).filter((each) => each.status === "refused");
  if (refused.length) card.append(table("Refused photos", ["Person", "Photo", "", "Reason"],
    refused.map((each) => [each.identity, each.photo, mark("refused", "bad"), each.reason])));
}
