"use strict";

// One player for the original and each result. With wavesurfer.js, and once there is a waveform,
// that is what one moves in; else the browser's own player stays.
(() => {
  const HEIGHT_PX = 96;
  const STEP_S = 5;
  const SAID_EVERY_S = 10;

  const root = document.getElementById("player");
  if (!root) return;
  const words = root.dataset;
  const audio = document.getElementById("player-audio");
  const button = document.getElementById("player-play");
  const note = document.getElementById("player-note");
  const language = document.documentElement.lang;

  let source; // the chosen radio button, or option where there are many
  let goOnAt = null; // seconds, until the new version is known well enough
  let wave = null;
  let drawn = ""; // what of which waveform is drawn

  const versions = () => [
    ...document.querySelectorAll("#player-sources input, #player-sources option"),
  ];
  const isChosen = (version) => version.checked || version.selected;
  const isPlayable = ({ dataset }) => !dataset.type || audio.canPlayType(dataset.type) !== "";
  const seconds = (ms) => Number(ms) / 1000;
  const startS = () => seconds(source.dataset.startMs);
  const wholeS = () => seconds(document.getElementById("player-wave").dataset.lengthMs ?? 0);
  const lengthS = () =>
    (Number.isFinite(audio.duration) && audio.duration) ||
    Math.max(0, (seconds(source.dataset.endMs) || wholeS()) - startS());

  // --- Which version ---------------------------------------------------------------------------

  function say(text) {
    note.textContent = text.replace("{name}", source.closest("label, option").textContent.trim());
    root.classList.toggle("cannot-play", text === words.cannotPlay);
  }

  // The same second of the original goes on, if this version has it.
  function choose(version) {
    const wasPlaying = !audio.paused && !audio.ended;
    const at = source ? audio.currentTime + startS() : 0;
    source = version;
    version[version.localName === "option" ? "selected" : "checked"] = true;
    if (!audio.error) say(isPlayable(version) ? "" : words.cannotPlay);
    if (audio.getAttribute("src") === version.dataset.url) return;
    audio.src = version.dataset.url;
    const from = Math.max(0, at - startS());
    seek(from);
    goOnAt = from;
    if (wasPlaying && isPlayable(version)) play();
  }

  function play() {
    audio.play().catch(() => {}); // what is wrong with it is said when the player finds out
  }

  function toggle() {
    if (audio.paused) play();
    else audio.pause();
  }

  function seek(second) {
    goOnAt = null;
    const at = Math.min(Math.max(0, second), lengthS() || Infinity);
    audio.currentTime = at;
    wave?.setTime(at);
    tell(true);
  }

  root.addEventListener("change", (event) => {
    if (event.target.name === "source") choose(versions().find(isChosen));
  });
  audio.addEventListener("loadedmetadata", () => {
    if (goOnAt !== null && Math.abs(audio.currentTime - goOnAt) > 0.3) audio.currentTime = goOnAt;
    goOnAt = null;
    draw();
    tell();
  });
  // A link that ended was asked for anew before this (see site.js), and then there is no error.
  audio.addEventListener("error", () => {
    if (audio.error && isPlayable(source)) say(words.broken);
  });
  audio.addEventListener("playing", () => say(""));

  // --- What is said and shown of the position ----------------------------------------------------

  function clock(second) {
    const whole = Math.floor(second);
    const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
    const tail = String(whole % 60).padStart(2, "0");
    return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${tail}` : `${minutes}:${tail}`;
  }

  function inWords(second) {
    const whole = Math.floor(second);
    const parts = { hour: Math.floor(whole / 3600), minute: Math.floor(whole / 60) % 60, second: whole % 60 };
    return Object.entries(parts)
      .filter(([unit, count]) => count || (unit === "second" && whole === 0))
      .map(([unit, count]) =>
        new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "long" }).format(count),
      )
      .join(" ");
  }

  // Whoever listens with a screen reader is not told each second where the sound is.
  let saidAt = null;
  function tell(isAsked) {
    const at = audio.currentTime;
    const time = document.getElementById("player-time");
    const shown = `${clock(at)} / ${clock(lengthS())}`;
    if (time.textContent !== shown) time.textContent = shown;
    const slider = root.querySelector("[role=slider]");
    if (!slider) return;
    const isNew = !slider.hasAttribute("aria-valuetext");
    if (isAsked !== true && !isNew && Math.abs(at - saidAt) < SAID_EVERY_S) return;
    saidAt = at;
    slider.setAttribute("aria-valuemax", Math.floor(lengthS()));
    slider.setAttribute("aria-valuenow", Math.floor(at));
    const text = words.position.replace("{position}", inWords(at));
    slider.setAttribute("aria-valuetext", text.replace("{length}", inWords(lengthS())));
  }

  audio.addEventListener("timeupdate", tell);
  audio.addEventListener("durationchange", () => tell(true));
  for (const name of ["play", "pause", "ended", "emptied"]) {
    audio.addEventListener(name, () => {
      root.classList.toggle("is-playing", !audio.paused);
      button.setAttribute("aria-label", audio.paused ? words.play : words.pause);
      tell(true);
    });
  }
  button.addEventListener("click", toggle);
  document.getElementById("player-volume").addEventListener("input", (event) => {
    audio.volume = Number(event.target.value);
  });

  // --- The waveform ------------------------------------------------------------------------------

  function colours() {
    const style = getComputedStyle(root);
    return {
      waveColor: style.getPropertyValue("--edge").trim(),
      progressColor: style.getPropertyValue("--link").trim(),
      cursorColor: style.getPropertyValue("--text").trim(),
    };
  }

  // Of all of the sound; nothing before there is a waveform, and its length is known.
  function peaks() {
    const data = document.getElementById("player-wave").dataset.peaks;
    if (!window.WaveSurfer || !data || !wholeS()) return null;
    return Float32Array.from(atob(data), (letter) => letter.charCodeAt(0) / 255);
  }

  function peaksOf(all) {
    const perSecond = all.length / wholeS();
    const end = seconds(source.dataset.endMs) || wholeS();
    return all.slice(Math.floor(startS() * perSecond), Math.ceil(end * perSecond));
  }

  const look = () => ({
    normalize: true,
    barWidth: 3,
    barGap: 2,
    barRadius: 2,
    hideScrollbar: true,
    cspNonce: document.getElementById("wavesurfer").nonce,
    ...colours(),
  });

  function draw() {
    const box = document.getElementById("player-wave");
    const all = peaks();
    if (!all) return;
    const wanted = `${source.dataset.startMs}-${source.dataset.endMs}`;
    if (wave && wave.options.container.isConnected && wanted === drawn) return;
    drawn = wanted;
    wave?.destroy();
    box.querySelector(".wave-slider")?.remove();
    const slider = makeSlider();
    box.append(slider);
    wave = window.WaveSurfer.create({
      container: slider,
      media: audio,
      peaks: [peaksOf(all)],
      duration: lengthS(),
      height: HEIGHT_PX,
      cursorWidth: 2,
      dragToSeek: { debounceTime: 0 },
      ...look(),
    });
    wave.on("redrawcomplete", () => {
      for (const picture of box.querySelectorAll("svg, p")) picture.remove();
      root.classList.add("is-drawn");
    });
    wave.on("ready", () => wave.setTime(audio.currentTime));
    // Before the sound is loaded, wavesurfer.js keeps the second to itself.
    wave.on("interaction", (second) => {
      goOnAt = null;
      audio.currentTime = second;
      tell(true);
    });
    tell();
  }

  function makeSlider() {
    const slider = document.createElement("div");
    slider.className = "wave-slider";
    slider.tabIndex = 0;
    slider.setAttribute("role", "slider");
    slider.setAttribute("aria-label", words.positionLabel);
    slider.setAttribute("aria-valuemin", "0");
    slider.addEventListener("keydown", move);
    slider.addEventListener("focus", () => tell(true));
    return slider;
  }

  function move(event) {
    const at = audio.currentTime;
    const acts = {
      ArrowLeft: () => seek(at - STEP_S),
      ArrowDown: () => seek(at - STEP_S),
      ArrowRight: () => seek(at + STEP_S),
      ArrowUp: () => seek(at + STEP_S),
      PageDown: () => seek(at - lengthS() / 10),
      PageUp: () => seek(at + lengthS() / 10),
      Home: () => seek(0),
      End: () => seek(lengthS()),
      " ": toggle,
      Enter: toggle,
    };
    if (!acts[event.key] || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    acts[event.key]();
  }

  // Only now has the player taken the new address; wavesurfer would set the old one again.
  audio.addEventListener("loadstart", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    wave?.setOptions(colours());
  });

  // A refresh brings new versions, and the waveform once there is one.
  document.addEventListener("htmx:afterSettle", () => {
    if (!source.isConnected) {
      source = versions().find((version) => version.value === source.value) ?? source;
      choose(source);
    }
    draw();
  });

  const chosen = versions().find(isChosen);
  choose([chosen, ...versions()].find(isPlayable) ?? chosen);
  draw();

  // For the form that orders a part: seconds are of the original.
  window.player = { peaks, wholeS, look, colours, at: () => audio.currentTime + startS() };
})();
