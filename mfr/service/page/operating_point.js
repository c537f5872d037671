// The scores of this collection beside the calibration, and how the rates move with the threshold.

import { el, field, percent, svg } from "/page/dom.js";
import { get } from "/page/api.js";

const WIDTH = 760, HEIGHT = 260, LEFT = 8, BELOW = 28;

export async function operatingPoint(view, context) {
  const found = await get(`${context.path}/operating-point`);
  const total = (counts) => counts.reduce((sum, each) => sum + each, 0);
  const [mated, nonmated] = [total(found.mated), total(found.nonmated)];
  view.append(el("p", {}, `The faces of ${found.people} people of this collection, compared with one another: ${mated} pairs of one person, ${nonmated} of two.`));
  if (!found.curves.length) { view.append(el("p", { class: "card doubt" }, "The model has no calibration: error rates are not known.")); return; }
  const curve = el("select", {}, found.curves.map((each, number) => el("option", { value: String(number) }, each.condition || "usual")));
  const low = scoreFloor(found);
  const slider = el("input", { type: "range", min: String(low), max: "1", step: "0.001" });
  slider.classList.add("long");
  const chart = svg("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": "How often each score comes, of one person and of two" });
  const told = el("div", { role: "status", "aria-live": "polite" });
  const x = (score) => LEFT + (WIDTH - 2 * LEFT) * (score - low) / (1 - low);
  const draw = () => {
    const threshold = Number(slider.value);
    const chosen = found.curves[Number(curve.value)];
    const parts = [];
    for (const [kind, counts, all] of [["nonmated", found.nonmated, nonmated], ["mated", found.mated, mated]]) {
      const top = Math.max(...counts) / Math.max(1, all);
      counts.forEach((count, bin) => {
        if (!count || found.edges[bin + 1] <= low) return;
        const height = (HEIGHT - BELOW - 10) * count / Math.max(1, all) / top;
        const start = x(Math.max(low, found.edges[bin]));
        parts.push(svg("rect", { class: kind, x: start, width: Math.max(1, x(found.edges[bin + 1]) - start - 1), y: HEIGHT - BELOW - height, height }));
      });
    }
    parts.push(svg("line", { class: "axis", x1: LEFT, x2: WIDTH - LEFT, y1: HEIGHT - BELOW, y2: HEIGHT - BELOW }));
    for (let tick = 0; tick <= 5; tick++) {
      const score = low + (1 - low) * tick / 5;
      const text = svg("text", { x: x(score), y: HEIGHT - 8, "text-anchor": tick === 0 ? "start" : tick === 5 ? "end" : "middle" });
      text.textContent = score.toFixed(2);
      parts.push(text);
    }
    parts.push(svg("line", { class: "threshold", x1: x(threshold), x2: x(threshold), y1: 4, y2: HEIGHT - BELOW }));
    chart.replaceChildren(...parts);
    const fmr = along(chosen.thresholds, chosen.fmrs, threshold, true);
    const fnmr = chosen.fnmrs ? along(chosen.thresholds, chosen.fnmrs, threshold, false) : null;
    const fpir = 1 - (1 - fmr) ** Math.max(1, found.templates);
    const above = (counts) => counts.reduce((sum, each, bin) => sum + (found.edges[bin] >= threshold ? each : 0), 0);
    told.replaceChildren(
      el("p", {}, `Threshold ${threshold.toFixed(3)}: a stranger matches one face in ${percent(fmr)} (FMR); one person is refused in ${percent(fnmr)} (FNMR); of strangers searched for among ${found.templates} faces, ${percent(fpir)} are taken for somebody (FPIR, at most).`),
      el("p", { class: "faint" }, `Measured on ${chosen.people} people of ${chosen.source}, ${chosen.comparisons.toLocaleString("en")} comparisons.`),
      el("p", {}, `In this collection ${above(found.nonmated)} of ${nonmated} pairs of two people score higher, and ${mated - above(found.mated)} of ${mated} pairs of one person lower.`));
  };
  const usual = () => {
    const chosen = found.curves[Number(curve.value)];
    const at = chosen.fmrs.findLastIndex((rate) => rate <= 1e-3);
    slider.value = String(chosen.thresholds[Math.max(0, at)]);
    draw();
  };
  curve.addEventListener("change", usual);
  slider.addEventListener("input", draw);
  view.append(el("div", { class: "row" }, field("Calibration for", curve), field("Threshold", slider)), chart,
    el("p", { class: "faint" }, el("span", { class: "key mated", "aria-hidden": "true" }), " one person   ", el("span", { class: "key nonmated", "aria-hidden": "true" }), " two people; each as a share of its highest"), told);
  usual();
}

function scoreFloor(found) {
  const first = found.edges.findIndex((_, bin) => found.mated[bin] || found.nonmated[bin]);
  const lowest = Math.min(...found.curves.map((each) => each.thresholds.at(-1)), found.edges[Math.max(0, first)]);
  return Math.max(-1, Math.floor(lowest * 10) / 10);
}

// A rate at a threshold, between those that were measured; rates of false matches by their logarithms.
function along(thresholds, rates, threshold, logarithms) {
  const to = logarithms ? Math.log : (value) => value;
  const from = logarithms ? Math.exp : (value) => value;
  if (threshold >= thresholds[0]) return rates[0];
  for (let at = 1; at < thresholds.length; at++) {
    if (threshold >= thresholds[at]) {
      const share = (threshold - thresholds[at]) / (thresholds[at - 1] - thresholds[at]);
      return from(share * to(rates[at - 1]) + (1 - share) * to(rates[at]));
    }
  }
  return rates.at(-1);
}
