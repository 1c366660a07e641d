// The audio player of a job: play, seek, speed. It knows no text.

import { byId } from "../element.js";
import { clock } from "../labels.js";

const STEP_SECONDS = 5;

class Player {
  constructor() {
    this.audio = byId("audio");
    this.position = byId("player-position");
    this.listeners = new Set();
    this.source = null;
    this.lostAt = null; // seconds; where the connection was lost
    this.stopAt = null; // seconds; where a span that is played ends
    byId("player-play").addEventListener("click", () => this.toggle());
    byId("player-back").addEventListener("click", () => this.skip(-STEP_SECONDS));
    byId("player-forward").addEventListener("click", () => this.skip(STEP_SECONDS));
    byId("player-speed").addEventListener("change", (event) => {
      this.audio.playbackRate = Number(event.target.value);
    });
    this.position.addEventListener("input", () => this.seek(Number(this.position.value)));
    for (const name of ["play", "pause", "ended"]) this.audio.addEventListener(name, () => this.show());
    for (const name of ["seeking", "timeupdate", "durationchange"]) {
      this.audio.addEventListener(name, () => this.moved());
    }
    this.audio.addEventListener("play", () => this.tick());
    this.audio.addEventListener("error", () => this.unavailable());
  }

  get isOpen() {
    return this.source !== null;
  }

  /** Open a job's audio; the browser fetches it while it plays. */
  open(source) {
    if (source === this.source) return;
    this.lostAt = null;
    this.source = source;
    this.audio.src = source;
    this.audio.playbackRate = Number(byId("player-speed").value);
    byId("player").hidden = false;
    document.body.classList.add("has-player");
    byId("transcript").classList.remove("no-audio");
    this.show();
    this.moved();
  }

  close() {
    this.source = null;
    this.audio.pause();
    this.audio.removeAttribute("src");
    this.audio.load();
    byId("player").hidden = true;
    document.body.classList.remove("has-player");
    byId("transcript").classList.add("no-audio");
  }

  unavailable() {
    if (!this.isOpen) return;
    if (this.audio.error?.code === MediaError.MEDIA_ERR_NETWORK) this.lostAt = this.audio.currentTime;
    else this.close(); // deleted, or not decoded yet: show the text without a player
    this.show();
  }

  toggle() {
    if (!this.isOpen) return;
    if (this.lostAt !== null) {
      this.audio.load();
      this.audio.currentTime = this.lostAt;
      this.lostAt = null;
    }
    if (this.audio.paused) this.audio.play().catch(() => this.show());
    else this.audio.pause();
  }

  skip(seconds) {
    this.seek(this.audio.currentTime + seconds);
  }

  /** Play from one time to another, and stop there. */
  playSpan(start, end) {
    if (!this.isOpen) return;
    this.seek(start);
    this.stopAt = end;
    if (this.audio.paused) this.toggle();
  }

  /** Go to a time in seconds. */
  seek(seconds) {
    if (!this.isOpen) return;
    this.stopAt = null;
    this.audio.currentTime = Math.max(0, Math.min(seconds, this.audio.duration || seconds));
    this.moved();
  }

  /** Call the function with the time when it changes; in each frame while it plays. */
  listen(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  tick() {
    if (this.audio.paused || !this.isOpen) return;
    this.stopInTime();
    for (const listener of this.listeners) listener(this.audio.currentTime, true);
    requestAnimationFrame(() => this.tick());
  }

  stopInTime() {
    if (this.stopAt === null || this.audio.currentTime < this.stopAt) return;
    this.stopAt = null;
    this.audio.pause();
  }

  moved() {
    this.stopInTime(); // also while the page is hidden and no frames are drawn
    const { currentTime, duration } = this.audio;
    const length = Number.isFinite(duration) ? duration : 0;
    this.position.max = length || 1;
    this.position.value = currentTime;
    this.position.style.setProperty("--done", `${length ? (currentTime / length) * 100 : 0}%`);
    this.position.setAttribute("aria-valuetext", `${clock(currentTime)} of ${clock(length)}`);
    byId("player-now").textContent = clock(currentTime);
    byId("player-length").textContent = clock(length);
    for (const listener of this.listeners) listener(currentTime, !this.audio.paused);
  }

  show() {
    const button = byId("player-play");
    const paused = this.audio.paused;
    button.setAttribute("aria-label", paused ? "Play" : "Pause");
    button.querySelector("use").setAttribute("href", paused ? "#icon-play" : "#icon-pause");
  }
}

export const player = new Player();
