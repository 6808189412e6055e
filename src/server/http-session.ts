/** A session for one HTTP request. Its token is what joins the requests of one client, on whatever connections. */
import type { Backend, Session } from "../kv/backend.js";
import { KvError } from "../kv/errors.js";
import { levelByName } from "../kv/level.js";
import { tokenFromText, tokenToText } from "../kv/token.js";
import { Problem, problemOf } from "./http-problem.js";
import { unknownLevelOf } from "./unknown-level.js";

export const TOKEN_FIELD = "Gamut-Token";

export interface SessionChoice {
  readonly keyspace: string;
  /** Undefined: the keyspace's default. */
  readonly level: string | undefined;
  readonly token: string | undefined;
  readonly explains: boolean;
}

/** The caller closes it. */
export function openSession(backend: Backend, choice: SessionChoice): Session | Problem {
  const level = choice.level === undefined ? null : levelByName(choice.level);
  if (level === null && choice.level !== undefined) {
    return new Problem("bad_request", unknownLevelOf(backend, choice.keyspace, choice.level));
  }
  const session = backend.openSession({ name: "default" });
  session.keyspace = choice.keyspace;
  session.level = level;
  session.explains = choice.explains;
  if (choice.token === undefined) return session;
  const token = tokenFromText(choice.token);
  const error = token instanceof KvError ? token : session.acceptToken(token);
  if (error === null) return session;
  session.close();
  return problemOf(error);
}

export function tokenOf(session: Session): string {
  return tokenToText(session.token());
}
