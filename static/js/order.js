"use strict";

// The part that is ordered: drawn on the waveform of the original, where it is moved and drawn out,
// and in two fields, which "Begin here" and "End here" fill with the place where the player is.
(() => {
  const SHORTEST_S = 0.1;
  const HEIGHT_PX = 64;

  const part = document.getElementById("order-clip");
  const { player } = window;
  if (!part || !player) return;
  const box = document.getElementById("order-wave");
  const fields = {
    start: part.querySelector("[name=clip_start]"),
    end: part.querySelector("[name=clip_end]"),
  };
  let region = null;

  function position(second) {
    const ms = Math.round(second * 1000);
    const whole = Math.floor(ms / 1000);
    const two = (number) => String(number).padStart(2, "0");
    const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
    const tail = `${two(whole % 60)}.${String(ms % 1000).padStart(3, "0")}`;
    return hours ? `${hours}:${two(minutes)}:${tail}` : `${minutes}:${tail}`;
  }

  // What the site makes of a field, too; null: no time.
  function second(text) {
    if (!/^(\d{1,2}:)?(\d{1,3}:)?\d{1,6}([.,]\d{1,3})?$/.test(text)) return null;
    return text.replace(",", ".").split(":").reduce((sum, one) => 60 * sum + Number(one), 0);
  }

  function fromFields() {
    if (!region) return;
    const start = second(fields.start.value.trim()) ?? 0;
    const end = second(fields.end.value.trim()) ?? player.wholeS();
    // What is in the wrong order, or beyond the end, is refused when it is sent.
    if (end - start >= SHORTEST_S && start < player.wholeS()) region.setOptions({ start, end });
  }

  // An empty field is the beginning, or the end.
  function toFields() {
    const ends = player.wholeS() - region.end < 0.001;
    fields.start.value = region.start < 0.001 ? "" : position(region.start);
    fields.end.value = ends ? "" : position(region.end);
  }

  let wave = null;
  function draw() {
    const peaks = player.peaks();
    box.hidden = !peaks || !window.WaveSurfer.Regions;
    if (wave || box.hidden || !box.offsetWidth) return;
    wave = window.WaveSurfer.create({
      container: box,
      peaks: [peaks],
      duration: player.wholeS(),
      height: HEIGHT_PX,
      interact: false,
      cursorWidth: 0,
      ...player.look(),
    });
    const regions = wave.registerPlugin(window.WaveSurfer.Regions.create());
    wave.on("ready", () => {
      region = regions.addRegion({
        start: 0,
        end: player.wholeS(),
        minLength: SHORTEST_S,
        color: "transparent",
      });
      fromFields();
      region.on("update", toFields);
    });
  }

  for (const [name, words] of [["start", part.dataset.startHere], ["end", part.dataset.endHere]]) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button button-quiet button-small order-here";
    button.textContent = words;
    button.addEventListener("click", () => {
      fields[name].value = position(player.at());
      fromFields();
    });
    fields[name].parentElement.append(button);
    fields[name].addEventListener("input", fromFields);
  }

  part.closest("details").addEventListener("toggle", draw);
  document.addEventListener("htmx:afterSettle", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    wave?.setOptions(player.colours());
  });
  draw();
})();
