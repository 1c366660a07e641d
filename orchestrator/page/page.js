// The page: open a session, then show the view that the address names.

import { byId } from "./element.js";
import { closeJob, openJob } from "./job/job.js";
import { hideJobs, openJobs, showJobs, showNewJob } from "./jobs/jobs.js";
import { openKeyboard } from "./keyboard.js";
import { openOptions } from "./jobs/options.js";
import { openSession } from "./session.js";
import { openUploads } from "./jobs/upload.js";

let first = true;

async function show() {
  const job = /^#\/jobs\/([^/]+)$/.exec(location.hash)?.[1];
  byId("job-view").hidden = !job;
  byId("list-view").hidden = Boolean(job);
  scrollTo(0, 0);
  if (!first) byId(job ? "job-name" : "intake-title").focus({ preventScroll: true });
  first = false;
  if (job) {
    hideJobs();
    await openJob(decodeURIComponent(job));
  } else {
    closeJob();
    document.title = "Scriptorium";
    await showJobs();
  }
}

let started = false;

openKeyboard();
openJobs();
openUploads(showNewJob);
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the part after # in the address names the view
  byId("main").focus();
});
openSession(async () => {
  if (!started) {
    started = true;
    window.addEventListener("hashchange", show);
    openOptions();
  }
  await show();
});
