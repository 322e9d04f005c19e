// Feedback of copy buttons.

import { copyText } from "./clipboard.js";
import { byId } from "./dom.js";

const SHOWN_MS = 1600;

/** Copy a text and show on the button whether it worked. */
export async function copyWithWord(text, pressed) {
  const word = (await copyText(text)) ? "Copied" : "Could not copy";
  const label = pressed.querySelector("span");
  const usual = (pressed.dataset.usual ??= label.textContent);
  label.textContent = word;
  byId("announcer").textContent = word;
  setTimeout(() => { label.textContent = usual; }, SHOWN_MS);
}
