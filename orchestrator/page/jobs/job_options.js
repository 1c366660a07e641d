// The options of a job, made of what the form holds; and the field that a refusal is about.

/** Return the form's values as the API's options, without those that are at their default. */
export function jobOptions(chosen) {
  const options = { model: chosen.other_model.trim() || chosen.model };
  for (const name of ["language", "task", "aligner", "vocabulary"]) {
    if (chosen[name]) options[name] = chosen[name];
  }
  const languages = chosen.languages.split(/[,;]/).map((name) => name.trim()).filter(Boolean);
  if (languages.length) options.languages = languages;
  if (chosen.hotwords.trim()) options.hotwords = chosen.hotwords.trim();
  if (chosen.chunk_seconds) options.chunk_seconds = Number(chosen.chunk_seconds);
  if (chosen.speakers === "channels") options.channels = "split";
  else if (chosen.speakers) options.diarize = true;
  if (Number(chosen.speakers)) options.num_speakers = Number(chosen.speakers);
  return options;
}

// How the API's messages begin that name an option.
const NAMED = /^(?:options: (\w+) \(|Options are not valid: (\w+): |(?:options\.)?(?!options: )(\w+): )/;
const FIELDS = { num_speakers: "speakers", diarize: "speakers", channels: "speakers" };
const CODES = { unknown_vocabulary: "vocabulary", unknown_model: "model", model_not_trusted: "model" };

/** Return the form's field that an error of the API is about, and what is wrong; null: of none. */
export function refusedField({ code, message }) {
  const [start, ...names] = NAMED.exec(message) ?? [];
  const option = CODES[code] ?? names.find(Boolean);
  if (!option) return null;
  const isName = start?.endsWith(": "); // else the name is a part of the sentence
  const said = isName ? message.slice(start.length) : message.replace(/^options: /, "");
  const text = said.replace(/ See `scriptorium .*/, ""); // advice for the command line
  return { field: FIELDS[option] ?? option, text: text.charAt(0).toUpperCase() + text.slice(1) };
}
