// The form for recordings that are in a bucket already: all below a prefix become one collection.

import { api, isRefusal, newKey } from "../api.js";
import { byId, element } from "../element.js";
import { announce } from "../notices.js";
import { chosenOptions, chosenReadyBy, showRefusal } from "./options.js";

const TITLE = "Recordings in a bucket";
const AS_WRITTEN = { autocomplete: "off", spellcheck: "false" };
const SHAPE = { placeholder: "s3://bucket/folder/", title: "s3://bucket/folder/", pattern: "s3://.+/.*" };

/** Make the form; `accepted` gets the collection. */
export function openBucket(accepted) {
  const error = element("p", { class: "field-error", id: "bucket-error", role: "alert", hidden: true });
  const button = element("button", { type: "submit", class: "primary", id: "bucket-submit" }, "Transcribe all");
  const form = element(
    "form",
    { id: "bucket-form", class: "bucket-form", "aria-label": TITLE },
    field("prefix", "Address of the folder", { required: true, ...SHAPE, ...AS_WRITTEN }),
    field("suffix", "Only names that end with", { placeholder: ".mp3 .wav", ...AS_WRITTEN }),
    field("name", "Name of the collection", { maxlength: 255, placeholder: "The address", autocomplete: "off" }),
    button,
    error,
  );
  byId("bucket").replaceChildren(element("summary", {}, TITLE), form);
  let key = newKey();
  form.addEventListener("input", () => (key = newKey())); // another request
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    error.hidden = true;
    try {
      const collection = await api.submitCollection(request(form), key);
      key = newKey();
      form.reset();
      byId("bucket").open = false;
      announce(`${collection.name} was accepted.`);
      accepted(collection);
    } catch (refused) {
      if (isRefusal(refused)) key = newKey();
      showRefusal(refused);
      error.textContent = refused.message;
      error.hidden = false;
    }
    button.disabled = false;
  });
}

function field(name, label, attributes) {
  const id = `bucket-${name}`;
  return element("div", { class: "field" }, element("label", { for: id }, label), element("input", { id, name, ...attributes }));
}

function request(form) {
  const { prefix, suffix, name } = Object.fromEntries(new FormData(form));
  const body = { prefix: prefix.trim(), options: chosenOptions() };
  const ends = suffix.split(/[\s,]+/).filter(Boolean);
  if (ends.length) body.suffix = ends;
  if (name.trim()) body.name = name.trim();
  const readyBy = chosenReadyBy();
  if (readyBy) body.ready_by = readyBy;
  return body;
}
