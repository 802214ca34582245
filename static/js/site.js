"use strict";

(() => {
  const LONGEST_PAUSE_MS = 60_000;

  document.documentElement.classList.add("is-scripted");

  // Tells screen readers what changed on the page; it is gone again before somebody finds it
  // there by reading on.
  let forgetting;
  function announce(text) {
    const announcer = document.getElementById("announcer");
    if (!announcer || !text) return;
    announcer.textContent = text;
    clearTimeout(forgetting);
    forgetting = setTimeout(() => { announcer.textContent = ""; }, 5000);
  }

  // Says at the top of the page what is wrong, with a way out.
  function warn(text, link) {
    const alert = document.getElementById("page-alert");
    if (!alert) return;
    alert.replaceChildren(text);
    if (link) {
      const anchor = document.createElement("a");
      anchor.href = link.href;
      anchor.textContent = link.text;
      alert.append(" ", anchor);
    }
    alert.hidden = false;
  }

  window.site = { announce, warn };

  // --- Parts of a page that ask for themselves ---------------------------------------------

  let isSignedOut = false;
  let pausedUntil = 0;
  let failures = 0;

  const polls = (element) => element instanceof Element && element.hasAttribute("data-polls");

  // What is asked although nobody sees the page; scripts of the page may say more.
  window.site.isAskedUnseen = () => false;

  // Nothing is asked by a page that is signed out, that was told to wait, or that nobody sees.
  document.addEventListener("htmx:confirm", (event) => {
    const element = event.target;
    if (!polls(element)) return;
    const isUnseen = document.hidden && !window.site.isAskedUnseen(element);
    if (isSignedOut || Date.now() < pausedUntil || isUnseen) event.preventDefault();
  });

  // A page that is looked at again is brought up to date at once.
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) document.body.dispatchEvent(new CustomEvent("tab-shown"));
  });

  // What is the same stays: a replaced player stops, a replaced button loses a click or the focus.
  document.addEventListener("htmx:oobBeforeSwap", (event) => {
    const now = event.detail.fragment.firstElementChild?.dataset.version;
    if (now && now === event.target.dataset.version) event.preventDefault();
  });

  // Nothing is replaced between the press and the release of a button; the next answer follows.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { xhr, target } = event.detail;
    if (xhr.status === 200 && polls(target) && target.matches(":active")) {
      event.detail.shouldSwap = false;
    }
  });

  function wait(seconds) {
    failures += 1;
    const backOff = Math.min(1000 * 2 ** failures, LONGEST_PAUSE_MS);
    pausedUntil = Date.now() + (seconds > 0 ? seconds * 1000 : backOff);
  }

  document.addEventListener("htmx:afterOnLoad", (event) => {
    if (event.detail.xhr.status < 400) failures = 0;
  });

  document.addEventListener("htmx:sendError", () => wait(0));

  document.addEventListener("htmx:responseError", (event) => {
    const { xhr, elt } = event.detail;
    const words = document.getElementById("page-alert").dataset;
    if (xhr.status === 401) {
      isSignedOut = true;
      const back = encodeURIComponent(location.pathname + location.search);
      warn(words.signedOut, { href: `${words.signInUrl}?next=${back}`, text: words.signIn });
    } else if (xhr.status === 404 && polls(elt)) {
      if (!elt.matches("li, tr")) warn(words.gone);
      elt.remove();
    } else if (polls(elt)) {
      wait(Number(xhr.getResponseHeader("Retry-After")));
    } else {
      warn(words.failed, { href: location.href, text: words.reload });
    }
  });

  // --- A refused form --------------------------------------------------------------------------

  // Whoever was refused goes on at the first field that has to change, or hears why there is none.
  function goOn(part) {
    const found = part.querySelector("[aria-invalid=true]")
      ?? part.querySelector(".errorlist.nonfield, .notice-error[role=alert]:not([hidden])");
    for (let box = found; (box = box?.parentElement.closest("details")); ) box.open = true;
    if (found && !found.matches("input, select, textarea")) found.tabIndex = -1;
    found?.focus();
  }

  // --- What is new after a part was replaced -------------------------------------------------

  const known = new Set();

  function remember(announcing) {
    const texts = [];
    for (const element of document.querySelectorAll("[data-announce]")) {
      const key = element.dataset.announce;
      if (known.has(key)) continue;
      known.add(key);
      const text = element.dataset.announceText || element.querySelector("p")?.textContent;
      if (announcing && text) texts.push(text.trim().replace(/\s+/g, " "));
    }
    announce(texts.join(". "));
  }

  // What a page brings with it is read by no screen reader as news, and before it has taken in
  // the page it hears of nothing.
  const SETTLED_MS = 500;
  document.addEventListener("DOMContentLoaded", () => {
    remember(false);
    const news = [...document.querySelectorAll("[data-news]")].map((it) => it.textContent.trim());
    setTimeout(() => announce(news.join(" ")), SETTLED_MS);
  });
  // Where the address ends in "#…", a browser takes the focus from whatever has it until then.
  window.addEventListener("load", () => requestAnimationFrame(() => goOn(document)));
  document.addEventListener("htmx:afterSettle", (event) => {
    remember(true);
    if (event.detail.requestConfig?.verb === "post") goOn(event.detail.elt);
    // Whoever dismissed a message by keyboard goes on from the next one.
    if (event.detail.requestConfig?.verb === "post" && document.activeElement === document.body) {
      const region = document.getElementById("unread-messages");
      (region?.querySelector("button") ?? document.getElementById("main")).focus();
    }
  });

  // --- The account menu: Escape and a click elsewhere close it -------------------------------

  document.addEventListener("keydown", (event) => {
    const menu = document.querySelector(".account-menu[open]");
    if (event.key === "Escape" && menu) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });
  document.addEventListener("click", (event) => {
    const menu = document.querySelector(".account-menu[open]");
    if (menu && !menu.contains(event.target)) menu.open = false;
  });

  // --- One player at a time ------------------------------------------------------------------

  document.addEventListener(
    "play",
    (event) => {
      for (const player of document.querySelectorAll("audio")) {
        if (player !== event.target) player.pause();
      }
    },
    true,
  );

  // --- A player whose link has ended goes on where it was ------------------------------------

  // Its address is this site's, which signs a new link whenever it is asked. What fails again
  // within a minute is broken.
  const RENEWAL_PAUSE_MS = 60_000;
  const renewedAt = new WeakMap();
  document.addEventListener(
    "error",
    (event) => {
      const player = event.target;
      if (!(player instanceof HTMLAudioElement) || !player.currentTime) return;
      const now = Date.now();
      if (now - (renewedAt.get(player) ?? -Infinity) < RENEWAL_PAUSE_MS) return;
      renewedAt.set(player, now);
      const { currentTime, paused } = player;
      const goOn = () => {
        player.currentTime = currentTime;
        if (!paused) player.play().catch(() => {}); // a browser may want a click first
      };
      player.addEventListener("loadedmetadata", goOn, { once: true });
      player.load();
    },
    true,
  );
})();
