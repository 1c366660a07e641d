// The options for new recordings; this browser remembers them.

import { api } from "../api.js";
import { byId, element } from "../element.js";
import { languages } from "../languages.js";
import { jobOptions, refusedField } from "./job_options.js";

const REMEMBERED = "options";
const MOST_SPEAKERS = 10;
// Left out of the list: OpenAI's names for the cluster's own model, and the model for tests.
const NOT_OFFERED = /^(whisper-1|gpt-.*|fake)$/;
const form = byId("options");

/** Fill the lists and restore the last choice. */
export async function openOptions() {
  const language = byId("option-language");
  language.append(...languages().map(([code, name]) => element("option", { value: code }, name)));
  const speakers = byId("option-speakers");
  for (let count = 2; count <= MOST_SPEAKERS; count += 1) {
    speakers.append(element("option", { value: count }, `${count} speakers`));
  }
  speakers.append(element("option", { value: "channels" }, "One on each channel"));
  await Promise.all([listModels(), listVocabularies()]);
  recall();
  form.addEventListener("change", remember);
  form.addEventListener("input", hideRefusal);
  form.addEventListener("submit", (event) => event.preventDefault());
}

async function listModels() {
  let names = [];
  try {
    names = (await api.models()).data.map(({ id }) => id).filter((id) => !NOT_OFFERED.test(id));
  } catch {
    // The list keeps its default.
  }
  if (!names.length) names = ["auto"];
  byId("option-model").replaceChildren(
    ...names.map((name) => element("option", { value: name }, name)),
  );
}

/** Offer the tenant's vocabularies, by name: a job gets the newest version. */
export async function listVocabularies() {
  let names = [];
  try {
    names = (await api.vocabularies()).data.map(({ name }) => name);
  } catch {
    // None is offered.
  }
  const field = byId("option-vocabulary");
  const chosen = field.value;
  const offered = [["", "None"], ...names.map((name) => [name, name])];
  field.replaceChildren(...offered.map(([value, text]) => element("option", { value }, text)));
  field.value = names.includes(chosen) ? chosen : "";
  byId("vocabulary-field").hidden = !names.length;
}

function remember() {
  const { ready_by: _, ...kept } = Object.fromEntries(new FormData(form)); // a time is for once
  try {
    localStorage.setItem(REMEMBERED, JSON.stringify(kept));
  } catch {
    // The browser's storage is off: the choice is not remembered.
  }
}

function recall() {
  let kept = {};
  try {
    kept = JSON.parse(localStorage.getItem(REMEMBERED) ?? "{}");
  } catch {
    return;
  }
  for (const [name, value] of Object.entries(kept)) {
    const field = form.elements.namedItem(name);
    const known = field?.options ? [...field.options].some((each) => each.value === value) : field;
    if (known) field.value = value;
  }
}

/** Return when new recordings should be ready, as a time with its zone; null: whenever. */
export function chosenReadyBy() {
  const at = new Date(byId("option-ready-by").value); // the field's time is local
  return Number.isNaN(at.getTime()) ? null : at.toISOString();
}

/** Take the choice for a new try, as the API's options. */
export function chosenOptions() {
  hideRefusal();
  return jobOptions(Object.fromEntries(new FormData(form)));
}

/** Show a refusal at the field that it is about, if it is about one. */
export function showRefusal(error) {
  hideRefusal();
  const refused = refusedField(error);
  const isOther = refused?.field === "model" && byId("option-other-model").value.trim();
  const field = refused && form.elements.namedItem(isOther ? "other_model" : refused.field);
  if (!field) return;
  const told = element("p", { class: "field-error", id: "option-error", role: "alert" }, refused.text);
  field.after(told);
  field.setAttribute("aria-invalid", "true");
  field.setAttribute("aria-errormessage", told.id);
  const folded = field.closest("details");
  if (folded) folded.open = true;
}

function hideRefusal() {
  byId("option-error")?.remove();
  const field = form.querySelector("[aria-invalid]");
  field?.removeAttribute("aria-invalid");
  field?.removeAttribute("aria-errormessage");
}
