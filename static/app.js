"use strict";
// What HTMX does not do by itself: the CSRF token, toasts, the dialog, menus, the selection, light and dark.

const $ = (selector, root = document) => root.querySelector(selector);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];

document.documentElement.classList.add("has-script");

// --- Requests -------------------------------------------------------------------------------------------------

document.addEventListener("htmx:config:request", (event) => {
  const { request } = event.detail.ctx;
  if (request.method !== "GET") request.headers["X-CSRFToken"] = $("meta[name=csrf-token]").content;
  // Filters that are not set stay out of the address.
  if (request.form?.matches(".filters")) for (const [name, value] of [...request.body]) if (!value) request.body.delete(name);
});

// --- Toasts ---------------------------------------------------------------------------------------------------

const TOASTS = 3;

function toast(text, kind = "info", seconds = 6) {
  const place = $("#toasts");
  // The same words again are no news: the older toast makes room.
  for (const former of all(".toast-box")) if ($("p", former).textContent === text) former.remove();
  const box = document.createElement("div");
  box.className = `toast-box is-${kind}`;
  const words = document.createElement("p");
  words.textContent = text;
  const close = document.createElement("button");
  close.type = "button";
  close.className = "btn-close";
  close.setAttribute("aria-label", place.dataset.close);
  close.addEventListener("click", () => box.remove());
  box.append(words, close);
  // An open dialog covers the page: what concerns it is said inside it.
  if (dialog.open) dialog.prepend(box);
  else place.append(box);
  for (const old of all(".toast-box").slice(0, -TOASTS)) old.remove();
  setTimeout(() => box.remove(), (kind === "danger" || kind === "warning" ? 2 : 1) * seconds * 1000);
}

document.addEventListener("toast", (event) => toast(event.detail.text, event.detail.kind));

let lost = false;

function isLive(context) {
  return context?.sourceEvent?.type === "live";
}

document.addEventListener("htmx:error", (event) => {
  const context = event.detail.ctx;
  if (!context || lost) return;
  lost = isLive(context);
  toast($("#toasts").dataset.lost, "danger");
});

document.addEventListener("htmx:response:error", (event) => {
  const { response, hx } = event.detail.ctx;
  if (response.status === 422 || hx.redirect) return;
  // An answer of ours brings its own words; one from something in between does not.
  if (!hx.trigger) toast($("#toasts").dataset.broken, "danger");
});

document.addEventListener("htmx:after:swap", () => { lost = false; });

// --- The dialog -----------------------------------------------------------------------------------------------

const dialog = $("#dialog");

document.addEventListener("htmx:after:swap", (event) => {
  if (event.detail.ctx.target !== dialog || !dialog.childElementCount) return;
  if (!dialog.open) dialog.showModal();
  ($("[autofocus]", dialog) ?? $("[data-dialog-close]", dialog))?.focus();
});

document.addEventListener("click", (event) => {
  if (dialog.open && (event.target === dialog || event.target.closest("[data-dialog-close]"))) {
    event.preventDefault();
    dialog.close();
  }
});

document.addEventListener("dialogclose", () => dialog.close());
// What was said inside it about what it has done outlives it.
dialog?.addEventListener("close", () => {
  $("#toasts").append(...all(".toast-box", dialog));
  dialog.replaceChildren();
});

// --- Menus ----------------------------------------------------------------------------------------------------

document.addEventListener("click", (event) => {
  for (const menu of all("details.menu[open]")) {
    if (!menu.contains(event.target) || event.target.closest(".menu-item")) menu.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of all("details.menu[open]")) {
    menu.open = false;
    $("summary", menu).focus();
  }
});

// A refresh does not shut what the reader has opened.
htmx.registerExtension("keep-open", {
  htmx_before_morph_attr: (element, detail) => !(detail.attrName === "open" && element.matches("details")),
});

// --- Selections -----------------------------------------------------------------------------------------------

function countSelection(form) {
  const boxes = all("tbody input[type=checkbox]", form);
  const chosen = boxes.filter((box) => box.checked).length;
  const whole = $("[data-select-all]", form);
  const word = $("[data-selection-count]", form);
  if (!whole) return;
  whole.checked = chosen > 0 && chosen === boxes.length;
  whole.indeterminate = chosen > 0 && chosen < boxes.length;
  word.textContent = chosen ? word.dataset.some.replace("#", chosen) : word.dataset.none;
  for (const button of all(".selection-bar button", form)) button.disabled = chosen === 0;
}

let lastBox = null;

document.addEventListener("change", (event) => {
  const form = event.target.closest("[data-selection]");
  if (!form) return;
  const boxes = all("tbody input[type=checkbox]", form);
  if (event.target.matches("[data-select-all]")) {
    for (const box of boxes) box.checked = event.target.checked;
  }
  countSelection(form);
});

// Shift-click ticks everything between two boxes.
document.addEventListener("click", (event) => {
  const box = event.target.closest("[data-selection] tbody input[type=checkbox]");
  if (!box) return;
  const boxes = all("tbody input[type=checkbox]", box.closest("[data-selection]"));
  const [from, to] = [boxes.indexOf(lastBox), boxes.indexOf(box)].sort((a, b) => a - b);
  if (event.shiftKey && from >= 0) for (const one of boxes.slice(from, to + 1)) one.checked = box.checked;
  lastBox = box;
});

document.addEventListener("htmx:after:swap", () => all("[data-selection]").forEach(countSelection));
all("[data-selection]").forEach(countSelection);

// --- Light and dark -------------------------------------------------------------------------------------------

document.addEventListener("submit", (event) => {
  const form = event.target.closest("[data-theme-switch]");
  if (!form || !event.submitter) return;
  event.preventDefault();
  const chosen = event.submitter.value;
  document.cookie = `theme=${chosen}; path=/; max-age=31536000; samesite=lax`;
  if (chosen === "auto") document.documentElement.removeAttribute("data-bs-theme");
  else document.documentElement.setAttribute("data-bs-theme", chosen);
  form.dataset.theme = chosen;
  $(`.theme-${chosen}`, form).focus();
});

// --- Copying --------------------------------------------------------------------------------------------------

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const text = $(button.dataset.copy);
  const range = document.createRange();
  range.selectNodeContents(text);
  getSelection().removeAllRanges();
  getSelection().addRange(range);
  // The clipboard needs HTTPS or this very machine; elsewhere the text is selected, ready for Ctrl-C.
  await navigator.clipboard?.writeText(text.textContent);
  button.classList.add("is-copied");
});

// --- Printing -------------------------------------------------------------------------------------------------

document.addEventListener("click", (event) => { if (event.target.closest("[data-print]")) print(); });
