"use strict";

{
  const words = document.currentScript.dataset;

  // A button in each password's field shows what was typed, and hides it again.
  for (const input of document.querySelectorAll('input[type="password"]')) {
    const box = document.createElement("div");
    const button = document.createElement("button");
    const show = (isShown) => {
      input.type = isShown ? "text" : "password";
      button.textContent = isShown ? words.hide : words.show;
      button.setAttribute("aria-label", isShown ? words.hideLabel : words.showLabel);
    };
    box.className = "with-toggle";
    button.type = "button";
    button.className = "link-button";
    input.replaceWith(box);
    box.append(input, button);
    show(false);
    button.addEventListener("click", () => show(input.type === "password"));
    // A browser keeps passwords only from fields of this kind.
    input.form?.addEventListener("submit", () => show(false));
  }
}
