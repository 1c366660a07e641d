// Upload recordings, one after the other, each with a progress bar. Several at once are a collection.

import { api, errorOf, isRefusal, newKey, unreachable } from "../api.js";
import { byId, element } from "../element.js";
import { announce } from "../notices.js";
import { Group } from "./group.js";
import { chosenOptions, chosenReadyBy, showRefusal } from "./options.js";
import { size } from "../labels.js";

const LIST = /\.(csv|jsonl)$/i; // a list of files, which becomes a collection
const waiting = [];
let sending = null;

/** Accept files from the button, and files that are dropped anywhere in the list's view. */
export function openUploads(accepted) {
  const files = byId("files");
  const drop = byId("drop");
  const take = (list) => {
    const recordings = list.filter((file) => !LIST.test(file.name));
    const group = recordings.length > 1 ? new Group(recordings, accepted) : null;
    for (const file of list) waiting.push(new Upload(file, accepted, LIST.test(file.name) ? null : group));
    next();
  };
  byId("choose").addEventListener("click", () => files.click());
  files.addEventListener("change", () => {
    take([...files.files]);
    files.value = ""; // the same file may be chosen again
  });
  const isOver = (event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragover", (event) => {
    if (!isOver(event)) return;
    event.preventDefault(); // otherwise the browser opens the file
    drop.classList.add("over");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) drop.classList.remove("over");
  });
  document.addEventListener("drop", (event) => {
    if (!isOver(event)) return;
    event.preventDefault();
    drop.classList.remove("over");
    location.hash = "#/";
    take([...event.dataTransfer.files]);
  });
  window.addEventListener("beforeunload", (event) => {
    if (sending || waiting.length) event.preventDefault();
  });
}

function next() {
  if (sending || !waiting.length) return;
  sending = waiting.shift();
  sending.send().finally(() => {
    sending = null;
    next();
  });
}

class Upload {
  constructor(file, accepted, group) {
    this.file = file;
    this.options = chosenOptions();
    this.readyBy = chosenReadyBy();
    this.accepted = accepted;
    this.group = group; // what it is a part of; null: it is submitted by itself
    this.key = newKey();
    this.build();
  }

  build() {
    this.state = element("p", { class: "upload-state" }, `Waiting · ${size(this.file.size)}`);
    this.bar = element("progress", { max: 1, value: 0, "aria-label": `Upload of ${this.file.name}` });
    this.again = element("button", { type: "button", hidden: true, onclick: () => this.retry() }, "Try again");
    this.stop = element("button", { type: "button", class: "quiet", onclick: () => this.cancel() }, "Cancel");
    this.row = element(
      "li",
      { class: "upload" },
      element("p", { class: "upload-name", dir: "auto" }, this.file.name),
      this.state,
      element("div", { class: "upload-buttons" }, this.again, this.stop),
      this.bar,
    );
    if (this.group) this.group.add(this);
    else byId("uploads").append(this.row);
  }

  async send() {
    if (this.canceled) return;
    this.row.classList.remove("failed");
    this.again.hidden = true;
    this.bar.hidden = false;
    this.stop.textContent = "Cancel";
    this.stop.setAttribute("aria-label", `Cancel ${this.file.name}`);
    try {
      if (this.group) {
        await this.put();
        this.state.textContent = "Sent";
        this.bar.hidden = true;
        this.stop.textContent = "Remove";
        this.group.go();
        return;
      }
      const job = await this.post();
      this.row.remove();
      announce(`${this.file.name} was accepted.`);
      this.accepted(job);
    } catch (error) {
      if (!this.canceled) this.fail(error);
    }
  }

  /** Send the file alone; its group submits it. */
  async put() {
    this.uploadId ??= (await api.announceUpload(this.file.name, this.file.size)).id;
    if (this.canceled) return;
    try {
      await this.transfer("PUT", `/v1/uploads/${this.uploadId}`, this.file, "application/octet-stream");
    } catch (error) {
      if (error.code !== "upload_exists") throw error; // else an earlier try had sent it all
    }
    this.isSent = true;
  }

  post() {
    const form = new FormData(); // the options before the file: the server reads in this order
    form.append("options", JSON.stringify(this.options));
    if (this.readyBy) form.append("ready_by", this.readyBy);
    form.append("file", this.file, this.file.name);
    return this.transfer("POST", LIST.test(this.file.name) ? "/v1/collections" : "/v1/jobs", form);
  }

  transfer(method, path, body, type) {
    const call = new XMLHttpRequest(); // fetch does not report how much was sent
    this.call = call;
    return new Promise((resolve, reject) => {
      call.upload.addEventListener("progress", (event) => this.show(event.loaded / event.total));
      call.addEventListener("load", () => {
        if (call.status >= 200 && call.status < 300) return resolve(call.status === 204 ? null : JSON.parse(call.responseText));
        if (call.status === 401) document.dispatchEvent(new CustomEvent("key-needed"));
        return reject(errorOf(call.status, call.responseText));
      });
      call.addEventListener("error", () => reject(unreachable()));
      call.addEventListener("abort", () => reject(unreachable()));
      call.open(method, path);
      call.setRequestHeader("Idempotency-Key", this.key);
      if (type) call.setRequestHeader("Content-Type", type);
      call.send(body);
    });
  }

  show(part) {
    this.bar.value = part;
    this.state.textContent =
      part < 1 ? `${Math.round(part * 100)} % of ${size(this.file.size)}` : "Sent; waiting for the reply";
  }

  fail(error) {
    // After a refusal a new try gets a new key. If the job may exist, the key stays the same.
    this.isRefused = isRefusal(error);
    if (this.isRefused) showRefusal(error);
    this.row.classList.add("failed");
    this.state.textContent = error.message;
    this.bar.hidden = true;
    this.again.hidden = false;
    this.stop.textContent = "Remove";
    this.stop.setAttribute("aria-label", `Remove ${this.file.name}`);
    announce(`${this.file.name}: ${error.message}`);
  }

  retry() {
    if (this.isRefused) {
      this.options = chosenOptions();
      this.readyBy = chosenReadyBy();
      this.key = newKey();
      this.uploadId = undefined; // its address may have expired
    }
    waiting.push(this);
    next();
  }

  cancel() {
    this.canceled = true;
    this.call?.abort();
    this.row.remove();
    this.group?.go();
  }
}
