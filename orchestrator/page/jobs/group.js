// Several recordings that were chosen at once: sent one by one, then submitted as one collection.

import { api, isRefusal, newKey } from "../api.js";
import { byId, element } from "../element.js";
import { announce } from "../notices.js";
import { chosenOptions, chosenReadyBy, showRefusal } from "./options.js";

let made = 0; // groups, so that each field has an id of its own

export class Group {
  constructor(files, accepted) {
    this.accepted = accepted;
    this.options = chosenOptions();
    this.readyBy = chosenReadyBy();
    this.uploads = [];
    this.key = newKey();
    this.build(`${files[0].name} and ${files.length - 1} more`, files.length);
  }

  build(name, count) {
    const id = `group-name-${(made += 1)}`;
    this.name = element("input", { id, maxlength: 255, autocomplete: "off", value: name, dir: "auto" });
    this.state = element("p", { class: "upload-state" }, `${count} recordings, sent one after the other`);
    this.again = element("button", { type: "button", hidden: true, onclick: () => this.retry() }, "Try again");
    this.stop = element("button", { type: "button", class: "quiet", onclick: () => this.cancel() }, "Cancel all");
    this.rows = element("ul", { class: "uploads", "aria-label": "Recordings of the collection" });
    this.row = element(
      "li",
      { class: "upload-group" },
      element("div", { class: "field" }, element("label", { for: id }, "Name of the collection"), this.name),
      element("div", { class: "upload-buttons" }, this.again, this.stop),
      this.state,
      this.rows,
    );
    byId("uploads").append(this.row);
  }

  /** Take an upload as a part of the collection. */
  add(upload) {
    this.uploads.push(upload);
    this.rows.append(upload.row);
  }

  /** Go on after an upload was sent or removed: submit the collection when nothing is left to send. */
  go() {
    const rest = this.uploads.filter((upload) => !upload.canceled);
    const sent = rest.filter((upload) => upload.isSent);
    this.state.textContent = `${sent.length} of ${rest.length} sent`;
    if (!rest.length) this.row.remove();
    else if (sent.length === rest.length) this.submit();
  }

  async submit() {
    if (this.isSubmitting) return;
    this.isSubmitting = true;
    this.again.hidden = true;
    this.stop.disabled = true; // it may be accepted from here on
    this.body ??= this.request();
    try {
      const collection = await api.submitCollection(this.body, this.key);
      this.row.remove();
      announce(`${this.body.name} was accepted.`);
      this.accepted(collection);
    } catch (error) {
      this.fail(error);
    }
    this.isSubmitting = false;
  }

  request() {
    const sent = this.uploads.filter((upload) => upload.isSent && !upload.canceled);
    const body = { name: this.name.value.trim() || sent[0].file.name, options: this.options };
    if (this.readyBy) body.ready_by = this.readyBy;
    body.lines = sent.map(({ uploadId, file }) => ({ upload_id: uploadId, name: file.name }));
    return body;
  }

  fail(error) {
    this.isRefused = isRefusal(error);
    if (this.isRefused) showRefusal(error);
    this.row.classList.add("failed");
    this.state.textContent = error.message;
    this.again.hidden = false;
    this.stop.disabled = false;
    announce(`${this.name.value}: ${error.message}`);
  }

  retry() {
    if (this.isRefused) {
      this.options = chosenOptions();
      this.readyBy = chosenReadyBy();
      this.body = undefined;
      this.key = newKey();
    }
    this.submit();
  }

  cancel() {
    this.isSubmitting = true; // so that the last removal submits nothing
    for (const upload of this.uploads) upload.cancel();
    this.row.remove();
  }
}
