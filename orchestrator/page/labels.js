// The labels that the page shows: statuses, stages, remarks, times, sizes and languages.

export const STATUSES = {
  queued: "Queued",
  processing: "Working",
  completed: "Completed",
  partial: "Partial",
  failed: "Failed",
  canceled: "Canceled",
};

export const STAGES = {
  prepare: "Preparing the audio",
  detect_language: "Finding the language",
  transcribe: "Transcribing",
  align: "Timing the words",
  embed_speakers: "Finding voices",
  diarize: "Separating the speakers",
  assemble: "Writing the transcript",
};

// Why the progress bar may not move, by the stage that runs.
const LOADING = "a long chunk is being processed, or the model is still loading";
const STANDSTILLS = {
  queued: "all workers are busy, or none has started yet",
  prepare: "reading a long file takes a while",
  detect_language: LOADING,
  transcribe: LOADING,
  align: LOADING,
  embed_speakers: LOADING,
  diarize: "comparing many voices takes a while",
};
const STANDSTILL_SECONDS = 10; // shorter pauses are not mentioned

/** Return why a job has had no progress for so many seconds; "" below STANDSTILL_SECONDS. */
export function standstill(job, seconds) {
  if (seconds < STANDSTILL_SECONDS) return "";
  const minutes = Math.floor(seconds / 60);
  const long = minutes ? `${minutes} ${minutes === 1 ? "minute" : "minutes"}` : `${Math.floor(seconds / 10) * 10} seconds`;
  const why = STANDSTILLS[job.status === "queued" ? "queued" : job.stage];
  return why ? `No progress for ${long}: ${why}.` : `No progress for ${long}.`;
}

// A short sentence for each code of a warning, for readers; the page shows the warning's own
// message on demand. `lost`: words may be missing, so the remark names the places.
const REMARKS = {
  missing_span: { lost: true, text: "Part of the recording is not in the text" },
  truncated_audio: { lost: true, text: "The file is cut off, and its end is missing" },
  decode_errors: { lost: true, text: "The recording is damaged and was heard as silence in places" },
  speech_without_words: { lost: true, text: "Some speech has no words in the text" },
  speech_without_text: { lost: true, text: "Speech was heard, and none of it has words" },
  no_speech: { text: "No speech was heard" },
  timestamp_gaps: { text: "The file's clock has gaps, so times may differ from a player's" },
  several_audio_streams: { text: "The file has several sound tracks, of which one was heard" },
  opposite_channels: { text: "Channels that would have cancelled each other out were corrected" },
  words_not_aligned: { text: "Word times are approximate" },
  fewer_speakers: { text: "Fewer speakers were found than were asked for" },
  speakers_missing: { text: "Speakers are not told apart" },
  speakers_offline: { text: "Speakers are told apart by a simpler model than usual" },
  model_replaced: { text: "The text was written by another model than usual" },
  known_speaker_unusable: { text: "Not every known speaker could be recognised" },
  translation_unsupported: { text: "The text may not be in English" },
  options_not_followed: { text: "The model could not follow all that was asked for" },
  invented_text: { text: "Text without a voice was left out" },
  vocabulary_missing: { text: "The vocabulary that was asked for could not be used" },
  numbers_in_words: { text: "Numbers are as they were heard" },
  numbers_in_digits: { text: "Numbers are as they were heard" },
  prompt_cut: { text: "Not all names and terms that were given could be used" },
};
const OTHER_REMARK = { text: "There is a note on this transcript" };
const MOST_PLACES = 6; // shown in one remark; the details have all

/** Turn a transcript's warnings into remarks: one for each kind, with its places in order. */
export function remarks(warnings) {
  const kinds = new Map();
  for (const warning of warnings) {
    const known = Object.hasOwn(REMARKS, warning.code) ? REMARKS[warning.code] : OTHER_REMARK;
    if (!kinds.has(known)) kinds.set(known, []);
    kinds.get(known).push(warning);
  }
  return [...kinds].map(([{ text, lost = false }, told]) => {
    const places = lost ? joined(told.filter(({ start }) => typeof start === "number")) : [];
    return { text, lost, places: places.slice(0, MOST_PLACES), more: Math.max(0, places.length - MOST_PLACES) };
  });
}

/** Sort places and join those that touch. An end of null is the end of the file. */
function joined(places) {
  const found = [];
  for (const { start, end } of [...places].sort((one, other) => one.start - other.start)) {
    const last = found.at(-1);
    if (!last || (last.end !== null && start > last.end)) found.push({ start, end: end ?? null });
    else last.end = last.end === null || (end ?? null) === null ? null : Math.max(last.end, end);
  }
  return found;
}

