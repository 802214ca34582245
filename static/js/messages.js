"use strict";

(() => {
  const canNotify = "Notification" in window && window.isSecureContext;
  const isAllowed = () => canNotify && Notification.permission === "granted";

  // A page that nobody sees asks for messages where the browser may show them, and not often.
  const UNSEEN_PAUSE_MS = 20_000;
  let askedAt = -Infinity;
  window.site.isAskedUnseen = (element) => {
    const now = performance.now();
    if (element.id !== "unread-messages" || !isAllowed() || now - askedAt < UNSEEN_PAUSE_MS) {
      return false;
    }
    askedAt = now;
    return true;
  };

  // --- What comes while somebody looks at something else is shown by the browser -------------

  const known = new Set();

  function lookForNews(isShown) {
    for (const element of document.querySelectorAll("[data-notifies]")) {
      const key = element.dataset.announce;
      if (known.has(key)) continue;
      known.add(key);
      if (isShown && document.hidden && isAllowed()) show(element, key);
    }
  }

  function show(element, key) {
    const text = element.dataset.announceText || element.querySelector("p").textContent;
    const link = element.querySelector("a[href]")?.href;
    try {
      // The same tag in two tabs is one notification.
      const shown = new Notification("Audio Transcoder", { body: text.trim(), tag: key });
      shown.onclick = () => {
        window.focus();
        if (link) location.assign(link);
        shown.close();
      };
    } catch {
      // Browsers of phones show none for a page; the page has the message.
    }
  }

  document.addEventListener("DOMContentLoaded", () => lookForNews(false));
  document.addEventListener("htmx:afterSettle", () => lookForNews(true));

  // --- The page where people choose: only a click there asks the browser ---------------------

  document.addEventListener("DOMContentLoaded", () => {
    const part = document.getElementById("notifications");
    if (!part) return;
    const box = part.querySelector("input[type=checkbox]");
    const button = document.getElementById("allow-notifications");

    function say() {
      const state = canNotify ? Notification.permission : "missing";
      document.getElementById("notification-state").textContent = part.dataset[state];
      button.hidden = !(box.checked && state === "default");
    }

    async function ask() {
      if (canNotify && Notification.permission === "default") await Notification.requestPermission();
      say();
    }

    box.addEventListener("change", () => (box.checked ? ask() : say()));
    button.addEventListener("click", ask);
    say();
  });
})();
