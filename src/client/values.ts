import { utf8Encode } from "../core/bytes.js";

/** How values become bytes and back. Either may throw; the call is then the error `bad_request`. */
export interface ValueCodec<V> {
  encode(value: V): Uint8Array;
  decode(bytes: Uint8Array): V;
}

/** The default: values are bytes, as they are. */
export const bytes: ValueCodec<Uint8Array> = {
  encode(value) {
    if (!(value instanceof Uint8Array)) throw new TypeError("the value is no Uint8Array: choose `values` at connect");
    return value;
  },
  decode: (value) => value,
};

/** UTF-8 text. A value that is not UTF-8 is refused when it is read, not changed. */
export const text: ValueCodec<string> = {
  encode(value) {
    if (typeof value !== "string") throw new TypeError("the value is no string");
    return utf8Encode(value);
  },
  decode: (value) => new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(value),
};

/** JSON. What a sum counts is a JSON number as well. */
export const json: ValueCodec<unknown> = {
  encode(value) {
    const written = JSON.stringify(value);
    if (written === undefined) throw new TypeError("the value has no JSON");
    return utf8Encode(written);
  },
  decode: (value) => JSON.parse(text.decode(value)),
};
