// The head of a job: name, facts, actions, progress and remarks.

import { offerDownloads } from "./downloads.js";
import { byId, element } from "../element.js";
import { announce } from "../notices.js";
import { player } from "./player.js";
import { watchStep } from "./standstill.js";
import { STAGES, STATUSES, clock, exactly, hasTranscript, isOpen, readyBy, remaining, remarks, spokenIn } from "../labels.js";

let shown = ""; // the remarks on the page now, so that equal ones are not written again

/** Show everything about a job except its text. */
export function showJob(job) {
  byId("job-name").textContent = job.name;
  document.title = `${job.name} · Scriptorium`;
  const facts = [exactly(job.created_at), job.model];
  if (spokenIn(job)) facts.unshift(spokenIn(job));
  if (readyBy(job)) facts.push(readyBy(job));
  if (job.audio_seconds) facts.unshift(clock(job.audio_seconds));
  byId("job-meta").replaceChildren(
    element("span", { class: `status status-${job.status}` }, STATUSES[job.status] ?? job.status),
    ...facts.map((fact) => element("span", {}, fact)),
  );
  byId("downloads").hidden = !hasTranscript(job);
  if (hasTranscript(job) && byId("downloads").dataset.job !== job.id) {
    byId("downloads").dataset.job = job.id;
    offerDownloads(job.id);
  }
  byId("job-cancel").hidden = !isOpen(job);
  byId("job-retry").hidden = !["partial", "failed", "canceled"].includes(job.status);
  byId("job-delete").hidden = isOpen(job);
  byId("job-actions").hidden = false;
  showProgress(isOpen(job) ? job : null);
  showRemarks(job);
  if (!isOpen(job)) announce(`${STATUSES[job.status]}.`);
}

/** Show the progress of a job that runs; hide it without a job. */
export function showProgress(job) {
  byId("job-progress").hidden = !job;
  watchStep(job);
  if (!job) {
    byId("job-connection").hidden = true;
    return;
  }
  const percent = Math.floor(job.progress * 100);
  const stage = job.status === "queued" ? "Waiting for a worker" : (STAGES[job.stage] ?? "Working");
  byId("job-stage").textContent = stage;
  const eta = remaining(job.eta_seconds);
  byId("job-eta").textContent = eta ? `${percent} %, ${eta}` : `${percent} %`;
  byId("job-bar").value = job.progress;
  announce(`${stage}, ${Math.floor(percent / 10) * 10} %`); // only each 10 %, for screen readers
}

/** Show that there is no such job. */
export function showMissing(message) {
  byId("job-name").textContent = message ? "There is no such job" : "";
  byId("job-meta").replaceChildren();
  byId("job-actions").hidden = true;
  byId("reading").hidden = true;
  showProgress(null);
  shown = "";
  byId("job-notices").replaceChildren(...(message ? [failure(message)] : []));
}

function showRemarks(job) {
  const { error, warnings } = job;
  const now = JSON.stringify([job.id, error, warnings]);
  if (now === shown) return;
  shown = now;
  const told = warnings.length ? [forReaders(warnings)] : [];
  if (error) told.unshift(failure(error.message, error.hint));
  byId("job-notices").replaceChildren(...told);
}

function failure(message, hint) {
  const made = element("div", { class: "remark error" }, element("p", {}, element("strong", {}, message)));
  if (hint) made.append(element("p", {}, hint));
  return made;
}

/** Show remarks: lost parts in a line each, all others in one line, and the original warnings. */
function forReaders(warnings) {
  const kinds = remarks(warnings);
  const lost = kinds.filter((kind) => kind.lost);
  const quiet = kinds.filter((kind) => !kind.lost).map(({ text }) => `${text}. `);
  const messages = [...new Set(warnings.map(inFull))];
  return element(
    "section",
    { class: "remarks", "aria-label": "About this transcript" },
    ...lost.map(loss),
    element(
      "details",
      {},
      element("summary", {}, ...quiet, element("span", { class: "remarks-more" }, "Details")),
      element("ul", {}, ...messages.map((message) => element("li", {}, message))),
    ),
  );
}

function loss({ text, places, more }) {
  const made = element("p", { class: "loss" }, text);
  places.forEach((place, number) => {
    const isLast = number === places.length - 1;
    const mark = !isLast ? "," : more ? "" : ".";
    made.append(number ? " " : ": ", element("span", { class: "place" }, placeButton(place), mark));
  });
  if (more || !places.length) made.append(more ? ` and ${more} more.` : ".");
  return made;
}

function placeButton({ start, end }) {
  const go = () => player.seek(start);
  return element("button", { type: "button", title: `Go to ${clock(start)}`, onclick: go }, span(start, end));
}

function inFull({ message, start, end }) {
  return typeof start === "number" ? `${span(start, end)}: ${message}` : message;
}

function span(start, end) {
  return typeof end === "number" ? `${clock(start)}–${clock(Math.ceil(end))}` : `from ${clock(start)}`;
}
