"use strict";

// "Begin here" and "End here" write the place where the player is into the fields of a part.
(() => {
  const part = document.getElementById("order-clip");
  const audio = document.getElementById("player-audio");
  if (!part || !audio) return;

  function position(ms) {
    const whole = Math.floor(ms / 1000);
    const two = (number) => String(number).padStart(2, "0");
    const [hours, minutes, second] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
    const clock = hours ? `${hours}:${two(minutes)}:${two(second)}` : `${minutes}:${two(second)}`;
    return `${clock}.${String(ms % 1000).padStart(3, "0")}`;
  }

  // Where in the original that is: a version may be a part of it.
  function here() {
    const source = document.querySelector("#player-sources input:checked");
    return Math.round(audio.currentTime * 1000) + Number(source?.dataset.startMs ?? 0);
  }

  for (const [name, words] of [["clip_start", part.dataset.startHere], ["clip_end", part.dataset.endHere]]) {
    const field = part.querySelector(`[name=${name}]`);
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button button-quiet button-small order-here";
    button.textContent = words;
    button.addEventListener("click", () => {
      field.value = position(here());
    });
    field.parentElement.append(button);
  }
})();
