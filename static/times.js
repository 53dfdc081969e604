"use strict";
// Moments on a page grow older in words, by the reader's own clock and zone, without asking the server.

(() => {
  const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
  const words = new Intl.RelativeTimeFormat(document.documentElement.lang, { style: "narrow", numeric: "always" });
  const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
  // How far this clock is behind the server's, so that nothing happens to be in the future.
  const served = Date.parse(document.querySelector("meta[name=served-at]")?.content);
  const behind = Number.isNaN(served) ? 0 : served - Date.now();

  function distance(seconds) {
    const [unit, size] = UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? UNITS.at(-1);
    // “4 s ago”, as the server writes it, where the browser's words have no space ("4s ago").
    return words.format(Math.trunc(seconds / size), unit).replace(/(\d)(\p{L})/u, "$1 $2");
  }

  function freshen() {
    for (const time of document.querySelectorAll("time[datetime]")) {
      const moment = Date.parse(time.dateTime);
      const seconds = (moment - Date.now() - behind) / 1000;
      // "just now" is the server's word for it, in the page's language: it stands until a second has gone by.
      if (Math.abs(seconds) >= 1) {
        const text = distance(seconds);
        if (time.textContent !== text) time.textContent = text;
      }
      const title = exact.format(moment);
      if (time.title !== title) time.title = title;
    }
  }

  freshen();
  setInterval(() => { if (!document.hidden) freshen(); }, 1000);
  document.addEventListener("visibilitychange", freshen);
  document.addEventListener("htmx:after:swap", freshen);
})();
