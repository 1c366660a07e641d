// Every word of a transcript by its time and by its number.

/** The pieces of a segment in reading order: words, and the text between them. */
export function pieces(segment) {
  const words = segment.words ?? [];
  const text = segment.text.trim();
  if (!words.length) {
    return text ? [{ text, start: segment.start, end: segment.end }] : [];
  }
  const found = [];
  let at = 0;
  for (const { word, start, end } of words) {
    const place = text.indexOf(word, at);
    // Languages without spaces have none between words either; only the text knows.
    const between = place < 0 ? " " : text.slice(at, place);
    if (between && found.length) found.push({ text: between });
    found.push({ text: word, start, end });
    if (place >= 0) at = place + word.length;
  }
  return found;
}

/** Grows as segments arrive; looks words up by binary search. */
export class Words {
  constructor() {
    this.starts = []; // seconds, never falling
    this.texts = []; // lower case, for the search
    this.elements = []; // undefined until a word has been drawn
    this.paragraphs = []; // the number of each word's paragraph
  }

  get length() {
    return this.starts.length;
  }

  /** Take a word in; gives its number. */
  add(text, start, paragraph) {
    const before = this.length ? this.starts[this.length - 1] : 0;
    this.starts.push(Math.max(before, start));
    this.texts.push(text.toLowerCase());
    this.paragraphs.push(paragraph);
    return this.length - 1;
  }

  /** The number of the last word that has begun at that time; -1 before the first. */
  at(seconds) {
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.starts[middle] <= seconds + 0.005) low = middle + 1; // a seek may land just before
      else high = middle;
    }
    return low - 1;
  }
}
