// Who a photo shows: one person, or everybody in a group photo.

import { el, field, mark, percent, table } from "/page/dom.js";
import { form, get, post } from "/page/api.js";
import { boxed, camera, place } from "/page/photos.js";


export async function identify(view, context) {
  const fpir = el("select", {}, [["0.001", "1 in 1000"], ["0.01", "1 in 100"], ["0.1", "1 in 10"]].map(([value, text]) =>
    el("option", { value, selected: value === "0.01" }, text)));
  const group = el("select", {}, el("option", { value: "" }, "everybody"),
    Object.keys(await get(`${context.path}/groups`)).map((name) => el("option", { value: name }, name)));
  const answer = el("div", { role: "status", "aria-live": "polite" });
  let photo = null;
  const search = async () => {
    if (!photo) return;
    answer.replaceChildren(el("p", {}, "Searching …"));
    try {
      const found = await post(`${context.path}/identify`, { body: form([photo], { faces: "all", fpir: fpir.value, group: group.value }) });
      show(answer, photo, found.results);
    } catch (error) {
      answer.replaceChildren(el("p", { class: "card bad" }, error.message));
    }
  };
  const given = ([first]) => { photo = first; search(); };
  fpir.addEventListener("change", search);
  group.addEventListener("change", search);
  const look = camera(given, { hints: false });
  view.append(el("p", {}, "Every face of the photo is searched for; nobody is named twice."),
    el("div", { class: "row" }, field("Strangers who may be taken for somebody", fpir), field("Search among", group)),
    place("Drop a photo here, also one of a group.", given, { several: false }),
    el("details", {}, el("summary", {}, "Use the camera"), look), answer);
  return look.stop;
}

export function named(found) {
  const nearest = found.candidates[0]?.identity;
  if (found.outcome === "match") return [found.identity, "good"];
  if (found.outcome === "uncertain") return [`${nearest}?`, "doubt"];
  return [found.outcome === null ? "no threshold" : "nobody", "bad"];
}

function show(view, photo, results) {
  const boxes = results.map((found, number) => {
    const [text, kind] = named(found);
    return { box: found.box, text: `${number + 1} ${text}`, kind };
  });
  view.replaceChildren(el("figure", {}, boxed(photo, boxes)), table("Faces from left to right",
    ["Face", "Answer", "Nearest", "Score", "Threshold", "Strangers taken for somebody"],
    results.map((found, number) => {
      const [text, kind] = named(found);
      const nearest = found.candidates[0];
      const who = nearest?.id ? el("a", { href: `#people/${nearest.id}` }, nearest.identity) : "";
      return [number + 1, mark(text, kind), who, nearest ? nearest.score.toFixed(4) : "",
        found.threshold === null ? "" : found.threshold.toFixed(4), percent(found.fpir)];
    })),
    ...results.flatMap((found, number) => found.warnings.map((each) => el("p", { class: "mark doubt" }, `Face ${number + 1}: ${each}`))));
}

