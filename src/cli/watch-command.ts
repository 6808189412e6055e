/** `gamut watch`: the changes of a keyspace as they come, at whichever node answers. */
import { setTimeout as sleep } from "node:timers/promises";
import { Command } from "commander";
import { type Address, showAddress } from "./address.js";
import { Client, NoAnswer, type SessionChoice } from "./client.js";
import { textRecord } from "./dump-line.js";
import { withExamples } from "./examples.js";
import { CliError, Exit } from "./exit.js";
import { jsonValue, writeOut } from "./output.js";
import { type Push, type Reply, ReplyError, textOf } from "./reply-reader.js";
import { type AddressFlags, addAddressFlags, addressesOf, asCliError, levelOption } from "./session-flags.js";

const RETRY_MS = 200;

interface WatchFlags extends AddressFlags {
  readonly keyspace?: string;
  readonly level?: string;
  readonly from?: string;
  readonly snapshot: boolean;
  readonly exact: boolean;
  readonly values: boolean;
}

export function watchCommand(): Command {
  const command = new Command("watch")
    .description("write every change of the keys as it comes, until Ctrl-C; a node that dies is replaced by another")
    .argument("[prefix]", "only keys that begin so", "")
    .option("-k, --keyspace <name>", "the keyspace")
    .addOption(levelOption("how current the beginning is to be"))
    .option("--exact", "only the key that is called so", false)
    .option("--from <position>", "go on after this position, which a watch has told")
    .option("--snapshot", "first write what is there", false)
    .option("--no-values", "keys alone")
    .action(async (prefix: string, flags: WatchFlags) => {
      if (flags.snapshot && flags.from !== undefined) {
        throw new CliError(Exit.usage, "--from and --snapshot exclude each other: leave one out");
      }
      await new WatchRun(prefix, flags).run();
    });
  addAddressFlags(command).addHelpText(
    "after",
    `
A line a change: put key:value, delete key, expire key, record key:value of a snapshot, escaped as \`gamut dump\` does. A
put without a colon has no value to tell: it has been written over since, or --no-values left it out.
However the watch ends, stderr tells the position to go on from.`,
  );
  return withExamples(command, [
    "gamut watch user: --snapshot",
    "gamut watch --json | tee changes.jsonl     # each line has the position to go on from",
    "gamut watch --from 47570100…",
  ]);
}

/** One watch over any number of connections: what was written is not written again, and nothing is left out. */
class WatchRun {
  private position: string;
  private client: Client | null = null;
  private stopped = false;
  /** Who does not keep what comes after the position any more. Another node, which has run longer, may. */
  private readonly forgotten = new Set<string>();

  constructor(
    private readonly prefix: string,
    private readonly flags: WatchFlags,
  ) {
    this.position = flags.from ?? "";
  }

  /** @throws CliError */
  async run(): Promise<void> {
    try {
      await this.watch();
    } catch (error) {
      this.tellPlace(error instanceof CliError ? error.code : "");
      throw error;
    }
    this.tellPlace("");
  }

  /** What has been written ends there. `code`: of the error that ended the watch. */
  private tellPlace(code: string): void {
    if (this.position === "" || REFUSED.has(code)) return;
    const advice = code === "compacted" ? "this was heard up to" : "go on with --from";
    console.error(`gamut: ${advice} ${this.position}`);
  }

  private async watch(): Promise<void> {
    const stop = (): void => {
      this.stopped = true;
      this.client?.close();
    };
    process.once("SIGINT", stop);
    process.once("SIGTERM", stop);
    let addresses = addressesOf(this.flags);
    let lastHeardMs = performance.now();
    while (!this.stopped) {
      let hasBegun = false;
      try {
        await this.follow(addresses, () => {
          hasBegun = true;
          this.forgotten.clear();
        });
      } catch (error) {
        if (this.stopped) break;
        // A node that had nothing to tell was there all the same.
        if (hasBegun) lastHeardMs = performance.now();
        const late = performance.now() - lastHeardMs > this.flags.timeout;
        const isForgotten = this.isForgotten(error, addresses);
        if (late || !isPassing(error) || (isForgotten && !this.flags.snapshot))
          throw this.client === null ? error : asCliError(error, this.client.address, false);
        if (isForgotten) this.position = "";
        addresses = after(addresses, this.client?.address);
        if (this.flags.snapshot && this.position === "") console.error("gamut: the snapshot begins anew");
        await sleep(RETRY_MS);
      } finally {
        this.client?.close();
      }
    }
  }

