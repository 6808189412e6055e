import { latin1Encode } from "../../core/bytes.js";
import type { Command } from "../../kv/command.js";
import type { Request } from "../../kv/request.js";
import type { Result } from "../../kv/result.js";
import type { MemcachedCounts } from "./counts.js";
import { ERROR } from "./errors.js";
import type { MetaRequest } from "./meta-request.js";
import type { MemcachedParser } from "./parser.js";
import type { MemcachedWriter } from "./writer.js";

/** What the reply to a request goes by. A build fills in the last two. */
export interface ReplyShape {
  request: Request | null;
  /** `noreply`. */
  isSilent: boolean;
  meta: MetaRequest | null;
}

export interface RenderContext {
  readonly counts: MemcachedCounts;
  /** Wall clock of this node: how long a deadline is away. */
  wallMs(): number;
}

/** The kv command of a request, or the error line that answers it without troubling the store. */
export type Build = (request: MemcachedParser, shape: ReplyShape) => Command | string;
/** Never called with an error: those look the same for all commands. */
export type Render = (writer: MemcachedWriter, result: Result, shape: ReplyShape, context: RenderContext) => void;

/** {@link MemcachedSpec.wordsMax} of commands that name any number of keys, or of meta flags. */
export const KEYS = Number.POSITIVE_INFINITY;
export const FLAGS = Number.MAX_SAFE_INTEGER;

/** One command as clients see it. */
export class MemcachedSpec {
  readonly bytes: Uint8Array;

  constructor(
    readonly name: string,
    /** The name counts. */
    readonly wordsMin: number,
    readonly wordsMax: number,
    /** Where the length of its data stands; 0: it has none. */
    readonly lengthWord: number,
    /** Null: the server answers it. */
    readonly build: Build | null,
    readonly render: Render | null,
    /** The line that refuses another number of words. */
    readonly misfit = ERROR,
  ) {
    this.bytes = latin1Encode(name);
  }

  /** Its line may name many keys. */
  get namesKeys(): boolean {
    return this.wordsMax === KEYS;
  }

  accepts(words: number): boolean {
    return words >= this.wordsMin && words <= this.wordsMax;
  }
}
