/** A terminal that is drawn anew as a whole, and left as it was. */
import type { ReadStream, WriteStream } from "node:tty";

const ENTER = "\x1b[?1049h\x1b[?25l";
const LEAVE = "\x1b[?25h\x1b[?1049l";
const HOME = "\x1b[H";
const CLEAR_LINE = "\x1b[K";
const CLEAR_BELOW = "\x1b[J";
const PLAIN = "\x1b[0m";
const ESCAPE = "\x1b";
/** A colour, which takes no room, or a character. */
const PIECE = new RegExp(`(${ESCAPE}\\[[0-9;]*m)|.`, "gsu");
const CTRL_C = "\x03";
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

export class Screen {
  /** Resolves when the person has seen enough. */
  readonly left: Promise<void>;
  private lines: readonly string[] = [];

  constructor(
    private readonly output: WriteStream,
    private readonly input: ReadStream,
  ) {
    this.left = new Promise((done) => {
      for (const signal of SIGNALS) process.once(signal, done);
      if (!input.isTTY) return;
      input.setRawMode(true);
      input.on("data", (bytes: Buffer) => {
        if (/[qQ]/.test(bytes.toString("latin1")) || bytes.includes(CTRL_C)) done();
      });
    });
    output.write(ENTER);
    output.on("resize", this.draw);
    process.once("exit", this.restore);
  }

  show(lines: readonly string[]): void {
    this.lines = lines;
    this.draw();
  }

  private readonly draw = (): void => {
    const { columns, rows } = this.output;
    const shown = this.lines.slice(0, rows).map((line) => clipLine(line, columns) + CLEAR_LINE);
    this.output.write(HOME + shown.join("\r\n") + CLEAR_BELOW);
  };

  private readonly restore = (): void => {
    if (this.input.isTTY) this.input.setRawMode(false);
    this.output.write(LEAVE);
  };
}

/** The first columns of a line, with the colours that it has. */
export function clipLine(line: string, columns: number): string {
  let left = columns;
  let clipped = "";
  let end = "";
  for (const [piece, colour] of line.matchAll(PIECE)) {
    if (colour === undefined) left -= 1;
    else end = PLAIN;
    if (left < 0) return clipped + end;
    clipped += piece;
  }
  return clipped;
}
