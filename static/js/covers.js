// Shows the chosen part on the picture while its numbers are typed, and takes them from a drag over it.
// A picture that was just chosen is shown at once.
"use strict";

(() => {
  const frame = document.querySelector(".cover-frame");
  const image = frame.querySelector("img");
  const inputs = ["left", "top", "width", "height"].map((name) => document.getElementById(`id_${name}`));
  const file = document.getElementById("id_picture");
  const choice = document.createElement("div");
  choice.className = "cover-choice";
  frame.append(choice);
  frame.classList.add("is-choosing");

  const show = () => {
    const [left, top, width, height] = inputs.map((input) => Number(input.value));
    choice.hidden = [left, top, width, height].join() === "0,0,100,100" || !(width > 0 && height > 0);
    Object.assign(choice.style, { left: `${left}%`, top: `${top}%`, width: `${width}%`, height: `${height}%` });
  };

  const choose = (values) => {
    inputs.forEach((input, at) => { input.value = values[at]; });
    show();
  };

  const at = (event) => {
    const box = image.getBoundingClientRect();
    const percent = (from, length) => Math.round(Math.min(100, Math.max(0, (100 * from) / length)));
    return [percent(event.clientX - box.left, box.width), percent(event.clientY - box.top, box.height)];
  };

  image.draggable = false;
  let start = null;
  frame.addEventListener("pointerdown", (event) => {
    start = at(event);
    frame.setPointerCapture(event.pointerId);
  });
  frame.addEventListener("pointermove", (event) => {
    if (!start) return;
    const end = at(event);
    const [left, top] = [Math.min(start[0], end[0]), Math.min(start[1], end[1])];
    const [width, height] = [Math.abs(start[0] - end[0]), Math.abs(start[1] - end[1])];
    if (width > 1 && height > 1) choose([left, top, width, height]);
  });
  ["pointerup", "pointercancel"].forEach((name) => frame.addEventListener(name, () => { start = null; }));

  inputs.forEach((input) => input.addEventListener("input", show));
  file.addEventListener("change", () => {
    if (!file.files.length) return;
    const reader = new FileReader();
    reader.addEventListener("load", () => {
      image.removeAttribute("width");
      image.removeAttribute("height");
      image.src = reader.result;
      choose([0, 0, 100, 100]);
    });
    reader.readAsDataURL(file.files[0]);
  });
  show();
})();
