// The page: open a session, then show the view that the address names.

import { closeCollection, openCollection } from "./collections/collection.js";
import { hideCollections, showCollections } from "./collections/collections.js";
import { byId } from "./element.js";
import { closeJob, openJob } from "./job/job.js";
import { openBucket } from "./jobs/bucket.js";
import { hideJobs, openJobs, showJobs, showNewJob } from "./jobs/jobs.js";
import { openKeyboard } from "./keyboard.js";
import { listVocabularies, openOptions } from "./jobs/options.js";
import { openSession } from "./session.js";
import { openUploads } from "./jobs/upload.js";

const HEADINGS = { jobs: "job-name", collections: "collection-name" };
let first = true;

async function show() {
  const [, kind, id] = /^#\/(jobs|collections)\/([^/]+)$/.exec(location.hash) ?? [];
  byId("job-view").hidden = kind !== "jobs";
  byId("collection-view").hidden = kind !== "collections";
  byId("list-view").hidden = Boolean(kind);
  scrollTo(0, 0);
  if (!first) byId(HEADINGS[kind] ?? "intake-title").focus({ preventScroll: true });
  first = false;
  if (kind) {
    hideJobs();
    hideCollections();
  }
  if (kind !== "jobs") closeJob();
  if (kind !== "collections") closeCollection();
  if (kind === "jobs") return openJob(decodeURIComponent(id));
  if (kind === "collections") return openCollection(decodeURIComponent(id));
  document.title = "Scriptorium";
  await Promise.all([showCollections(), showJobs()]);
}

let started = false;

openKeyboard();
openJobs();
openUploads((accepted) => (accepted.object === "collection" ? showCollections() : showNewJob(accepted)));
openBucket(showCollections);
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the part after # in the address names the view
  byId("main").focus();
});
openSession(async () => {
  if (!started) {
    started = true;
    window.addEventListener("hashchange", show);
    openOptions();
  } else listVocabularies(); // the key may be another tenant's
  await show();
});
