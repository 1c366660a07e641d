// A job's live events; lost connections are opened again.

import { jobPath } from "../api.js";

const RETRY_SECONDS = 3;

/** Watches one job. The browser reconnects by itself and sends the id of its last event. */
export class JobEvents {
  /** The listener is an object with the functions `job`, `segments`, `end`, `lost` and `back`. */
  constructor(id, listener) {
    this.id = id;
    this.listener = listener;
    this.open();
  }

  open() {
    const source = new EventSource(jobPath(this.id, "/events"));
    this.source = source;
    source.addEventListener("open", () => this.listener.back());
    source.addEventListener("job", (event) => this.listener.job(JSON.parse(event.data)));
    source.addEventListener("segments", (event) => this.listener.segments(JSON.parse(event.data)));
    source.addEventListener("end", (event) => {
      this.close();
      this.listener.end(JSON.parse(event.data));
    });
    source.addEventListener("error", () => {
      this.listener.lost();
      // An error reply (503, a proxy's page) closes the source for good: open a new one.
      if (source.readyState === EventSource.CLOSED && source === this.source) {
        this.timer = setTimeout(() => this.open(), RETRY_SECONDS * 1000);
      }
    });
  }

  close() {
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
  }
}
