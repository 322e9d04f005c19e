// The dialog that shows the last request as code.

import { copyWithWord } from "./copying.js";
import { byId, button, element } from "./dom.js";
import { curl, python, shortened } from "./snippets.js";

/** Show a request; data URLs are shortened on the screen and complete in the copy. */
export function showSnippets(asked, url, baseUrl) {
  const short = { ...asked, body: shortened(asked.body) };
  byId("snippet-list").replaceChildren(
    snippet("curl", curl(short, url), () => curl(asked, url)),
    snippet("Python", python(short, baseUrl), () => python(asked, baseUrl)),
    element("p", { class: "hint" }, "Pictures are cut short here; a copy holds them whole.",
      asked.hasKey ? " Put the API key into LLAVA_API_KEY." : ""),
  );
  byId("snippets").showModal();
}

function snippet(name, shown, whole) {
  const onclick = ({ currentTarget }) => copyWithWord(whole(), currentTarget);
  const copy = button("copy", "Copy", onclick, { "aria-label": `Copy ${name}` });
  const head = element("div", { class: "snippet-bar" }, element("h3", {}, name), copy);
  const code = element("pre", { tabindex: "0", "aria-label": `${name} code` }, element("code", {}, shown));
  return element("section", { class: "snippet" }, head, code);
}
