"use strict";

// Sends Uppy's files in parts, several at once. Whatever is stored is not sent again: after the
// network, the site or the page was gone it goes on with the parts that are missing. Uppy's own
// uploader for S3 sends the parts of a file one after the other.
(() => {
  const FILES_AT_ONCE = 3;
  const PARTS_AT_ONCE = 6; // of all files; browsers open no more connections to one host
  const PARTS_OF_A_FILE_AT_ONCE = 4;
  const ROUNDS = 3; // of sending what is missing
  const TRIES = 10; // in a row, some two minutes and a half; being offline does not count
  const LONGEST_WAIT_MS = 30_000;
  const REPORT_MS = 100;

  const { Failure, put, fingerprint } = window.uploads;

  // Hands out a limited number of turns, first come, first served.
  class Turns {
    constructor(free) {
      this.free = free;
      this.queue = [];
    }

    async take(signal) {
      signal.throwIfAborted();
      if (this.free > 0) this.free -= 1;
      else {
        await new Promise((resolve, reject) => {
          this.queue.push(resolve);
          signal.addEventListener("abort", () => {
            const place = this.queue.indexOf(resolve);
            if (place < 0) return; // it has its turn already
            this.queue.splice(place, 1);
            reject(signal.reason);
          });
        });
      }
    }

    give() {
      const next = this.queue.shift();
      if (next) next();
      else this.free += 1;
    }
  }

  // Waits until the time is over or the network is back, whatever is first.
  function pause(milliseconds, signal) {
    return new Promise((resolve, reject) => {
      const end = () => {
        clearTimeout(timer);
        window.removeEventListener("online", end);
        signal.removeEventListener("abort", end);
        if (signal.aborted) reject(signal.reason);
        else resolve();
      };
      const timer = setTimeout(end, milliseconds);
      window.addEventListener("online", end);
      signal.addEventListener("abort", end);
      if (signal.aborted) end();
    });
  }

  // Half of the wait is chance, so that many pages do not come back at the same moment.
  const backoff = (tries) =>
    Math.min(500 * 2 ** tries, LONGEST_WAIT_MS) * (0.5 + Math.random() / 2);

  // One file on its way.
  class Sending {
    // `upload`: the one to go on with, if there is one.
    constructor(uploader, id, upload) {
      this.uppy = uploader.uppy;
      this.site = uploader.opts.site;
      this.turns = uploader.turns;
      this.id = id;
      this.file = this.uppy.getFile(id).data;
      this.upload = upload;
      this.stored = new Map(); // part number -> { ETag, size }
      this.coming = new Map(); // part number -> bytes sent of it
      this.isRemoved = false;
      this.control = new AbortController();
      this.resumed = Promise.resolve();
    }

    // --- What the person does ---------------------------------------------------------------

    pause(isPaused) {
      if (isPaused) {
        this.resumed = new Promise((resolve) => { this.resume = resolve; });
        this.control.abort();
        this.tell("paused");
      } else {
        this.control = new AbortController();
        this.tell("waiting");
        this.resume();
      }
    }

    remove() {
      this.isRemoved = true;
      this.control.abort();
      this.resume?.();
      if (this.isOver) this.clearAway();
    }

    // --- What the page is told --------------------------------------------------------------

    tell(state) {
      if (state === this.state || this.isRemoved) return;
      this.state = state;
      this.uppy.emit("parts-state", this.uppy.getFile(this.id), state);
    }

    report(isLast = false) {
      const now = performance.now();
      if (this.isRemoved || (!isLast && now - (this.reportedAt ?? 0) < REPORT_MS)) return;
      this.reportedAt = now;
      let bytesUploaded = 0;
      for (const { size } of this.stored.values()) bytesUploaded += size;
      for (const bytes of this.coming.values()) bytesUploaded += bytes;
      this.uppy.emit("upload-progress", this.uppy.getFile(this.id), {
        uploadStarted: this.startedAt,
        bytesUploaded,
        bytesTotal: this.file.size,
      });
    }

    // --- The way of a file ------------------------------------------------------------------

    // Ends when the file is complete, refused or removed; never throws.
    async run() {
      let beginnings = 0;
      while (!this.isRemoved) {
        await this.resumed;
        const { signal } = this.control;
        try {
          const location = await this.takeTurn(signal);
          this.upload = null; // there is nothing left to abort
          this.uppy.emit("upload-success", this.uppy.getFile(this.id), {
            status: 200,
            body: { location },
            uploadURL: location,
          });
          return;
        } catch (error) {
          if (this.isRemoved || signal.aborted) continue; // canceled, or paused
          // The site forgot the upload, or cleared it away: the file starts anew, once.
          if (error.status === 404 && this.upload && beginnings++ < 1) {
            this.upload = null;
            continue;
          }
          this.isOver = true;
          this.uppy.emit("upload-error", this.uppy.getFile(this.id), error);
          return;
        }
      }
      await this.clearAway();
    }

    async takeTurn(signal) {
      await this.turns.files.take(signal);
      try {
        return await this.send(signal);
      } finally {
        this.turns.files.give();
      }
    }

    async send(signal) {
      this.startedAt ??= Date.now();
      this.tell("comparing");
      if (this.upload) await this.list(signal);
      else await this.begin(signal);
      this.uppy.emit("parts-begun", this.uppy.getFile(this.id), this.upload.uploadId);
      for (let round = 1; ; round += 1) {
        try {
          await this.sendMissing(signal);
          return await this.complete(signal);
        } catch (error) {
          // The store has other parts than we thought, or somebody has finished the upload.
          if (error.status !== 409 || round === ROUNDS) throw error;
          await this.list(signal);
        }
      }
    }

    async begin(signal) {
      const { meta } = this.uppy.getFile(this.id);
      const metadata = { ...meta.upload, fingerprint: await fingerprint(this.file) };
      // Not given up halfway: an upload that we do not know could not be aborted.
      this.upload = await this.persist(() => this.site.begin(this.file, metadata), signal);
      signal.throwIfAborted();
      this.remember(this.upload.parts);
    }

    async list(signal) {
      this.remember(await this.persist(() => this.site.parts(this.upload), signal));
    }

    async complete(signal) {
      this.tell("completing");
      const parts = [...this.stored].sort(([one], [other]) => one - other);
      const list = parts.map(([PartNumber, { ETag }]) => ({ PartNumber, ETag }));
      return (await this.persist(() => this.site.complete(this.upload, list), signal)).location;
    }

    remember(parts) {
      this.stored = new Map(
        parts.map(({ PartNumber, ETag, Size }) => [PartNumber, { ETag, size: Size }]),
      );
      this.report(true);
    }

    async sendMissing(signal) {
      const missing = [];
      for (let number = 1; number <= this.upload.partCount; number += 1) {
        if (!this.stored.has(number)) missing.push(number);
      }
      this.tell("sending");
      const failed = new AbortController(); // one part that fails for good stops the others
      const either = AbortSignal.any([signal, failed.signal]);
      const worker = async () => {
        try {
          while (missing.length) await this.sendPart(missing.shift(), either);
        } catch (error) {
          failed.abort(error);
          throw error;
        }
      };
      await Promise.allSettled(Array.from({ length: PARTS_OF_A_FILE_AT_ONCE }, worker));
      either.throwIfAborted();
      // A store whose CORS rules hide the ETag header.
      if ([...this.stored.values()].some(({ ETag }) => !ETag)) await this.list(signal);
    }

    async sendPart(number, signal) {
      const start = (number - 1) * this.upload.partSize;
      const part = this.file.slice(start, start + this.upload.partSize);
      await this.turns.parts.take(signal);
      try {
        const ETag = await this.persist(() => this.trySendingPart(number, part, signal), signal);
        this.stored.set(number, { ETag, size: part.size });
      } finally {
        this.coming.delete(number);
        this.turns.parts.give();
      }
      this.report(true);
    }

    async trySendingPart(number, part, signal) {
      // Signed at the last moment, and again for every try: an address is soon out of date.
      const url = await this.site.address(this.upload, number);
      signal.throwIfAborted();
      const onProgress = (bytes) => {
        this.coming.set(number, bytes);
        this.tell("sending");
        this.report();
      };
      try {
        return await put(url, part, onProgress, signal);
      } catch (error) {
        this.coming.delete(number);
        this.report(true);
        signal.throwIfAborted();
        if (error.status === 0) await this.read(part);
        // Bytes that changed on the way, an address that ran out, another page that sends the same
        // part: sent again.
        if ([400, 403, 410, 423].includes(error.status)) throw new Failure(0);
        throw error;
      }
    }

    // A file that was changed or taken away since it was chosen looks like a broken connection.
    async read(part) {
      try {
        await part.slice(0, 1).arrayBuffer();
      } catch {
        throw new Failure(422, { reason: "file_changed" });
      }
    }

    // Repeats a call while what stops it may pass by itself.
    async persist(attempt, signal) {
      for (let tries = 0; ; tries += 1) {
        try {
          return await attempt();
        } catch (error) {
          signal.throwIfAborted();
          if (!error.isPassing || tries >= TRIES) throw error;
          const isOnline = navigator.onLine;
          const isBusy = error.status === 429 || error.status === 503;
          this.tell(isBusy ? "busy" : isOnline ? "retrying" : "offline");
          if (!isOnline) tries = -1;
          await pause(Math.max(error.waitMs, isOnline ? backoff(tries) : LONGEST_WAIT_MS), signal);
        }
      }
    }

    // A canceled upload leaves nothing; what cannot be told now, the site clears away later.
    async clearAway() {
      if (!this.upload) return;
      try {
        await this.persist(() => this.site.abort(this.upload), new AbortController().signal);
      } catch {
        // gone already
      }
    }
  }

  if (!window.Uppy) return; // the page says so with its plain form

  window.uploads.PartsUploader = class PartsUploader extends window.Uppy.BasePlugin {
    constructor(uppy, opts) {
      super(uppy, opts);
      this.type = "uploader";
      this.id = "PartsUploader";
      this.sendings = new Map(); // by the id of the file
      this.turns = { files: new Turns(FILES_AT_ONCE), parts: new Turns(PARTS_AT_ONCE) };
    }

    install() {
      const { capabilities } = this.uppy.getState();
      this.uppy.setState({ capabilities: { ...capabilities, resumableUploads: true } });
      this.uppy.addUploader((ids) => this.send(ids));
      this.uppy.on("upload-pause", (file, isPaused) => this.sendings.get(file.id)?.pause(isPaused));
      this.uppy.on("file-removed", (file) => this.sendings.get(file.id)?.remove());
    }

    async send(ids) {
      const known = ids.filter((id) => this.uppy.getFile(id));
      this.uppy.emit("upload-start", this.uppy.getFilesByIds(known));
      await Promise.all(known.map(async (id) => {
        const begun = this.sendings.get(id)?.upload ?? this.uppy.getFile(id).meta.begun;
        const sending = new Sending(this, id, begun ?? null);
        this.sendings.set(id, sending);
        await sending.run();
      }));
    }
  };
})();
