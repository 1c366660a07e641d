// The options for new recordings; this browser remembers them.

import { api } from "../api.js";
import { byId, element } from "../element.js";
import { languages } from "../languages.js";

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
  await listModels();
  recall();
  form.addEventListener("change", remember);
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

/** Return the choice as the API's options, without those that are at their default. */
export function chosenOptions() {
  const chosen = Object.fromEntries(new FormData(form));
  const options = { model: chosen.other_model.trim() || chosen.model };
  for (const name of ["language", "task", "aligner"]) {
    if (chosen[name]) options[name] = chosen[name];
  }
  if (chosen.hotwords.trim()) options.hotwords = chosen.hotwords.trim();
  if (chosen.chunk_seconds) options.chunk_seconds = Number(chosen.chunk_seconds);
  if (chosen.speakers === "channels") options.channels = "split";
  else if (chosen.speakers) options.diarize = true;
  if (Number(chosen.speakers)) options.num_speakers = Number(chosen.speakers);
  return options;
}
