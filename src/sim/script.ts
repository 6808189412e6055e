/**
 * Golden traces: a text file drives a world step by step and holds what it must answer.
 *
 *     # Prose: lines that begin with a hash, kept as they are.
 *     command with words
 *     another command
 *     ----
 *     expected output, up to the first empty line
 *
 * {@link runTraceFile} answers the whole file with the outputs that the world really gave: equal to the text given when
 * the trace holds, and otherwise what to write after the difference has been read and found right.
 */

/** One command line, split at spaces. `line` counts from 1 in the file. */
export interface TraceCommand {
  readonly name: string;
  readonly words: readonly string[];
  readonly line: number;
}

/** Runs one command and answers its output, one line an event. A {@link ScriptError} becomes output, too. */
export interface TraceDriver {
  run(command: TraceCommand): string[];
}

/** The trace itself is wrong: an unknown command, a node that is down. Shown as `error: …` in the output. */
export class ScriptError extends Error {
  override readonly name = "ScriptError";
}

const SEPARATOR = "----";
const QUIET = "quiet";

/** Runs all commands of a trace; answers the text with the outputs that they gave. */
export function runTraceFile(text: string, driver: TraceDriver): string {
  const lines = text.split("\n");
  const out: string[] = [];
  let commands: TraceCommand[] = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at];
    at += 1;
    if (line.trim() === SEPARATOR) {
      if (commands.length === 0) throw new ScriptError(`line ${at}: ${SEPARATOR} without a command before it`);
      while (at < lines.length && lines[at].trim() !== "") at += 1;
      out.push(SEPARATOR, ...runBlock(commands, driver));
      commands = [];
      continue;
    }
    out.push(line);
    const command = parseCommand(line, at);
    if (command !== null) commands.push(command);
    else if (commands.length > 0 && line.trim() === "") {
      throw new ScriptError(`line ${commands[0].line}: the commands want ${SEPARATOR} after them`);
    }
  }
  if (commands.length > 0) {
    throw new ScriptError(`line ${commands[0].line}: the commands want ${SEPARATOR} after them`);
  }
  return out.join("\n");
}

function parseCommand(line: string, number: number): TraceCommand | null {
  const trimmed = line.trim();
  if (trimmed === "" || trimmed.startsWith("#")) return null;
  const [name, ...words] = trimmed.split(/\s+/);
  return { name, words, line: number };
}

/** The output of a block; `ok` stands for none. A command that ends in `quiet` runs without showing what happened. */
function runBlock(commands: readonly TraceCommand[], driver: TraceDriver): string[] {
  const out: string[] = [];
  for (const command of commands) {
    const quiet = command.words.at(-1) === QUIET;
    const words = quiet ? command.words.slice(0, -1) : command.words;
    const shown = runCommand({ ...command, words }, driver);
    if (!quiet) out.push(...shown);
    else out.push(...shown.filter((line) => line.startsWith("error:")));
  }
  return out.length > 0 ? out : ["ok"];
}

function runCommand(command: TraceCommand, driver: TraceDriver): string[] {
  try {
    return driver.run(command);
  } catch (error) {
    if (error instanceof ScriptError) return [`error: ${error.message}`];
    throw error;
  }
}

/** `key=value` words as a map, the others in order. */
export interface Arguments {
  readonly plain: string[];
  readonly named: Map<string, string>;
}

export function splitArguments(words: readonly string[]): Arguments {
  const plain: string[] = [];
  const named = new Map<string, string>();
  for (const word of words) {
    const equals = word.indexOf("=");
    if (equals > 0) named.set(word.slice(0, equals), word.slice(equals + 1));
    else plain.push(word);
  }
  return { plain, named };
}

/** A whole number of at least `least`, or a {@link ScriptError} that says what was wanted. */
export function wholeNumber(word: string | undefined, what: string, least = 0): number {
  const value = Number(word);
  if (word === undefined || word === "" || !Number.isSafeInteger(value) || value < least) {
    throw new ScriptError(`${what} must be a whole number from ${least}, not ${word ?? "nothing"}`);
  }
  return value;
}
