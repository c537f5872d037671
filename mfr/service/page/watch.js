// Live events of the cameras that the service watches.

import { el, mark } from "/page/dom.js";

export async function watch(view) {
  view.append(el("p", {}, mark("soon", "doubt"), " Nothing is watched by this service yet."));
}
