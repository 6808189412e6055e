/** `gamut dump`: the records of one node, of each node, or of the cluster, as text. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { Command, Option } from "commander";
import { DEFAULT_KEYSPACE, keyspaceNamed } from "../codec/resp/keyspace-name.js";
import { latin1Decode, latin1Encode } from "../core/bytes.js";
import type { BackendStatus } from "../kv/backend.js";
import { Op, Command as Operation } from "../kv/command.js";
import { KvError } from "../kv/errors.js";
import { DEFAULT_LEVELS, findGrant, GRANTS, type Protocol } from "../kv/grants.js";
import { prefixEnd } from "../kv/key-range.js";
import { LEVEL_NAMES, Level } from "../kv/level.js";
import { SCAN_KEYS_MAX } from "../kv/limits.js";
import { splitAddress } from "./address.js";
import { type Client, NoAnswer } from "./client.js";
import { makeFolder } from "./data-folder.js";
import { type DumpFormat, dumpLine } from "./dump-line.js";
import { withExamples } from "./examples.js";
import { CliError, Exit } from "./exit.js";
import { writeLine, writeOut } from "./output.js";
import { textOf } from "./reply-reader.js";
import { type AddressFlags, addAddressFlags, atLeastOne, type SessionFlags, withClient } from "./session-flags.js";

interface DumpFlags extends AddressFlags {
  readonly node?: number;
  readonly keyspace?: string;
  readonly format: DumpFormat;
  readonly out?: string;
}

/** Where a node is asked, and what a read that asks it alone is called there. */
interface Member {
  readonly node: number;
  readonly clientAddress: string;
}

interface Dumped {
  readonly node: number;
  readonly file: string;
  readonly records: number;
  readonly sha256: string;
  /** "" if all went well. */
  readonly problem: string;
}

/** Takes a piece of text in, at its own pace. */
type Sink = (text: string) => Promise<void>;

export function dumpCommand(): Command {
  const command = new Command("dump")
    .description("write all records in the order of their keys, one key:value a line: to compare replicas, or to keep")
    .argument("[prefix]", "only keys that begin with this", "")
    .option("--node <n>", "what this node holds by itself, read there without asking another", atLeastOne)
    .option("-k, --keyspace <name>", "the keyspace")
    .addOption(
      new Option("-f, --format <format>", "json: an object a line, with the version")
        .choices(["text", "json"])
        .default("text"),
    )
    .option("-o, --out <dir>", "write what each node (or --node) holds into a file of its own there: node-1.txt, …")
    .action(dump);
  addAddressFlags(command, "--out: the nodes do not hold the same").addHelpText(
    "after",
    `
Without --node and --out the records are read linearizably from the cluster, page by page; with one of them the nodes
are read locally, at the level sequential (of gossip: eventual). While somebody writes, pages and files are of
different moments.

In text, \\n \\r \\t \\\\ and \\xNN stand for bytes that cannot be shown, and \\: for a colon within a key.`,
  );
  return withExamples(command, [
    "gamut dump",
    "gamut dump user: --node 2",
    "gamut dump --out replicas && diff replicas/node-1.txt replicas/node-2.txt",
    "gamut dump --format json > backup.jsonl",
  ]);
}

async function dump(prefix: string, flags: DumpFlags): Promise<void> {
  const format = flags.json ? "json" : flags.format;
  if (flags.out === undefined) {
    await dumpToStdout(prefix, format, flags);
    return;
  }
  const { members, level } = await lookAround(flags);
  makeFolder(flags.out, "--out");
  const asked = flags.node === undefined ? members : [memberNamed(flags.node, members)];
  const dumped = await Promise.all(asked.map((member) => dumpToFile(member, level, prefix, format, flags)));
  await tell(dumped, flags);
}

async function dumpToStdout(prefix: string, format: DumpFormat, flags: DumpFlags): Promise<void> {
  if (flags.node !== undefined) {
    const { members, level } = await lookAround(flags);
    await dumpMember(memberNamed(flags.node, members), level, prefix, format, flags, writeOut);
    return;
  }
  await withClient(session(flags, LEVEL_NAMES[Level.linearizable]), "reads", async (client) => {
    const protocol = protocolOf(await statusOf(client), flags);
    if (findGrant(protocol, {}, Level.linearizable) instanceof KvError) {
      const why = `the keyspace's protocol is ${protocol}, which has no one order to read the whole cluster in`;
      throw new CliError(Exit.usage, `${why}: name a node with --node N, or write a file for each with --out DIR`);
    }
    await dumpPages(client, prefix, format, writeOut);
    return null;
  });
}

/** The members, and the level that is read locally. */
async function lookAround(flags: DumpFlags): Promise<{ members: readonly Member[]; level: string }> {
  let found: { members: readonly Member[]; level: string } | null = null;
  await withClient(session(flags), "reads", async (client) => {
    const status = await statusOf(client);
    const protocol = protocolOf(status, flags);
    found = { members: status.members, level: localLevel(protocol) };
    return null;
  });
  return found!;
}

/** The weakest that it grants, which asks nobody else. */
function localLevel(protocol: string): string {
  const levels = GRANTS.filter((grant) => grant.protocol === protocol).map(({ level }) => level);
  return LEVEL_NAMES[Math.max(...levels) as Level];
}

