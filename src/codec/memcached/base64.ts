/** Keys that are bytes (meta flag b), by RFC 4648's first alphabet with its padding. */

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const VALUES = new Map([...ALPHABET].map((char, value) => [char, value]));

/** One char a byte; null: that is no base64. */
export function decodeBase64(text: string): string | null {
  if (text.length === 0 || text.length % 4 !== 0) return null;
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  let bytes = "";
  let bits = 0;
  let held = 0;
  for (let i = 0; i < text.length - padding; i += 1) {
    const value = VALUES.get(text[i]);
    if (value === undefined) return null;
    held = ((held << 6) | value) & 0xffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes += String.fromCharCode((held >> bits) & 0xff);
    }
  }
  return bytes;
}

/** Of one char a byte. */
export function encodeBase64(bytes: string): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 3) {
    const three =
      (bytes.charCodeAt(at) << 16) | ((bytes.charCodeAt(at + 1) || 0) << 8) | (bytes.charCodeAt(at + 2) || 0);
    const chars = Math.min(bytes.length - at, 3) + 1;
    for (let i = 0; i < chars; i += 1) text += ALPHABET[(three >> (18 - 6 * i)) & 63];
    text += "=".repeat(4 - chars);
  }
  return text;
}
