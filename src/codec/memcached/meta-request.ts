/** The key and the flags of a meta command. */
import { decodeBase64 } from "./base64.js";
import { KEY_BYTES_MAX } from "./classic-commands.js";
import { BAD_FORMAT } from "./errors.js";
import { exptime, u32, u64 } from "./numbers.js";
import type { MemcachedParser } from "./parser.js";

const FLAGS_MAX = 18;
const OPAQUE_BYTES_MAX = 31;
const BAD_TOKEN = "CLIENT_ERROR bad token in command line format";

/** Flags without a token. */
const BARE = "bcfkqstuvx";
/** Flags that are there for proxies between client and server. */
const IGNORED = "PL";

/** What is known and cannot be true here. */
const REFUSED: Readonly<Record<string, string>> = {
  h: "whether a key was read before is not recorded",
  l: "when a key was last read is not recorded",
  E: "a version is the store's to give",
  I: "records are never stale: delete the key, or write it anew",
  R: "nobody can be told that he alone is to write the key anew: use add, or a short-lived key of your own as a lock",
};

/** One meta command's flags; which of them its reply shows, and in which order, is `shown`. */
export class MetaRequest {
  key = "";
  /** As the client wrote it. */
  keyText = "";
  shown = "";
  opaque = "";
  isBinary = false;
  isQuiet = false;
  withValue = false;
  /** x */
  removesValue = false;
  compare: bigint | null = null;
  exptime: number | null = null;
  vivify: number | null = null;
  clientFlags = 0;
  mode = "";
  delta: bigint | null = null;
  initial: bigint | null = null;
}

/** `first`: the first word that is a flag. An error line, if the flags are wrong. */
export function parseMeta(parser: MemcachedParser, first: number): MetaRequest | string {
  const { request, words } = parser;
  const meta = new MetaRequest();
  meta.keyText = request.text(1);
  meta.key = meta.keyText;
  if (meta.keyText.length > KEY_BYTES_MAX) return BAD_FORMAT;
  if (words - first > FLAGS_MAX) return "CLIENT_ERROR options flags are too long";
  let seen = "";
  for (let i = first; i < words; i += 1) {
    const flag = String.fromCharCode(request.bytes[request.start(i)]);
    if (seen.includes(flag)) return "CLIENT_ERROR duplicate flag";
    seen += flag;
    const problem = readFlag(meta, parser, i, flag);
    if (problem !== "") return problem;
  }
  return meta;
}

function readFlag(meta: MetaRequest, parser: MemcachedParser, index: number, flag: string): string {
  if (Object.hasOwn(REFUSED, flag)) return `CLIENT_ERROR flag ${flag} is not possible here: ${REFUSED[flag]}`;
  if (BARE.includes(flag)) return readBare(meta, flag);
  if (IGNORED.includes(flag)) return "";
  const { request } = parser;
  switch (flag) {
    case "O":
      meta.opaque = request.text(index);
      meta.shown += "O";
      return meta.opaque.length > OPAQUE_BYTES_MAX + 1 ? "CLIENT_ERROR opaque token too long" : "";
    case "M":
      meta.mode = request.text(index).slice(1);
      return "";
    case "C":
      meta.compare = u64(request, index, 1);
      return meta.compare === null ? BAD_TOKEN : "";
    case "T":
      meta.exptime = exptime(request, index, 1);
      return meta.exptime === null ? BAD_TOKEN : "";
    case "N":
      meta.vivify = exptime(request, index, 1);
      return meta.vivify === null ? BAD_TOKEN : "";
    case "D":
      meta.delta = u64(request, index, 1);
      return meta.delta === null ? "CLIENT_ERROR invalid numeric delta value" : "";
    case "J":
      meta.initial = u64(request, index, 1);
      return meta.initial === null ? "CLIENT_ERROR invalid numeric initial value" : "";
    case "F": {
      const flags = u32(request, index, 1);
      if (flags === null) return BAD_FORMAT;
      meta.clientFlags = flags;
      return "";
    }
    default:
      return "CLIENT_ERROR invalid flag";
  }
}

function readBare(meta: MetaRequest, flag: string): string {
  switch (flag) {
    case "b": {
      const key = decodeBase64(meta.keyText);
      if (key === null) return "CLIENT_ERROR error decoding key";
      meta.key = key;
      meta.isBinary = true;
      return "";
    }
    case "q":
      meta.isQuiet = true;
      return "";
    case "v":
      meta.withValue = true;
      return "";
    case "x":
      meta.removesValue = true;
      return "";
    default:
      // u asks that a read leave no trace, and none does.
      if (flag !== "u") meta.shown += flag;
      return "";
  }
}
