// The menu of formats in which a transcript can be downloaded.

import { downloadPath } from "../api.js";
import { byId, element } from "../element.js";

const FORMATS = {
  txt: "Plain text",
  srt: "Subtitles",
  vtt: "Subtitles for the web",
  tsv: "Table",
  rttm: "Speakers' turns",
  docx: "Word document",
  textgrid: "Praat",
  eaf: "ELAN",
  audacity: "Audacity's labels",
  json: "Everything",
};
const menu = byId("downloads");

/** Fill the menu with a job's files. */
export function offerDownloads(id) {
  menu.open = false;
  byId("download-items").replaceChildren(
    ...Object.entries(FORMATS).map(([format, text]) =>
      element(
        "li",
        {},
        element(
          "a",
          { href: downloadPath(id, format), download: true, onclick: () => (menu.open = false) },
          element("span", {}, text),
          element("span", {}, format),
        ),
      ),
    ),
  );
}

document.addEventListener("click", (event) => {
  if (!menu.contains(event.target)) menu.open = false;
});
menu.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !menu.open) return;
  menu.open = false;
  menu.querySelector("summary").focus();
});
