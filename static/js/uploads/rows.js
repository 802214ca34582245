"use strict";

// One row for each chosen file: its name, how far it is, in words and as a bar, and what can be
// done with it now.
(() => {
  const { size, time, percent, fill, Speed } = window.uploads;

  // What a person can do in each state.
  const ACTIONS = {
    ready: ["formats", "remove"],
    full: ["remove"],
    waiting: ["pause", "cancel"],
    comparing: ["pause", "cancel"],
    sending: ["pause", "cancel"],
    offline: ["pause", "cancel"],
    retrying: ["pause", "cancel"],
    busy: ["pause", "cancel"],
    completing: [],
    paused: ["resume", "cancel"],
    broken: ["retry", "remove"],
    refused: ["remove"],
    done: ["open"],
  };

  class Row {
    constructor(words, file, does) {
      this.words = words;
      this.size = file.size;
      this.name = file.name;
      this.sent = 0;
      const template = document.getElementById("upload-row");
      this.element = template.content.firstElementChild.cloneNode(true);
      this.bar = this.element.querySelector("progress");
      this.line = this.element.querySelector(".upload-row-state");
      this.element.querySelector("bdi").textContent = file.name;
      this.facts = this.element.querySelector(".upload-row-size");
      this.facts.textContent = size(file.size ?? 0);
      this.bar.setAttribute("aria-label", `${this.bar.getAttribute("aria-label")}: ${file.name}`);
      for (const button of this.element.querySelectorAll("[data-does]")) {
        button.setAttribute("aria-label", `${button.textContent.replace("…", "")}: ${file.name}`);
        button.addEventListener("click", () => does[button.dataset.does]?.());
      }
      this.show("ready");
    }

    // Shows a state; `message` is the sentence where there is more to say than its name.
    show(state, message = "") {
      if (state === "sending" && this.state !== "sending") this.speed = new Speed();
      const focused = document.activeElement;
      this.state = state;
      this.message = message;
      this.element.dataset.state = state;
      for (const button of this.element.querySelectorAll("[data-does]")) {
        button.hidden = !ACTIONS[state].includes(button.dataset.does);
      }
      // Whoever paused by keyboard goes on by keyboard.
      if (this.element.contains(focused) && focused.hidden) this.focus();
      this.bar.hidden = ["ready", "full", "refused", "done"].includes(state);
      if (state === "completing") this.bar.removeAttribute("value");
      else this.bar.value = percent(this.sent, this.size);
      this.write();
    }

    setSeconds(seconds) {
      this.seconds = seconds;
      this.facts.textContent = `${size(this.size)} · ${time(seconds)}`;
    }

    // What is made of it alone, null for what is made of all files; `text` says what.
    setOwn(own, text) {
      const line = this.element.querySelector(".upload-row-formats");
      this.own = own;
      line.textContent = text;
      line.hidden = !text;
    }

    progress(sent) {
      this.sent = sent;
      if (this.state === "completing") return;
      this.bar.value = percent(sent, this.size);
      if (this.state === "sending") this.rate = this.speed.rate(sent);
      this.write();
    }

    write() {
      const parts = [this.message || this.words[this.state]];
      const isBetween = !["ready", "full", "refused", "completing", "done"].includes(this.state);
      if (isBetween && this.sent) {
        const numbers = { sent: size(this.sent), size: size(this.size) };
        parts.push(`${percent(this.sent, this.size)} %`, fill(this.words.of, numbers));
      }
      if (this.state === "sending" && this.rate) {
        const left = time((this.size - this.sent) / this.rate);
        parts.push(`${size(this.rate)}/s`, fill(this.words.left, { time: left }));
      }
      this.line.textContent = parts.join(" · ");
    }

    // The file's own page, once it has one.
    done(location) {
      this.sent = this.size;
      this.element.querySelector("[data-does=open]").href = location;
      this.show("done");
    }

    focus() {
      this.element.querySelector("[data-does]:not([hidden])")?.focus();
    }
  }

  window.uploads.Row = Row;
})();
