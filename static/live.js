"use strict";
// Live pages: one stream names the topics that changed, and the parts of the page that show them are fetched again.
// A hidden tab holds no stream; when it is seen again it asks for what it missed. Without a stream the page asks
// by itself, every few seconds.

(() => {
  const ASK_EVERY = 5000;
  const FIRST_WAIT = 1000;
  const LONGEST_WAIT = 15000;
  let source = null;
  let since = document.querySelector("meta[name=live-since]")?.content ?? "0";
  let topics = "";
  let asking = null;
  let wait = FIRST_WAIT;
  let again = null;

  const parts = () => [...document.querySelectorAll("[data-live]")];
  const wanted = () => [...new Set(parts().flatMap((part) => part.dataset.live.split(" ").filter(Boolean)))].sort().join(" ");

  function refresh(changed) {
    for (const part of parts()) {
      if (!changed || part.dataset.live.split(" ").some((topic) => changed.includes(topic))) htmx.trigger(part, "live");
    }
  }

  function open() {
    clearTimeout(again);
    close();
    topics = wanted();
    if (!topics || document.hidden) return;
    source = new EventSource(`/live?${new URLSearchParams({ topics, since })}`);
    source.addEventListener("open", () => { wait = FIRST_WAIT; ask(false); });
    source.addEventListener("changed", (event) => {
      since = event.lastEventId;
      if (event.data) refresh(event.data.split(" "));
    });
    source.addEventListener("error", () => {
      // The browser's own way of trying again has no patience that grows, and keeps the first address.
      close();
      ask(true);
      again = setTimeout(open, wait * (0.75 + Math.random() / 2));
      wait = Math.min(2 * wait, LONGEST_WAIT);
    });
  }

  function close() {
    source?.close();
    source = null;
  }

  function ask(on) {
    clearInterval(asking);
    asking = on ? setInterval(() => { if (!document.hidden) refresh(); }, ASK_EVERY) : null;
  }

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      clearTimeout(again);
      close();
      ask(false);
    } else {
      open();
    }
  });
  // A swap may bring parts with other topics, or take the last one away.
  document.addEventListener("htmx:after:swap", () => { if (wanted() !== topics) open(); });
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => { if (event.persisted) open(); });
  open();
})();
