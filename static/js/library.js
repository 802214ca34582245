"use strict";

(() => {
  // A choice in a list of filters is applied at once.
  for (const select of document.querySelectorAll("[data-sends]")) {
    select.addEventListener("change", () => select.form.requestSubmit());
  }

  const form = document.querySelector(".selection");
  if (!form) return;

  const bulk = form.querySelector(".bulk");
  const count = form.querySelector(".bulk-count");
  const onPage = document.getElementById("pick-all");
  const everything = form.elements.all;
  const boxes = () => [...form.querySelectorAll("input[name=file]")];

  // Says how many files are selected, and offers what can be done with them; what somebody has
  // changed is said to screen readers, once.
  let said = "";
  function show(isChanged) {
    const all = boxes();
    const ticked = all.filter((box) => box.checked).length;
    onPage.checked = ticked > 0 && ticked === all.length;
    onPage.indeterminate = ticked > 0 && ticked < all.length;
    const isWanted = ticked > 0 || Boolean(everything?.checked);
    bulk.classList.toggle("is-wanted", isWanted);
    const { selectedNone, selectedSome } = form.dataset;
    count.hidden = Boolean(everything?.checked);
    const words = ticked ? selectedSome.replace("{number}", ticked) : selectedNone;
    if (isChanged && words !== said) window.site.announce(words);
    count.textContent = said = words;
  }

  // A click with the Shift key selects, or not, everything since the last one.
  let last = null;
  form.addEventListener("click", (event) => {
    if (event.target.name !== "file") return;
    const all = boxes();
    const [from, to] = [all.indexOf(last), all.indexOf(event.target)].sort((a, b) => a - b);
    if (event.shiftKey && from >= 0) {
      for (const box of all.slice(from, to + 1)) box.checked = event.target.checked;
    }
    last = event.target;
    show(true);
  });

  form.addEventListener("change", (event) => {
    if (event.target === onPage) {
      for (const box of boxes()) box.checked = onPage.checked;
    }
    show(true);
  });

  // Rows are replaced while they are converted; a page that is gone back to has ticks already.
  document.addEventListener("htmx:afterSettle", () => show(false));
  window.addEventListener("pageshow", () => show(false));
  show(false);
})();
