// The bar of the review: how many places are left, why one is doubtful, and what can be said of it.

import { byId, element, icon } from "../element.js";
import { clock, reasons, since } from "../labels.js";

const LEGEND = [
  ["flagged", "may be wrong"],
  ["doubted", "a doubtful word"],
  ["corrected", "corrected"],
  ["refused", "nothing is said; left out of every file"],
];

function button(text, onclick, attributes = {}) {
  return element("button", { type: "button", onclick, ...attributes }, text);
}

function iconButton(name, label, onclick, id) {
  return element("button", { type: "button", class: "icon-button", id, "aria-label": label, onclick }, icon(name));
}

export class ReviewBar {
  constructor(review) {
    this.review = review;
    this.place = byId("review");
    this.count = element("span", { class: "review-count", id: "review-count" });
    this.order = element(
      "select",
      { id: "review-order", "aria-label": "Order of the places" },
      element("option", { value: "worst" }, "Worst first"),
      element("option", { value: "time" }, "In order"),
    );
    this.steps = [
      iconButton("up", "Previous doubt", () => review.step(-1), "review-previous"),
      iconButton("down", "Next doubt", () => review.step(1), "review-next"),
    ];
    const keys = LEGEND.map(([look, text]) =>
      element("li", {}, element("span", { class: look === "doubted" ? look : `line ${look}` }, "Words"), ` ${text}`),
    );
    const legend = element("details", { class: "legend" }, element("summary", {}, "Legend"), element("ul", {}, ...keys));
    const head = element("div", { class: "review-head" }, this.count, this.order, ...this.steps, legend);
    this.card = element("div", { class: "review-card", hidden: true });
    this.place.replaceChildren(head, this.card);
    this.place.hidden = false;
    this.tools = this.place.closest(".reading-tools");
    this.sizes = new ResizeObserver(() => this.measure());
    this.sizes.observe(this.tools);
  }

  /** Tell the style sheets how much of the text the bar may cover. */
  measure() {
    document.documentElement.style.setProperty("--tools", `${this.tools.offsetHeight}px`);
  }

  get isWorstFirst() {
    return this.order.value === "worst";
  }

  /** Whether the reader has written something that is not saved. */
  get isWriting() {
    return Boolean(this.editor) && this.editor.text.value !== this.editor.text.defaultValue;
  }

  /** Show the counts and the current place. */
  show() {
    const { review } = this;
    const left = review.places.filter((place) => !review.isSettled(place)).length;
    const total = review.places.length;
    this.count.textContent = total ? `${left} of ${total} to check` : "No doubtful places";
    for (const part of [this.order, ...this.steps]) part.hidden = !total;
    const kept = this.editor?.of === review.now ? this.editor : null; // what is being written stays
    this.editor = kept;
    this.card.hidden = !review.now;
    if (review.now) this.fill(kept);
    this.measure();
  }

  fill(kept) {
    const focused = this.card.contains(document.activeElement) ? document.activeElement : null;
    this.card.replaceChildren(...this.parts(this.review.now), ...(kept ? [kept.form] : []));
    if (!focused) return;
    (focused.isConnected ? focused : (byId(focused.id) ?? byId("review-play"))).focus({ preventScroll: true });
  }

  parts({ start, end, codes }) {
    const { review } = this;
    const { segment, line } = review;
    const why = line ? this.told(line) : reasons(codes, segment?.flags);
    const play = button(`${clock(start)}–${clock(Math.ceil(end))}`, () => review.listen(), {
      id: "review-play",
      "aria-label": `Play ${clock(start)} to ${clock(Math.ceil(end))}`,
    });
    play.prepend(icon("play"));
    const parts = [element("p", { class: "review-why" }, play, element("span", { id: "review-why", dir: "auto" }, why))];
    if (!segment) return parts;
    const others = line ? [] : (segment.alternatives ?? []);
    if (others.length) parts.push(element("ul", { class: "review-others", "aria-label": "Other texts" }, ...others.map((it) => this.other(it))));
    const says = (action) => () => review.say(action);
    const actions = [button("Correct", () => this.edit(), { id: "review-correct" })];
    if (!line) actions.unshift(button("Right as it is", says("confirmed"), { id: "review-confirm" }));
    if (line?.action !== "refused") actions.push(button("Nothing is said", says("refused"), { id: "review-refuse" }));
    if (line) actions.push(button("Put back", says("none"), { id: "review-none", class: "quiet" }));
    if (!this.editor) parts.push(element("div", { class: "review-actions" }, ...actions));
    return parts;
  }

  told({ action, by, at, machine_text: wrote }) {
    const who = by === "anonymous" ? since(at) : `by ${by}, ${since(at)}`;
    if (action === "confirmed") return `Found right, ${who}.`;
    if (action === "refused") return `Nothing is said here: ${who}.`;
    return `Corrected, ${who}. The model wrote: “${wrote}”`;
  }

  other({ text }) {
    const take = button("Take it", () => this.review.say("corrected", text), { class: "small", "aria-label": `Take: ${text}` });
    return element("li", {}, element("span", { dir: "auto" }, text), take);
  }

  /** Open the editor of the current line. */
  edit() {
    const { review } = this;
    if (!review.segment || this.editor) return;
    const text = element("textarea", { id: "review-text", rows: 3, maxlength: 4000, dir: "auto", "aria-label": "Text of the line" });
    text.defaultValue = review.line?.text ?? review.segment.text.trim();
    const close = () => {
      this.editor = null;
      this.show();
      byId("review-correct")?.focus();
    };
    const save = async () => {
      const isStored = text.value.trim() && (await review.say("corrected", text.value));
      if (isStored) close();
    };
    text.addEventListener("keydown", (event) => {
      if (event.key === "Escape") close();
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault(); // a line has no line breaks
      save();
    });
    const form = element(
      "form",
      { class: "review-editor", id: "review-editor", "aria-label": "Correct the line" },
      text,
      element("div", { class: "review-actions" }, element("button", { type: "submit", class: "primary" }, "Save"), button("Leave it", close)),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      save();
    });
    this.editor = { of: review.now, form, text };
    this.show();
    text.focus();
  }

  close() {
    this.sizes.disconnect();
    document.documentElement.style.removeProperty("--tools");
    this.place.replaceChildren();
    this.place.hidden = true;
  }
}
