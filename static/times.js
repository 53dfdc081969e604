"use strict";
// Moments on a page grow older in words, by the reader's own clock and zone, without asking the server.

(() => {
  const told = document.querySelector("meta[name=served-at]");
  const exact = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "medium" });
  const SIZES = [86400, 3600, 60, 1];
  const units = told.dataset.units.split(" ");
  // How far this clock is behind the server's, so that nothing seems to be in the future.
  const behind = Date.parse(told.content) - Date.now();

  // The same words as the server's (filters.py), in the page's language.
  function distance(seconds) {
    const size = SIZES.findIndex((size) => seconds >= size);
    if (size < 0) return told.dataset.now;
    return told.dataset.ago.replace("#", `${Math.floor(seconds / SIZES[size])} ${units[size]}`);
  }

  function freshen() {
    for (const time of document.querySelectorAll("time[datetime]")) {
      const moment = Date.parse(time.dateTime);
      const text = distance((Date.now() + behind - moment) / 1000);
      if (time.textContent !== text) time.textContent = text;
      const title = exact.format(moment);
      if (time.title !== title) time.title = title;
    }
  }

  freshen();
  setInterval(() => { if (!document.hidden) freshen(); }, 1000);
  document.addEventListener("visibilitychange", freshen);
  document.addEventListener("htmx:after:swap", freshen);
})();
