import { expect, test } from "vitest";
import { ByteReader, ByteWriter, latin1Encode } from "../../core/bytes.js";
import { Random } from "../../core/random.js";
import { decodeCommand, encodeCommand } from "../../kv/command-codec.js";
import { checkCommand } from "../../kv/limits.js";
import { Arguments } from "./arguments.js";
import type { CommandContext } from "./command-spec.js";
import { COMMANDS, withSubcommand } from "./commands.js";

const WORDS = [
  ...[
    "EX",
    "px",
    "EXAT",
    "PXAT",
    "NX",
    "XX",
    "GT",
    "LT",
    "GET",
    "KEEPTTL",
    "PERSIST",
    "REPLACE",
    "DB",
    "MATCH",
    "COUNT",
  ],
  ...[
    "TYPE",
    "SAMPLES",
    "ENCODING",
    "freq",
    "USAGE",
    "REFCOUNT",
    "IDLETIME",
    "",
    "k",
    "\xff\r\n",
    "0",
    "1",
    "-1",
    "1.5",
  ],
  ...[
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "1048576",
    "9007199254740992",
    "inf",
    "nan",
  ],
];

const CONTEXT: CommandContext = {
  wallMs: () => 1_000,
  scanKey: (cursor) => (cursor === "1" ? null : ""),
  scanCursor: () => "7",
  keyspaceCount: () => 1,
  isKeyspace: (name) => name === "0",
};

function request(words: readonly string[]): Arguments {
  const made = new Arguments();
  made.bytes = latin1Encode(words.join(""));
  let at = 0;
  for (const word of words) {
    made.add(at, at + word.length);
    at += word.length;
  }
  return made;
}

test("whatever the arguments: an error line, or a command that the log can hold", () => {
  const random = new Random(7);
  const built = new Set<string>();
  for (let i = 0; i < 60_000; i += 1) {
    const command = random.pick(COMMANDS);
    const words = [command.name, ...Array.from({ length: random.below(7) }, () => random.pick(WORDS))];
    const asked = request(words);
    if (command.refusal(asked) !== "") continue;
    const spec = withSubcommand(command, asked);
    if (spec.build === null) continue;
    const answer = spec.build(asked, CONTEXT);
    if (typeof answer === "string") {
      expect(answer, JSON.stringify(words)).toMatch(/^ERR [^\r\n]+/);
      continue;
    }
    if (checkCommand(answer) !== null) continue;
    built.add(spec.name);
    const writer = new ByteWriter();
    encodeCommand(answer, writer);
    const reader = new ByteReader(writer.copy());
    expect(decodeCommand(reader), JSON.stringify(words)).toEqual(answer);
    expect(reader.remaining).toBe(0);
  }
  const stored = COMMANDS.filter(({ build }) => build !== null).map(({ name }) => name);
  const subcommands = ["encoding", "freq", "idletime", "refcount"].map((word) => `object|${word}`);
  expect([...built].sort()).toEqual([...stored, ...subcommands, "memory|usage"].sort());
});
