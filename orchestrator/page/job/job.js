// The view of one job: its progress while it runs, its transcript when it is done.

import { api, jobPath } from "../api.js";
import { confirmed } from "../dialogs.js";
import { byId } from "../element.js";
import { JobEvents } from "./events.js";
import { complain } from "../notices.js";
import { player } from "./player.js";
import { forgetSearch } from "./search.js";
import { Reading } from "./reading.js";
import { showJob, showMissing, showProgress } from "./job_head.js";
import { hasTranscript, isOpen } from "../labels.js";

let open = null;

/** Show the job with that id. */
export async function openJob(id) {
  closeJob();
  open = new JobView(id);
  await open.load();
}

/** Close the view; stop watching and playing. */
export function closeJob() {
  open?.close();
  open = null;
}

/** Return the transcript that is on the page now, for the keyboard. */
export function openReading() {
  return open?.reading ?? null;
}

class JobView {
  constructor(id) {
    this.id = id;
    forgetSearch();
    showMissing("");
    byId("job-name").textContent = "…";
    byId("job-cancel").onclick = () => this.cancel();
    byId("job-retry").onclick = () => this.act(() => api.retry(id));
    byId("job-delete").onclick = () => this.remove();
  }

  get isGone() {
    return open !== this;
  }

  async load() {
    try {
      const job = await api.job(this.id);
      if (!this.isGone) this.take(job);
    } catch (error) {
      if (this.isGone) return;
      if (error.status === 404) showMissing(error.message);
      else complain(error);
    }
  }

  take(job) {
    this.show(job);
    if (isOpen(job)) this.watch();
    else this.finish(job);
  }

  show(job) {
    this.job = job;
    showJob(job);
    if (job.audio_seconds) player.open(jobPath(this.id, "/audio"));
  }

  watch() {
    this.reading?.close();
    this.reading = Reading.live(this.job);
    this.seen = new Set(); // as a new connection repeats all events
    this.events = new JobEvents(this.id, {
      job: (job) => this.show(job),
      segments: ({ chunk, segments }) => {
        if (this.seen.has(chunk)) return;
        this.seen.add(chunk);
        this.reading.append(segments);
      },
      end: (job) => {
        byId("job-connection").hidden = true;
        this.show(job);
        this.finish(job);
      },
      lost: () => this.lost(),
      back: () => (byId("job-connection").hidden = true),
    });
  }

  async lost() {
    if (!this.isGone) byId("job-connection").hidden = false;
    try {
      await api.job(this.id); // asks for a key if the session has ended
    } catch (error) {
      if (this.isGone || error.status !== 404) return;
      this.close();
      showMissing(error.message);
    }
  }

  async finish(job) {
    if (!hasTranscript(job)) {
      this.reading?.close();
      this.reading = null;
      player.close();
      return;
    }
    try {
      const [transcript, names, said] = await Promise.all([
        api.transcript(this.id),
        api.speakers(this.id).catch(() => ({})),
        api.corrections(this.id).catch(() => null), // without them the text can still be read
      ]);
      if (this.isGone) return;
      this.reading?.close();
      this.reading = Reading.finished(job, transcript, names, said);
    } catch (error) {
      if (!this.isGone) complain(error);
    }
  }

  async act(call) {
    try {
      const job = await call();
      if (this.isGone) return;
      this.events?.close();
      this.events = null;
      if (job) this.take(job);
    } catch (error) {
      complain(error);
    }
  }

  async cancel() {
    const sure = await confirmed({
      title: "Cancel this job?",
      text: "Finished parts are kept; you can try the job again.",
      yes: "Cancel the job",
      no: "Let it run",
    });
    if (sure) await this.act(() => api.cancel(this.id));
  }

  async remove() {
    const sure = await confirmed({
      title: "Delete it for good?",
      text: `${this.job.name}: the recording and its transcript are removed from the cluster.`,
      yes: "Delete",
    });
    if (!sure) return;
    try {
      await api.remove(this.id);
      location.hash = "#/";
    } catch (error) {
      complain(error);
    }
  }

  close() {
    this.events?.close();
    this.events = null;
    this.reading?.close();
    this.reading = null;
    player.close();
    showProgress(null);
  }
}
