// How statuses, stages, times and languages are written for people.

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
  embed_speakers: "Listening for speakers",
  diarize: "Telling the speakers apart",
  assemble: "Putting it together",
};

export const isOpen = (job) => job.status === "queued" || job.status === "processing";
export const hasTranscript = (job) => job.status === "completed" || job.status === "partial";

/** Seconds as on a clock: 1:05 or 1:02:05. */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds || 0));
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  const rest = String(whole % 60).padStart(2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/** How long something still takes, as a person would say it. */
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

/** When it was, seen from now: 3 minutes ago, or the day. */
export function since(created) {
  const passed = Date.now() / 1000 - created;
  if (passed > 7 * 86400) return day.format(created * 1000);
  const [unit, length] = UNITS.find(([, seconds]) => passed >= seconds) ?? [];
  return unit ? ago.format(-Math.floor(passed / length), unit) : "just now";
}

/** The exact moment. */
export function exactly(created) {
  return moment.format(created * 1000);
}

const languages = new Intl.DisplayNames("en", { type: "language", fallback: "code" });

/** A language's English name. */
export function languageName(code) {
  try {
    return languages.of(code);
  } catch {
    return code;
  }
}

/** Bytes, roughly. */
export function size(bytes) {
  if (bytes < 1e6) return `${Math.max(1, Math.round(bytes / 1e3))} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}
