// Two photos, or photos against a person.

import { el, field, percent } from "/page/dom.js";
import { form, get, post } from "/page/api.js";
import { camera, place, thumb } from "/page/photos.js";

export async function verify(view, context) {
  const sides = [[], []];
  const person = el("input", { list: "people-known", autocomplete: "off" });
  const known = el("datalist", { id: "people-known" });
  const fmr = el("select", {}, [["0.01", "1 in 100"], ["0.001", "1 in 1000"], ["0.0001", "1 in 10 000"]].map(([value, text]) =>
    el("option", { value, selected: value === "0.001" }, text)));
  const answer = el("div", { role: "status", "aria-live": "polite" });
  const shown = sides.map(() => el("div", { class: "thumbs" }));
  const draw = () => sides.forEach((side, number) => shown[number].replaceChildren(...side.map(thumb)));
  const decide = async () => {
    const claim = person.value.trim();
    if (!sides[0].length || (!claim && !sides[1].length)) return;
    answer.replaceChildren(el("p", {}, "Comparing …"));
    try {
      const choices = { fmr: fmr.value };
      const found = claim
        ? await post(`${context.path}/verify`, { body: form(sides[0], { ...choices, identity: claim }) })
        : await post("/v1/compare", { body: form([sides[0][0], sides[1][0]], choices) });
      answer.replaceChildren(...judged(found));
    } catch (error) {
      answer.replaceChildren(el("p", { class: "card bad" }, error.message));
    }
  };
  const side = (number) => (list) => { sides[number] = list; draw(); decide(); };
  person.addEventListener("change", decide);
  person.addEventListener("input", async () => {
    const page = await get(`${context.path}/people?limit=10&q=${encodeURIComponent(person.value)}`);
    known.replaceChildren(...page.people.map((each) => el("option", { value: each.identity })));
  });
  fmr.addEventListener("change", decide);
  const look = camera(side(0));
  view.append(el("p", {}, "Whether two photos show one person, or a photo shows somebody who is enrolled."),
    el("div", { class: "row" }, field("Strangers who may be taken for the person", fmr)),
    el("div", { class: "split" },
      el("section", { class: "card" }, el("h2", {}, "A photo"), place("Drop a photo here.", side(0), { several: false }),
        el("details", {}, el("summary", {}, "Use the camera"), look), shown[0]),
      el("section", { class: "card" }, el("h2", {}, "Against"), field("Somebody who is enrolled", person), known,
        el("p", { class: "faint" }, "or"), place("Drop another photo here.", (list) => { person.value = ""; side(1)(list); }, { several: false }), shown[1])),
    answer);
  return look.stop;
}

export function judged(found) {
  const risk = found.fmr === null ? "How often strangers match is not known." :
    `At the threshold of ${found.threshold.toFixed(4)}, strangers match in ${percent(found.fmr)}` +
    (found.fnmr === null ? "." : `, and one person is refused in ${percent(found.fnmr)}.`);
  const where = found.measured ? `Measured on ${found.measured.people} people of ${found.measured.source} (${found.measured.condition}).` : "";
  return [el("p", { class: `answer ${found.match ? "good" : "bad"}` }, found.match ? "The same person" : "Not the same person"),
    el("p", {}, `Score ${found.score.toFixed(4)}. ${risk} ${where}`),
    ...found.warnings.map((each) => el("p", { class: "mark doubt" }, each))];
}
