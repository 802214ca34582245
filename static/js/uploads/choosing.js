"use strict";

// Files come by the input, a whole folder, the clipboard, or dropped anywhere on the page. Of a
// folder only what may be sound is taken, the rest is counted.
(() => {
  const MOST_OF_A_FOLDER = 1000;
  const NO_SOUND = /url|scpls|midi?$/; // playlists and notes, which call themselves audio

  class Choosing {
    // `take` gets [{ file, path }], and of a folder { left, isCut }.
    constructor({ input, folderInput, folderButton, overlay, extensions, take }) {
      Object.assign(this, { overlay, take, extensions: new Set(extensions) });
      input.addEventListener("change", () => {
        this.take([...input.files].map((file) => ({ file, path: "" })));
        input.value = ""; // the rows tell what is chosen; the same file may be chosen again
      });
      this.takeFolders(folderInput, folderButton);
      this.takePasted();
      this.takeDropped();
    }

    // Names that begin with a dot are what systems leave in folders.
    static isHidden = (path) => /(^|\/)\./.test(path);

    maySound({ name, type }) {
      const extension = name.split(".").at(-1).toLowerCase();
      return this.extensions.has(extension) || (/^(audio|video)\//.test(type) && !NO_SOUND.test(type));
    }

    takeFolders(input, button) {
      button.hidden = !("webkitdirectory" in input);
      button.addEventListener("click", () => input.click());
      input.addEventListener("change", () => {
        const files = [...input.files].map((file) => ({ file, path: file.webkitRelativePath }));
        input.value = "";
        const found = new Found(this);
        for (const one of files) if (!found.isFull) found.add(one);
        this.take(found.files, found);
      });
    }

    takePasted() {
      document.addEventListener("paste", (event) => {
        const files = [...(event.clipboardData?.files ?? [])];
        if (!files.length || document.querySelector("dialog[open]")) return;
        event.preventDefault();
        this.take(files.map((file) => ({ file, path: "" })));
      });
    }

    takeDropped() {
      let entered; // the last element; who leaves that one leaves the page, or gives up
      const over = (event) => {
        if (!event.dataTransfer?.types.includes("Files")) return;
        if (event.type === "dragenter") entered = event.target;
        event.preventDefault();
        event.dataTransfer.dropEffect = "copy";
        this.overlay.hidden = false;
      };
      document.addEventListener("dragenter", over);
      document.addEventListener("dragover", over);
      document.addEventListener("dragleave", (event) => {
        if (event.target === entered) this.overlay.hidden = true;
      });
      document.addEventListener("drop", (event) => {
        this.overlay.hidden = true;
        if (!event.dataTransfer?.files.length) return;
        event.preventDefault();
        this.unpack([...event.dataTransfer.items], [...event.dataTransfer.files]);
      });
    }

    // What was dropped is gone after the event: everything is asked for before the first wait.
    async unpack(items, files) {
      const entries = items.map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
      const folders = entries.filter(({ isDirectory }) => isDirectory);
      const names = new Set(folders.map(({ name }) => name));
      const single = files.filter(({ name, type }) => type || !names.has(name));
      if (single.length) this.take(single.map((file) => ({ file, path: "" })));
      if (!folders.length) return;
      const found = new Found(this);
      for (const folder of folders) await found.walk(folder);
      this.take(found.files, found);
    }
  }

  // What is in a folder.
  class Found {
    files = [];
    left = 0;
    isCut = false;

    constructor(choosing) {
      this.choosing = choosing;
    }

    get isFull() {
      return this.files.length >= MOST_OF_A_FOLDER;
    }

    add({ file, path }) {
      if (Choosing.isHidden(path)) return;
      if (this.choosing.maySound(file)) this.files.push({ file, path });
      else this.left += 1;
      this.isCut = this.isFull;
    }

    async walk(entry) {
      if (this.isFull || Choosing.isHidden(entry.fullPath)) return;
      if (entry.isFile) {
        // What cannot be read, as after a disk was taken out, is left out.
        const file = await new Promise((resolve) => { entry.file(resolve, () => resolve(null)); });
        if (file) this.add({ file, path: entry.fullPath });
        else this.left += 1;
        return;
      }
      const reader = entry.createReader();
      const next = () => new Promise((resolve) => { reader.readEntries(resolve, () => resolve([])); });
      // A reader tells a hundred at a time, and none at the end.
      for (let some = await next(); some.length && !this.isFull; some = await next()) {
        for (const one of some) await this.walk(one);
      }
    }
  }

  window.uploads.Choosing = Choosing;
})();
