// Image formats by signature, as the server detects them.

const ascii = (bytes, from, to) => String.fromCharCode(...bytes.subarray(from, to));
const HEIC_BRANDS = ["heic", "heix", "hevc", "heim", "heis", "hevm", "hevs", "mif1", "msf1"];
const JPEG_2000 = ["\0\0\0\x0cjP  ", "\xffO\xffQ"];

/** Return the MIME type of an image's first 16 bytes, or null. */
export function sniff(bytes) {
  if (bytes[0] === 0xff && bytes[1] === 0xd8) return "image/jpeg";
  if (ascii(bytes, 0, 8) === "\x89PNG\r\n\x1a\n") return "image/png";
  if (ascii(bytes, 0, 4) === "GIF8") return "image/gif";
  if (ascii(bytes, 0, 4) === "RIFF" && ascii(bytes, 8, 12) === "WEBP") return "image/webp";
  if (["II*\0", "MM\0*"].includes(ascii(bytes, 0, 4))) return "image/tiff";
  if (ascii(bytes, 0, 2) === "BM") return "image/bmp";
  if (JPEG_2000.some((start) => ascii(bytes, 0, 12).startsWith(start))) return "image/jp2";
  if (ascii(bytes, 0, 4) === "\0\0\x01\0") return "image/vnd.microsoft.icon";
  if (/^P[1-6f]\s/.test(ascii(bytes, 0, 3))) return "image/x-portable-anymap";
  return ascii(bytes, 4, 8) === "ftyp" ? boxed(ascii(bytes, 8, 12)) : null;
}

function boxed(brand) {
  if (["avif", "avis"].includes(brand)) return "image/avif";
  return HEIC_BRANDS.includes(brand) ? "image/heic" : null;
}
