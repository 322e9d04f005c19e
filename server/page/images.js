// Images to send: original files, scaled down only if they are very large.

import { sniff } from "./formats.js";

const MAX_PIXELS = 8_000_000;
const MAX_BYTES = 8_000_000;
const QUALITY = 0.9;

/** A file that cannot be sent, and why. */
export class Unusable extends Error {}

/** Return an image with an http(s) URL, which the server will fetch. */
export function pictureAt(address) {
  const url = URL.canParse(address) ? new URL(address) : null;
  if (!url || !["http:", "https:"].includes(url.protocol)) {
    throw new Unusable(`“${address}” is not an http or https address.`);
  }
  return { name: url.href, url: url.href, preview: null, note: null };
}

/** Return an image from a file. Throws `Unusable`. */
export async function pictureIn(file) {
  const name = file.name || "pasted picture";
  const type = sniff(new Uint8Array(await file.slice(0, 16).arrayBuffer()));
  if (!type) throw new Unusable(`“${name}” is no picture of a kind that the server reads.`);
  const bitmap = await decoded(file.type === type ? file : new Blob([file], { type }));
  try {
    return await prepared(file, name, type, bitmap);
  } finally {
    bitmap?.close();
  }
}

async function prepared(file, name, type, bitmap) {
  if (bitmap && isLarge(file, bitmap)) return scaledDown(file, name, bitmap);
  if (file.size > MAX_BYTES) {
    throw new Unusable(`“${name}” has ${megabytes(file.size)}, and this browser cannot read it to`
      + " scale it down.");
  }
  const note = bitmap ? null : "This browser cannot show it; it is sent as it is.";
  return picture(new Blob([file], { type }), name, note, bitmap !== null);
}

const isLarge = (file, { width, height }) => {
  return width * height > MAX_PIXELS || file.size > MAX_BYTES;
};

/** Return the upright pixels, or null if the browser cannot decode them. */
async function decoded(file) {
  try {
    return await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    return null;
  }
}

async function scaledDown(file, name, bitmap) {
  const fitting = Math.min(1, Math.sqrt(MAX_PIXELS / (bitmap.width * bitmap.height)));
  for (let scale = fitting; scale > 0.01; scale *= 0.7) {
    const [width, height] = [bitmap.width, bitmap.height].map((side) => {
      return Math.max(1, Math.floor(side * scale));
    });
    const blob = await jpeg(bitmap, width, height);
    if (blob.size > MAX_BYTES) continue;
    const before = `${bitmap.width}x${bitmap.height}, ${megabytes(file.size)}`;
    const done = scale < 1 ? "Scaled down" : "Made a JPEG";
    const note = `${done} here from ${before} to ${width}x${height}, ${megabytes(blob.size)}.`;
    return picture(blob, name, note, true);
  }
  throw new Unusable(`“${name}” cannot be made small enough.`);
}

/** Transparent pixels get a white background, as on the server by default. */
async function jpeg(bitmap, width, height) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.fillStyle = "#fff";
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0, width, height);
  const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", QUALITY));
  if (!blob) throw new Unusable("This browser cannot scale the picture down.");
  return blob;
}

async function picture(blob, name, note, visible) {
  return { name, url: await dataUrl(blob), preview: visible ? URL.createObjectURL(blob) : null, note };
}

function dataUrl(blob) {
  return new Promise((done, failed) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result);
    reader.onerror = () => failed(new Unusable(`The file cannot be read: ${reader.error.message}`));
    reader.readAsDataURL(blob);
  });
}

const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
