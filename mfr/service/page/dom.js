// Elements made without HTML in strings, so that no name can become markup.

export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key in made && key !== "list" && typeof value !== "string") made[key] = value;
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat().filter((each) => each !== null && each !== undefined));
  return made;
}

export function svg(name, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

export function table(caption, heads, rows) {
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    el("table", {},
      el("thead", {}, el("tr", {}, heads.map((head) => el("th", { scope: "col" }, head)))),
      el("tbody", {}, rows.map((cells) => el("tr", {}, cells.map((cell) =>
        typeof cell === "number" ? el("td", { class: "number" }, String(cell)) : el("td", {}, cell)))))));
}

export function mark(text, kind) {
  return el("span", { class: `mark ${kind}` }, text);
}

export function say(sentence) {
  const told = el("p", {}, sentence);
  document.getElementById("said").append(told);
  setTimeout(() => told.remove(), 9000);
}

export function field(label, input) {
  return el("label", {}, label, input);
}

export function percent(rate, digits = 2) {
  if (rate === null || rate === undefined) return "not known";
  if (rate > 0 && rate < 1e-4) return `1 in ${Math.round(1 / rate).toLocaleString("en")}`;
  return `${Number((100 * rate).toPrecision(digits + 1))}%`;
}

export function when(text) {
  return new Date(text).toLocaleString();
}

// A question that can be answered by keyboard; resolves to what `read` gives, or null.
export function ask(title, content, action, { danger = false, read = () => true } = {}) {
  return new Promise((resolve) => {
    const box = el("dialog", { "aria-label": title },
      el("form", { method: "dialog" },
        el("h2", {}, title), content,
        el("p", { class: "buttons" },
          el("button", { value: "yes", class: danger ? "danger" : "main" }, action),
          el("button", { value: "no" }, "Cancel"))));
    box.addEventListener("close", () => {
      resolve(box.returnValue === "yes" ? read() : null);
      box.remove();
    });
    document.body.append(box);
    box.showModal();
  });
}
