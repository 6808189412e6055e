import { KvError } from "../kv/errors.js";
import { decodeToken, encodeToken, Token, tokenFromText, tokenToText } from "../kv/token.js";
import { GamutError } from "./outcome.js";

/**
 * What a caller has seen, keyspace by keyspace: a later call of the same session, on whatever node, sees nothing older.
 */
export class Session {
  /** By keyspace: what its answers have brought. */
  private readonly seen = new Map<string, Uint8Array>();
  private clusterId = "";

  /** `given`: a token from elsewhere, which counts for every keyspace. @throws GamutError */
  constructor(private given: Uint8Array | null = null) {}

  /** What the node must have seen; null: anything will do. */
  demand(keyspace: string): Uint8Array | null {
    return this.seen.get(keyspace) ?? this.given;
  }

  /** Takes in the token of an answer. Answers of calls side by side come in any order: none takes anything back. */
  saw(keyspace: string, bytes: Uint8Array, clusterId: string): void {
    this.clusterId = clusterId;
    const before = this.seen.get(keyspace);
    this.seen.set(keyspace, before === undefined ? bytes : merge([before, bytes], clusterId));
  }

  /** The keyspace is another one now: what was seen of the one before can be had from nobody. */
  forget(keyspace: string): void {
    this.seen.delete(keyspace);
  }

  /** All of it, as text; "" when nothing has been seen. @throws GamutError */
  token(): string {
    const tokens = [...this.seen.values()];
    if (this.given !== null) tokens.push(this.given);
    if (tokens.length === 0) return "";
    return tokenToText(tokens.length === 1 ? tokens[0] : merge(tokens, this.clusterId));
  }
}

/** @throws GamutError bad_token */
export function sessionFrom(text: string): Session {
  if (text === "") return new Session();
  const bytes = tokenFromText(text);
  if (bytes instanceof KvError) throw new GamutError(bytes);
  return new Session(bytes);
}

function merge(tokens: readonly Uint8Array[], clusterId: string): Uint8Array {
  const merged = new Token(clusterId);
  for (const bytes of tokens) {
    const token = decodeToken(bytes, clusterId);
    const error = token instanceof KvError ? token : merged.merge(token);
    if (error !== null) throw new GamutError(error);
  }
  return encodeToken(merged);
}
