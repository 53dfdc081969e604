"use strict";
// The keyboard: Ctrl-K finds, "/" searches, "?" lists the keys, "g" and a letter go to a page; arrows in the finder.
(() => {
  const GO_WITHIN = 1500;
  const one = (selector) => document.querySelector(selector);
  const open = one("#dialog");
  let going = 0;

  function isTyping(target) {
    return target.closest("input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]") !== null;
  }

  function step(event) {
    const links = [...document.querySelectorAll("#found a.finder-one")];
    const at = links.findIndex((link) => link.parentElement.contains(document.activeElement));
    const inside = document.activeElement.closest("[data-finder], #found");
    if (!links.length || !inside) return;
    event.preventDefault();
    const next = at + (event.key === "ArrowDown" ? 1 : -1);
    if (next < 0) one("[data-finder] input").focus();
    else links[Math.min(next, links.length - 1)].focus();
  }

  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "k") {
      const finder = one("[data-palette]");
      if (!finder) return;
      event.preventDefault();
      if (!open.open) finder.click();
      return;
    }
    if (event.isComposing || event.altKey) return;
    if (!event.shiftKey && (event.key === "ArrowDown" || event.key === "ArrowUp")) { step(event); return; }
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || open.open) return;
    if (going && event.timeStamp - going < GO_WITHIN) {
      going = 0;
      const link = one(`[data-key="${CSS.escape(event.key)}"]`);
      if (link) { event.preventDefault(); link.click(); return; }
    }
    if (event.key === "g") going = event.timeStamp;
    if (event.key === "?") one("[data-keys]")?.click();
    if (event.key === "/") {
      const search = one("main input[type=search]") ?? one("[data-palette]");
      if (!search) return;
      event.preventDefault();
      if (search.matches("input")) search.select(); else search.click();
    }
  });

  // Enter goes to the first of what was found, once it is there for what was typed.
  document.addEventListener("submit", (event) => {
    const typed = event.target.matches("[data-finder]") && one("[data-finder] input").value;
    const first = one("#found a.finder-one");
    // Else the page of what was found is as good an answer.
    if (!first || one("#found").dataset.for !== typed) return;
    event.preventDefault();
    first.click();
  });
})();
