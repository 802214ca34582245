"use strict";

// Sizes, times and percents in the words of the page's language.
window.uploads = (() => {
  const language = document.documentElement.lang;

  const formatters = new Map(); // making one takes longer than using it a hundred times

  function amount(value, unit, unitDisplay, maximumFractionDigits) {
    const key = `${unit} ${unitDisplay} ${maximumFractionDigits}`;
    if (!formatters.has(key)) {
      const style = { style: "unit", unit, unitDisplay, maximumFractionDigits };
      formatters.set(key, new Intl.NumberFormat(language, style));
    }
    return formatters.get(key).format(value);
  }

  function size(count) {
    const units = ["byte", "kilobyte", "megabyte", "gigabyte"];
    const power = Math.min(Math.floor(Math.log(Math.max(count, 1)) / Math.log(1024)), 3);
    return amount(count / 1024 ** power, units[power], power ? "short" : "long", power > 1 ? 1 : 0);
  }

  function time(seconds) {
    if (seconds < 60) return amount(Math.ceil(seconds), "second", "long", 0);
    if (seconds < 3600) return amount(Math.ceil(seconds / 60), "minute", "long", 0);
    return amount(seconds / 3600, "hour", "long", 1);
  }

  const percent = (sent, all) => (all ? Math.floor((100 * sent) / all) : 0);

  // Puts values into a sentence: fill("{name} is here", { name: "Ada" }).
  const fill = (sentence, values) =>
    sentence.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);

  // How fast and how long: the speed is that of the last seconds, not of the whole upload.
  class Speed {
    static WINDOW_MS = 5000;
    samples = [];

    // Bytes in a second; 0 while it is not known.
    rate(sent) {
      const now = performance.now();
      const last = this.samples.at(-1);
      if (last && sent < last.sent) this.samples = []; // a part that broke off counts anew
      this.samples.push({ at: now, sent });
      while (this.samples.length > 2 && now - this.samples[0].at > Speed.WINDOW_MS) {
        this.samples.shift();
      }
      const elapsed = (now - this.samples[0].at) / 1000;
      return elapsed > 0.2 ? (sent - this.samples[0].sent) / elapsed : 0;
    }
  }

  return { size, time, percent, fill, Speed };
})();
