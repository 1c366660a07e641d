// The view of one collection: its progress, its counts, and the lines that failed.

import { api } from "../api.js";
import { confirmed } from "../dialogs.js";
import { byId, element } from "../element.js";
import { STATUSES, counted, exactly, isOpen, readyBy, remaining } from "../labels.js";
import { announce, complain } from "../notices.js";

const FRESH_SECONDS = 2;
const PAGE = 50; // failed lines

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
    this.limit = PAGE;
    byId("collection-name").textContent = "…";
    byId("collection-meta").replaceChildren();
    byId("collection-lines").replaceChildren();
    for (const part of ["actions", "progress", "bad"]) byId(`collection-${part}`).hidden = true;
    byId("collection-cancel").onclick = () => this.act(() => api.cancelCollection(id));
    byId("collection-retry").onclick = () => this.act(() => api.retryCollection(id));
    byId("collection-delete").onclick = () => this.remove();
    byId("collection-more").onclick = () => this.act(async () => (this.limit += PAGE));
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

  /** List the lines that failed or were refused; what is equal is not written again. */
  async showLines(counts, mine) {
    const bad = counts.failed + counts.refused;
    const lines = bad ? await api.badLines(this.id, this.limit) : [];
    if (this.isClosed || mine !== this.asked) return;
    byId("collection-bad").hidden = !lines.length;
    byId("collection-more").hidden = lines.length >= bad;
    const now = JSON.stringify(lines);
    if (now === this.lines) return;
    this.lines = now;
    byId("collection-lines").replaceChildren(...lines.map(row));
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

function row(line) {
  const name = line.job
    ? element("a", { href: `#/jobs/${line.job}`, dir: "auto" }, line.name)
    : element("span", { dir: "auto" }, line.name || "—");
  return element(
    "li",
    { class: "bad-line" },
    element("p", { class: "bad-line-name" }, `Line ${line.line}: `, name),
    element("p", { class: "bad-line-error" }, line.error ? `${line.error.message} ${line.error.hint}` : ""),
    element("code", {}, line.error?.code ?? ""),
  );
}
