"use strict";

// A button beside each link copies it; without scripts the field is there to copy from.
for (const button of document.querySelectorAll("[data-copies]")) {
  const field = document.getElementById(button.dataset.copies);
  const word = button.querySelector("span");
  const before = word.textContent;
  let forgetting;
  button.hidden = false;
  button.addEventListener("click", async () => {
    field.select();
    try {
      // Pages that came unencrypted have no clipboard.
      if (navigator.clipboard) await navigator.clipboard.writeText(field.value);
      else if (!document.execCommand("copy")) return;
    } catch {
      return; // the link is selected: the person's own keys copy it
    }
    word.textContent = button.dataset.done;
    window.site.announce(button.dataset.copied);
    clearTimeout(forgetting);
    forgetting = setTimeout(() => { word.textContent = before; }, 3000);
  });
}

// Whoever has a link hears another version from the same second on; without scripts the page is
// loaded again with that version in its player.
for (const audio of document.querySelectorAll("[data-versions]")) {
  const part = document.getElementById(audio.dataset.versions);
  if (!part) continue; // there is one version
  const note = audio.parentElement.querySelector(".shared-note");
  let goOnAt = 0;

  function mark(url) {
    for (const link of part.children) {
      if (new URL(link.dataset.listen, location).href === url) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  }

  // Nothing is loaded before somebody plays; the browser then takes the first that it can play.
  const first = [...audio.children].find((source) => audio.canPlayType(source.type));
  if (first) mark(first.src);

  audio.addEventListener("loadedmetadata", () => {
    mark(audio.currentSrc);
    if (goOnAt) audio.currentTime = goOnAt;
    goOnAt = 0;
  });
  audio.addEventListener("error", () => {
    const name = part.querySelector("[aria-current]")?.textContent;
    if (name) note.textContent = part.dataset.cannotPlay.replace("{name}", name);
  });
  part.addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    goOnAt = audio.currentTime || goOnAt;
    const isPlaying = !audio.paused;
    note.textContent = "";
    audio.src = link.dataset.listen;
    mark(audio.src);
    if (isPlaying) audio.play().catch(() => {}); // what is wrong is said where errors are
  });
}
