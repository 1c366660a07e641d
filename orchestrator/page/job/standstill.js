// Say why a job's progress bar does not move, after it has not moved for a while.

import { byId } from "../element.js";
import { announce } from "../notices.js";
import { standstill } from "../labels.js";

const LOOK_MILLISECONDS = 1000;
let watched = null; // the job as it is now
let step = ""; // its id, run, stage and progress
let changed = 0; // when they last changed
let timer = 0;

/** Take a job's newest state; none when it is no longer watched. */
export function watchStep(job) {
  const now = job ? JSON.stringify([job.id, job.run, job.stage, job.progress]) : "";
  watched = job;
  if (now === step) return;
  step = now;
  changed = performance.now();
  clearInterval(timer);
  if (job) timer = setInterval(look, LOOK_MILLISECONDS);
  look();
}

function look() {
  const text = watched ? standstill(watched, (performance.now() - changed) / 1000) : "";
  const place = byId("job-standstill");
  if (text && place.hidden) announce(text); // once: a screen reader need not read each new count of seconds
  if (place.textContent !== text) place.textContent = text;
  place.hidden = !text;
}