// Why a line may be wrong, by the code of its flag.
const REASONS = {
  unlikely_words: "Many of its words are unlikely",
  doubtful_word: "A word is more likely wrong than right",
  repetition: "A phrase stands again and again",
  too_fast: "It is faster than people talk",
  mostly_silence: "The model itself heard silence",
  no_speaker: "No speaker is heard here",
  odd_script: "Letters that this language is not written in",
  not_placed: "Its words could not be found in the sound",
  unstable: "The text differed from try to try",
  stock_phrase: "A phrase that models write where nothing is said",
  no_text: "Speech was heard, and it has no words in the text",
  missing: "This part was not transcribed",
  decoded_again: "The text is not that of the first try",
  left_out: "Text that was taken for invented was left out here",
};

/** Write why a place may be wrong; a code that is not known here is told by its flag's message. */
export function reasons(codes, flags = []) {
  const told = codes.map((code) => {
    if (Object.hasOwn(REASONS, code)) return REASONS[code];
    return flags.find((flag) => flag.code === code)?.message.replace(/\.$/, "") ?? "It may be wrong";
  });
  return told.length ? `${[...new Set(told)].join(". ")}.` : "There is no doubt about this line.";
}

export const isOpen = (job) => job.status === "queued" || job.status === "processing";
export const hasTranscript = (job) => job.status === "completed" || job.status === "partial";

/** Write seconds as 1:05 or 1:02:05. */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds || 0));
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  const rest = String(whole % 60).padStart(2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/** Write the remaining seconds roughly: "about 5 minutes left". */
export function remaining(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 10) return "a few seconds left";
  if (seconds < 90) return `about ${Math.round(seconds / 5) * 5} seconds left`;
  if (seconds < 5400) return `about ${Math.round(seconds / 60)} minutes left`;
  return `about ${Math.round(seconds / 3600)} hours left`;
}

const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60]];
const ago = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "long", year: "numeric" });
const moment = new Intl.DateTimeFormat("en-GB", { dateStyle: "long", timeStyle: "short" });

/** Write a time (seconds since 1970) as "3 minutes ago", or as a date after seven days. */
export function since(created) {
  const passed = Date.now() / 1000 - created;
  if (passed > 7 * 86400) return day.format(created * 1000);
  const [unit, length] = UNITS.find(([, seconds]) => passed >= seconds) ?? [];
  return unit ? ago.format(-Math.floor(passed / length), unit) : "just now";
}

/** Write a time (seconds since 1970) as date and time. */
export function exactly(created) {
  return moment.format(created * 1000);
}

const hour = new Intl.DateTimeFormat("en-GB", { timeStyle: "short" });
const shortDay = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

/** Write when a job should be ready, and how early or late it is expected; "" without such a time. */
export function readyBy(job, now = Date.now() / 1000) {
  if (typeof job.ready_by !== "number") return "";
  const isToday = new Date(job.ready_by * 1000).toDateString() === new Date(now * 1000).toDateString();
  const time = hour.format(job.ready_by * 1000);
  const text = `ready by ${isToday ? time : `${shortDay.format(job.ready_by * 1000)} ${time}`}`;
  if (!isOpen(job)) return text;
  const isUnknown = typeof job.eta_seconds !== "number";
  if (isUnknown) return job.ready_by < now ? `${text}, ${roughly(now - job.ready_by)} late` : text;
  const left = job.ready_by - now - job.eta_seconds;
  return `${text}, ${roughly(Math.abs(left))} ${left < 0 ? "late" : "early"} expected`;
}

function roughly(seconds) {
  if (seconds < 5400) return `${Math.max(1, Math.round(seconds / 60))} min`;
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} days`;
}

const languages = new Intl.DisplayNames("en", { type: "language", fallback: "code" });

/** Return a language's English name; the code itself if there is none. */
export function languageName(code) {
  try {
    return languages.of(code);
  } catch {
    return code;
  }
}

/** Write what is spoken in a job, and that its text is English if that is a translation; "" if unknown. */
export function spokenIn({ language, task }) {
  const name = language ? languageName(language) : "";
  return name && task === "translate" && language !== "en" ? `${name}, in English` : name;
}

/** Write a number of bytes roughly: "1.2 MB". */
export function size(bytes) {
  if (bytes < 1e6) return `${Math.max(1, Math.round(bytes / 1e3))} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}

const COUNTED = {
  partial: "with gaps",
  failed: "failed",
  refused: "refused",
  canceled: "canceled",
  deleted: "deleted",
};

/** Write the counts of a collection: "480 of 500 done, 20 failed". */
export function counted(counts) {
  const { completed, total } = counts;
  const others = Object.entries(COUNTED).filter(([name]) => counts[name]);
  return [`${completed} of ${total} done`, ...others.map(([name, text]) => `${counts[name]} ${text}`)].join(", ");
}
