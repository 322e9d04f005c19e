// The user's settings. They last as long as the tab; the key is stored separately.

import { byId } from "./dom.js";

const KEY = "llava-api-key";
const SETTINGS = "llava-settings";
const NUMBERS = ["temperature", "top_p", "max_completion_tokens", "seed"];
const FIELDS = ["system", ...NUMBERS, "detail"];

/** The settings drawer. */
export class Settings {
  #dialog = byId("settings");
  #model = byId("model");
  #notice = byId("key-notice");

  /** `onKey` is called when the key changes. */
  constructor(onKey) {
    this.#restore();
    this.#dialog.addEventListener("input", () => this.#store());
    byId("key").addEventListener("change", () => onKey());
    byId("key").addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.isComposing) return;
      this.#dialog.close();
      onKey();
    });
    byId("reset").addEventListener("click", () => this.#reset());
    byId("open-settings").addEventListener("click", () => this.#dialog.showModal());
  }

  get key() {
    return byId("key").value.trim();
  }

  get model() {
    return this.#model.value;
  }

  /** The settings that are part of a request. */
  get values() {
    const filled = NUMBERS.filter((name) => byId(name).value !== "");
    const sampling = Object.fromEntries(filled.map((name) => [name, byId(name).valueAsNumber]));
    return { model: this.model, system: byId("system").value, detail: byId("detail").value, sampling };
  }

  /** List these models. */
  set models(names) {
    const chosen = this.#model.value;
    this.#model.replaceChildren(...names.map((name) => new Option(name, name)));
    if (names.includes(chosen)) this.#model.value = chosen;
    this.#model.disabled = false;
  }

  /** Show the key's field and the reason. */
  askForKey(reason) {
    this.#notice.textContent = reason;
    this.#notice.hidden = false;
    if (!this.#dialog.open) this.#dialog.showModal();
    byId("key").focus();
  }

  /** The server accepted the key. */
  keyAccepted() {
    this.#notice.hidden = true;
  }

  #store() {
    const values = FIELDS.map((name) => [name, byId(name).value]);
    sessionStorage.setItem(SETTINGS, JSON.stringify(Object.fromEntries(values)));
    sessionStorage.setItem(KEY, this.key);
  }

  #restore() {
    byId("key").value = sessionStorage.getItem(KEY) ?? "";
    const values = JSON.parse(sessionStorage.getItem(SETTINGS) ?? "{}");
    for (const name of FIELDS) byId(name).value = values[name] ?? "";
  }

  #reset() {
    for (const name of FIELDS) byId(name).value = "";
    this.#store();
  }
}
