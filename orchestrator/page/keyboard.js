// Keyboard shortcuts; they can be switched off in the help.

import { showHelp } from "./dialogs.js";
import { byId } from "./element.js";
import { openReading } from "./job/job.js";
import { player } from "./job/player.js";

const STEP_SECONDS = 5;
const TYPING = "input:not([type=range], [type=checkbox]), select, textarea";
const ACTIVE = `${TYPING}, button, summary, a, [type=range], [type=checkbox]`;

const KEYS = {
  " ": () => player.toggle(),
  ArrowLeft: () => player.skip(-STEP_SECONDS),
  ArrowRight: () => player.skip(STEP_SECONDS),
  ",": () => openReading()?.step(-1),
  ".": () => openReading()?.step(1),
  n: () => openReading()?.review?.step(1),
  p: () => openReading()?.review?.step(-1),
  l: () => openReading()?.review?.listen(),
  e: () => openReading()?.review?.edit(),
  c: () => openReading()?.review?.say("confirmed"),
  x: () => openReading()?.review?.say("refused"),
  "/": () => byId(byId("job-view").hidden ? "filter-name" : "find-text").focus(),
  "?": showHelp,
};

/** Handle key presses. */
export function openKeyboard() {
  const on = byId("keys-on");
  try {
    on.checked = localStorage.getItem("keys") !== "off";
  } catch {
    // The browser's storage is off: the shortcuts stay on.
  }
  on.addEventListener("change", () => {
    try {
      localStorage.setItem("keys", on.checked ? "on" : "off");
    } catch {
      // As above.
    }
  });
  byId("help-open").addEventListener("click", showHelp);
  document.addEventListener("keydown", (event) => {
    const act = KEYS[event.key];
    const other = event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented;
    if (!act || other || !on.checked || document.querySelector("dialog[open]")) return;
    // A focused button needs Space, and a focused slider the arrows.
    const busy = event.key === " " ? ACTIVE : `${TYPING}${event.key.startsWith("Arrow") ? ", [type=range]" : ""}`;
    if (event.target.closest?.(busy)) return;
    event.preventDefault();
    act();
  });
}
