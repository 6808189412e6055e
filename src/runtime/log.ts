/** Structured log lines: for a person by default, for a machine as JSON. */

export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export type LogValue = string | number | boolean | null;
/** Names in camelCase, units last (`delayMs`). */
export type LogFields = Readonly<Record<string, LogValue>>;

export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

export interface LogOptions {
  /** The node that speaks; left out by tools. */
  readonly node?: number;
  /** The lowest level that is written. */
  readonly level?: LogLevel;
  readonly json?: boolean;
  /** Takes a whole line with its end. Default: standard error. */
  readonly write?: (line: string) => void;
  readonly wallMs?: () => number;
}

/** A line is cut here: a peer's or a client's text may be part of it. */
const LINE_CHARS_MAX = 4096;

export class LineLogger implements Logger {
  private readonly node: number | null;
  private readonly lowest: number;
  private readonly json: boolean;
  private readonly write: (line: string) => void;
  private readonly wallMs: () => number;

  constructor(options: LogOptions = {}) {
    this.node = options.node ?? null;
    this.lowest = LOG_LEVELS.indexOf(options.level ?? "info");
    this.json = options.json ?? false;
    this.write = options.write ?? writeToStandardError;
    this.wallMs = options.wallMs ?? Date.now;
  }

  debug(message: string, fields?: LogFields): void {
    this.line("debug", message, fields);
  }

  info(message: string, fields?: LogFields): void {
    this.line("info", message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    this.line("warn", message, fields);
  }

  error(message: string, fields?: LogFields): void {
    this.line("error", message, fields);
  }

  private line(level: LogLevel, message: string, fields?: LogFields): void {
    if (LOG_LEVELS.indexOf(level) < this.lowest) return;
    const time = new Date(this.wallMs()).toISOString();
    this.write(
      `${this.json ? jsonLine(time, level, this.node, message, fields) : humanLine(time, level, this.node, message, fields)}\n`,
    );
  }
}

/** `2024-05-06T12:03:04.123Z warn  node 2  message  peer=3 delayMs=40`; the time is UTC */
function humanLine(time: string, level: LogLevel, node: number | null, message: string, fields?: LogFields): string {
  const who = node === null ? "" : `node ${node}  `;
  return `${time} ${level.padEnd(5)} ${who}${logText(message, fields)}`.slice(0, LINE_CHARS_MAX);
}

/** `message  peer=3 delayMs=40`: what a line says, without when and who. One line, whatever is in it. */
export function logText(message: string, fields?: LogFields): string {
  let text = message;
  let separator = "  ";
  for (const name in fields) {
    text += `${separator}${name}=${humanValue(fields[name])}`;
    separator = " ";
  }
  return oneLine(text).slice(0, LINE_CHARS_MAX);
}

function humanValue(value: LogValue): string {
  const text = String(value);
  return /^[^\s"=]+$/.test(text) ? text : JSON.stringify(text);
}

/** Control characters would let a stranger's text write lines of its own. */
function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, escaped);
}

function escaped(char: string): string {
  if (char === "\n") return "\\n";
  if (char === "\r") return "\\r";
  if (char === "\t") return "\\t";
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** A field never hides one of the line's own names. */
function jsonLine(time: string, level: LogLevel, node: number | null, message: string, fields?: LogFields): string {
  const own = node === null ? { time, level } : { time, level, node };
  return JSON.stringify({ ...fields, ...own, message: message.slice(0, LINE_CHARS_MAX) });
}

function writeToStandardError(line: string): void {
  process.stderr.write(line);
}

/** For tests and tools that want no lines. */
export const silentLogger: Logger = { debug: nothing, info: nothing, warn: nothing, error: nothing };

function nothing(): void {}
