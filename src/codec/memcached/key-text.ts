/** Keys as words of memcached's lines. */
import { decodeBase64, encodeBase64 } from "./base64.js";
import { KEY_BYTES_MAX } from "./classic-commands.js";

/** Stands for the empty key, which memcached does not have. The key that is spelt so goes in base64. */
const EMPTY_KEY = '""';
const TEXT = /^[\x21-\x7e\x80-\xff]*$/;

/** Whether memcached's text can carry it: without spaces and control characters, and no longer than its keys are. */
export function isTextKey(key: string): boolean {
  return key !== "" && key.length <= KEY_BYTES_MAX && TEXT.test(key);
}

/** A word for any key, and the flag b behind it where the word is in base64. */
export function keyWord(key: string): string {
  if (key === "") return EMPTY_KEY;
  return isTextKey(key) && key !== EMPTY_KEY ? key : `${encodeBase64(key)} b`;
}

/** Null: it is no base64. */
export function keyOfWord(word: string, inBase64: boolean): string | null {
  if (word === EMPTY_KEY || word === "") return "";
  return inBase64 ? decodeBase64(word) : word;
}
