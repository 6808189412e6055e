// HPACK's Huffman code (RFC 7541 appendix B), to decode printable ASCII. The code is canonical: codes of one length are
// consecutive, in the order of their symbols, so the symbols of each length are all there is to say.

/** Symbols by the length of their code in bits. Left out: codes of 20 bits and more, which no printable character has. */
const SYMBOLS_BY_LENGTH: readonly (readonly [number, string])[] = [
  [5, "012aceiost"],
  [6, " %-./3456789=A_bdfghlmnpru"],
  [7, ":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz"],
  [8, "&*,;XZ"],
  [10, '!"()?'],
  [11, "'+|"],
  [12, "#>"],
  [13, "\0$@[]~"],
  [14, "^}"],
  [15, "<`{"],
  [19, "\\\u00c3\u00d0"],
];
const LENGTH_MAX = 19;

/** For each length: the first code, and the symbols from that code on. */
const firstCodes = new Int32Array(LENGTH_MAX + 1);
const symbols = Array.from({ length: LENGTH_MAX + 1 }, () => "");
let nextCode = 0;
let lastLength = 0;
for (const [length, text] of SYMBOLS_BY_LENGTH) {
  nextCode <<= length - lastLength;
  firstCodes[length] = nextCode;
  symbols[length] = text;
  nextCode += text.length;
  lastLength = length;
}

/** Decodes `bytes` from `from` up to `to`. Throws an Error on a code outside the table and on bad padding. */
export function decodeHuffman(bytes: Uint8Array, from: number, to: number): string {
  let text = "";
  let code = 0;
  let length = 0;
  for (let at = from; at < to; at += 1) {
    for (let bit = 7; bit >= 0; bit -= 1) {
      code = (code << 1) | ((bytes[at]! >> bit) & 1);
      length += 1;
      if (length > LENGTH_MAX) throw new Error("HPACK: a Huffman code of a byte outside printable ASCII");
      const offset = code - firstCodes[length]!;
      if (offset >= 0 && offset < symbols[length]!.length) {
        text += symbols[length]![offset];
        code = 0;
        length = 0;
      }
    }
  }
  if (length > 7 || code !== (1 << length) - 1) throw new Error("HPACK: a Huffman string is badly padded");
  return text;
}
