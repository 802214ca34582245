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
