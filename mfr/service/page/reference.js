// The API as its OpenAPI document describes it.

import { el, mark, table } from "/page/dom.js";

const KINDS = { get: "good", post: "doubt", patch: "doubt", delete: "bad" };

const view = document.getElementById("view");
const document_ = await (await fetch("/openapi.json")).json();
const schemas = document_.components?.schemas ?? {};

function kind(schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.anyOf) return schema.anyOf.map(kind).join(" or ");
  if (schema.enum) return schema.enum.map((each) => JSON.stringify(each)).join(" or ");
  if (schema.type === "array") return `list of ${kind(schema.items)}`;
  if (schema.format === "binary") return "file";
  return schema.const !== undefined ? JSON.stringify(schema.const) : schema.type ?? "anything";
}

function fields(schema) {
  const needed = new Set(schema.required ?? []);
  return Object.entries(schema.properties ?? {}).map(([name, each]) => [el("code", {}, name), kind(each),
    needed.has(name) ? "needed" : each.default === undefined ? "" : `else ${JSON.stringify(each.default)}`, each.description ?? ""]);
}

function resolved(schema) { return schema?.$ref ? schemas[schema.$ref.split("/").pop()] : schema; }

function operation(path, method, each) {
  const parts = [el("summary", {}, mark(method.toUpperCase(), KINDS[method] ?? "doubt"), " ", el("code", {}, path)), el("p", {}, each.description ?? each.summary)];
  const asked = (each.parameters ?? []).filter((one) => one.in !== "path" || one.description);
  if (asked.length) parts.push(table("Parameters", ["Parameter", "Kind", "", ""], asked.map((one) =>
    [el("code", {}, one.name), `${kind(one.schema)}, ${one.in}`, one.required ? "needed" : "", one.description ?? ""])));
  const body = each.requestBody?.content;
  if (body) {
    const [type, { schema }] = Object.entries(body)[0];
    parts.push(el("h3", {}, `Sent as ${Object.keys(body).join(" or ")}`), table("Fields", ["Field", "Kind", "", ""], fields(resolved(schema))));
    if (type.startsWith("multipart")) parts.push(el("pre", {}, `curl -H "Authorization: Bearer $KEY" -F photos=@photo.jpg ${location.origin}${path}`));
  }
  const good = Object.entries(each.responses ?? {}).find(([code]) => code.startsWith("2"));
  const answer = resolved(good?.[1].content?.["application/json"]?.schema);
  if (answer?.properties) parts.push(el("h3", {}, `Answered with ${good[0]}`), table("Answer", ["Field", "Kind", "", ""], fields(answer)));
  return el("details", { class: "card" }, parts);
}

const tags = {};
for (const [path, methods] of Object.entries(document_.paths)) {
  for (const [method, each] of Object.entries(methods)) (tags[each.tags?.[0] ?? "more"] ??= []).push(operation(path, method, each));
}
view.replaceChildren(el("h1", {}, `${document_.info.title} ${document_.info.version}`), el("p", {}, document_.info.description),
  ...Object.entries(tags).flatMap(([tag, list]) => [el("h2", {}, tag[0].toUpperCase() + tag.slice(1)), ...list]));
