// The console: asks for a ticket, joins the screen through the gateway, says what goes wrong, and comes back by itself.
import { RFB, keysyms } from "./vendor/novnc@1.7.0/novnc.min.js";

const root = document.getElementById("console");
const screen = document.getElementById("screen");
const cause = document.getElementById("console-cause");
const stateWord = document.getElementById("console-state");
const retry = document.getElementById("console-retry");
const words = root.dataset;
const causes = JSON.parse(words.causes);
const watching = words.viewOnly === "yes";
// Where it is on its way to running, the gateway waits for the screen: nobody waits for a page to notice.
const SHOWN = ["requested", "creating", "starting", "running", "paused", "stopping"];
const BACKSPACE = 0xff08;
const RETURN = 0xff0d;
const FIRST_WAIT = 500;
const LONGEST_WAIT = 8000;
const RELOAD_AFTER = 20000;

let rfb = null;
let joining = false;
let timer = null;
let wait = FIRST_WAIT;
let stay = false; // somebody has to do something first: no trying again by itself
let fit = true;

const status = () => document.getElementById("console-status");
const tool = (name) => root.querySelector(`[data-tool="${name}"]`);

// --- Joining the screen ---------------------------------------------------------------------------------------

async function join() {
  clearTimeout(timer);
  if (joining || rfb || stay || !SHOWN.includes(status().dataset.state)) return;
  joining = true;
  say(words.connecting);
  try {
    const answer = await fetch(words.ticket, {
      method: "POST",
      headers: { "X-CSRFToken": document.querySelector("meta[name=csrf-token]").content, Accept: "application/json" },
    });
    if ((answer.status === 401 || answer.redirected) && signInAgain()) return;
    const said = await answer.json();
    if (answer.ok) open(said.ticket);
    else ended(said);
  } catch {
    ended({ text: words.lost, again: true });
  } finally {
    joining = false;
  }
}

function open(ticket) {
  const address = new URL(words.stream, location.href);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(address, ["binary", `ticket.${ticket}`]);
  socket.binaryType = "arraybuffer";
  let code = 0;
  socket.addEventListener("close", (event) => { code = event.code; });
  rfb = new RFB(screen, socket, { shared: true });
  rfb.viewOnly = watching;
  rfb.background = "transparent";
  rfb.showDotCursor = true;
  setFit();
  rfb.addEventListener("connect", connected);
  rfb.addEventListener("disconnect", () => {
    rfb = null;
    root.classList.remove("is-connected");
    ended(causes[code] ?? { text: words.again, again: true });
  });
  rfb.addEventListener("securityfailure", () => { code = 0; });
  rfb.addEventListener("clipboard", (event) => received(event.detail.text));
}

function connected() {
  wait = FIRST_WAIT;
  root.classList.add("is-connected");
  cause.textContent = "";
  retry.hidden = true;
  say(words.connected);
  rfb.focus({ preventScroll: true });
}

function ended({ text, again, cause: word }) {
  if (word === "sign_in" && signInAgain()) return;
  stay = !again;
  say("");
  cause.textContent = text;
  retry.hidden = false;
  htmx.trigger(status(), "live");
  if (again) {
    // Where it was moved, its screen is there already.
    timer = setTimeout(join, word === "moved" ? 0 : wait);
    wait = Math.min(2 * wait, LONGEST_WAIT);
  }
}

// The page, loaded anew, leads to the sign-in. Where it comes back all the same, loading it on and on helps nobody.
function signInAgain() {
  const last = Number(sessionStorage.getItem("console-reloaded"));
  if (Date.now() - last < RELOAD_AFTER) return false;
  sessionStorage.setItem("console-reloaded", Date.now());
  location.reload();
  return true;
}

function say(text) {
  stateWord.textContent = text;
}

retry.addEventListener("click", () => {
  stay = false;
  wait = FIRST_WAIT;
  join();
});

// What was read once is not said again: that the desktop was made again elsewhere.
function hideTold() {
  const note = root.querySelector("[data-made]");
  if (note) note.hidden = sessionStorage.getItem("console-told") === note.dataset.made;
}

