// Copying text, also without the clipboard API.

/** Copy a text; return whether it worked. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

/** The fallback for pages that were not loaded over https. */
function copyBySelection(text) {
  const holder = document.createElement("textarea");
  const focused = document.activeElement;
  holder.className = "unseen";
  holder.setAttribute("aria-hidden", "true");
  holder.value = text;
  // Inside an open dialog, since nothing outside of it can be selected.
  (document.querySelector("dialog[open]") ?? document.body).append(holder);
  holder.select();
  const copied = document.execCommand("copy");
  holder.remove();
  focused?.focus();
  return copied;
}
