const ANY_ONE = -1;
const ANY_RUN = -2;

const STAR = 0x2a;
const QUESTION = 0x3f;
const OPEN = 0x5b;
const CLOSE = 0x5d;
const BACKSLASH = 0x5c;
const CARET = 0x5e;
const DASH = 0x2d;

/**
 * A pattern of Redis (`KEYS`, `SCAN … MATCH`) over latin1 strings: `*`, `?`, `[abc]`, `[a-z]`, `[^a]`, `\` before a
 * char that is meant as itself. Odd patterns mean what they mean there: an unclosed class ends with the pattern, a
 * range may stand the wrong way round, an empty class matches nothing.
 *
 * A match takes at most pattern × text steps: after a mismatch only the last `*` is ever extended, because whatever an
 * earlier one could still take, the last one can.
 */
export class Glob {
  /** A char code from 0, ANY_ONE, ANY_RUN, or −3 − (index of a class). */
  private readonly steps: number[] = [];
  /** For each class one byte a char: 1 where it matches. */
  private readonly classes: Uint8Array[] = [];

  constructor(pattern: string) {
    let at = 0;
    while (at < pattern.length) {
      const code = pattern.charCodeAt(at);
      at += 1;
      if (code === STAR) {
        if (this.steps[this.steps.length - 1] !== ANY_RUN) this.steps.push(ANY_RUN);
      } else if (code === QUESTION) this.steps.push(ANY_ONE);
      else if (code === OPEN) at = this.parseClass(pattern, at);
      else if (code === BACKSLASH && at < pattern.length) {
        this.steps.push(pattern.charCodeAt(at));
        at += 1;
      } else this.steps.push(code);
    }
  }

  matches(text: string): boolean {
    const steps = this.steps;
    let step = 0;
    let at = 0;
    let runStep = -1;
    let runEnd = 0;
    while (at < text.length) {
      if (step < steps.length && steps[step] === ANY_RUN) {
        runStep = step;
        runEnd = at;
        step += 1;
      } else if (step < steps.length && this.stepMatches(steps[step], text.charCodeAt(at))) {
        step += 1;
        at += 1;
      } else if (runStep >= 0) {
        runEnd += 1;
        at = runEnd;
        step = runStep + 1;
      } else return false;
    }
    while (step < steps.length && steps[step] === ANY_RUN) step += 1;
    return step === steps.length;
  }

  private stepMatches(step: number, code: number): boolean {
    if (step >= 0) return step === code;
    return step === ANY_ONE || this.classes[-3 - step][code] === 1;
  }

  /** Parses a class from behind its `[`. Returns the place behind it. */
  private parseClass(pattern: string, start: number): number {
    const members = new Uint8Array(256);
    let at = start;
    const isNegated = pattern.charCodeAt(at) === CARET;
    if (isNegated) at += 1;
    while (at < pattern.length) {
      const code = pattern.charCodeAt(at);
      if (code === BACKSLASH && at + 1 < pattern.length) {
        members[pattern.charCodeAt(at + 1)] = 1;
        at += 2;
      } else if (code === CLOSE) {
        at += 1;
        break;
      } else if (pattern.charCodeAt(at + 1) === DASH && at + 2 < pattern.length) {
        const other = pattern.charCodeAt(at + 2);
        members.fill(1, Math.min(code, other), Math.max(code, other) + 1);
        at += 3;
      } else {
        members[code] = 1;
        at += 1;
      }
    }
    if (isNegated) for (let i = 0; i < members.length; i += 1) members[i] ^= 1;
    this.classes.push(members);
    this.steps.push(-2 - this.classes.length);
    return at;
  }
}
