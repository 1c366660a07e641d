// The page's messages: visible errors, and progress for screen readers.

import { byId, element, icon } from "./element.js";

/** Announce a text to screen readers, politely. */
export function announce(text) {
  const place = byId("announcement");
  if (place.textContent !== text) place.textContent = text;
}

/** Show an error until it is closed. */
export function complain(error) {
  if (error.status === 401) return; // the key dialog is open
  const notice = element("div", { class: "notice", role: "alert" });
  const close = element(
    "button",
    { type: "button", class: "icon-button", "aria-label": "Close", onclick: () => notice.remove() },
    icon("close"),
  );
  notice.append(element("p", {}, error.message), close);
  const place = byId("notices");
  if (place.childElementCount > 3) place.firstElementChild.remove();
  place.append(notice);
  setTimeout(() => notice.remove(), 20_000);
}