  private async follow(addresses: readonly Address[], heard: () => void): Promise<void> {
    this.client = null;
    const client = await Client.connect(addresses, this.flags.timeout);
    this.client = client;
    const { keyspace, level } = this.flags;
    await client.choose({ keyspace, level } as SessionChoice);
    const begun = textOf(await client.demand(["GAMUT", "WATCH", this.prefix, ...this.options()]));
    heard();
    // Until the snapshot is whole there is nothing to go on from: another node begins it anew.
    if (this.isAfterSnapshot) this.position = begun;
    else if (this.flags.json) await writeOut('{"kind":"snapshot-begin"}\n');
    while (!this.stopped) {
      const pushes = await client.nextPushes();
      let text = "";
      try {
        for (const push of pushes) text += this.take(push);
      } finally {
        // What came before the end of a watch counts as heard: it must be written.
        if (text !== "") await writeOut(text);
      }
      heard();
    }
  }

  private isForgotten(error: unknown, addresses: readonly Address[]): boolean {
    if (!(error instanceof ReplyError) || error.code !== "compacted") return false;
    this.forgotten.add(showAddress(this.client!.address));
    return this.forgotten.size >= addresses.length;
  }

  private get isAfterSnapshot(): boolean {
    return !this.flags.snapshot || this.position !== "";
  }

  private options(): string[] {
    const options = this.isAfterSnapshot ? [] : ["SNAPSHOT"];
    if (this.position !== "") options.push("FROM", this.position);
    if (this.flags.exact) options.push("EXACT");
    if (this.flags.values) options.push("VALUES");
    return options;
  }

  /** The line to write; "" for none. */
  private take({ items }: Push): string {
    const [, kind, ...rest] = items;
    switch (textOf(kind)) {
      case "record":
        return this.line("record", rest[0], rest[1], "", rest[2]);
      case "put":
      case "delete":
      case "expire":
        this.position = textOf(rest[2]);
        return this.line(textOf(kind), rest[0], rest[1], this.position, rest[3]);
      case "snapshot-end":
        this.position = textOf(rest[0]);
        return this.flags.json ? `${JSON.stringify({ kind: "snapshot-end", position: this.position })}\n` : "";
      case "progress":
        this.position = textOf(rest[0]);
        return "";
      case "end":
        throw new ReplyError(textOf(rest[0]));
      default:
        return "";
    }
  }

  private line(kind: string, key: Reply, version: Reply, position: string, value: Reply | undefined): string {
    const bytes = key as Uint8Array;
    const hasValue = value instanceof Uint8Array;
    if (this.flags.json) {
      const fields = { kind, ...jsonValue(bytes, "key"), version, ...(hasValue && jsonValue(value)) };
      return `${JSON.stringify({ ...fields, ...(position !== "" && { position }) })}\n`;
    }
    return `${kind} ${textRecord(bytes, hasValue ? value : null)}\n`;
  }
}

/** Whether another node, or the same a little later, may well go on. */
function isPassing(error: unknown): boolean {
  if (error instanceof ReplyError) return error.code !== "" && PASSING.has(error.code);
  return error instanceof NoAnswer || (error instanceof CliError && error.code === "unavailable");
}

/** The position itself is at fault: nobody goes on from it. */
const REFUSED: ReadonlySet<string> = new Set(["bad_token", "wrong_cluster", "keyspace_gone"]);

const PASSING: ReadonlySet<string> = new Set(["unavailable", "overloaded", "recovering", "stopping", "compacted"]);

/** The other addresses first. */
function after(addresses: readonly Address[], last: Address | undefined): readonly Address[] {
  const at = last === undefined ? -1 : addresses.indexOf(last);
  return at < 0 ? addresses : [...addresses.slice(at + 1), ...addresses.slice(0, at + 1)];
}
