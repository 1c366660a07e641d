// The view of one collection: its progress, its counts, what failed, and what has a transcript.

import { api } from "../api.js";
import { confirmed } from "../dialogs.js";
import { byId, element } from "../element.js";
import { STATUSES, counted, exactly, isOpen, readyBy, remaining } from "../labels.js";
import { announce, complain } from "../notices.js";
import { Lines, badRow, goodRow } from "./lines.js";

const FRESH_SECONDS = 2;

let open = null;

/** Show the collection with that id, and update it while it goes on. */
export async function openCollection(id) {
  closeCollection();
  open = new CollectionView(id);
  await open.load();
}

/** Close the view; stop updating it. */
export function closeCollection() {
  open?.close();
  open = null;
}

class CollectionView {
  constructor(id) {
    this.id = id;
    const more = () => this.load();
    this.bad = new Lines("collection-bad", "Not transcribed", ["failed", "refused"], badRow, more);
    this.good = new Lines("collection-good", "Transcribed", ["completed", "partial"], goodRow, more);
    byId("collection-name").textContent = "…";
    byId("collection-meta").replaceChildren();
    for (const part of ["actions", "progress"]) byId(`collection-${part}`).hidden = true;
    byId("collection-cancel").onclick = () => this.act(() => api.cancelCollection(id));
    byId("collection-retry").onclick = () => this.act(() => api.retryCollection(id));
    byId("collection-delete").onclick = () => this.remove();
  }

  close() {
    this.isClosed = true;
    clearTimeout(this.timer);
  }

  async load() {
    clearTimeout(this.timer);
    const mine = (this.asked = (this.asked ?? 0) + 1);
    try {
      const found = await api.collection(this.id);
      if (this.isClosed || mine !== this.asked) return;
      this.show(found);
      await this.showLines(found.counts, mine);
      if (this.isClosed || mine !== this.asked) return;
      if (isOpen(found)) this.timer = setTimeout(() => this.load(), FRESH_SECONDS * 1000);
    } catch (error) {
      if (this.isClosed) return;
      if (error.status === 404) byId("collection-name").textContent = "There is no such collection";
      else if (error.status) complain(error);
      if (error.status !== 404) this.timer = setTimeout(() => this.load(), FRESH_SECONDS * 1000);
    }
  }

  show(found) {
    this.name = found.name;
    byId("collection-name").textContent = found.name;
    document.title = `${found.name} · Scriptorium`;
    byId("collection-meta").replaceChildren(
      element("span", { class: `status status-${found.status}` }, STATUSES[found.status]),
      element("span", { id: "collection-counts" }, counted(found.counts)),
      element("span", {}, exactly(found.created_at)),
      ...(readyBy(found) ? [element("span", {}, readyBy(found))] : []),
    );
    const bad = found.counts.failed + found.counts.refused;
    byId("collection-actions").hidden = false;
    byId("collection-cancel").hidden = !isOpen(found);
    byId("collection-retry").hidden = isOpen(found) || !bad;
    byId("collection-retry").textContent = `Try ${bad} again`;
    byId("collection-delete").hidden = isOpen(found);
    byId("collection-progress").hidden = !isOpen(found);
    const percent = Math.floor(found.progress * 100);
    const eta = remaining(found.eta_seconds);
    byId("collection-step").textContent = found.round > 1 ? "Trying again" : "Working";
    byId("collection-eta").textContent = eta ? `${percent} %, ${eta}` : `${percent} %`;
    byId("collection-bar").value = found.progress;
    announce(isOpen(found) ? `${Math.floor(percent / 10) * 10} %` : `${STATUSES[found.status]}.`);
  }

  /** List the lines that failed or were refused, and those with a transcript. */
  async showLines({ failed, refused, completed, partial }, mine) {
    const [bad, good] = [failed + refused, completed + partial];
    const found = await Promise.all([this.bad.read(this.id, bad), this.good.read(this.id, good)]);
    if (this.isClosed || mine !== this.asked) return;
    this.bad.show(found[0], bad);
    this.good.show(found[1], good);
  }

  async act(action) {
    try {
      await action();
      await this.load();
    } catch (error) {
      complain(error);
    }
  }

  async remove() {
    const text = "Its recordings and all transcripts that came of it are removed for good.";
    if (!(await confirmed({ title: `Delete ${this.name}?`, text, yes: "Delete all" }))) return;
    try {
      await api.removeCollection(this.id);
      location.hash = "#/";
    } catch (error) {
      complain(error);
    }
  }
}
