/** A keyword, such as `:read`. */
export class Keyword {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

/** What the reader gives: vectors, lists and sets as arrays; maps with their keys as text (keywords without colon). */
export type Edn = string | number | boolean | null | Keyword | readonly Edn[] | ReadonlyMap<string, Edn>;

/** Text that is not EDN: what was wrong, and in which line. */
export class EdnError extends Error {
  /** From 1. */
  readonly line: number;

  constructor(line: number, problem: string) {
    super(`line ${line}: ${problem}`);
    this.name = "EdnError";
    this.line = line;
  }
}

export interface EdnForm {
  readonly value: Edn;
  /** Where it begins, from 1. */
  readonly line: number;
}

const MAX_DEPTH = 64;
const CLOSERS: Readonly<Record<string, string>> = { "(": ")", "[": "]", "{": "}" };
const CONSTANTS: ReadonlyMap<string, Edn> = new Map<string, Edn>([
  ["nil", null],
  ["true", true],
  ["false", false],
]);
const ESCAPES: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r", b: "\b", f: "\f" };

/**
 * Reads the part of Clojure's data notation that histories use (edn-format.org): nil, booleans, numbers, strings,
 * keywords, symbols (as strings), vectors, lists, maps, sets, comments, discards, and tags, which are dropped.
 */
export class EdnReader {
  readonly #text: string;
  #place = 0;
  #line = 1;

  constructor(text: string) {
    this.#text = text;
  }

  /** The next form, or undefined at the end. */
  next(): EdnForm | undefined {
    this.#skipBlanks();
    if (this.#place >= this.#text.length) return undefined;
    const line = this.#line;
    return { value: this.#form(0), line };
  }

  /** The forms inside a vector or list one by one, with their lines; the opening bracket is the next form. */
  *elements(): Generator<EdnForm> {
    this.#skipBlanks();
    const closer = CLOSERS[this.#text[this.#place] ?? ""];
    if (closer === undefined || closer === "}") throw this.#error("expected a vector or list of operations");
    this.#place++;
    for (this.#skipBlanks(); this.#text[this.#place] !== closer; this.#skipBlanks()) {
      const line = this.#line;
      yield { value: this.#form(1), line };
    }
    this.#place++;
  }

  /** The first character of what comes next; empty at the end. */
  peek(): string {
    this.#skipBlanks();
    return this.#text[this.#place] ?? "";
  }

  #form(depth: number): Edn {
    this.#skipBlanks();
    if (depth > MAX_DEPTH) throw this.#error(`nested deeper than ${MAX_DEPTH}`);
    const first = this.#text[this.#place];
    if (first === undefined) throw this.#error("the text ends inside a form; a bracket is not closed");
    if (first === '"') return this.#string();
    if (first === "#") return this.#dispatch(depth);
    const closer = CLOSERS[first];
    if (closer === undefined) return this.#atom();
    this.#place++;
    return closer === "}" ? this.#map(depth) : this.#sequence(closer, depth);
  }

  #sequence(closer: string, depth: number): Edn[] {
    const items: Edn[] = [];
    for (this.#skipBlanks(); this.#text[this.#place] !== closer; this.#skipBlanks()) items.push(this.#form(depth + 1));
    this.#place++;
    return items;
  }

  #map(depth: number): ReadonlyMap<string, Edn> {
    const items = this.#sequence("}", depth);
    if (items.length % 2 !== 0) throw this.#error("a map needs a value for each key");
    const map = new Map<string, Edn>();
    for (let i = 0; i < items.length; i += 2) {
      const key = items[i] ?? null;
      if (typeof key === "object" && key !== null && !(key instanceof Keyword))
        throw this.#error("a map key must be a keyword or a scalar");
      map.set(key instanceof Keyword ? key.name : `${key}`, items[i + 1]!);
    }
    return map;
  }

  /** `#{…}` a set, `#_form` a form to leave out, `#tag form` a tagged one. */
  #dispatch(depth: number): Edn {
    this.#place++;
    if (this.#text[this.#place] === "{") {
      this.#place++;
      return this.#sequence("}", depth);
    }
    this.#atom();
    return this.#form(depth + 1);
  }

  #string(): string {
    let value = "";
    for (this.#place++; this.#text[this.#place] !== '"'; this.#place++) {
      const character = this.#text[this.#place];
      if (character === undefined) throw this.#error("a string is not closed");
      if (character === "\n") this.#line++;
      if (character !== "\\") {
        value += character;
        continue;
      }
      const escaped = this.#text[++this.#place];
      if (escaped === undefined) throw this.#error("a string is not closed");
      if (escaped === "u") {
        const digits = this.#text.slice(this.#place + 1, this.#place + 5);
        if (!/^[0-9a-fA-F]{4}$/.test(digits)) throw this.#error("\\u needs four hexadecimal digits");
        value += String.fromCharCode(Number.parseInt(digits, 16));
        this.#place += 4;
      } else {
        value += ESCAPES[escaped] ?? escaped;
      }
    }
    this.#place++;
    return value;
  }

  #atom(): Edn {
    const start = this.#place;
    while (this.#place < this.#text.length && !/[\s,()[\]{}";]/.test(this.#text[this.#place]!)) this.#place++;
    const token = this.#text.slice(start, this.#place);
    if (token === "") throw this.#error(`unexpected ${JSON.stringify(this.#text[start])}`);
    if (token.startsWith(":")) return new Keyword(token.slice(1));
    const constant = CONSTANTS.get(token);
    if (constant !== undefined) return constant;
    if (/^[+-]?\d+(\.\d+)?([eE][+-]?\d+)?[NM]?$/.test(token)) return Number(token.replace(/[NM]$/, ""));
    return token;
  }

  #skipBlanks(): void {
    for (; this.#place < this.#text.length; this.#place++) {
      const character = this.#text[this.#place]!;
      if (character === "\n") this.#line++;
      else if (character === ";") this.#skipComment();
      else if (character === "#" && this.#text[this.#place + 1] === "_") this.#discard();
      else if (!/[\s,]/.test(character)) return;
    }
  }

  /** Stops on the last character before the newline, as the loop steps on. */
  #skipComment(): void {
    const newline = this.#text.indexOf("\n", this.#place);
    this.#place = (newline === -1 ? this.#text.length : newline) - 1;
  }

  #discard(): void {
    this.#place += 2;
    this.#form(1);
    this.#place--;
  }

  #error(problem: string): EdnError {
    return new EdnError(this.#line, problem);
  }
}
