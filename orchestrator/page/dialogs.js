// The dialogs that confirm an action that cannot be undone, and the help.

import { byId } from "./element.js";

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
  if (!document.querySelector("dialog[open]")) byId("help-dialog").showModal();
}
