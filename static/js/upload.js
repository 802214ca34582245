"use strict";

// The upload form, sent by script: with progress, speed and time left, and a way to stop.
// Without it the form is an ordinary one.
(() => {
  const form = document.getElementById("upload-form");
  const words = form.dataset;
  const fileInput = form.elements.mp3_file;
  const nameInput = form.elements.name;
  const refusal = document.getElementById("upload-refusal");
  const progress = document.getElementById("upload-progress");
  const title = document.getElementById("upload-progress-title");
  const bar = document.getElementById("upload-bar");
  const bytes = document.getElementById("upload-bytes");
  const speed = document.getElementById("upload-speed");
  const left = document.getElementById("upload-left");
  const submit = form.querySelector("button[type=submit]");
  const cancel = document.getElementById("upload-cancel");

  const SPEED_WINDOW_MS = 5000; // speed is that of the last seconds, not of the whole upload
  const ANNOUNCED = [0, 25, 50, 75, 100]; // percent

  let request = null;

  // --- Words for sizes and times -------------------------------------------------------------

  function size(count) {
    const units = ["byte", "kilobyte", "megabyte", "gigabyte"];
    const power = Math.min(Math.floor(Math.log(Math.max(count, 1)) / Math.log(1024)), 3);
    return new Intl.NumberFormat(document.documentElement.lang, {
      style: "unit",
      unit: units[power],
      unitDisplay: power ? "short" : "long",
      maximumFractionDigits: power > 1 ? 1 : 0,
    }).format(count / 1024 ** power);
  }

  function time(seconds) {
    const [value, unit] =
      seconds < 60 ? [seconds, "second"] : seconds < 3600 ? [seconds / 60, "minute"] : [seconds / 3600, "hour"];
    return new Intl.NumberFormat(document.documentElement.lang, {
      style: "unit",
      unit,
      unitDisplay: "long",
      maximumFractionDigits: unit === "hour" ? 1 : 0,
    }).format(unit === "hour" ? value : Math.ceil(value));
  }

  // --- What was refused, and why -------------------------------------------------------------

  function clear() {
    refusal.hidden = true;
    for (const field of form.querySelectorAll("[data-field]")) {
      field.classList.remove("field-refused");
      field.querySelector(".field-errors").replaceChildren();
      for (const input of field.querySelectorAll("input")) input.removeAttribute("aria-invalid");
    }
  }

  function refuse(message, errors = {}) {
    refusal.querySelector("p").textContent = message;
    refusal.hidden = false;
    for (const [name, texts] of Object.entries(errors)) {
      const field = form.querySelector(`[data-field="${CSS.escape(name)}"]`);
      if (!field) continue;
      field.classList.add("field-refused");
      const list = document.createElement("ul");
      list.className = "errorlist";
      for (const text of texts.filter((text) => text !== message)) {
        const item = document.createElement("li");
        item.textContent = text;
        list.append(item);
      }
      field.querySelector(".field-errors").replaceChildren(list);
      for (const input of field.querySelectorAll("input")) {
        input.setAttribute("aria-invalid", "true");
      }
    }
    refusal.focus();
  }

  // Refuses before a byte is sent what the server would refuse after the last one.
  function isFine() {
    const [file, ...others] = fileInput.files;
    const problem =
      (others.length && words.oneFile) ||
      (file.size > Number(words.maxBytes) && words.tooLarge) ||
      (file.size === 0 && words.empty);
    if (problem) {
      refuse(problem, { mp3_file: [problem] });
      return false;
    }
    if (!form.querySelector("[name=formats]:checked")) {
      refuse(words.noFormat, { formats: [words.noFormat] });
      return false;
    }
    return true;
  }

  // --- Sending -------------------------------------------------------------------------------

  function show(isSending) {
    progress.hidden = !isSending;
    document.getElementById("upload-actions").hidden = isSending;
    for (const field of form.querySelectorAll("[data-field] input")) field.disabled = isSending;
  }

  function follow(file) {
    const samples = [{ at: performance.now(), sent: 0 }];
    let announced = -1;
    return (event) => {
      const now = performance.now();
      samples.push({ at: now, sent: event.loaded });
      while (samples.length > 2 && now - samples[0].at > SPEED_WINDOW_MS) samples.shift();
      const elapsed = (now - samples[0].at) / 1000;
      const rate = elapsed > 0.2 ? (event.loaded - samples[0].sent) / elapsed : 0;
      const percent = Math.floor((100 * event.loaded) / event.total);

      bar.value = percent;
      bytes.textContent = `${size(Math.min(event.loaded, file.size))} / ${size(file.size)} · ${percent} %`;
      speed.textContent = rate ? `${size(rate)}/s` : "";
      left.textContent =
        rate && percent < 100 ? words.left.replace("{time}", time((event.total - event.loaded) / rate)) : "";
      const step = ANNOUNCED.findLast((value) => percent >= value);
      if (step > announced) {
        announced = step;
        window.site.announce(`${words.sending}: ${step} %`);
      }
    };
  }

  function answerOf(xhr) {
    try {
      return JSON.parse(xhr.responseText) ?? {};
    } catch {
      return {};
    }
  }

  function pause(seconds) {
    submit.disabled = true;
    setTimeout(() => { submit.disabled = false; }, Math.min(seconds, 3600) * 1000);
  }

  function finish(xhr) {
    const answer = answerOf(xhr);
    if (xhr.status === 201 && answer.location?.startsWith("/")) {
      location.assign(answer.location);
      return;
    }
    end();
    const fallback = { 401: words.signedOut, 403: words.reload }[xhr.status] ?? words.broken;
    refuse(answer.message ?? fallback, answer.errors);
    const seconds = Number(xhr.getResponseHeader("Retry-After"));
    if (seconds > 0) pause(seconds);
  }

  function end() {
    request = null;
    show(false);
  }

  function send() {
    const file = fileInput.files[0];
    const data = new FormData(form);
    title.textContent = `${words.sending}: ${file.name}`;
    for (const part of [bytes, speed, left]) part.textContent = "";
    bar.value = 0;
    show(true);
    cancel.focus();

    const xhr = new XMLHttpRequest();
    request = xhr;
    xhr.open("POST", form.action);
    xhr.setRequestHeader("X-Requested-With", "XMLHttpRequest");
    xhr.setRequestHeader("Accept", "application/json");
    xhr.upload.addEventListener("progress", follow(file));
    xhr.upload.addEventListener("load", () => {
      title.textContent = words.checking;
      bar.removeAttribute("value");
      for (const part of [speed, left]) part.textContent = "";
    });
    xhr.addEventListener("load", () => finish(xhr));
    xhr.addEventListener("error", () => {
      end();
      refuse(words.broken);
    });
    xhr.addEventListener("abort", () => {
      end();
      refuse(words.canceled);
    });
    xhr.send(data);
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (request) return;
    clear();
    if (isFine()) send();
  });

  cancel.addEventListener("click", () => request?.abort());

  window.addEventListener("beforeunload", (event) => {
    if (request && request.readyState < XMLHttpRequest.DONE) event.preventDefault();
  });

  // A page taken from the history holds the token of an upload that is done: another file sent
  // with it would count as the same upload.
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });

  // --- Choosing and dropping -----------------------------------------------------------------

  // An empty name means the file's own: it is shown where the name would stand.
  function suggest() {
    const file = fileInput.files[0];
    nameInput.placeholder = file ? file.name.replace(/\.[^.]+$/, "") : "";
    clear();
  }

  fileInput.addEventListener("change", suggest);

  // A file may be dropped anywhere on the page; beside the form it would leave the page.
  const zone = document.getElementById("drop-zone");
  const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");

  document.addEventListener("dragover", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    zone.classList.toggle("is-over", !request);
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) zone.classList.remove("is-over");
  });
  document.addEventListener("drop", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    zone.classList.remove("is-over");
    if (request || !event.dataTransfer.files.length) return;
    fileInput.files = event.dataTransfer.files;
    suggest();
    if (fileInput.files.length > 1) refuse(words.oneFile, { mp3_file: [words.oneFile] });
  });
})();
