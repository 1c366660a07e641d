// Mark the word that is played, and keep it visible unless the reader scrolls away.

import { byId } from "../element.js";
import { player } from "./player.js";
import { nextStart } from "./word_index.js";

const LOOK_MILLISECONDS = 400; // between two checks whether the word is visible
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const button = byId("player-follow");
const tools = document.querySelector(".reading-tools");
let following = true;

function follow(on) {
  following = on;
  button.setAttribute("aria-pressed", String(on));
}

button.addEventListener("click", () => follow(!following));
for (const name of ["wheel", "touchmove"]) {
  document.addEventListener(
    name,
    () => {
      if (!player.audio.paused) follow(false);
    },
    { passive: true },
  );
}

/** Marks the word at the player's position in one transcript. */
export class Follower {
  constructor(words) {
    this.words = words;
    this.number = -1;
    this.looked = 0;
    this.stop = player.listen((seconds, playing) => this.at(seconds, playing));
  }

  at(seconds, playing) {
    const number = this.words.at(seconds);
    const drawn = this.words.elements[number];
    if (drawn !== this.marked) {
      this.marked?.classList.remove("now");
      drawn?.classList.add("now");
      this.marked = drawn;
    }
    this.number = number;
    if (playing && following) this.keepInSight();
  }

  /** Play from the start of the next or previous word, show it, and return its number. */
  step(by) {
    if (!this.words.length) return undefined;
    const number = nextStart(this.words.starts, this.number, by);
    this.go(number);
    return number;
  }

  go(number) {
    player.seek(this.words.starts[number]);
    follow(true);
    this.looked = 0;
    this.keepInSight();
  }

  keepInSight() {
    const now = performance.now();
    if (!this.marked || now - this.looked < LOOK_MILLISECONDS) return;
    this.looked = now;
    const { top, bottom } = this.marked.getBoundingClientRect();
    const covered = tools.getBoundingClientRect().bottom;
    if (top > Math.max(innerHeight * 0.12, covered) && bottom < innerHeight * 0.75) return;
    this.marked.scrollIntoView({ block: "center", behavior: calm.matches ? "auto" : "smooth" });
  }

  close() {
    this.stop();
    this.marked?.classList.remove("now");
  }
}
