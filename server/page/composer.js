// The form at the bottom: a question with its images.

import { byId, offerFocus } from "./dom.js";
import { Tray } from "./tray.js";

// The question for images without text; a turn needs a text.
const WORDLESS = "Describe the image.";
const HINT = "Ask about a picture…";

/** The form of the next question. */
export class Composer {
  #field = byId("question");
  #ready = false;
  #busy = false;
  #onAsk;
  #editing = false;
  #draft = null;

  /** `onAsk` gets `{text, pictures}` and whether it replaces the last question. */
  constructor(onAsk) {
    this.#onAsk = onAsk;
    this.tray = new Tray(() => this.#show());
    this.#field.addEventListener("input", () => this.#show());
    this.#field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.send();
    });
    byId("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      this.send();
    });
    byId("cancel-edit").addEventListener("click", () => this.endEdit());
  }

  /** Whether the server can be asked, and whether it is answering. */
  setState(ready, busy) {
    [this.#ready, this.#busy] = [ready, busy];
    this.#show();
  }

  /** Send the question, if possible. */
  send() {
    if (byId("send").disabled) return;
    const text = this.#field.value.trim() || WORDLESS;
    const question = { text, pictures: [...this.tray.pictures] };
    const replacing = this.#editing;
    this.#fill(this.#draft ?? { text: "", pictures: [] });
    this.#leaveEdit();
    this.#onAsk(question, replacing);
    offerFocus(this.#field);
  }

  /** Edit the last question; the current draft is restored afterwards. */
  edit(question) {
    if (!this.#editing) this.#draft = { text: this.#field.value, pictures: this.tray.pictures };
    this.#editing = true;
    byId("editing").hidden = false;
    this.#fill(question);
    this.#field.focus();
  }

  /** Cancel the edit. */
  endEdit() {
    if (!this.#editing) return;
    this.#fill(this.#draft);
    this.#leaveEdit();
    this.#field.focus();
  }

  #leaveEdit() {
    [this.#editing, this.#draft] = [false, null];
    byId("editing").hidden = true;
  }

  #fill({ text, pictures }) {
    this.#field.value = text;
    this.tray.pictures = pictures;
  }

  #show() {
    const pictures = this.tray.pictures.length > 0;
    const empty = !pictures && !this.#field.value.trim();
    byId("send").disabled = empty || this.tray.busy || !this.#ready || this.#busy;
    byId("send").hidden = this.#busy;
    byId("stop").hidden = !this.#busy;
    this.#field.placeholder = pictures ? WORDLESS : HINT;
    this.#field.style.height = "auto";
    this.#field.style.height = `${this.#field.scrollHeight}px`;
  }
}
