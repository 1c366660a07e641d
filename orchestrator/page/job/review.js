// The review of a transcript: from doubt to doubt, worst first or in order, and what to say of each.

import { announce, complain } from "../notices.js";
import { Corrections, corrected } from "./corrections.js";
import { player } from "./player.js";
import { ReviewBar } from "./review_bar.js";

/** The places to listen to in one transcript, and the line that is looked at now. */
export class Review {
  /** `segments` are as the models wrote them; `text` is the Transcript that shows them. */
  constructor(id, { segments, review = [] }, said) {
    this.segments = segments;
    this.places = review.filter(({ segment }) => segment === undefined || segments[segment]);
    this.now = null; // a place, or one made for a line without a doubt
    this.text = null;
    this.corrections = new Corrections(id, said, (segment) => this.redraw(segment));
    this.bar = new ReviewBar(this);
  }

  /** Return the segments as they are shown at first. */
  shown() {
    return this.segments.map((segment, at) => corrected(segment, this.corrections.of(at)));
  }

  /** Return how a line looks: what was said of it, or that it is in doubt. */
  look(at) {
    return this.corrections.of(at)?.action ?? (this.segments[at]?.flags?.length ? "flagged" : "");
  }

  open(text) {
    this.text = text;
    this.bar.show();
  }

  /** Return the segment of the current place; undefined if it has no text. */
  get segment() {
    return this.now ? this.segments[this.now.segment] : undefined;
  }

  /** Return what was said of the current line. */
  get line() {
    return this.segment && this.corrections.of(this.now.segment);
  }

  isSettled(place) {
    return place.segment !== undefined && this.corrections.of(place.segment) !== undefined;
  }

  ordered() {
    if (this.bar.isWorstFirst) return this.places;
    return [...this.places].sort((one, other) => one.start - other.start);
  }

  /** Go to the next or previous place that is not settled. */
  step(by) {
    if (this.bar.isWriting) return void complain({ message: "Save the line that you are writing, or leave it, first." });
    const places = this.ordered();
    if (!places.length) return;
    const from = places.indexOf(this.now);
    for (let tried = 1; tried <= places.length; tried += 1) {
      const at = from < 0 && by < 0 ? places.length - tried : from + by * tried;
      const place = places[((at % places.length) + places.length) % places.length];
      if (this.isSettled(place) || place === this.now) continue;
      this.goTo(place);
      player.seek(place.start);
      return;
    }
    announce("Every other place is settled.");
  }

  /** Look at a line that the reader has chosen. */
  choose(at) {
    if (this.now?.segment === at) return;
    const { start, end } = this.segments[at];
    const place = this.places.find(({ segment }) => segment === at);
    this.goTo(place ?? { start, end, codes: [], segment: at }, false);
  }

  goTo(place, isShown = true) {
    if (place === this.now || this.bar.isWriting) return; // what is being written is not lost
    this.now = place;
    this.bar.show(); // first, as it covers a part of the text
    if (this.text) this.text.mark(place.segment, isShown);
  }

  /** Play the current place, from its start to its end. */
  listen() {
    if (this.now) player.playSpan(this.now.start, this.now.end);
  }

  /** Say something of the current line; return whether it was stored. */
  async say(action, text) {
    if (!this.segment) return false;
    if (action === "confirmed" && this.line) return false; // it would undo what was said
    const { segment } = this.now;
    const isStored = await this.corrections.change(segment, this.segments[segment].start, action, text);
    if (isStored) announce(`The line is ${SAID[action]}.`);
    return isStored;
  }

  /** Open the editor of the line that is looked at, or of the one that is played. */
  edit() {
    const { currentTime } = player.audio;
    const at = this.segments.findLastIndex(({ start }) => start <= currentTime + 0.005);
    if (!this.now && at >= 0) this.choose(at);
    this.bar.edit();
  }

  redraw(at) {
    if (!this.text) return; // the first ones: nothing is drawn so far
    this.text.replace(at, corrected(this.segments[at], this.corrections.of(at)), this.look(at));
    this.bar.show();
  }

  close() {
    this.corrections.close();
    this.bar.close();
  }
}

const SAID = {
  corrected: "corrected",
  confirmed: "confirmed",
  refused: "left out",
  none: "as the model wrote it",
};
