// Search in a transcript: every match is marked, one is the current.

import { byId } from "./element.js";

const MOST_MARKS = 5000; // of one letter in a long transcript there are too many to mark
const field = byId("find-text");
const count = byId("find-count");
let current = null;

/** All places of a text, as [first word, last word]; matches may span words. */
export function findAll(words, wanted) {
  const text = wanted.trim().toLowerCase().replace(/\s+/g, " ");
  if (!text) return [];
  const starts = new Int32Array(words.length);
  let length = 0;
  for (let number = 0; number < words.length; number += 1) {
    starts[number] = length;
    length += words.texts[number].length + 1;
  }
  const all = words.texts.join(" ");
  const found = [];
  let first = 0;
  for (let at = all.indexOf(text); at >= 0; at = all.indexOf(text, at + text.length)) {
    while (first + 1 < words.length && starts[first + 1] <= at) first += 1;
    let last = first;
    while (last + 1 < words.length && starts[last + 1] < at + text.length) last += 1;
    found.push([first, last]);
  }
  return found;
}

/** Search for nothing; another transcript is opened. */
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
    this.matches = findAll(this.words, field.value);
    for (const match of this.matches.slice(0, MOST_MARKS)) this.mark(match, "found");
    this.at = -1;
    if (this.matches.length) this.step(1);
    else this.say();
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
      button.hidden = !wanted; // leaves the field its room
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
