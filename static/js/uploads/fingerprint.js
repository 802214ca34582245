"use strict";

// By which the same file is known again after a reload, without reading all of it: its name, size
// and time, and a hash of its beginning, middle and end.
window.uploads.fingerprint = async (file) => {
  const SLICE_BYTES = 256 * 1024;
  const facts = [file.name, file.size, file.lastModified];
  // Browsers hash only on https:// and on this machine.
  if (!window.crypto.subtle) return `facts-${encodeURIComponent(facts.join("-")).slice(-180)}`;

  const hex = (buffer) =>
    Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const hash = async (data) => hex(await crypto.subtle.digest("SHA-256", data));

  const last = Math.max(0, file.size - SLICE_BYTES);
  for (const start of [0, Math.floor(last / 2), last]) {
    facts.push(await hash(await file.slice(start, start + SLICE_BYTES).arrayBuffer()));
  }
  return hash(new TextEncoder().encode(JSON.stringify(facts)));
};
