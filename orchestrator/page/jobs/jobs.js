// The list of transcripts: newest first, page by page, updated while jobs run.

import { api } from "../api.js";
import { byId, element } from "../element.js";
import { complain } from "../notices.js";
import { STATUSES, clock, exactly, isOpen, readyBy, since, spokenIn } from "../labels.js";

const PAGE = 20; // jobs
const FRESH_SECONDS = 2;
const SLOW_SECONDS = 15; // between updates when no job runs, for new jobs of other clients

const rows = new Map(); // id -> Row, in the order of the list
let cursor = null;
let asked = 0; // number of the last request: older requests' replies are ignored
let timer = null;

/** Connect the filter and the button below the list. */
export function openJobs() {
  const status = byId("filter-status");
  status.append(...Object.entries(STATUSES).map(([value, text]) => element("option", { value }, text)));
  status.addEventListener("change", () => showJobs());
  byId("filter-name").addEventListener("input", filter);
  byId("jobs-filter").addEventListener("submit", (event) => event.preventDefault());
  byId("jobs-more").addEventListener("click", more);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && timer) refresh();
  });
}

/** Read the first page and start to update it. */
export async function showJobs() {
  const mine = (asked += 1);
  try {
    const page = await api.jobs({ limit: PAGE, status: byId("filter-status").value });
    if (mine !== asked) return;
    rows.clear();
    byId("job-rows").replaceChildren();
    add(page);
  } catch (error) {
    complain(error);
  }
  schedule();
}

/** Stop updating, as the list is hidden. */
export function hideJobs() {
  asked += 1;
  clearTimeout(timer);
  timer = null;
}

/** Put a job that was just accepted at the top. */
export function showNewJob(job) {
  const status = byId("filter-status").value;
  if (!rows.has(job.id) && (!status || status === job.status)) place(job, true);
  filter();
  schedule();
}

async function more() {
  const mine = asked;
  const button = byId("jobs-more");
  button.disabled = true;
  try {
    const page = await api.jobs({ limit: PAGE, cursor, status: byId("filter-status").value });
    if (mine === asked) add(page);
  } catch (error) {
    complain(error);
  }
  button.disabled = false;
}

function add(page) {
  for (const job of page.data) place(job, false);
  cursor = page.next_cursor;
  filter();
}

function place(job, first) {
  const known = rows.get(job.id);
  if (known) return known.show(job);
  const row = new Row(job);
  rows.set(job.id, row);
  const list = byId("job-rows");
  if (first) list.prepend(row.item);
  else list.append(row.item);
  return row;
}

function schedule() {
  clearTimeout(timer);
  const runs = [...rows.values()].some((row) => isOpen(row.job));
  timer = setTimeout(refresh, (runs ? FRESH_SECONDS : SLOW_SECONDS) * 1000);
}

async function refresh() {
  if (document.hidden) return;
  const mine = asked;
  const status = byId("filter-status").value;
  try {
    const page = await api.jobs({ limit: PAGE, status });
    if (mine !== asked) return;
    const seen = new Set(page.data.map((job) => job.id));
    for (const job of page.data.toReversed()) place(job, !rows.has(job.id));
    const rest = [...rows.values()].filter((row) => isOpen(row.job) && !seen.has(row.job.id));
    await Promise.all(rest.slice(0, PAGE).map((row) => refreshRow(row)));
    if (mine !== asked) return;
    filter();
  } catch {
    // No message: the next update may succeed, and until then an old list is shown.
  }
  if (mine === asked) schedule();
}

async function refreshRow(row) {
  try {
    row.show(await api.job(row.job.id));
  } catch (error) {
    if (error.status !== 404) throw error;
    rows.delete(row.job.id);
    row.item.remove();
  }
}

function filter() {
  const wanted = byId("filter-name").value.trim().toLowerCase();
  let found = 0;
  for (const row of rows.values()) {
    const fits = row.job.name.toLowerCase().includes(wanted);
    row.item.hidden = !fits;
    found += fits;
  }
  byId("jobs-more").hidden = !cursor;
  const note = byId("jobs-note");
  note.hidden = found > 0 && !(wanted && cursor);
  if (!rows.size) note.textContent = cursor ? "None among the newest. Load more to search older ones." : "No transcripts yet.";
  else if (cursor) note.textContent = `${found} of the newest ${rows.size} match. Load more to look further back.`;
  else note.textContent = "No name matches.";
}

class Row {
  constructor(job) {
    this.name = element("a", { class: "row-name", href: `#/jobs/${job.id}`, dir: "auto" }, job.name);
    this.meta = element("p", { class: "row-meta" });
    this.status = element("p", { class: "status" });
    this.bar = element("progress", { max: 1, value: 0, "aria-label": `Progress of ${job.name}` });
    this.item = element("li", { class: "row" }, this.name, this.meta, this.status, this.bar);
    this.show(job);
  }

  show(job) {
    this.job = job;
    const parts = [since(job.created_at)];
    if (job.audio_seconds) parts.unshift(clock(job.audio_seconds));
    if (spokenIn(job)) parts.push(spokenIn(job));
    parts.push(job.model);
    if (readyBy(job)) parts.push(readyBy(job));
    this.meta.textContent = parts.join(" · ");
    this.meta.title = exactly(job.created_at);
    this.status.className = `status status-${job.status}`;
    this.status.textContent = STATUSES[job.status] ?? job.status;
    this.bar.hidden = !isOpen(job);
    this.bar.value = job.progress;
  }
}