function protocolOf({ keyspaces }: BackendStatus, flags: DumpFlags): Protocol {
  const name = keyspaceNamed(flags.keyspace ?? DEFAULT_KEYSPACE);
  const protocol = keyspaces.find((keyspace) => keyspace.name === name)?.protocol;
  if (protocol !== undefined && Object.hasOwn(DEFAULT_LEVELS, protocol)) return protocol as Protocol;
  throw new CliError(
    Exit.failed,
    `the node asked cannot tell how keyspace ${name} is kept: try again in a moment, or ask another with --address`,
    "unavailable",
  );
}

async function statusOf(client: Client): Promise<BackendStatus> {
  const text = textOf(await client.demand(["GAMUT", "STATUS"]));
  try {
    return JSON.parse(text) as BackendStatus;
  } catch {
    throw new NoAnswer("it does not tell its status: is it a Gamut node of this version?");
  }
}

function memberNamed(node: number, members: readonly Member[]): Member {
  const member = members.find((each) => each.node === node);
  if (member !== undefined) return member;
  const numbers = members.map((each) => each.node).join(", ");
  throw new CliError(Exit.usage, `--node ${node}: the cluster's nodes are ${numbers}`);
}

function session({ address, timeout, keyspace }: DumpFlags, level?: string): SessionFlags {
  const chosen = { ...(keyspace !== undefined && { keyspace }), ...(level !== undefined && { level }) };
  return { address, timeout, ...chosen, json: false, printToken: false, explain: false };
}

/** @throws CliError */
async function dumpMember(
  { node, clientAddress }: Member,
  level: string,
  prefix: string,
  format: DumpFormat,
  flags: DumpFlags,
  sink: Sink,
): Promise<number> {
  const address = splitAddress(clientAddress)!;
  let records = 0;
  await withClient(session({ ...flags, address: [address] }, level), "reads", async (client) => {
    const { node: there } = await statusOf(client);
    if (there !== node) {
      const where = `${clientAddress} is said to be node ${node}, and node ${there} answers there`;
      throw new CliError(Exit.failed, `${where}: check the members in the nodes' settings`);
    }
    records = await dumpPages(client, prefix, format, sink);
    return null;
  });
  return records;
}

/** Holds one page at a time. Answers how many records there were. */
async function dumpPages(client: Client, prefix: string, format: DumpFormat, sink: Sink): Promise<number> {
  const begin = latin1Decode(Buffer.from(prefix));
  const end = latin1Encode(prefixEnd(begin) ?? "");
  let records = 0;
  let from: string | null = begin;
  while (from !== null) {
    const page = new Operation(Op.range, from);
    page.value = end;
    page.limit = SCAN_KEYS_MAX;
    const { items, key } = await client.operate(page);
    records += items!.length;
    await sink(items!.map((record) => dumpLine(record, format)).join(""));
    from = key === "" ? null : key;
  }
  return records;
}

async function dumpToFile(
  member: Member,
  level: string,
  prefix: string,
  format: DumpFormat,
  flags: DumpFlags,
): Promise<Dumped> {
  const { node } = member;
  const file = join(flags.out!, `node-${node}.${format === "text" ? "txt" : "jsonl"}`);
  const hash = createHash("sha256");
  try {
    const handle = await open(`${file}.partial`, "w");
    try {
      const records = await dumpMember(member, level, prefix, format, flags, async (text) => {
        hash.update(text);
        await handle.writeFile(text);
      });
      await rename(`${file}.partial`, file);
      return { node, file, records, sha256: hash.digest("hex"), problem: "" };
    } finally {
      await handle.close();
    }
  } catch (error) {
    await rm(`${file}.partial`, { force: true });
    // A file of another time beside fresh ones would be taken for what the node holds now.
    if (existsSync(file)) await rename(file, `${file}.old`);
    return { node, file, records: 0, sha256: "", problem: (error as Error).message };
  }
}

/** The first that does not hold what the first of all holds. */
export function differing(dumped: readonly Pick<Dumped, "sha256" | "file">[]): { readonly file: string } | undefined {
  return dumped.find(({ sha256 }) => sha256 !== dumped[0].sha256);
}

async function tell(dumped: readonly Dumped[], { json }: DumpFlags): Promise<void> {
  const done = dumped.filter(({ problem }) => problem === "");
  const other = differing(done);
  const same = done.length === dumped.length && other === undefined;
  if (other !== undefined) process.exitCode = Exit.no;
  if (json) await writeLine(JSON.stringify({ same, nodes: dumped }));
  else {
    for (const { node, file, records } of done) await writeLine(`node ${node}: ${records} records in ${file}`);
    if (other !== undefined) await writeLine(`they are not the same: diff ${done[0].file} ${other.file}`);
    else if (done.length > 1) await writeLine("they are the same");
  }
  if (done.length === dumped.length) return;
  const problems = dumped
    .filter(({ problem }) => problem !== "")
    .map(({ node, problem }) => `node ${node}: ${problem}`);
  if (json) process.exitCode = Exit.failed;
  else throw new CliError(Exit.failed, problems.join("; "), "unavailable");
}
