// Image formats by signature, as the server detects them.

const ascii = (bytes, from, to) => String.fromCharCode(...bytes.subarray(from, to));
const HEIC_BRANDS = ["heic", "heix", "hevc", "heim", "heis", "hevm", "hevs", "mif1", "msf1"];

/** Return the MIME type of an image's first 16 bytes, or null. The server reads all but HEIC. */
export function sniff(bytes) {
  if (bytes[0] === 0xff && bytes[1] === 0xd8) return "image/jpeg";
  if (ascii(bytes, 0, 8) === "\x89PNG\r\n\x1a\n") return "image/png";
  if (ascii(bytes, 0, 4) === "GIF8") return "image/gif";
  if (ascii(bytes, 0, 4) === "RIFF" && ascii(bytes, 8, 12) === "WEBP") return "image/webp";
  if (["II*\0", "MM\0*"].includes(ascii(bytes, 0, 4))) return "image/tiff";
  if (ascii(bytes, 0, 2) === "BM") return "image/bmp";
  return ascii(bytes, 4, 8) === "ftyp" ? boxed(ascii(bytes, 8, 12)) : null;
}

function boxed(brand) {
  if (["avif", "avis"].includes(brand)) return "image/avif";
  return HEIC_BRANDS.includes(brand) ? "image/heic" : null;
}
