// The images of the next question.

import { byId, element, icon } from "./dom.js";
import { Unusable, pictureAt, pictureIn } from "./images.js";
import { thumbnail } from "./thumbnail.js";

/** The list of images above the question, and the ways to add to it. */
export class Tray {
  #pictures = [];
  #list = byId("tray");
  #problems = byId("problems");
  #onChange;
  #pending = 0;

  constructor(onChange) {
    this.#onChange = onChange;
    byId("pick").addEventListener("click", () => byId("files").click());
    byId("files").addEventListener("change", ({ target }) => {
      this.addFiles([...target.files]);
      target.value = "";
    });
    byId("link").addEventListener("click", () => this.#showUrl(byId("url-row").hidden));
    byId("close-url").addEventListener("click", () => this.#showUrl(false));
    byId("add-url").addEventListener("click", () => this.#addTyped());
    byId("url").addEventListener("keydown", (event) => this.#urlKey(event));
  }

  get pictures() {
    return this.#pictures;
  }

  /** Whether files are still being read. */
  get busy() {
    return this.#pending > 0;
  }

  set pictures(pictures) {
    this.#pictures = [...pictures];
    this.#problems.replaceChildren();
    this.#show();
  }

  /** Add files in order; show a problem for each unusable one. */
  async addFiles(files) {
    this.#problems.replaceChildren();
    this.#pending += 1;
    this.#show();
    for (const file of files) {
      await pictureIn(file).then((picture) => this.#pictures.push(picture), (error) => this.#refuse(error));
      this.#show();
    }
    this.#pending -= 1;
    this.#show();
  }

  /** Add an image by its URL; return whether it is one. */
  addAddress(address) {
    this.#problems.replaceChildren();
    try {
      this.#pictures.push(pictureAt(address));
    } catch (error) {
      this.#refuse(error);
      return false;
    }
    this.#show();
    return true;
  }

  #addTyped() {
    const field = byId("url");
    const address = field.value.trim();
    if (!address || !this.addAddress(address)) return field.focus();
    field.value = "";
    this.#showUrl(false);
    byId("question").focus();
  }

  #urlKey(event) {
    if (event.key === "Enter") this.#addTyped();
    else if (event.key === "Escape") this.#showUrl(false);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #showUrl(shown) {
    byId("url-row").hidden = !shown;
    byId("link").setAttribute("aria-expanded", String(shown));
    byId(shown ? "url" : "link").focus();
  }

  #refuse(error) {
    const text = error instanceof Unusable ? error.message : `The file cannot be read: ${error.message}`;
    this.#problems.append(element("p", { class: "problem" }, icon("warning"), element("span", {}, text)));
  }

  #remove(picture) {
    this.#pictures = this.#pictures.filter((each) => each !== picture);
    this.#show();
    byId("question").focus();
  }

  #show() {
    const items = this.#pictures.map((picture) => {
      const label = `Remove ${picture.name}`;
      const onclick = () => this.#remove(picture);
      const remove = element("button", { type: "button", class: "remove", "aria-label": label, onclick }, icon("close"));
      const note = picture.note && element("p", { class: "hint" }, picture.note);
      return element("li", {}, thumbnail(picture), note, remove);
    });
    if (this.busy) items.push(element("li", { class: "reading", role: "status" }, "Reading…"));
    this.#list.replaceChildren(...items);
    this.#list.hidden = items.length === 0;
    this.#onChange();
  }
}
