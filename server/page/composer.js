// The form at the bottom: a question with its pictures.

import { byId, offerFocus } from "./dom.js";
import { Tray } from "./tray.js";

// Asked where there are pictures and no words; a turn needs some.
const WORDLESS = "Describe the image.";
const HINT = "Ask about a picture…";

/** What the user is about to ask. */
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

  /** Send what is there, if it can be sent. */
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

  /** Let the last question be changed; what was written meanwhile comes back afterwards. */
  edit(question) {
    if (!this.#editing) this.#draft = { text: this.#field.value, pictures: this.tray.pictures };
    this.#editing = true;
    byId("editing").hidden = false;
    this.#fill(question);
    this.#field.focus();
  }

  /** Leave the last question as it was. */
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
