// Search in a transcript: mark every match; one is the current match.

import { byId } from "../element.js";

const MOST_MARKS = 5000; // a single letter has too many matches in a long transcript
const field = byId("find-text");
const count = byId("find-count");
let current = null;

/** Clear the search, as another transcript is opened. */
export function forgetSearch() {
  field.value = "";
}

/** The search over one transcript's words. */
export class Search {
  constructor(words) {
    this.words = words;
    this.matches = [];
    this.marked = [];
    this.at = -1;
    current = this;
    this.look();
  }

  look() {
    this.clear();
    this.matches = this.words.find(field.value);
    for (const match of this.matches.slice(0, MOST_MARKS)) this.mark(match, "found");
    this.at = -1;
    if (this.matches.length) this.step(1);
    else this.say();
  }

  /** Look again, as the text has changed; the reader stays where they are. */
  mend() {
    this.clear();
    this.matches = this.words.find(field.value);
    for (const match of this.matches.slice(0, MOST_MARKS)) this.mark(match, "found");
    this.at = Math.min(this.at, this.matches.length - 1);
    if (this.at >= 0) this.mark(this.matches[this.at], "found-now");
    this.say();
  }

  step(by) {
    if (!this.matches.length) return;
    if (this.at >= 0) this.each(this.matches[this.at], (word) => word.classList.remove("found-now"));
    this.at = (this.at + by + this.matches.length) % this.matches.length;
    this.mark(this.matches[this.at], "found-now");
    this.words.elements[this.matches[this.at][0]]?.scrollIntoView({ block: "center" });
    this.say();
  }

  say() {
    const none = !this.matches.length;
    const wanted = field.value.trim();
    for (const button of [byId("find-previous"), byId("find-next")]) {
      button.disabled = none;
      button.hidden = !wanted; // hidden, so that the empty field is wider
    }
    if (!wanted) count.textContent = "";
    else count.textContent = none ? "No match" : `${this.at + 1} of ${this.matches.length}`;
  }

  each([first, last], act) {
    for (let number = first; number <= last; number += 1) {
      const word = this.words.elements[number];
      if (word) act(word);
    }
  }

  mark(match, name) {
    this.each(match, (word) => {
      word.classList.add(name);
      this.marked.push(word);
    });
  }

  clear() {
    for (const word of this.marked) word.classList.remove("found", "found-now");
    this.marked = [];
  }

  close() {
    this.clear();
    if (current === this) current = null;
  }
}

let timer = null;
field.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(() => current?.look(), 150);
});
byId("find-next").addEventListener("click", () => current?.step(1));
byId("find-previous").addEventListener("click", () => current?.step(-1));
byId("find").addEventListener("submit", (event) => event.preventDefault());
field.addEventListener("keydown", (event) => {
  if (event.key === "Enter") current?.step(event.shiftKey ? -1 : 1);
  if (event.key !== "Escape") return;
  field.value = "";
  current?.look();
  field.blur();
});
