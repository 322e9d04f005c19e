// The examples: images that come with the model, each with a question.

import { listExamples } from "./api.js";
import { byId, element } from "./dom.js";

const QUESTIONS = ["Describe the image.", "Describe the image in detail.", "How many shapes are there?"];
// A description of the embedded model.
const ABOUT = {
  "llava-tiny": "llava-tiny, the small model that comes with the server, knows drawings of a few"
    + " coloured shapes, digits and short words. Of photographs it knows nothing.",
};

/** Show the examples; `onChosen` gets a file and a question. */
export async function showExamples(onChosen) {
  const addresses = await listExamples().catch(() => []);
  const cards = addresses.slice(0, QUESTIONS.length).map((address, index) => {
    return card(address, QUESTIONS[index], onChosen);
  });
  byId("example-list").replaceChildren(...cards);
  byId("examples").hidden = cards.length === 0;
}

/** Show the description of a model, if any. */
export function showAbout(model) {
  byId("about-model").textContent = ABOUT[model] ?? "";
  byId("about-model").hidden = !ABOUT[model];
}

function card(address, question, onChosen) {
  const image = element("img", { src: address, alt: "", loading: "lazy" });
  const onclick = async () => onChosen(await download(address), question);
  const text = element("span", {}, question);
  return element("li", {}, element("button", { type: "button", class: "example", onclick }, image, text));
}

async function download(address) {
  const blob = await (await fetch(address)).blob();
  return new File([blob], decodeURIComponent(address.split("/").at(-1)), { type: blob.type });
}
