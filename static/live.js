"use strict";
// Live pages: one stream names the topics that changed, and the parts of the page that show them are fetched again.
// A hidden tab holds no stream; when it is seen again it asks for what it missed. Without a stream the page asks
// by itself, every few seconds.

(() => {
  const ASK_EVERY = 5000;
  const FIRST_WAIT = 1000;
  const LONGEST_WAIT = 15000;
  const LATE_EVERY = 500;
  let source = null;
  let since = document.querySelector("meta[name=live-since]")?.content ?? "0";
  let topics = "";
  let asking = null;
  let wait = FIRST_WAIT;
  let again = null;
  // The ids of parts that changed and are not yet being fetched: htmx drops what comes while a part's fetch is under
  // way, and that fetch may have been answered before the change.
  const late = new Set();

  const parts = () => [...document.querySelectorAll("[data-live]")];
  const wanted = () => [...new Set(parts().flatMap((part) => part.dataset.live.split(" ").filter(Boolean)))].sort().join(" ");

  function refresh(changed) {
    for (const part of parts()) {
      if (!changed || part.dataset.live.split(" ").some((topic) => changed.includes(topic))) htmx.trigger(part, "live");
    }
  }

  document.addEventListener("live", (event) => late.add(event.target.id), { capture: true });
  document.addEventListener("refresh", () => parts().forEach((part) => late.add(part.id)), { capture: true });
  document.addEventListener("htmx:before:request", (event) => late.delete(event.detail.ctx.sourceElement?.id));
  setInterval(() => {
    for (const id of late) {
      const part = document.getElementById(id);
      if (part?.matches("[data-live]")) htmx.trigger(part, "live");
      else late.delete(id);
    }
  }, LATE_EVERY);

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
