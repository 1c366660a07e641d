// What people have said of one transcript's lines. Changes are sent by line, so that two editors
// do not lose each other's.

import { api } from "../api.js";
import { complain } from "../notices.js";

/** Return a segment as a correction shows it: another text and its words, or the same ones. */
export function corrected(segment, line) {
  if (line?.action !== "corrected") return segment;
  return { ...segment, text: line.text, words: line.words };
}

/** The corrections of one run's transcript. */
export class Corrections {
  /** `changed(segment)` is called for each line that was changed, here or by another editor. */
  constructor(id, said, changed) {
    this.id = id;
    this.run = said.run;
    this.changed = changed;
    this.lines = new Map();
    this.take(said);
    this.look = () => {
      if (document.visibilityState === "visible") this.refresh().catch(() => {}); // tried again later
    };
    document.addEventListener("visibilitychange", this.look);
  }

  /** Return what was said of a line; undefined if nothing was. */
  of(segment) {
    return this.lines.get(segment);
  }

  /** Send a change of a line; return whether it was stored. Complains if it was not. */
  async change(segment, start, action, text) {
    const line = { segment, start, action, ...(text === undefined ? {} : { text }) };
    try {
      this.take(await api.correct(this.id, { run: this.run, version: this.version, lines: [line] }));
      return true;
    } catch (error) {
      if (error.code !== "correction_conflict") complain(error);
      else await this.tellConflict(segment).catch(complain);
      return false;
    }
  }

  async tellConflict(segment) {
    const said = await api.corrections(this.id);
    this.take(said);
    const by = this.of(segment)?.by;
    const who = by && by !== "anonymous" ? `${by} has` : "Another editor has";
    complain({
      message:
        said.run === this.run
          ? `${who} changed this line meanwhile. Do yours again to replace that.`
          : "A new try has made another transcript. Open the job again to see it.",
    });
  }

  /** Take over what other editors have said meanwhile. */
  async refresh() {
    this.take(await api.corrections(this.id));
  }

  take(said) {
    if (said.run !== this.run || said.version < this.version) return; // of another transcript, or old
    const before = this.lines;
    this.version = said.version;
    this.lines = new Map(said.lines.map((line) => [line.segment, line]));
    for (const segment of new Set([...before.keys(), ...this.lines.keys()])) {
      if (before.get(segment)?.version !== this.lines.get(segment)?.version) this.changed(segment);
    }
  }

  close() {
    document.removeEventListener("visibilitychange", this.look);
  }
}
