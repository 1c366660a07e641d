// The view of a transcript: text, speakers, search and the word that is played.

import { byId, element } from "../element.js";
import { Follower } from "./follow.js";
import { player } from "./player.js";
import { Review } from "./review.js";
import { Search } from "./search.js";
import { Speakers } from "./speakers.js";
import { Transcript } from "./transcript.js";

export class Reading {
  /** Show the text of a job that still runs; speakers come at its end. */
  static live(job) {
    const reading = new Reading(job, null);
    byId("transcript").classList.add("live");
    byId("reading").hidden = true; // until there is something to read
    return reading;
  }

  /** Show the whole text of a finished job. */
  static finished(job, transcript, names, said) {
    const speakers = new Speakers(job.id, names, () => reading.text.rename());
    speakers.show(transcript.segments);
    const review = said ? new Review(job.id, transcript, said) : null;
    const reading = new Reading(job, speakers, transcript.language, review);
    reading.append(review?.shown() ?? transcript.segments);
    review?.open(reading);
    if (!transcript.segments.length) {
      const note = element("p", { class: "transcript-note" }, "This recording has no speech.");
      byId("transcript").append(note);
    }
    byId("reading").hidden = false;
    return reading;
  }

  constructor(job, speakers, language = job.language, review = null) {
    byId("transcript").classList.remove("live");
    this.speakers = speakers;
    this.review = review;
    const isTranslation = job.task === "translate"; // segments name what is spoken
    this.text = new Transcript({
      language: isTranslation ? "en" : language,
      isTranslation,
      voice: (speaker) => speakers?.voice(speaker) ?? { name: speaker, look: "voice-6" },
      chosen: (number) => this.follower.go(number),
      lineChosen: (at) => review?.choose(at),
      look: (at) => review?.look(at) ?? "",
    });
    this.follower = new Follower(this.text.words);
    this.search = new Search(this.text.words);
  }

  /** Add segments that have just been transcribed. */
  append(segments) {
    this.text.append(segments);
    if (segments.length) byId("reading").hidden = false;
    if (byId("find-text").value) this.search.look();
    this.follower.at(player.audio.currentTime, false);
  }

  /** Show a line with another text, and as it looks now. */
  replace(at, segment, look) {
    this.text.replace(at, segment, look);
    this.follower.at(player.audio.currentTime, false);
    if (byId("find-text").value) this.search.mend();
  }

  /** Mark the line that is reviewed; `isShown`: scroll to it. */
  mark(at, isShown) {
    this.text.mark(at, isShown);
  }

  /** Go to the next or previous word, and choose its line, as a click on it does. */
  step(by) {
    const number = this.follower.step(by);
    const line = this.text.words.elements[number]?.closest(".line");
    if (line) this.review?.choose(line.at);
  }

  close() {
    this.follower.close();
    this.search.close();
    this.speakers?.close();
    this.review?.close();
    this.text.close();
    byId("transcript").classList.remove("live");
    byId("reading").hidden = true;
  }
}
