"use strict";

// What is made of the files: chosen once for all, or for one of them; and about how large it gets.
(() => {
  const BYTES_OF_A_KBIT = 125;
  const { fill, size } = window.uploads;

  // One set of ways to choose formats: that of the page, or its copy in the dialog of a row.
  class Formats {
    constructor(fieldset) {
      this.fieldset = fieldset;
      this.boxes = [...fieldset.querySelectorAll("[type=checkbox]")];
      this.ways = [...fieldset.querySelectorAll("[type=radio]")];
      this.kbps = new Map(this.boxes.map(({ value, dataset }) => [value, Number(dataset.kbps)]));
    }

    // The names of the formats that a way stands for; one's own way, for those that are ticked.
    of(way) {
      if (way?.dataset.formats) return way.dataset.formats.split(",");
      return this.boxes.filter(({ checked }) => checked).map(({ value }) => value);
    }

    get chosen() {
      return this.of(this.ways.find(({ checked }) => checked));
    }

    choose(formats) {
      for (const box of this.boxes) box.checked = formats.includes(box.value);
      const same = this.ways.find(({ dataset }) => dataset.formats === formats.join(","));
      (same ?? this.ways.at(-1)).checked = true;
    }

    labels(formats) {
      const boxes = this.boxes.filter(({ value }) => formats.includes(value));
      return boxes.map((box) => box.parentElement.querySelector(".format-label").textContent).join(", ");
    }

    // What a file's own kind takes in a second, where its length is not known.
    bytesPerSecond(name) {
      const extension = name.split(".").at(-1).toLowerCase().replace(/^(aiff?|aifc|wave)$/, "wav");
      const box = this.boxes.find(({ dataset }) => dataset.extension === extension);
      return Number(box?.dataset.kbps ?? 192) * BYTES_OF_A_KBIT;
    }

    bytes(rows, formats) {
      const kbps = formats.reduce((sum, name) => sum + this.kbps.get(name), 0);
      const length = (row) => row.seconds || row.size / this.bytesPerSecond(row.name);
      return rows.reduce((sum, row) => sum + length(row), 0) * kbps * BYTES_OF_A_KBIT;
    }

    about(words, rows, formats) {
      if (!formats.length) return "";
      if (!rows.length) {
        return fill(words.aboutMinute, { size: size(this.bytes([{ seconds: 60 }], formats)) });
      }
      const facts = { size: size(this.bytes(rows, formats)), count: rows.length };
      return fill(rows.length > 1 ? words.aboutFiles : words.about, facts);
    }

    estimate(words, rows) {
      for (const way of this.ways) {
        const place = way.parentElement.querySelector(".selection-size");
        place.textContent = this.about(words, rows, this.of(way));
      }
    }

    copy() {
      const fieldset = this.fieldset.cloneNode(true);
      for (const element of [fieldset, ...fieldset.querySelectorAll("*")]) {
        for (const name of ["id", "for", "name", "aria-describedby"]) {
          if (element.hasAttribute(name)) element.setAttribute(name, `row-${element.getAttribute(name)}`);
        }
      }
      fieldset.removeAttribute("data-field");
      fieldset.classList.remove("field-refused");
      fieldset.querySelector(".field-errors").remove();
      fieldset.removeAttribute("aria-describedby");
      return new Formats(fieldset);
    }

    // Asks for the formats of one row: its own, null for those of the page, undefined to leave them.
    // The focus comes back by itself.
    ask(words, row) {
      const template = document.getElementById("formats-of-row");
      const dialog = template.content.firstElementChild.cloneNode(true);
      const own = this.copy();
      const refusal = dialog.querySelector("[role=alert]");
      dialog.querySelector("h2").textContent = fill(words.formatsOf, { name: row.name });
      dialog.querySelector(".actions").before(own.fieldset);
      own.choose(row.formats ?? this.chosen);
      own.estimate(words, [row]);
      own.fieldset.addEventListener("change", () => own.estimate(words, [row]));
      document.body.append(dialog);
      dialog.showModal();
      own.ways.find(({ checked }) => checked).focus();
      return new Promise((resolve) => {
        let answer;
        const end = (value) => {
          answer = value;
          dialog.close();
        };
        dialog.addEventListener("close", () => {
          dialog.remove();
          resolve(answer);
        });
        dialog.querySelector("form").addEventListener("submit", (event) => {
          event.preventDefault();
          refusal.hidden = own.chosen.length > 0;
          if (own.chosen.length) end(own.chosen);
        });
        dialog.querySelector("[data-does=same]").addEventListener("click", () => end(null));
        dialog.querySelector("[data-does=leave]").addEventListener("click", () => end());
      });
    }
  }

  window.uploads.Formats = Formats;
})();
