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

const FIELDS = { num_speakers: "speakers", diarize: "speakers", channels: "speakers" };

/** Return the form's field that an error of the API is about, and what is wrong; null: of none. */
export function refusedField({ param, message }) {
  const [option] = (param ?? "").replace(/^options\./, "").split(".");
  if (!option || option === "options") return null; // two options contradict each other
  const said = message.replace(/^Options are not valid: /, "").replace(/ See `scriptorium .*/, ""); // for a shell
  const name = [param, option].find((each) => said.startsWith(`${each}: `)); // the field has it already
  const text = name ? said.slice(`${name}: `.length) : said;
  return { field: FIELDS[option] ?? option, text: text.charAt(0).toUpperCase() + text.slice(1) };
}
