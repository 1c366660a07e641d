// Upload recordings, one after the other, each with a progress bar.

import { errorOf, unreachable } from "../api.js";
import { byId, element } from "../element.js";
import { announce } from "../notices.js";
import { chosenOptions, chosenReadyBy } from "./options.js";
import { size } from "../labels.js";

const LIST = /\.(csv|jsonl)$/i; // a list of files, which becomes a collection
const waiting = [];
let sending = null;

/** Accept files from the button, and files that are dropped anywhere in the list's view. */
export function openUploads(accepted) {
  const files = byId("files");
  const drop = byId("drop");
  const take = (list) => {
    for (const file of list) waiting.push(new Upload(file, chosenOptions(), accepted));
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
    if (sending) event.preventDefault();
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

/** Return an idempotency key: the file becomes one job, however often it is sent. */
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

class Upload {
  constructor(file, options, accepted) {
    this.file = file;
    this.options = options;
    this.readyBy = chosenReadyBy();
    this.accepted = accepted;
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
    byId("uploads").append(this.row);
  }

  async send() {
    if (this.canceled) return;
    this.row.classList.remove("failed");
    this.again.hidden = true;
    this.bar.hidden = false;
    this.stop.textContent = "Cancel";
    this.stop.setAttribute("aria-label", `Cancel ${this.file.name}`);
    try {
      const job = await this.transfer();
      this.row.remove();
      announce(`${this.file.name} was accepted.`);
      this.accepted(job);
    } catch (error) {
      if (!this.canceled) this.fail(error);
    }
  }

  transfer() {
    const form = new FormData(); // the options before the file: the server reads in this order
    form.append("options", JSON.stringify(this.options));
    if (this.readyBy) form.append("ready_by", this.readyBy);
    form.append("file", this.file, this.file.name);
    const call = new XMLHttpRequest(); // fetch does not report how much was sent
    this.call = call;
    return new Promise((resolve, reject) => {
      call.upload.addEventListener("progress", (event) => this.show(event.loaded / event.total));
      call.addEventListener("load", () => {
        if (call.status >= 200 && call.status < 300) return resolve(JSON.parse(call.responseText));
        if (call.status === 401) document.dispatchEvent(new CustomEvent("key-needed"));
        return reject(errorOf(call.status, call.responseText));
      });
      call.addEventListener("error", () => reject(unreachable()));
      call.addEventListener("abort", () => reject(unreachable()));
      call.open("POST", LIST.test(this.file.name) ? "/v1/collections" : "/v1/jobs");
      call.setRequestHeader("Idempotency-Key", this.key);
      call.send(form);
    });
  }

  show(part) {
    this.bar.value = part;
    this.state.textContent =
      part < 1 ? `${Math.round(part * 100)} % of ${size(this.file.size)}` : "Sent; waiting for the reply";
  }

  fail(error) {
    // After a refusal a new try gets a new key. If the job may exist, the key stays the same.
    this.isRefused = error.status >= 400 && error.status < 500 && ![401, 429].includes(error.status);
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
    }
    waiting.push(this);
    next();
  }

  cancel() {
    this.canceled = true;
    this.call?.abort();
    this.row.remove();
  }
}
