// Whether the server can be asked: polls until it can, and again when something speaks against it.

import { listModels, readiness } from "./api.js";
import { byId } from "./dom.js";

const POLL_MS = 1000;
const WORDS = {
  connecting: "Connecting…",
  loading: "The model is loading…",
  draining: "The server is shutting down",
  failed: "The server has failed",
  unreachable: "The server cannot be reached",
  locked: "An API key is needed",
};

/** The state of the server, as shown at the top of the page. */
export class Connection {
  #settings;
  #onReady;
  #onLocked;
  #timer;
  state = "connecting";

  /** `onReady` is told once the model can be asked, `onLocked` the failure that asks for a key. */
  constructor(settings, { onReady, onLocked }) {
    this.#settings = settings;
    this.#onReady = onReady;
    this.#onLocked = onLocked;
  }

  get ready() {
    return this.state === "ready";
  }

  /** Look again now, and from now on until the server is ready. */
  async check() {
    clearTimeout(this.#timer);
    let state = await readiness();
    // A server that is loading names its model, and asks for its key, already.
    if (state === "ready" || state === "loading") state = await this.#models(state);
    this.#show(state);
    clearTimeout(this.#timer);
    if (state !== "ready" && state !== "locked") this.#timer = setTimeout(() => this.check(), POLL_MS);
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
