// The page: connects its parts.

import { Composer } from "./composer.js";
import { Connection } from "./connection.js";
import { Conversation } from "./conversation.js";
import { byId, offerFocus } from "./dom.js";
import { acceptDropsAndPastes } from "./dropping.js";
import { showAbout, showExamples } from "./examples.js";
import { pictureIn } from "./images.js";
import { Settings } from "./settings.js";

const settings = new Settings(() => connection.check());
const connection = new Connection(settings, { onReady, onLocked });
const composer = new Composer((question, replacing) => conversation.ask(question, replacing));
const conversation = new Conversation(settings, {
  changed: showState,
  edit: (question) => composer.edit(question),
  failed,
});

function showState() {
  composer.setState(connection.ready, conversation.busy);
  byId("start").hidden = !conversation.empty;
  byId("new-chat").disabled = conversation.empty;
  for (const example of document.querySelectorAll(".example")) example.disabled = !connection.ready;
}

function onReady() {
  showAbout(settings.model);
  showState();
}

function onLocked({ message }) {
  settings.askForKey(message);
}

/** Ask for a key, or poll the server. */
function failed(failure) {
  if (failure.details.status === 401) settings.askForKey(failure.message);
  else if (!failure.details.status || failure.details.status >= 500) connection.check();
}

acceptDropsAndPastes({
  onFiles: (files) => composer.tray.addFiles(files),
  onAddress: (address) => composer.tray.addAddress(address),
});

addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || document.querySelector("dialog[open]")) return;
  if (conversation.busy) stop();
  else composer.endEdit();
});

function stop() {
  conversation.stop();
  byId("question").focus();
}

byId("stop").addEventListener("click", stop);
byId("new-chat").addEventListener("click", () => {
  composer.endEdit();
  conversation.clear();
  byId("question").focus();
});

for (const dialog of document.querySelectorAll("dialog")) {
  dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close());
  // A click on the backdrop targets the dialog itself.
  dialog.addEventListener("click", ({ target }) => target === dialog && dialog.close());
}

showExamples(async (file, text) => {
  conversation.ask({ text, pictures: [await pictureIn(file)] });
  byId("question").focus();
}).then(showState);
connection.check();
offerFocus(byId("question"));
