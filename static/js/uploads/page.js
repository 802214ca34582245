"use strict";

// The upload page: several files at once, each in a row of its own, sent in parts that survive a
// lost network, a reload and a closed laptop. Without Uppy, and in browsers from before 2024, the
// form stays an ordinary one.
(() => {
  if (!window.Uppy || !AbortSignal.any) return;

  const ANNOUNCED = [0, 25, 50, 75, 100]; // percent

  const { Site, Row, PartsUploader, Formats, Lengths, Choosing } = window.uploads;
  const { fingerprint, fill, size, time, percent, Speed } = window.uploads;
  const element = (id) => document.getElementById(id);
  const form = element("upload-form");
  const words = form.dataset;
  const fileInput = form.elements.mp3_file;
  const nameInput = form.elements.name;
  const refusal = element("upload-refusal");
  const list = element("upload-rows");
  const note = element("upload-note");
  const totals = element("upload-totals");
  const end = element("upload-end");
  const site = new Site(words.endpoint);
  const formats = new Formats(element("format-choice"));
  const mediaTypes = new RegExp(`^(?:${words.mediaTypes})$`);
  const rows = new Map(); // by Uppy's id of the file

  const uppy = new window.Uppy.Uppy({
    restrictions: { maxFileSize: Number(words.maxBytes), minFileSize: 1 },
    locale: {
      strings: {
        exceedsSize: words.tooLarge,
        inferiorSize: words.empty,
        noDuplicates: words.twice,
      },
    },
  });
  uppy.use(PartsUploader, { site });

  const inState = (...states) => [...rows.values()].filter(({ state }) => states.includes(state));
  const isUnsent = ({ state }) => !["ready", "full", "refused", "done"].includes(state);

  // --- What was refused, and why -------------------------------------------------------------

  function clear() {
    refusal.hidden = true;
    formats.clear();
    for (const field of form.querySelectorAll(".field-refused")) {
      field.classList.remove("field-refused");
      for (const input of field.querySelectorAll("input")) input.removeAttribute("aria-invalid");
    }
  }

  function refuse(message, name) {
    const field = form.querySelector(`[data-field="${name}"]`);
    field.classList.add("field-refused");
    for (const input of field.querySelectorAll("input")) input.setAttribute("aria-invalid", "true");
    refusal.querySelector("p").textContent = message;
    refusal.hidden = false;
    refusal.focus();
  }

  // --- Choosing ------------------------------------------------------------------------------

  // One file may have a name of its own; an empty one means the file's, shown where it would stand.
  function suggest() {
    const ready = inState("ready");
    const isNothingToChoose = rows.size > 0 && !ready.length && !inState("full").length;
    nameInput.placeholder = ready.length === 1 ? ready[0].name.replace(/\.[^.]+$/, "") : "";
    form.querySelector("[data-field=name]").hidden = isNothingToChoose || ready.length > 1;
    form.querySelector("[data-field=formats]").hidden = isNothingToChoose;
    element("upload-actions").hidden = isNothingToChoose;
    element("uploads").hidden = !rows.size;
    estimate();
  }

  function estimate() {
    const ready = inState("ready");
    formats.estimate(words, ready.filter((row) => !row.own));
    for (const row of ready) if (row.own) showOwn(row);
  }

  function showOwn(row, own = row.own) {
    const text = own && `${formats.labels(own)} · ${formats.about(words, [row], own)}`;
    row.setOwn(own, text ?? "");
  }

  async function chooseFormats(row) {
    const own = await formats.ask(words, row);
    if (own === undefined) return;
    showOwn(row, own);
    suggest();
  }

  function addRow(key, file) {
    const row = new Row(words, file, {
      formats: () => chooseFormats(row),
      pause: () => uppy.pauseResume(key),
      resume: () => uppy.pauseResume(key),
      retry: () => retry(key),
      cancel: () => {
        uppy.removeFile(key);
        window.site.announce(words.canceled);
      },
      remove: () => (uppy.getFile(key) ? uppy.removeFile(key) : forget(key)),
    });
    rows.set(key, row);
    coming.append(row.element);
    return row;
  }

  // The row goes; whoever came by keyboard goes on beside it.
  function forget(key) {
    const row = rows.get(key);
    const isFocused = row.element.contains(document.activeElement);
    rows.delete(key);
    row.element.remove();
    note.hidden = true;
    makeRoom();
    suggest();
    showTotals();
    if (isFocused) ([...rows.values()].at(-1) ?? fileInput).focus();
  }

  // Many files make one change of the page, after the last of them.
  const coming = document.createDocumentFragment();

  uppy.on("file-added", (file) => {
    const row = rows.get(file.id);
    if (row) {
      row.isHeld = false;
      row.show("ready");
    } else addRow(file.id, file).file = file;
  });

  uppy.on("file-removed", (file) => {
    if (rows.get(file.id)?.isHeld) return;
    delete sessionStorage[file.id];
    forget(file.id);
    finishIfDone();
  });

  uppy.on("restriction-failed", (file, error) => {
    if (file) addRefused(file, error.message);
  });

  function addRefused(file, message) {
    addRow(`refused-${refusals++}`, file).show("refused", message);
    window.site.announce(`${file.name}: ${message}`);
  }

  let refusals = 0;

  fileInput.multiple = true;
  fileInput.required = false;
  form.querySelector(".drop-hint").hidden = false;

  new Choosing({
    input: fileInput,
    folderInput: element("folder"),
    folderButton: element("choose-folder"),
    overlay: element("drop-overlay"),
    extensions: words.extensions.split(","),
    take: (files, folder) => {
      add(files);
      if (folder) sayOfFolder(folder);
      const full = inState("full").length;
      if (full) say(fill(words.noRoom, { count: full, all: rows.size }));
    },
  });

  function add(files) {
    clear();
    const known = new Set(rows.keys());
    const added = [];
    for (const { file, path } of files) {
      if (file.type && !mediaTypes.test(file.type.toLowerCase())) addRefused(file, words.notAudio);
      else added.push({ ...described(file), meta: { relativePath: path || null } });
    }
    uppy.addFiles(added);
    const fresh = [...rows.keys()].filter((key) => !known.has(key) && uppy.getFile(key));
    makeRoom();
    list.append(coming);
    if (files.length) end.hidden = true;
    suggest();
    lengths.ask(fresh.map((key) => ({ key, file: rows.get(key).file.data })));
  }

  const described = (file) => ({ name: file.name, type: file.type, data: file, source: "input" });

  function say(sentence) {
    note.textContent = sentence;
    note.hidden = false;
    element("uploads").hidden = false;
    window.site.announce(sentence);
  }

  function sayOfFolder({ files: { length: taken }, left, isCut }) {
    const sentence = isCut ? words.fromFolderMost
      : !taken ? words.fromFolderNone
      : left ? words.fromFolderLeft : words.fromFolder;
    say(fill(sentence, { taken, left }));
  }

  // --- What does not fit is refused before a byte of it is sent --------------------------------

  // Of MP3 and AAC without a head browsers guess the length.
  const isTooLong = ({ name, seconds }) =>
    seconds > Number(words.maxSeconds) && !/\.(mp[123]|aac)$/i.test(name);

  const lengths = new Lengths(
    (key) => rows.has(key),
    (key, seconds) => {
      const row = rows.get(key);
      row.setSeconds(seconds);
      if (row.state === "ready" && isTooLong(row)) {
        makeRoom();
        window.site.announce(`${row.name}: ${row.message}`);
        suggest();
      } else if (row.state === "ready") estimateSoon();
    },
  );

  let estimating;
  function estimateSoon() {
    estimating ??= setTimeout(() => {
      estimating = null;
      estimate();
    }, 100);
  }

  // Uppy sends whatever it has: what must wait is given back to it later.
  function hold(key, row, why) {
    row.isHeld = true;
    if (uppy.getFile(key)) uppy.removeFile(key);
    if (row.message !== why) row.show("full", why);
  }

  const left = (text) => (text === "" ? Infinity : Number(text));

  // What a person may still keep; in the order of the rows, each takes its place or is told why not.
  function makeRoom() {
    let bytes = left(words.bytesLeft);
    let kept = left(words.filesLeft);
    let today = left(words.filesToday);
    const take = (row) => { bytes -= row.size; kept -= 1; today -= 1; };
    for (const row of rows.values()) {
      if (!["ready", "full", "refused"].includes(row.state) && !row.isCounted) take(row);
    }
    for (const [key, row] of rows) {
      if (!["ready", "full"].includes(row.state)) continue;
      const why = words.noResults || (isTooLong(row) ? words.tooLong
        : today < 1 ? words.noFilesToday
        : kept < 1 ? words.noFiles
        : row.size > bytes ? fill(words.noSpace, { room: size(Math.max(bytes, 0)) }) : "");
      if (why) hold(key, row, why);
      else {
        if (row.isHeld) giveBack(row);
        take(row);
      }
    }
  }

  function giveBack({ file: { data, meta } }) {
    uppy.addFile({ ...described(data), meta: { relativePath: meta.relativePath } });
  }

  // --- Sending -------------------------------------------------------------------------------

  // Not crypto.randomUUID, which plain http:// has not. RFC 9562, version 4.
  function token() {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")
      .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  }

  element("format-choice").addEventListener("change", estimate);

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    clear();
    const ready = uppy.getFiles().filter(({ id }) => rows.get(id).state === "ready");
    const [full] = inState("full");
    const isOneOfAll = ready.some(({ id }) => !rows.get(id).own);
    if (!ready.length) refuse(full?.message ?? words.noFile, "mp3_file");
    else if (isOneOfAll && !formats.formats.length) refuse(words.noFormat, "formats");
    else if (!isOneOfAll || !formats.refuse()) {
      const name = ready.length === 1 ? nameInput.value.trim() : "";
      for (const file of ready) prepare(file, name, rows.get(file.id).own ?? formats.chosen);
      nameInput.value = "";
      note.hidden = true;
      start();
      rows.get(ready[0].id).focus();
    }
  });

  // What the site is told of a file, once: the same words again are the same upload.
  function prepare(file, name, chosen, begun = null) {
    const upload = { size: file.size, name, formats: chosen.formats, ...chosen.options };
    // This tab's own, until the file is there: after a reload the site knows it again by that.
    upload.token = sessionStorage[file.id] ??= token();
    uppy.setFileMeta(file.id, { upload, begun });
    rows.get(file.id).show("waiting");
  }

  function start() {
    suggest();
    announced = -1;
    uppy.upload().catch((error) => uppy.log(error, "error"));
  }

  function retry(key) {
    rows.get(key).show("waiting");
    uppy.retryUpload(key);
  }

  uppy.on("parts-state", (file, state) => {
    rows.get(file.id)?.show(state);
    if (["offline", "paused"].includes(state)) window.site.announce(`${file.name}: ${words[state]}`);
  });

  uppy.on("upload-progress", (file, { bytesUploaded }) => {
    rows.get(file.id)?.progress(bytesUploaded);
    showTotals();
  });

  uppy.on("upload-success", (file, { uploadURL }) => {
    delete sessionStorage[file.id];
    if (!uploadURL?.startsWith("/")) return;
    rows.get(file.id).done(uploadURL);
    showTotals();
    finishIfDone();
  });

  uppy.on("upload-error", (file, error) => {
    // Else Uppy sends it again with the next files, and those wait for it.
    uppy.setFileState(file.id, { error: null });
    const passes = error.isPassing || !(error instanceof window.uploads.Failure);
    const own = { 401: words.signedOut, 403: words.reload }[error.status];
    const message =
      error.reason === "file_changed" ? words.changed : error.message || own || words.broken;
    const again = passes || error.status === 401 || error.status === 409;
    rows.get(file.id).show(again ? "broken" : "refused", passes ? words.broken : message);
    window.site.announce(`${file.name}: ${rows.get(file.id).message}`);
    if (error.status === 401) {
      const { signInUrl, signIn } = element("page-alert").dataset;
      const back = encodeURIComponent(location.pathname);
      window.site.warn(words.signedOut, { href: `${signInUrl}?next=${back}`, text: signIn });
    }
    suggest();
    showTotals();
  });

  // A network that is back wakes what had given up.
  window.addEventListener("online", () => {
    for (const [key, row] of rows) if (row.state === "broken") retry(key);
  });

  // --- All of them together ------------------------------------------------------------------

  let announced = -1;
  let speed = new Speed();

  function showTotals() {
    const all = [...rows.values()].filter(({ state }) => !["ready", "full", "refused"].includes(state));
    const sent = all.reduce((sum, row) => sum + row.sent, 0);
    const bytes = all.reduce((sum, row) => sum + row.size, 0);
    const done = inState("done").length;
    const isSending = inState("sending", "completing").length > 0;
    totals.hidden = all.length < 2;
    const parts = [
      fill(words.total, { done, count: all.length }),
      fill(words.of, { sent: size(sent), size: size(bytes) }),
    ];
    if (!isSending) speed = new Speed();
    const rate = isSending ? speed.rate(sent) : 0;
    if (rate > 0 && sent < bytes) {
      parts.push(`${size(rate)}/s`, fill(words.left, { time: time((bytes - sent) / rate) }));
    }
    totals.textContent = parts.join(" · ");
    if (isSending) announce(percent(sent, bytes), all);
  }

  // Said at each quarter only; with several files of all of them together.
  function announce(now, all) {
    const step = ANNOUNCED.findLast((value) => now >= value);
    if (step <= announced) return;
    announced = step;
    const name = all.length === 1 ? ` ${all[0].name}` : "";
    window.site.announce(`${words.sending}${name}: ${step} %`);
  }

  // One file: on to its page. Several: the library has them.
  function finishIfDone() {
    const all = [...rows.values()];
    const done = inState("done");
    if (!done.length || all.some((row) => isUnsent(row) || row.state === "ready")) return;
    if (all.length === 1) {
      location.assign(done[0].element.querySelector("[data-does=open]").href);
      return;
    }
    const sentence = fill(words.allDone, { done: done.length, count: all.length });
    end.querySelector("span").textContent = sentence;
    end.hidden = false;
    window.site.announce(sentence);
    end.focus();
  }

  window.addEventListener("beforeunload", (event) => {
    if ([...rows.values()].some(isUnsent)) event.preventDefault();
  });

  // A page taken from the history holds rows of uploads that are over.
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });

  // --- What was begun earlier, here or on another machine --------------------------------------

  async function showUnfinished() {
    const found = await site.unfinished().catch(() => []);
    for (const upload of found) element("unfinished-rows").append(unfinishedRow(upload));
    element("unfinished").hidden = !found.length;
  }

  function unfinishedRow(upload) {
    const template = element("unfinished-row");
    const row = template.content.firstElementChild.cloneNode(true);
    const line = row.querySelector(".upload-row-state");
    const input = row.querySelector("input");
    const facts = { percent: percent(upload.sent, upload.size), size: size(upload.size) };
    row.querySelector("bdi").textContent = upload.fileName;
    row.querySelector("progress").value = facts.percent;
    line.textContent = fill(words.unfinished, facts);
    row.dataset.upload = upload.uploadId;
    for (const named of row.querySelectorAll("button, progress, input")) {
      const label = named.getAttribute("aria-label") ?? named.textContent;
      named.setAttribute("aria-label", `${label}: ${upload.fileName}`);
    }
    row.querySelector("[data-does=choose]").addEventListener("click", () => input.click());
    row.querySelector("[data-does=discard]").addEventListener("click", () => discard(upload, row, line));
    input.addEventListener("change", () => {
      const [file] = input.files;
      if (file) goOn(upload, file, line);
    });
    return row;
  }

  // Goes on with an upload if the file is the one it began with.
  async function goOn(upload, file, line) {
    const isSame = (await fingerprint(file).catch(() => "")) === upload.fingerprint;
    if (!isSame) {
      const isChanged = file.name === upload.fileName && file.size === upload.size;
      const facts = { chosen: file.name, name: upload.fileName, size: size(upload.size) };
      line.textContent = fill(isChanged ? words.changedFile : words.otherFile, facts);
      return;
    }
    uppy.addFiles([described(file)]);
    list.append(coming);
    const added = uppy.getFiles().find(({ data }) => data === file);
    if (!added) return; // it is in the list already
    rows.get(added.id).isCounted = true; // among what is on its way
    end.hidden = true;
    // The site has kept the name and the formats of then; these are for a beginning anew.
    prepare(added, "", formats.chosen, {
      ...upload,
      partCount: Math.ceil(upload.size / upload.partSize),
    });
    start();
    rows.get(added.id).focus();
  }

  async function discard(upload, row, line) {
    try {
      await site.abort(upload);
    } catch (error) {
      if (error.status !== 404) {
        line.textContent = words.notDiscarded;
        return;
      }
    }
    window.site.announce(words.discarded);
    withdraw(row);
    fileInput.focus();
  }

  function withdraw(row) {
    row.remove();
    element("unfinished").hidden = !element("unfinished-rows").children.length;
  }

  // Whatever is sent again is no longer unfinished.
  uppy.on("parts-begun", (file, uploadId) => {
    const row = form.querySelector(`[data-upload="${CSS.escape(uploadId)}"]`);
    if (row) withdraw(row);
  });

  showUnfinished();
  suggest();
})();