root.addEventListener("click", (event) => {
  if (!event.target.closest("[data-told]")) return;
  sessionStorage.setItem("console-told", event.target.closest("[data-made]").dataset.made);
  hideTold();
  rfb?.focus();
});
hideTold();

// The desktop came up, or went: the part of the page that says so was fetched again.
let seen = status().dataset.state;
document.addEventListener("htmx:after:swap", () => {
  hideTold();
  const now = status().dataset.state;
  if (now !== seen) {
    seen = now;
    if (!SHOWN.includes(now)) cause.textContent = "";
    wait = FIRST_WAIT;
    join();
  }
});
document.addEventListener("visibilitychange", () => { if (!document.hidden) join(); });
addEventListener("online", () => { wait = FIRST_WAIT; join(); });

// --- The bar --------------------------------------------------------------------------------------------------

function setFit() {
  if (!rfb) return;
  rfb.scaleViewport = fit;
  rfb.clipViewport = !fit;
  rfb.dragViewport = !fit && matchMedia("(pointer: coarse)").matches;
  rfb.resizeSession = fit && !watching;
}

function press(button, on) {
  button.setAttribute("aria-pressed", String(on));
}

tool("fit").addEventListener("click", (event) => {
  fit = !fit;
  press(event.currentTarget, fit);
  setFit();
  rfb?.focus();
});

async function fullScreen() {
  if (document.fullscreenElement) await document.exitFullscreen();
  else await document.documentElement.requestFullscreen();
}

tool("full").addEventListener("click", () => fullScreen().catch(() => {}));
document.addEventListener("fullscreenchange", () => {
  const full = Boolean(document.fullscreenElement);
  press(tool("full"), full);
  if (!full && tool("grab")) {
    navigator.keyboard?.unlock?.();
    press(tool("grab"), false);
  }
  rfb?.focus();
});

tool("grab")?.addEventListener("click", async (event) => {
  const button = event.currentTarget;
  try {
    if (!document.fullscreenElement) await document.documentElement.requestFullscreen();
    await navigator.keyboard?.lock?.();
    press(button, true);
  } catch {
    press(button, false);
  }
  rfb?.focus();
});

tool("cad")?.addEventListener("click", () => {
  rfb?.sendCtrlAltDel();
  rfb?.focus();
});

// All keys are the desktop's: Ctrl-Alt-Shift gives them back to the page.
addEventListener("keydown", (event) => {
  if (event.ctrlKey && event.altKey && event.shiftKey && screen.contains(document.activeElement)) {
    event.preventDefault();
    event.stopImmediatePropagation();
    rfb?.blur();
    root.querySelector(".console-bar a").focus();
  }
}, { capture: true });

// --- The clipboard --------------------------------------------------------------------------------------------

const clipboard = document.getElementById("clipboard");
const clipboardText = document.getElementById("clipboard-text");

function received(text) {
  if (!clipboardText) return;
  clipboardText.value = text;
  say(words.got);
}

function showClipboard(on) {
  clipboard.hidden = !on;
  tool("clipboard").setAttribute("aria-expanded", String(on));
  if (on) clipboardText.focus();
  else rfb?.focus();
}

tool("clipboard")?.addEventListener("click", () => showClipboard(clipboard.hidden));
clipboard?.addEventListener("submit", (event) => {
  event.preventDefault();
  rfb?.clipboardPasteFrom(clipboardText.value);
  say(words.copied);
  showClipboard(false);
});
clipboard?.addEventListener("keydown", (event) => { if (event.key === "Escape") showClipboard(false); });

// --- A phone's keyboard ---------------------------------------------------------------------------------------

const keyboard = document.getElementById("keyboard");
tool("type")?.addEventListener("click", () => keyboard.focus());
keyboard?.addEventListener("beforeinput", (event) => {
  event.preventDefault();
  if (event.inputType === "deleteContentBackward") rfb?.sendKey(BACKSPACE);
  else if (event.inputType === "insertLineBreak" || event.inputType === "insertParagraph") rfb?.sendKey(RETURN);
  else for (const letter of event.data ?? "") rfb?.sendKey(keysyms.lookup(letter.codePointAt(0)));
});

addEventListener("pagehide", () => rfb?.disconnect());
join();
