// Who speaks: colours by order of appearance, and names that can be changed.

import { api } from "./api.js";
import { byId, element } from "./element.js";
import { announce, complain } from "./notices.js";
import { clock } from "./labels.js";

const LOOKS = 8; // colours; more speakers share them, names tell them apart

/** The speakers of one transcript, which comes with the names already in it. */
export class Speakers {
  constructor(id, names, renamed) {
    this.id = id;
    this.names = { ...names }; // label -> name
    this.renamed = renamed;
    this.order = []; // as they came in the transcript
  }

  /** A speaker's name now, and the class that colours it. `key` is as in the transcript. */
  voice(key) {
    if (!this.order.includes(key)) this.order.push(key);
    return { name: this.shown(key), look: `voice-${this.order.indexOf(key) % LOOKS}` };
  }

  /** The labels behind a key: several if they were given one name. */
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

  /** List them beside the text. */
  show(segments) {
    const seconds = new Map();
    for (const { speaker, start, end } of segments) {
      if (!speaker) continue;
      this.labels(speaker); // before any name changes
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
      else delete names[label]; // the label again
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
