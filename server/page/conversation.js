// The conversation: its turns, and the request for the last answer.

import { newAffinity } from "./affinity.js";
import { COMPLETIONS_URL, BASE_URL, complete } from "./api.js";
import { copyWithWord } from "./copying.js";
import { byId, offerFocus } from "./dom.js";
import { Failure } from "./failure.js";
import { follow, followGrowthOf } from "./following.js";
import { requestBody } from "./request.js";
import { showSnippets } from "./snippet_view.js";
import { TurnView } from "./turn.js";

/** All turns so far; they are stored in this page only. */
export class Conversation {
  #turns = [];
  #affinity = newAffinity();
  #settings;
  #events;
  #asking = null;
  #last = null;

  /** `events` are functions: changed(), edit(question), failed(failure). */
  constructor(settings, events) {
    this.#settings = settings;
    this.#events = events;
    followGrowthOf(byId("turns"), byId("composer"));
  }

  get busy() {
    return this.#asking !== null;
  }

  get empty() {
    return this.#turns.length === 0;
  }

  /** Ask a question, in place of the last one if `replacing`. */
  ask(question, replacing = false) {
    if (replacing) this.#turns.pop().view.node.remove();
    const turn = { question, answer: { text: "", state: "asking" } };
    const retry = () => this.#again(turn);
    const edit = () => this.#events.edit(question);
    const code = () => showSnippets(this.#last, COMPLETIONS_URL, BASE_URL);
    turn.view = new TurnView(turn, { retry, edit, code, copy: copyWithWord });
    this.#turns.push(turn);
    byId("turns").append(turn.view.node);
    this.#showAll();
    follow();
    return this.#answer(turn);
  }

  /** Stop the current answer and keep its text so far. */
  stop() {
    this.#asking?.abort();
  }

  /** Remove all turns. */
  clear() {
    this.stop();
    this.#turns = [];
    this.#affinity = newAffinity();
    byId("turns").replaceChildren();
    this.#events.changed();
  }

  #again(turn) {
    if (this.busy) return;
    turn.answer = { text: "", state: "asking" };
    this.#answer(turn);
    // The pressed button no longer exists.
    offerFocus(byId("question"));
  }

  async #answer(turn) {
    const asking = new AbortController();
    const { answer, view } = turn;
    const { key } = this.#settings;
    this.#asking = asking;
    const affinity = this.#affinity;
    const body = requestBody(this.#turns, this.#settings.values);
    this.#last = { body, affinity, hasKey: key !== "" };
    this.#events.changed();
    announce("Asking…");
    view.show(true);
    const onText = (text) => {
      answer.text += text;
      view.textChanged();
    };
    try {
      answer.told = await complete(body, { key, affinity, signal: asking.signal, onText });
      if (this.#affinity === affinity) this.#affinity = answer.told.affinity;
      answer.state = "done";
    } catch (error) {
      this.#failed(answer, error);
    }
    this.#ended(asking, turn);
  }

  #failed(answer, error) {
    answer.state = error.name === "AbortError" ? "stopped" : "failed";
    if (answer.state === "stopped") return;
    answer.failure = error instanceof Failure ? error : new Failure(String(error));
    this.#events.failed(answer.failure);
  }

  #ended(asking, { answer, view }) {
    if (this.#asking === asking) this.#asking = null;
    view.show(true);
    this.#events.changed();
    // Errors are announced as alerts.
    const words = { done: `Answer: ${answer.text}`, stopped: `Stopped. ${answer.text}`, failed: "" };
    announce(words[answer.state]);
  }

  #showAll() {
    for (const turn of this.#turns) turn.view.show(turn === this.#turns.at(-1));
  }
}

/** Announce a text to screen readers. */
function announce(text) {
  byId("announcer").textContent = text;
}
