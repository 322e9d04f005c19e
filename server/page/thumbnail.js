// The thumbnail of an image. A URL is not loaded here: only the server fetches it.

import { element, icon } from "./dom.js";

/** Return an image, or a tile with its name if it cannot be shown. */
export function thumbnail({ name, url, preview }) {
  if (preview) return element("img", { class: "thumbnail", src: preview, alt: name, title: name });
  const isAddress = !url.startsWith("data:");
  const text = element("span", {}, name);
  return element("span", { class: "thumbnail tile", title: name }, icon(isAddress ? "link" : "image"), text);
}
