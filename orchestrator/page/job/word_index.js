// The index of a transcript's words: their places in the text, their times, and the search.

// Letters of scripts without spaces between words, and their marks, as in gpu_worker/words.py.
const UNSPACED = ["Han", "Hiragana", "Katakana", "Bopomofo", "Thai", "Lao", "Khmer", "Myanmar", "Tibetan"]
  .map((script) => `\\p{Script=${script}}`)
  .join("");
const WIDE = "\\u3000-\\u3003\\u3008-\\u301f\\uff01-\\uff0f\\uff1a-\\uff20\\uff3b-\\uff40\\uff5b-\\uff65";
const CLUSTER = "(?:\\p{RI}{2}|\\P{M}(?:[\\p{M}\\p{EMod}]|\\u200d\\p{ExtPict}?)*|\\p{M}+)";
const ENDS_UNSPACED = new RegExp(`[${UNSPACED}]${CLUSTER}?$`, "u");
const ENDS_WIDE = new RegExp(`[${WIDE}]$`, "u");
const STARTS_UNSPACED = new RegExp(`^[${UNSPACED}${WIDE}]`, "u");

/** Return the space between two texts that follow each other: " " or "". */
export function spaceBetween(before, after) {
  if (!before || !after) return "";
  const end = Array.from(before.slice(-16)).slice(-8).join(""); // long enough for the last cluster
  if (ENDS_WIDE.test(end)) return "";
  return ENDS_UNSPACED.test(end) && STARTS_UNSPACED.test(after) ? "" : " ";
}

/**
 * Return the place of each word in a text, as [start, end]; only white space is between words.
 * A word that is not in the text gets an empty place after the word before it.
 */
export function places(text, words) {
  let at = 0;
  return words.map((word) => {
    const start = text.indexOf(word, at);
    if (start < 0) return [at, at];
    at = start + word.length;
    return [start, at];
  });
}

/** Return a segment's text in pieces: words, which have times, and the text between them. */
export function pieces(segment) {
  const text = segment.text.trim();
  const words = segment.words ?? [];
  const found = [];
  let at = 0;
  places(text, words.map(({ word }) => word)).forEach(([start, end], index) => {
    if (start === end) return;
    if (at < start) found.push({ text: text.slice(at, start) });
    const { start: from, end: until, doubt } = words[index];
    found.push({ text: text.slice(start, end), start: from, end: until, doubt });
    at = end;
  });
  if (!at) return text ? [{ text, start: segment.start, end: segment.end }] : [];
  if (at < text.length) found.push({ text: text.slice(at) });
  return found;
}

/** Fold a text for the search: lower case, one Unicode form and width, plain spaces. */
function folded(text) {
  return text.normalize("NFKC").toLowerCase().replace(/\s+/gu, " ");
}

/** The words of a transcript; grows as segments arrive. Finds a time by binary search. */
export class Words {
  constructor() {
    this.clear();
  }

  /** Forget all words, as a line's were changed. */
  clear() {
    this.starts = []; // seconds, never falling
    this.elements = []; // undefined until a word has been drawn
    this.text = ""; // the folded text, for the search
    this.places = []; // of each word in `text`, as [start, end]
  }

  get length() {
    return this.starts.length;
  }

  /** Add a word; return its number. */
  add(text, start) {
    const before = this.length ? this.starts[this.length - 1] : 0;
    this.starts.push(Math.max(before, start));
    const at = this.text.length;
    this.write(text);
    this.places.push([at, this.text.length]);
    return this.length - 1;
  }

  /** Add the text between words. */
  write(text) {
    this.text += folded(text);
  }

  /** Return the number of the last word that has begun at that time; -1 before the first. */
  at(seconds) {
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.starts[middle] <= seconds + 0.005) low = middle + 1; // a seek may end just before a word's start
      else high = middle;
    }
    return low - 1;
  }

  /** Return all matches, as [first word, last word]; a match may span words or be part of one. */
  find(wanted) {
    const text = folded(wanted.trim());
    const found = [];
    if (!text || !this.length) return found;
    let first = 0;
    for (let at = this.text.indexOf(text); at >= 0; at = this.text.indexOf(text, at + text.length)) {
      const end = at + text.length;
      while (first + 1 < this.length && this.places[first][1] <= at) first += 1;
      let last = first;
      while (last + 1 < this.length && this.places[last + 1][0] < end) last += 1;
      found.push([first, last]);
    }
    return found;
  }
}

/** Return the word that a step (`by` 1 or -1) from word `number` leads to; -1 is before the first.
 *
 * Words can start at the same time, and the player is then at the last of them: a step skips them.
 */
export function nextStart(starts, number, by) {
  const last = starts.length - 1;
  let next = number + by;
  while (next > 0 && next < last && starts[next] === starts[number]) next += by;
  return Math.min(Math.max(next, 0), last);
}
