// The speakers: a colour for each, in order of appearance, and names that users can change.

import { api } from "../api.js";
import { byId, element } from "../element.js";
import { announce, complain } from "../notices.js";
import { clock } from "../labels.js";

const LOOKS = 8; // colours; with more speakers, several have the same colour

/** The speakers of one transcript, in which the names are already written. */
export class Speakers {
  constructor(id, names, renamed) {
    this.id = id;
    this.names = { ...names }; // label -> name
    this.renamed = renamed;
    this.order = []; // in the order of the transcript
  }

  /** Return a speaker's current name and colour class. `key` is the name in the transcript. */
  voice(key) {
    if (!this.order.includes(key)) this.order.push(key);
    return { name: this.shown(key), look: `voice-${this.order.indexOf(key) % LOOKS}` };
  }

  /** Return the labels of a key: several if they have the same name. */
  labels(key) {
    this.behind ??= new Map();
    if (!this.behind.has(key)) {
      const named = Object.keys(this.names).filter((label) => this.names[label] === key);
      this.behind.set(key, named.length ? named : [key]);
    }
    return this.behind.get(key);
  }

  shown(key) {
    const label = this.labels(key)[0];
    return this.names[label] || label;
  }

  /** List the speakers beside the text. */
  show(segments) {
    const seconds = new Map();
    for (const { speaker, start, end } of segments) {
      if (!speaker) continue;
      this.labels(speaker); // looked up before any name changes
      this.voice(speaker);
      seconds.set(speaker, (seconds.get(speaker) ?? 0) + end - start);
    }
    byId("speakers").hidden = !seconds.size;
    const total = [...seconds.values()].reduce((sum, each) => sum + each, 0);
    this.fields = new Map();
    byId("speaker-items").replaceChildren(
      ...this.order.map((key) => this.item(key, seconds.get(key), total)),
    );
    this.choose = (event) => this.fields.get(event.detail)?.select();
    document.addEventListener("speaker-chosen", this.choose);
  }

  item(key, seconds, total) {
    const label = this.labels(key)[0];
    const field = element("input", {
      type: "text",
      maxlength: 64,
      autocomplete: "off",
      spellcheck: "false",
      dir: "auto",
      placeholder: label,
      "aria-label": `Name of ${label}`,
    });
    field.value = this.shown(key);
    field.addEventListener("change", () => this.rename(key, field));
    field.addEventListener("keydown", (event) => {
      if (event.key === "Escape") field.value = this.shown(key);
      if (event.key === "Escape" || event.key === "Enter") field.blur();
    });
    this.fields.set(key, field);
    const share = `${clock(seconds)} · ${Math.round((seconds / total) * 100)} %`;
    return element(
      "li",
      { class: `speaker-item ${this.voice(key).look}` },
      element("span", { class: "swatch" }),
      field,
      element("span", { class: "speaker-share" }, share),
    );
  }

  async rename(key, field) {
    const before = this.names;
    const name = field.value.trim();
    const names = Object.fromEntries(Object.entries(before).filter(([label, given]) => given !== label));
    for (const label of this.labels(key)) {
      if (name && name !== label) names[label] = name;
      else delete names[label]; // then the label is shown again
    }
    this.names = names;
    try {
      await api.nameSpeakers(this.id, names);
      announce(`${this.labels(key)[0]} is now ${this.shown(key)}.`);
    } catch (error) {
      this.names = before;
      complain(error);
    }
    field.value = this.shown(key);
    this.renamed();
  }

  close() {
    document.removeEventListener("speaker-chosen", this.choose);
    byId("speakers").hidden = true;
    byId("speaker-items").replaceChildren();
  }
}
