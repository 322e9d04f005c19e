// The server's readiness: polls until it is ready, and again after an error.

import { listModels, readiness } from "./api.js";
import { byId } from "./dom.js";

const POLL_MS = 1000;
const READY_POLL_MS = 10_000;
const WORDS = {
  connecting: "Connecting…",
  loading: "Model is loading…",
  draining: "Shutting down",
  failed: "Server failed",
  unreachable: "No connection",
  locked: "API key needed",
};

/** The server's state at the top of the page. */
export class Connection {
  #settings;
  #onReady;
  #onLocked;
  #timer;
  state = "connecting";

  /** `onReady` is called once the model is ready, `onLocked` with the failure that requires a key. */
  constructor(settings, { onReady, onLocked }) {
    this.#settings = settings;
    this.#onReady = onReady;
    this.#onLocked = onLocked;
  }

  get ready() {
    return this.state === "ready";
  }

  /** Poll the server, more often until it is ready. */
  async check() {
    const state = await readiness();
    // A loading server already lists its model and requires its key.
    const talks = state === "ready" || state === "loading";
    this.#show(talks ? await this.#models(state) : state);
    this.#wait();
  }

  #wait() {
    clearTimeout(this.#timer);
    if (this.state === "locked") return;
    this.#timer = setTimeout(() => this.#look(), this.ready ? READY_POLL_MS : POLL_MS);
  }

  async #look() {
    if (this.state === (await readiness())) this.#wait();
    else this.check();
  }

  async #models(state) {
    try {
      this.#settings.models = await listModels(this.#settings.key);
    } catch (failure) {
      if (failure.details?.status !== 401) return "unreachable";
      this.#onLocked(failure);
      return "locked";
    }
    this.#settings.keyAccepted();
    return state;
  }

  #show(state) {
    const changed = state !== this.state;
    this.state = state;
    byId("state").dataset.state = state;
    byId("state-text").textContent = WORDS[state] ?? this.#settings.model;
    if (changed) this.#onReady(this.ready);
  }
}
