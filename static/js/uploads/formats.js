"use strict";

// What is made of the files: chosen once for all, or for one of them; and about how large it gets.
(() => {
  const BYTES_OF_A_KBIT = 125;
  const FLAC_OF = { wav: 0.6, flac: 1 }; // of the bytes of such a file
  const { fill, size } = window.uploads;
  const nameOf = (field) => field.name.replace(/^row-/, "");
  // What is not among the choices of a field is written into the one behind it.
  const written = (options, name) => (options[name] === "other" ? options[`${name}_other`] : options[name]);

  // One set of ways to choose formats and options: that of the page, or its copy in the dialog of a
  // row. What is chosen is { formats: [name], options: { field: value } }.
  class Formats {
    constructor(fieldset) {
      this.fieldset = fieldset;
      this.boxes = [...fieldset.querySelectorAll("[type=checkbox]")];
      this.ways = [...fieldset.querySelectorAll("[type=radio]")];
      this.fields = [...fieldset.querySelectorAll("details [name]")];
      this.box = new Map(this.boxes.map((box) => [box.value, box]));
    }

    // The names of the formats that a way stands for; one's own way, for those that are ticked.
    of(way) {
      if (way?.dataset.formats) return way.dataset.formats.split(",");
      return this.boxes.filter(({ checked }) => checked).map(({ value }) => value);
    }

    get formats() {
      return this.of(this.ways.find(({ checked }) => checked));
    }

    get options() {
      const given = this.fields.filter(({ value }) => value);
      return Object.fromEntries(given.map((field) => [nameOf(field), field.value]));
    }

    get chosen() {
      return { formats: this.formats, options: this.options };
    }

    // The field behind "Another one" in which no number stands that the site takes.
    get wrong() {
      return this.fields.find(({ dataset, value, parentElement }) => {
        const box = parentElement.closest(".choice-and-other");
        if (!dataset.refusal || box.hidden || box.querySelector("select").value !== "other") return false;
        const number = value.trim().replace(",", ".").replace("\u2212", "-");
        const isNumber = RegExp(`^(?:${dataset.shape})$`).test(number);
        return !isNumber || +number < dataset.least || +number > dataset.most;
      });
    }

    // Says at a field what is wrong in it, and goes there; answers whether something is.
    refuse() {
      this.clear();
      const { wrong } = this;
      if (!wrong) return false;
      const error = document.createElement("p");
      error.className = "errorlist";
      error.id = `${wrong.id}_error`;
      error.textContent = wrong.dataset.refusal;
      wrong.after(error);
      wrong.setAttribute("aria-invalid", "true");
      wrong.setAttribute("aria-describedby", `${error.id} ${wrong.id}_helptext`);
      wrong.closest(".field").classList.add("field-refused");
      wrong.closest("details").open = true;
      wrong.focus();
      return true;
    }

    clear() {
      for (const error of this.fieldset.querySelectorAll("details .errorlist")) error.remove();
      for (const field of this.fields) {
        field.removeAttribute("aria-invalid");
        field.closest(".field").classList.remove("field-refused");
      }
    }

    choose({ formats, options }) {
      for (const box of this.boxes) box.checked = formats.includes(box.value);
      for (const field of this.fields) field.value = options[nameOf(field)] ?? "";
      const same = this.ways.find(({ dataset }) => dataset.formats === formats.join(","));
      (same ?? this.ways.at(-1)).checked = true;
    }

    // What was chosen, in words: "MP4, MP3 128 kbit/s, −16 LUFS".
    labels({ formats, options }) {
      const words = formats.map((name) => {
        const label = this.box.get(name).parentElement.querySelector(".format-label").textContent;
        const kbps = written(options, `bitrate_${name}`);
        return kbps ? `${label} ${kbps} kbit/s` : label;
      });
      const loudness = written(options, "loudness");
      if (loudness) words.push(`${loudness.replace("-", "\u2212")} LUFS`);
      return words.join(", ");
    }

    // A bit rate is of one format, and nothing while that is not chosen.
    showRates() {
      for (const field of this.fields) {
        const [, format] = nameOf(field).replace("_other", "").split("bitrate_");
        if (format) field.closest(".choice-and-other").hidden = !this.formats.includes(format);
      }
    }

    // What a file's own kind takes in a second, where its length is not known.
    bytesPerSecond(extension) {
      const box = this.boxes.find(({ dataset }) => dataset.extension === extension);
      return Number(box?.dataset.kbps ?? 192) * BYTES_OF_A_KBIT;
    }

    // What is made 1:1 of a lossless file is as large as a FLAC of it.
    bytesIn(name, { name: fileName = "", size: bytes, seconds }, options) {
      const extension = fileName.split(".").at(-1).toLowerCase().replace(/^(aiff?|aifc|wave)$/, "wav");
      const { dataset } = this.box.get(name);
      if ("keepsSource" in dataset && Object.hasOwn(FLAC_OF, extension)) return bytes * FLAC_OF[extension];
      const kbps = Number(written(options, `bitrate_${name}`)) || Number(dataset.kbps);
      return (seconds || bytes / this.bytesPerSecond(extension)) * kbps * BYTES_OF_A_KBIT;
    }

    bytes(rows, formats, options) {
      const sum = (numbers) => numbers.reduce((all, number) => all + number, 0);
      return sum(rows.map((row) => sum(formats.map((name) => this.bytesIn(name, row, options)))));
    }

    about(words, rows, { formats, options }) {
      if (!formats.length) return "";
      if (!rows.length) {
        return fill(words.aboutMinute, { size: size(this.bytes([{ seconds: 60 }], formats, options)) });
      }
      const facts = { size: size(this.bytes(rows, formats, options)), count: rows.length };
      return fill(rows.length > 1 ? words.aboutFiles : words.about, facts);
    }

    estimate(words, rows) {
      for (const way of this.ways) {
        const place = way.parentElement.querySelector(".selection-size");
        place.textContent = this.about(words, rows, { formats: this.of(way), options: this.options });
      }
      this.showRates();
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
      const copy = new Formats(fieldset);
      copy.clear();
      return copy;
    }

    // Asks for what is made of one row: its own, null for that of the page, undefined to leave it.
    // The focus comes back by itself.
    ask(words, row) {
      const template = document.getElementById("formats-of-row");
      const dialog = template.content.firstElementChild.cloneNode(true);
      const own = this.copy();
      const refusal = dialog.querySelector("[role=alert]");
      dialog.querySelector("h2").textContent = fill(words.formatsOf, { name: row.name });
      dialog.querySelector(".actions").before(own.fieldset);
      own.choose(row.own ?? this.chosen);
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
          refusal.hidden = own.formats.length > 0;
          if (refusal.hidden && !own.refuse()) end(own.chosen);
        });
        dialog.querySelector("[data-does=same]").addEventListener("click", () => end(null));
        dialog.querySelector("[data-does=leave]").addEventListener("click", () => end());
      });
    }
  }

  window.uploads.Formats = Formats;
})();
