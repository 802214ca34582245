"use strict";

// What the page asks of the site while it uploads: begin, sign a part, list, complete, abort; and
// the sending of one part to wherever its address points.
(() => {
  const ANSWER_MS = 60_000;
  const STANDSTILL_MS = 45_000; // a laptop that slept wakes with connections that are dead

  // Why a call came to nothing. `status` is HTTP's, 0 when no answer came; `message` is the
  // server's sentence or empty; `waitMs` is how long it asks us to wait.
  class Failure extends Error {
    constructor(status, { message = "", reason = "", waitMs = 0 } = {}) {
      super(message);
      Object.assign(this, { status, reason, waitMs });
    }

    // It may go better by itself: no answer, too many at once, a server that is down.
    get isPassing() {
      return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500;
    }
  }

  // A network that is gone does not break the connections it carried: whatever is under way ends
  // here, to be begun again, instead of standing still unseen.
  let line = new AbortController();
  window.addEventListener("offline", () => {
    line.abort();
    line = new AbortController();
  });

  const seconds = (text) => Math.min(Number(text) || 0, 3600) * 1000;

  class Site {
    constructor(endpoint) {
      this.endpoint = endpoint;
    }

    async call(method, path, body) {
      let response, answer;
      try {
        response = await fetch(this.endpoint + path, {
          method,
          body: body && JSON.stringify(body),
          headers: { Accept: "application/json", ...(body && { "Content-Type": "application/json" }) },
          signal: AbortSignal.any([line.signal, AbortSignal.timeout(ANSWER_MS)]),
        });
        answer = await response.text();
      } catch {
        throw new Failure(0);
      }
      const json = parsed(answer);
      if (response.ok && !response.redirected) return json;
      const waitMs = seconds(response.headers.get("Retry-After"));
      throw new Failure(response.redirected ? 401 : response.status, { ...json, waitMs });
    }

    path({ uploadId, key }, more = "") {
      return `/s3/multipart/${encodeURIComponent(uploadId)}${more}?key=${encodeURIComponent(key)}`;
    }

    // Answers { key, uploadId, partSize, partCount, parts }; the same upload for the same file.
    begin(file, metadata) {
      const body = { filename: file.name, type: file.type, metadata };
      return this.call("POST", "/s3/multipart", body);
    }

    async address(upload, number) {
      return (await this.call("GET", this.path(upload, `/${number}`))).url;
    }

    parts(upload) {
      return this.call("GET", this.path(upload));
    }

    complete(upload, parts) {
      return this.call("POST", this.path(upload, "/complete"), { parts });
    }

    abort(upload) {
      return this.call("DELETE", this.path(upload));
    }

    // What this person began and did not finish, on whatever machine.
    unfinished() {
      return this.call("GET", "/open/");
    }
  }

  function parsed(text) {
    try {
      return JSON.parse(text);
    } catch {
      return {};
    }
  }

  // Sends one part; answers its ETag, empty where the store hides it. `onProgress` gets bytes.
  function put(url, part, onProgress, signal) {
    return new Promise((resolve, reject) => {
      const xhr = new XMLHttpRequest();
      const either = AbortSignal.any([line.signal, signal]);
      let timer;
      const stop = () => xhr.abort();
      const watch = () => {
        clearTimeout(timer);
        timer = setTimeout(stop, STANDSTILL_MS);
      };
      xhr.open("PUT", url);
      xhr.upload.addEventListener("progress", (event) => {
        watch();
        onProgress(event.loaded);
      });
      xhr.addEventListener("loadend", () => {
        clearTimeout(timer);
        either.removeEventListener("abort", stop);
        if (xhr.status >= 200 && xhr.status < 300) resolve(xhr.getResponseHeader("ETag") ?? "");
        else {
          const waitMs = xhr.status ? seconds(xhr.getResponseHeader("Retry-After")) : 0;
          reject(new Failure(xhr.status, { ...parsed(xhr.responseText), waitMs }));
        }
      });
      either.addEventListener("abort", stop);
      watch();
      xhr.send(part);
      if (either.aborted) stop();
    });
  }

  Object.assign(window.uploads, { Failure, Site, put });
})();
