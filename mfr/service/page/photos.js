// Photos from the user: chosen, dropped (folders too), or taken with the camera.

import { el, say } from "/page/dom.js";
import { form, pause, post } from "/page/api.js";

const KINDS = /\.(jpe?g|jpe|jfif|png|bmp|webp|tiff?|gif|p[gpn]m|jp2|hei[cf])$/i;

// A place to drop photos onto or choose them with; `given` is told of each list of {file, name}.
export function place(text, given, { several = true, folders = false } = {}) {
  const input = el("input", { type: "file", accept: "image/*", multiple: several, hidden: true });
  const take = (list) => {
    const photos = list.filter((each) => KINDS.test(each.name) || each.file.type.startsWith("image/"));
    if (list.length > photos.length) say(`${list.length - photos.length} files are no photos and were left out.`);
    if (photos.length) given(several ? photos : photos.slice(0, 1));
  };
  input.addEventListener("change", () => {
    take([...input.files].map((file) => ({ file, name: file.name })));
    input.value = "";
  });
  const buttons = [el("button", { type: "button", onclick: () => input.click() }, several ? "Choose photos" : "Choose a photo")];
  const inner = [input];
  if (folders) {
    const folder = el("input", { type: "file", multiple: true, hidden: true });
    folder.webkitdirectory = true;
    folder.addEventListener("change", () => {
      take([...folder.files].map((file) => ({ file, name: file.webkitRelativePath || file.name })));
      folder.value = "";
    });
    inner.push(folder);
    buttons.push(el("button", { type: "button", onclick: () => folder.click() }, "Choose a folder"));
  }
  const made = el("div", { class: "drop" }, el("p", {}, text), el("div", { class: "row" }, buttons), inner);
  made.querySelector(".row").classList.add("centred");
  for (const kind of ["dragenter", "dragover"]) {
    made.addEventListener(kind, (event) => { event.preventDefault(); made.classList.add("over"); });
  }
  made.addEventListener("dragleave", () => made.classList.remove("over"));
  made.addEventListener("drop", async (event) => {
    event.preventDefault();
    made.classList.remove("over");
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
    take(entries.length ? (await Promise.all(entries.map(walked))).flat()
      : [...event.dataTransfer.files].map((file) => ({ file, name: file.name })));
  });
  return made;
}

async function walked(entry) {
  if (entry.isFile) {
    const file = await new Promise((yes, no) => entry.file(yes, no));
    return [{ file, name: entry.fullPath.replace(/^\//, "") }];
  }
  const reader = entry.createReader();
  const found = [];
  for (;;) { // a reader gives a hundred at a time
    const some = await new Promise((yes, no) => reader.readEntries(yes, no));
    if (!some.length) break;
    found.push(...some);
  }
  return (await Promise.all(found.filter((each) => !each.name.startsWith(".")).map(walked))).flat();
}

// The camera, with hints about the face while it looks; `given` is told of each photo taken.
export function camera(given, { hints = true } = {}) {
  const video = el("video", { playsinline: true, muted: true, "aria-label": "What the camera sees" });
  const hint = el("p", { role: "status", "aria-live": "polite", class: "faint" });
  const shoot = el("button", { type: "button", class: "main", disabled: true }, "Take a photo");
  const toggle = el("button", { type: "button" }, "Use the camera");
  const made = el("div", {}, el("div", { class: "row" }, toggle, shoot), el("div", { class: "shown" }, video), hint);
  video.hidden = true;
  let stream = null;
  const picture = () => {
    const canvas = el("canvas", { width: video.videoWidth, height: video.videoHeight });
    canvas.getContext("2d").drawImage(video, 0, 0);
    return new Promise((yes) => canvas.toBlob(yes, "image/jpeg", 0.95));
  };
  const stop = () => {
    stream?.getTracks().forEach((track) => track.stop());
    stream = null;
    video.hidden = true;
    shoot.disabled = true;
    hint.textContent = "";
    toggle.textContent = "Use the camera";
  };
  const look = async () => {
    while (stream && made.isConnected) {
      if (video.videoWidth) hint.textContent = await judged(await picture());
      await pause(900);
    }
    stop();
  };
  toggle.addEventListener("click", async () => {
    if (stream) { stop(); return; }
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 480 }, audio: false });
    } catch (error) {
      say(`The camera cannot be used (${error.name}): allow it for this page, or choose photos.`);
      return;
    }
    video.srcObject = stream;
    video.hidden = false;
    await video.play();
    shoot.disabled = false;
    toggle.textContent = "Stop the camera";
    if (hints) look();
  });
  shoot.addEventListener("click", async () => {
    const blob = await picture();
    const name = `camera-${new Date().toISOString().replace(/[:.]/g, "-")}.jpg`;
    given([{ file: new File([blob], name, { type: "image/jpeg" }), name }]);
  });
  made.stop = stop;
  made.picture = picture;
  return made;
}

async function judged(blob) {
  try {
    const answer = await post("/v1/quality", { body: form([{ file: blob, name: "the camera's picture" }]) });
    const [face] = answer.photos[0].faces;
    if (!face) return "No face is in view: come into the picture.";
    return face.flaws.length ? `Not good enough yet: ${face.flaws.join(", ")}.` : "This is good: take the photo.";
  } catch (error) {
    return error.message;
  }
}

export function thumb(photo) {
  const image = el("img", { alt: photo.name, title: photo.name });
  image.src = URL.createObjectURL(photo.file);
  image.addEventListener("load", () => URL.revokeObjectURL(image.src));
  return image;
}

// The photo with boxes around faces: each {box, text, kind}.
export function boxed(photo, boxes) {
  const canvas = el("canvas", { role: "img", "aria-label": `${photo.name} with ${boxes.length} faces marked` });
  const image = new Image();
  image.onload = () => {
    canvas.width = image.naturalWidth;
    canvas.height = image.naturalHeight;
    const pen = canvas.getContext("2d");
    pen.drawImage(image, 0, 0);
    URL.revokeObjectURL(image.src);
    const colours = { good: "#17a34a", doubt: "#e08a00", bad: "#d92d35" };
    const size = Math.max(12, image.naturalWidth / 38);
    pen.lineWidth = Math.max(2, image.naturalWidth / 250);
    pen.font = `600 ${size}px system-ui, sans-serif`;
    for (const { box: [left, top, right, bottom], text, kind } of boxes) {
      pen.strokeStyle = pen.fillStyle = colours[kind];
      pen.strokeRect(left, top, right - left, bottom - top);
      const width = pen.measureText(text).width + size / 2;
      const x = Math.max(0, Math.min(left, canvas.width - width));
      const y = Math.min(bottom, canvas.height - 1.3 * size);
      pen.fillRect(x, y, width, 1.3 * size);
      pen.fillStyle = "#fff";
      pen.fillText(text, x + size / 4, y + size);
    }
  };
  image.src = URL.createObjectURL(photo.file);
  return el("div", { class: "shown" }, canvas);
}
