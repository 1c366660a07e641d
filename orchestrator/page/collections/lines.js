// Lines of a collection in one section of its view: those in some states, page by page.

import { api } from "../api.js";
import { byId, element } from "../element.js";
import { STATUSES } from "../labels.js";

const PAGE = 50; // lines

/** A section's list; `row` makes a line's element, `more` is called when more are wanted. */
export class Lines {
  constructor(id, title, statuses, row, more) {
    this.statuses = statuses;
    this.row = row;
    this.limit = PAGE;
    this.rows = new Map(); // by what they show, so that a focused link stays
    this.list = element("ul", { "aria-labelledby": `${id}-title` });
    const next = () => {
      this.limit += PAGE;
      more();
    };
    this.more = element("button", { type: "button", class: "load-more", onclick: next }, "Load more");
    this.section = byId(id);
    this.section.hidden = true;
    this.section.replaceChildren(element("h2", { id: `${id}-title` }, title), this.list, this.more);
  }

  /** Read the lines that are shown; `total`: how many there are. */
  async read(id, total) {
    return total ? api.lines(id, this.statuses, this.limit) : [];
  }

  /** Show lines that were read. */
  show(lines, total) {
    this.section.hidden = !lines.length;
    this.more.hidden = lines.length >= total;
    const before = this.rows;
    this.rows = new Map();
    for (const line of lines) {
      const key = JSON.stringify(line);
      this.rows.set(key, before.get(key) ?? this.row(line));
    }
    const now = [...this.rows.values()];
    const isSame = now.length === before.size && now.every((row, at) => row === this.list.children[at]);
    if (isSame) return;
    const focused = document.activeElement;
    this.list.replaceChildren(...now);
    if (this.list.contains(focused)) focused.focus({ preventScroll: true });
  }
}

/** A line with a transcript. */
export function goodRow({ name, job, status }) {
  return element(
    "li",
    { class: "row" },
    element("a", { class: "row-name", href: `#/jobs/${job}`, dir: "auto" }, name),
    element("p", { class: `status status-${status}` }, STATUSES[status]),
  );
}

/** A line that failed or was refused, and why. */
export function badRow(line) {
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
