"use strict";

// How long chosen sounds are, as far as the browser can tell: one after the other, because elements
// for hundreds of files at once would fill the memory.
(() => {
  const ANSWER_MS = 5000;

  // Seconds; 0 when the browser does not know.
  function secondsOf(file) {
    return new Promise((resolve) => {
      const audio = new Audio();
      const address = URL.createObjectURL(file);
      const end = (seconds) => {
        clearTimeout(timer);
        audio.onloadedmetadata = audio.onerror = null;
        audio.removeAttribute("src");
        audio.load();
        URL.revokeObjectURL(address);
        resolve(Number.isFinite(seconds) ? seconds : 0);
      };
      const timer = setTimeout(end, ANSWER_MS, 0);
      audio.onloadedmetadata = () => end(audio.duration);
      audio.onerror = () => end(0);
      audio.preload = "metadata";
      audio.src = address;
    });
  }

  window.uploads.Lengths = class Lengths {
    queue = [];
    isAsking = false;

    // `isWanted` is asked of each key before its file is read, `tell` gets key and seconds.
    constructor(isWanted, tell) {
      Object.assign(this, { isWanted, tell });
    }

    async ask(files) {
      this.queue.push(...files);
      if (this.isAsking) return;
      this.isAsking = true;
      while (this.queue.length) {
        const { key, file } = this.queue.shift();
        if (!this.isWanted(key)) continue;
        const seconds = await secondsOf(file);
        if (seconds && this.isWanted(key)) this.tell(key, seconds);
      }
      this.isAsking = false;
    }
  };
})();
