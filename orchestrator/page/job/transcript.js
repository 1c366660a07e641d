// The text on the page: segments become paragraphs of words that can be clicked.

import { byId, element } from "../element.js";
import { clock } from "../labels.js";
import { Words, pieces, spaceBetween } from "./word_index.js";

const PAUSE_SECONDS = 2.5; // a longer silence starts a paragraph
const LONG_CHARACTERS = 500; // after so much text the next segment starts a paragraph
const WORDS_A_SLICE = 4000; // drawn at once; the page stays responsive between slices

/** Segments of one speaker that are read as one paragraph. */
function paragraphs(segments) {
  const found = [];
  let last = null;
  for (const segment of segments) {
    const follows =
      last &&
      last.speaker === segment.speaker &&
      segment.start - last.end < PAUSE_SECONDS &&
      last.characters < LONG_CHARACTERS;
    if (!follows) {
      last = { speaker: segment.speaker, start: segment.start, characters: 0, segments: [] };
      found.push(last);
    }
    last.segments.push(segment);
    last.characters += segment.text.length;
    last.end = segment.end;
  }
  return found;
}

/** One job's text, in the article of the page. */
export class Transcript {
  /** `chosen(number)` is called with a clicked word's number; `voice` returns name and colour. */
  constructor({ chosen, voice, language }) {
    this.article = byId("transcript");
    this.article.replaceChildren();
    this.article.lang = language ?? "";
    this.article.onclick = (event) => this.click(event);
    this.chosen = chosen;
    this.voice = voice;
    this.words = new Words();
    this.heads = []; // each paragraph's speaker: its element and its key
    this.last = ""; // the last segment's text
    this.waiting = [];
  }

  /** Add segments at the end. Words can be looked up immediately, and are drawn in slices. */
  append(segments) {
    for (const paragraph of paragraphs(segments)) {
      this.waiting.push({ ...paragraph, runs: this.runs(paragraph.segments) });
    }
    if (!this.drawing) this.draw();
  }

  /** Return a paragraph's text in pieces; words have a number. */
  runs(segments) {
    const runs = [];
    for (const segment of segments) {
      const text = segment.text.trim();
      if (!text) continue;
      const space = spaceBetween(this.last, text);
      this.words.write(space); // so that the search finds phrases across paragraphs
      if (runs.length) runs.push({ text: space });
      for (const run of pieces(segment)) {
        if (run.start === undefined) this.words.write(run.text);
        else run.number = this.words.add(run.text, run.start);
        runs.push(run);
      }
      this.last = text;
    }
    return runs;
  }

  draw() {
    const slice = document.createDocumentFragment();
    let drawn = 0;
    while (this.waiting.length && drawn < WORDS_A_SLICE) {
      const paragraph = this.waiting.shift();
      slice.append(this.paragraph(paragraph));
      drawn += paragraph.runs.length;
    }
    this.article.append(slice);
    this.drawing = this.waiting.length ? setTimeout(() => this.draw()) : null;
  }

  paragraph({ speaker, start, runs }) {
    const said = element("p", { class: "said", dir: "auto" });
    for (const { text, number } of runs) {
      if (number === undefined) {
        said.append(text);
        continue;
      }
      const word = document.createElement("span");
      word.className = "word";
      word.textContent = text;
      word.number = number;
      this.words.elements[number] = word;
      said.append(word);
    }
    const time = element("button", { type: "button", class: "time", "aria-label": `Play from ${clock(start)}` }, clock(start));
    time.number = runs.find((run) => run.number !== undefined)?.number;
    const head = element("div", { class: "paragraph-head" });
    const made = element("div", { class: "paragraph" }, head, said);
    if (speaker) {
      const { name, look } = this.voice(speaker);
      const label = element("span", { class: "speaker", dir: "auto" }, name);
      label.speaker = speaker;
      this.heads.push(label);
      head.append(label);
      made.classList.add(look);
    }
    head.append(time);
    return made;
  }

  /** Write the speakers' names again. */
  rename() {
    for (const label of this.heads) label.textContent = this.voice(label.speaker).name;
  }

  /** Stop drawing, as another transcript is shown. */
  close() {
    clearTimeout(this.drawing);
    this.waiting = [];
    this.article.onclick = null;
    this.article.replaceChildren();
  }

  click(event) {
    const target = event.target.closest(".word, .time, .speaker");
    if (!target || !getSelection().isCollapsed) return; // the reader selects text, to copy it
    if (target.speaker) document.dispatchEvent(new CustomEvent("speaker-chosen", { detail: target.speaker }));
    else if (target.number !== undefined) this.chosen(target.number);
  }
}
