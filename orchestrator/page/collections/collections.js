// The collections: lists of files that were submitted together, newest first, above the transcripts.

import { api } from "../api.js";
import { byId, element } from "../element.js";
import { STATUSES, counted, exactly, isOpen, readyBy, since } from "../labels.js";

const SHOWN = 5; // collections; the API lists all
const FRESH_SECONDS = 2;
const SLOW_SECONDS = 15; // between updates when all have ended

let asked = 0; // number of the last request: older requests' replies are ignored
let timer = null;

/** Show the newest collections and start to update them. */
export async function showCollections() {
  const mine = (asked += 1);
  clearTimeout(timer);
  let isBusy = false;
  try {
    const page = await api.collections({ limit: SHOWN });
    if (mine !== asked) return;
    byId("collections").hidden = !page.data.length;
    update(page.data);
    isBusy = page.data.some(isOpen);
  } catch {
    // No message: the next update may succeed, and the list of transcripts says what is wrong.
  }
  if (mine === asked) timer = setTimeout(showCollections, (isBusy ? FRESH_SECONDS : SLOW_SECONDS) * 1000);
}

/** Stop updating, as the list is hidden. */
export function hideCollections() {
  asked += 1;
  clearTimeout(timer);
}

function update(found) {
  const list = byId("collection-rows");
  const rows = new Map([...list.children].map((row) => [row.dataset.id, row]));
  const now = found.map((collection) => {
    const row = rows.get(collection.id) ?? build(collection);
    fill(row, collection);
    return row;
  });
  const isSame = now.length === list.children.length && now.every((row, place) => row === list.children[place]);
  if (!isSame) list.replaceChildren(...now); // else a focused link would lose its focus
}

function build(collection) {
  return element(
    "li",
    { class: "row", "data-id": collection.id },
    element("a", { class: "row-name", href: `#/collections/${collection.id}`, dir: "auto" }, collection.name),
    element("p", { class: "row-meta", title: exactly(collection.created_at) }),
    element("p", { class: "status" }),
    element("progress", { max: 1, value: 0, "aria-label": `Progress of ${collection.name}` }),
  );
}

function fill(row, collection) {
  const [, meta, status, bar] = row.children;
  meta.textContent = [counted(collection.counts), since(collection.created_at), readyBy(collection)].filter(Boolean).join(" · ");
  status.className = `status status-${collection.status}`;
  status.textContent = STATUSES[collection.status];
  bar.hidden = !isOpen(collection);
  bar.value = collection.progress;
}
