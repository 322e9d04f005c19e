// The view of a turn: the question and its streamed answer.

import { button, element, icon } from "./dom.js";
import { figures } from "./figures.js";
import { markdown } from "./markdown.js";
import { isHistory } from "./request.js";
import { thumbnail } from "./thumbnail.js";

const MEMBERS = ["status", "type", "code", "param", "retryAfter", "requestId"];
const NAMES = { retryAfter: "retry after", requestId: "request id" };

/** The view of a turn: `{question: {text, pictures}, answer: {text, state, …}}`. */
export class TurnView {
  #turn;
  #actions;
  #body = element("div", { class: "answer-text" });
  #below = element("div", { class: "answer-below" });
  #buttons = element("div", { class: "actions" });
  #frame = 0;

  /** `actions` are functions: retry, edit, code, copy. */
  constructor(turn, actions) {
    this.#turn = turn;
    this.#actions = actions;
    const article = element("div", { class: "answer" }, element("h3", { class: "unseen" }, "Answer"));
    article.append(this.#body, this.#below, this.#buttons);
    this.node = element("li", { class: "turn" }, question(turn.question), article);
  }

  /** Show the answer's text, at most once per frame. */
  textChanged() {
    this.#frame ||= requestAnimationFrame(() => this.#showText());
  }

  /** Render everything again; only the last turn can be retried or edited. */
  show(isLast) {
    const { answer } = this.#turn;
    this.#showText();
    this.node.classList.toggle("waiting", answer.state === "asking" && !answer.text);
    this.#below.replaceChildren(...this.#outcome(isLast));
    this.#buttons.replaceChildren(...(answer.state === "asking" ? [] : this.#choices(isLast)));
  }

  #showText() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    const { answer } = this.#turn;
    this.node.classList.toggle("waiting", answer.state === "asking" && !answer.text);
    if (answer.text) this.#body.replaceChildren(...markdown(answer.text));
    else this.#body.replaceChildren(...placeholder(answer));
  }

  #outcome(isLast) {
    const { answer } = this.#turn;
    const unsent = !isLast && !isHistory(this.#turn) && "Later questions are sent without this turn.";
    const notes = {
      asking: [],
      done: [answer.told?.notes],
      stopped: ["Stopped.", unsent],
      failed: [unsent],
    }[answer.state];
    const boxes = [answer.told && figures(answer.told), answer.failure && failureBox(answer.failure)];
    return [...boxes, ...notes.filter(Boolean).map(hint)].filter(Boolean);
  }

  #choices(isLast) {
    const { answer } = this.#turn;
    const { retry, edit, code, copy } = this.#actions;
    const copying = answer.text && button("copy", "Copy", ({ currentTarget }) => copy(answer.text, currentTarget));
    if (!isLast) return [copying].filter(Boolean);
    const again = answer.state === "failed" ? "Try again" : "Retry";
    const last = [button("retry", again, retry), button("edit", "Edit", edit, { "aria-label": "Edit question" }), button("code", "Code", code)];
    return [copying, ...last].filter(Boolean);
  }
}

const hint = (text) => element("p", { class: "hint" }, text);

function question({ text, pictures }) {
  const images = pictures.map((picture) => {
    const note = picture.note && hint(picture.note);
    return element("li", {}, thumbnail(picture), note);
  });
  const list = images.length ? element("ul", { class: "pictures", "aria-label": "Pictures" }, ...images) : null;
  const words = element("p", { class: "question-text" }, text);
  return element("div", { class: "question" }, element("h3", { class: "unseen" }, "Question"), list, words);
}

function placeholder({ state }) {
  if (state === "done") return [hint("The answer is empty.")];
  if (state !== "asking") return [];
  return [element("p", { class: "thinking" }, "Looking…")];
}

/** Build the box of an error with all its details. */
function failureBox({ message, details }) {
  const told = MEMBERS.filter((name) => details[name] != null && details[name] !== "");
  const rows = told.map((name) => {
    const value = name === "retryAfter" ? `${details[name]} s` : String(details[name]);
    return element("div", {}, element("dt", {}, NAMES[name] ?? name), element("dd", {}, value));
  });
  const text = element("div", {}, element("p", {}, message), element("dl", { class: "members" }, ...rows));
  return element("div", { class: "failure", role: "alert" }, icon("warning"), text);
}
