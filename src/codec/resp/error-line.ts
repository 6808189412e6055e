/** An error of RESP as a client reads it: the other way round of `errorText`. */
export interface ErrorLine {
  /** Gamut's name of the error, which `UNKNOWN` alone stands for itself; the wire's word where it is not one of Gamut's. */
  readonly code: string;
  readonly definite: boolean;
  readonly message: string;
}

/** For example `TRYAGAIN unavailable: no majority could be reached in time`. */
export function parseErrorLine(line: string): ErrorLine {
  const [, word, code, message] = /^(\S+) ?(?:([a-z_]+): )?(.*)$/s.exec(line) ?? ["", "ERR", undefined, line];
  const definite = word !== "UNKNOWN";
  return { code: code ?? (definite ? word : "unknown"), definite, message };
}
