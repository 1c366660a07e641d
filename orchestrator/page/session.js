// The session: log-in exchanges an API key for a cookie, log-out deletes the cookie.

import { api } from "./api.js";
import { byId } from "./element.js";
import { complain } from "./notices.js";

const dialog = byId("key-dialog");
let loggedIn = () => {};

/** Ask for a key if one is needed, and again when the session has ended. */
export async function openSession(then) {
  loggedIn = then;
  document.addEventListener("key-needed", ask);
  dialog.addEventListener("cancel", (event) => event.preventDefault()); // the page needs a key
  byId("key-form").addEventListener("submit", enter);
  byId("log-out").addEventListener("click", leave);
  await look();
}

async function look() {
  try {
    const session = await api.session();
    const isLoggedOut = session.tenant === null;
    byId("log-out").hidden = isLoggedOut || session.anonymous;
    if (isLoggedOut && session.needs_key) ask();
    else loggedIn(session);
  } catch (error) {
    complain(error);
    setTimeout(look, 5000);
  }
}

function ask() {
  if (dialog.open) return;
  for (const other of document.querySelectorAll("dialog[open]")) other.close();
  byId("key-error").hidden = true;
  dialog.showModal();
  byId("key-text").focus();
}

async function enter(event) {
  event.preventDefault();
  const field = byId("key-text");
  try {
    await api.logIn(field.value.trim());
    field.value = "";
    dialog.close();
    await look();
  } catch (error) {
    const unknown = "This key is unknown. Check that it is complete and not revoked.";
    byId("key-error").textContent = error.status === 401 ? unknown : error.message;
    byId("key-error").hidden = false;
    field.select();
  }
}

async function leave() {
  try {
    await api.logOut();
    location.assign("/"); // loads the page again, without data of the last session
  } catch (error) {
    complain(error);
  }
}
