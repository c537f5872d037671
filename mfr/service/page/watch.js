// What the service watches, and who is seen, as it happens.

import { ask, el, field, mark, say, table, when } from "/page/dom.js";
import { asKey, get, pause, post, remove } from "/page/api.js";

const SHOWN = 50;

export async function watch(view, context) {
  const ended = new AbortController();
  const list = el("div");
  const events = el("ol", { class: "events", "aria-live": "polite", "aria-label": "Events, the latest first" });
  const name = el("input", { required: true, pattern: "[a-z0-9][a-z0-9_\\-]*", autocomplete: "off" });
  const source = el("input", { required: true, autocomplete: "off", placeholder: "0, rtsp://…, entrance.mp4" });
  const hook = el("input", { type: "url", autocomplete: "off", placeholder: "https://…" });
  const secret = el("input", { autocomplete: "off", minlength: "16" });
  const keep = el("input", { type: "checkbox" });
  const live = el("input", { type: "checkbox" });
  const load = async () => {
    const found = (await get("/v1/watches")).filter((each) => each.settings.collection === context.name);
    list.replaceChildren(found.length ? table("Watches", ["Name", "Source", "State", "Frames a second", "What is wrong", ""], found.map((each) => [
      each.settings.name, each.settings.source, mark(each.state, each.error ? "bad" : each.state === "watching" ? "good" : "doubt"),
      each.frames_per_second === null ? "" : each.frames_per_second.toFixed(1), each.error ?? each.webhook_error ?? "",
      el("button", { type: "button", class: "danger", onclick: () => stop(each.settings.name) }, `Stop ${each.settings.name}`)]))
      : el("p", {}, "Nothing is watched for this collection."));
  };
  const stop = async (which) => {
    if (!await ask(`Stop ${which}?`, el("p", {}, "Its events are kept."), "Stop", { danger: true })) return;
    await remove(`/v1/watches/${which}`);
    await load();
  };
  const begin = async (event) => {
    event.preventDefault();
    await post("/v1/watches", { json: { name: name.value, collection: context.name, source: source.value, keep_best_frame: keep.checked, live_check: live.checked,
      webhook: hook.value ? { url: hook.value, secret: secret.value } : null } });
    event.target.reset();
    say("It is watched.");
    await load();
  };
  const show = async (event, first) => {
    if (event.collection !== context.name) return;
    events[first ? "prepend" : "append"](await told(event));
    while (events.children.length > SHOWN) events.lastChild.remove();
  };
  view.append(el("p", {}, "Cameras, streams and videos that the service looks at; everybody who was in view becomes an event."),
    list, el("details", { class: "card" }, el("summary", {}, "Watch another source"),
      el("form", { onsubmit: begin }, el("div", { class: "row" }, field("Name", name), field("Camera's number, address or file on the service's machine", source),
        field("Send events to", hook), field("Secret that signs them", secret), el("label", { class: "check" }, keep, "keep the best frame"),
        el("label", { class: "check" }, live, "tell a head that turns from a picture held up")),
      el("p", { class: "buttons" }, el("button", { class: "main" }, "Watch")))),
    el("h2", {}, "Who was seen"), events);
  await load();
  let after = 0;
  const old = [];
  for (;;) {
    const page = await get(`/v1/watches/events?after=${after}&limit=1000`);
    if (page.next === after) break;
    old.push(...page.events);
    after = page.next;
  }
  for (const event of old.slice(-SHOWN).reverse()) await show(event, false);
  follow(after, ended.signal, (event) => show(event, true));
  const again = setInterval(() => load().catch(() => {}), 5000);
  return () => { ended.abort(); clearInterval(again); };
}

async function told(event) {
  const who = event.outcome === "match" ? [event.identity, "good"] : event.outcome === "uncertain" ? ["perhaps somebody", "doubt"] : ["nobody who is enrolled", "bad"];
  const parts = [el("p", {}, mark(...who), ` at ${event.watch}, ${when(event.at)}`, event.live ? `, looks ${{ live: "like a head that turns", still: "like a picture", unknown: "like neither for sure" }[event.live]}` : "")];
  if (event.picture) {
    const picture = el("img", { alt: `The best frame of event ${event.number}` });
    const reply = await fetch(`/v1/watches/events/${event.number}/picture`, { headers: asKey() });
    if (reply.ok) {
      picture.src = URL.createObjectURL(await reply.blob());
      parts.push(el("div", { class: "thumbs" }, picture));
    }
  }
  return el("li", { class: "card" }, parts);
}

// Server-sent events by fetch, as EventSource cannot send a key.
async function follow(after, signal, given) {
  let last = after;
  while (!signal.aborted) {
    try {
      const reply = await fetch("/v1/watches/stream", { signal, headers: { "Last-Event-ID": String(last), ...asKey() } });
      if (!reply.ok) return;
      let text = "";
      for (const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader(); ;) {
        const { value, done } = await reader.read();
        if (done) break;
        text += value;
        for (let end; (end = text.indexOf("\n\n")) >= 0; text = text.slice(end + 2)) {
          const data = text.slice(0, end).split("\n").find((line) => line.startsWith("data: "));
          if (!data) continue;
          const event = JSON.parse(data.slice(6));
          last = event.number;
          await given(event);
        }
      }
    } catch (error) {
      if (signal.aborted) return;
    }
    await pause(500);
  }
}
