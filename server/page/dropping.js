// Images that are dropped anywhere on the page, or pasted.

import { byId } from "./dom.js";

/** Handle drops and pastes: files, or the URL of another page's image. */
export function acceptDropsAndPastes({ onFiles, onAddress }) {
  const veil = byId("drop");
  const holdsPictures = ({ types }) => types.includes("Files") || types.includes("text/uri-list");
  let depth = 0;
  const leave = (left) => {
    depth = Math.max(0, left);
    veil.hidden = depth === 0;
  };
  addEventListener("dragenter", ({ dataTransfer }) => {
    if (holdsPictures(dataTransfer)) leave(depth + 1);
  });
  addEventListener("dragleave", () => leave(depth - 1));
  addEventListener("dragover", (event) => {
    if (holdsPictures(event.dataTransfer)) event.preventDefault();
  });
  addEventListener("drop", (event) => {
    leave(0);
    if (!holdsPictures(event.dataTransfer)) return;
    event.preventDefault();
    handOver(event.dataTransfer, onFiles, onAddress);
  });
  addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    onFiles(files);
  });
}

function handOver(data, onFiles, onAddress) {
  if (data.files.length) return onFiles([...data.files]);
  const [address] = data.getData("text/uri-list").split(/\r?\n/).filter((line) => !line.startsWith("#"));
  return address && onAddress(address);
}
