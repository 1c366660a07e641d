// The dialogs that confirm an action that cannot be undone, and the help.

import { byId, element } from "./element.js";

const KEYS = [
  [["Space"], "Play or pause"],
  [["←", "→"], "Back or forward 5 seconds"],
  [[",", "."], "Previous or next word"],
  [["n", "p"], "Next or previous doubtful place"],
  [["l", "e"], "Listen to its line, or correct it"],
  [["c", "x"], "The line is right, or nothing is said there"],
  [["/"], "Search in the transcript, or filter the list"],
  [["Enter"], "Next match; with Shift the previous one"],
  [["?"], "This help"],
];

/** Ask a question; resolves to true if the answer is yes. */
export function confirmed({ title, text, yes, no = "Keep it" }) {
  const dialog = byId("confirm-dialog");
  byId("confirm-title").textContent = title;
  byId("confirm-text").textContent = text;
  byId("confirm-yes").textContent = yes;
  byId("confirm-no").textContent = no;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

/** Show the help on keys. */
export function showHelp() {
  if (document.querySelector("dialog[open]")) return;
  byId("keys").replaceChildren(...KEYS.map(keyHelp));
  byId("help-dialog").showModal();
}

function keyHelp([keys, what]) {
  const shown = keys.flatMap((key) => [" ", element("kbd", {}, key)]).slice(1);
  return element("div", {}, element("dt", {}, ...shown), element("dd", {}, what));
}
