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
  /**
   * `chosen(number)` is called with a clicked word's number, `lineChosen(place)` with its line's;
   * `voice` returns name and colour, `look(place)` the class of a line; `language` is the text's.
   */
  constructor({ chosen, lineChosen = () => {}, voice, look = () => "", language, isTranslation }) {
    this.article = byId("transcript");
    this.article.replaceChildren();
    this.article.lang = language ?? "";
    this.isTranslation = isTranslation;
    this.article.onclick = (event) => this.click(event);
    this.chosen = chosen;
    this.lineChosen = lineChosen;
    this.voice = voice;
    this.look = look;
    this.words = new Words();
    this.heads = []; // each paragraph's speaker: its element and its key
    this.lines = []; // of each segment that has text, by its place
    this.count = 0; // of segments
    this.last = ""; // the last segment's text
    this.waiting = [];
  }

  /** Add segments at the end. Words can be looked up immediately, and are drawn in slices. */
  append(segments) {
    for (const paragraph of paragraphs(segments)) {
      this.waiting.push({ ...paragraph, lines: this.taken(paragraph.segments) });
    }
    if (!this.drawing) this.draw();
  }

  /** Return the lines of a paragraph; the words of their pieces have numbers. */
  taken(segments) {
    const lines = [];
    for (const segment of segments) {
      const line = { at: this.count, segment };
      this.count += 1;
      if (!segment.text.trim()) continue;
      this.index(line);
      this.lines[line.at] = line;
      lines.push(line);
    }
    return lines;
  }

  /** Add a line's words to the index, and give its pieces their numbers. */
  index(line) {
    const text = line.segment.text.trim();
    line.space = spaceBetween(this.last, text);
    this.words.write(line.space); // so that the search finds phrases across paragraphs
    line.runs = pieces(line.segment);
    for (const run of line.runs) {
      if (run.start === undefined) this.words.write(run.text);
      else run.number = this.words.add(run.text, run.start);
    }
    this.last = text;
  }

  draw() {
    const slice = document.createDocumentFragment();
    let drawn = 0;
    while (this.waiting.length && drawn < WORDS_A_SLICE) {
      const paragraph = this.waiting.shift();
      slice.append(this.paragraph(paragraph));
      drawn += paragraph.lines.reduce((sum, { runs }) => sum + runs.length, 0);
    }
    this.article.append(slice);
    this.drawing = this.waiting.length ? setTimeout(() => this.draw()) : null;
  }

  paragraph({ speaker, start, lines }) {
    const said = element("p", { class: "said", dir: "auto" });
    for (const line of lines) {
      if (said.firstChild) said.append(line.space);
      said.append(this.drawn(line));
    }
    const time = element("button", { type: "button", class: "time", "aria-label": `Play from ${clock(start)}` }, clock(start));
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

  /** Return a line's element, with one for each word. */
  drawn(line) {
    line.element ??= document.createElement("span");
    line.element.className = `line ${this.look(line.at)}`.trim();
    line.element.at = line.at;
    if (line.segment.language && !this.isTranslation) line.element.lang = line.segment.language;
    line.element.replaceChildren(
      ...line.runs.map(({ text, number, doubt }) => {
        if (number === undefined) return text;
        const word = document.createElement("span");
        word.className = doubt ? "word doubted" : "word";
        word.textContent = text;
        word.number = number;
        this.words.elements[number] = word;
        return word;
      }),
    );
    return line.element;
  }

  /** Show a line with another text and look. */
  replace(at, segment, look) {
    const line = this.lines[at];
    if (!line) return;
    this.finish();
    if (line.segment.text !== segment.text) {
      line.segment = segment;
      line.runs = null;
      this.words.clear();
      this.last = "";
      for (const each of this.lines) if (each) this.renumber(each);
    }
    line.element.className = `line ${look}`.trim();
    this.mark(this.marked, false);
  }

  renumber(line) {
    const isChanged = !line.runs;
    this.index(line);
    if (isChanged) this.drawn(line);
    else {
      const words = line.element.querySelectorAll(".word");
      const numbers = line.runs.flatMap(({ number }) => (number === undefined ? [] : [number]));
      numbers.forEach((number, place) => {
        words[place].number = number;
        this.words.elements[number] = words[place];
      });
    }
  }

  /** Mark the line that is reviewed; undefined: none. `isShown`: scroll to it. */
  mark(at, isShown) {
    if (isShown) this.finish();
    this.lines[this.marked]?.element?.classList.remove("chosen");
    this.marked = at;
    const chosen = this.lines[at]?.element;
    chosen?.classList.add("chosen");
    if (isShown) chosen?.scrollIntoView({ block: "center" });
  }

  /** Draw immediately what still waits. */
  finish() {
    clearTimeout(this.drawing);
    while (this.waiting.length) this.draw();
    clearTimeout(this.drawing);
    this.drawing = null;
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
    const word = target.matches(".time") ? target.closest(".paragraph").querySelector(".word") : target;
    if (word?.number === undefined) return;
    this.lineChosen(word.closest(".line").at);
    this.chosen(word.number);
  }
}
