/** Clients of the RESP wire on all nodes at once, who write down what they asked for and what they were told. */
import type { Address } from "../../src/cli/address.js";
import { Client, NoAnswer } from "../../src/cli/client.js";
import { type Reply, ReplyError, textOf } from "../../src/cli/reply-reader.js";
import { Journal, type Voice } from "./journal.js";
import { Ledger, type Outcome } from "./ledger.js";
import { sleep } from "./wait.js";

export interface LoadOptions {
  readonly clients?: number;
  /** A client that has had no answer for so long goes to another node; the outcome is unknown then. */
  readonly patienceMs?: number;
  /** Between two requests of one client. */
  readonly pauseMs?: number;
}

const REGISTERS = 4;
const COUNTERS = 2;
const READ_AT_ONCE = 500;
const FINAL_READ_MS_MAX = 10_000;

/** Keys that are only ever written together, in one transaction. */
export const PAIR = ["pair:left", "pair:right"] as const;

export class Load {
  readonly journal = new Journal();
  readonly ledger = new Ledger();
  /** Answers that no client should ever get. */
  readonly surprises: string[] = [];
  /** How often each definite error was met, by its code. */
  readonly refusals = new Map<string, number>();
  private going = true;
  private values = 0;
  private readonly done: Promise<unknown>;
  private readonly patienceMs: number;
  private readonly pauseMs: number;

  constructor(
    private readonly addresses: readonly Address[],
    options: LoadOptions = {},
  ) {
    this.patienceMs = options.patienceMs ?? 1_500;
    this.pauseMs = options.pauseMs ?? 4;
    const count = options.clients ?? addresses.length * 3;
    const clients = Array.from({ length: count }, (_, i) => this.run(i));
    this.done = Promise.all([...clients, ...addresses.map((address) => this.watch(address))]);
  }

  async stop(): Promise<void> {
    this.going = false;
    await this.done;
  }

  /** Registers and counters: all keys that are in the history. */
  get keys(): string[] {
    const registers = Array.from({ length: REGISTERS }, (_, i) => `register:${i}`);
    const counters = Array.from({ length: COUNTERS }, (_, i) => `counter:${i}`);
    return [...registers, ...counters, ...PAIR];
  }

  private async run(number: number): Promise<void> {
    const voice = this.journal.voice();
    let at = number;
    let client: Client | null = null;
    while (this.going) {
      client ??= await this.connect(this.addresses[at % this.addresses.length]);
      if (client === null || !(await this.act(client, voice))) {
        client?.close();
        client = null;
        at += 1;
        await sleep(10);
      }
      await sleep(this.pauseMs);
    }
    client?.close();
  }

  /**
   * Only reads, and stays with its node whatever happens to that. Clients that write get stuck at a leader that has lost
   * its majority; this one would see what such a leader still serves.
   */
  private async watch(address: Address): Promise<void> {
    const voice = this.journal.voice();
    let client: Client | null = null;
    for (let i = 0; this.going; i += 1) {
      client ??= await this.connect(address);
      if (client === null || !(await this.read(client, voice, `register:${i % REGISTERS}`))) {
        client?.close();
        client = null;
      }
      await sleep(this.pauseMs);
    }
    client?.close();
  }

  private async connect(address: Address): Promise<Client | null> {
    try {
      return await Client.connectTo(address, this.patienceMs);
    } catch {
      return null;
    }
  }

  /** False: this connection is of no use any more. */
  private act(client: Client, voice: Voice): Promise<boolean> {
    const dice = Math.random();
    const register = `register:${Math.floor(Math.random() * REGISTERS)}`;
    const counter = `counter:${Math.floor(Math.random() * COUNTERS)}`;
    if (dice < 0.3) return this.read(client, voice, register);
    if (dice < 0.5) return this.set(client, voice, register);
    if (dice < 0.55) return this.remove(client, voice, register);
    if (dice < 0.65) return this.increment(client, voice, counter);
    if (dice < 0.7) return this.read(client, voice, counter);
    if (dice < 0.9) return this.enter(client);
    return dice < 0.95 ? this.setPair(client, voice) : this.readPair(client, voice);
  }

  async read(client: Client, voice: Voice, key: string, patienceMs = this.patienceMs): Promise<boolean> {
    this.journal.invoke(voice, "read", key, null);
    const { outcome, reply } = await this.ask(client, ["GET", key], patienceMs);
    this.journal.complete(voice, outcome, outcome === "done" ? contentOf(key, reply) : null, false);
    return outcome !== "unknown";
  }

  private async set(client: Client, voice: Voice, key: string): Promise<boolean> {
    const value = this.freshValue();
    this.journal.invoke(voice, "write", key, value);
    const { outcome } = await this.ask(client, ["SET", key, value]);
    this.journal.complete(voice, outcome, null, true);
    return outcome !== "unknown";
  }

  private async remove(client: Client, voice: Voice, key: string): Promise<boolean> {
    this.journal.invoke(voice, "delete", key, null);
    const { outcome } = await this.ask(client, ["DEL", key]);
    this.journal.complete(voice, outcome, null, true);
    return outcome !== "unknown";
  }

  private async increment(client: Client, voice: Voice, key: string): Promise<boolean> {
    this.journal.invoke(voice, "increment", key, 1);
    const { outcome, reply } = await this.ask(client, ["INCR", key]);
    this.journal.complete(voice, outcome, outcome === "done" ? Number(reply) : null, true);
    this.ledger.counted(key, outcome);
    return outcome !== "unknown";
  }

  /** A key of its own, written once: whether it is there in the end is the plainest question of all. */
  private async enter(client: Client): Promise<boolean> {
    const key = `entry:${this.freshValue()}`;
    const { outcome } = await this.ask(client, ["SET", key, key]);
    this.ledger.written.set(key, outcome);
    return outcome !== "unknown";
  }

  private async setPair(client: Client, voice: Voice): Promise<boolean> {
    const value = this.freshValue();
    const right = this.journal.voice();
    this.journal.invoke(voice, "write", PAIR[0], value);
    this.journal.invoke(right, "write", PAIR[1], value);
    const { outcome } = await this.transact(client, [
      ["SET", PAIR[0], value],
      ["SET", PAIR[1], value],
    ]);
    this.journal.complete(voice, outcome, null, true);
    this.journal.complete(right, outcome, null, true);
    return outcome !== "unknown";
  }

  private async readPair(client: Client, voice: Voice): Promise<boolean> {
    const right = this.journal.voice();
    this.journal.invoke(voice, "read", PAIR[0], null);
    this.journal.invoke(right, "read", PAIR[1], null);
    const { outcome, reply } = await this.transact(client, [
      ["GET", PAIR[0]],
      ["GET", PAIR[1]],
    ]);
    const [a, b] = outcome === "done" ? (reply as Reply[]).map((each) => contentOf(PAIR[0], each)) : [null, null];
    if (a !== b) this.surprises.push(`a transaction read ${a} and ${b} of keys that are only written together`);
    this.journal.complete(voice, outcome, a, false);
    this.journal.complete(right, outcome, b, false);
    return outcome !== "unknown";
  }

  /** Unless EXEC was sent, nothing has happened. */
  private async transact(client: Client, commands: readonly string[][]): Promise<Answered> {
    for (const command of [["MULTI"], ...commands]) {
      const { outcome, reply } = await this.ask(client, command);
      if (outcome !== "done") {
        client.close();
        return { outcome: "refused", reply };
      }
    }
    return this.ask(client, ["EXEC"]);
  }

  private async ask(client: Client, command: readonly string[], patienceMs = this.patienceMs): Promise<Answered> {
    try {
      const reply = await client.call(command, patienceMs);
      if (!(reply instanceof ReplyError)) return { outcome: "done", reply };
      if (!reply.definite) return { outcome: "unknown", reply };
      this.refusals.set(reply.code, (this.refusals.get(reply.code) ?? 0) + 1);
      if (reply.code === "ERR") this.surprises.push(`${command.join(" ")} was answered with ${reply.message}`);
      return { outcome: "refused", reply };
    } catch (error) {
      if (error instanceof NoAnswer) return { outcome: "unknown", reply: null };
      throw error;
    }
  }

  private freshValue(): string {
    this.values += 1;
    return `v${this.values}`;
  }

  /** Reads, at each of the addresses, every key that the run has written; the shared ones become part of the history. */
  async readEverything(addresses: readonly Address[]): Promise<string[]> {
    const problems: string[] = [];
    for (const address of addresses) {
      const client = await Client.connectTo(address, FINAL_READ_MS_MAX);
      const voice = this.journal.voice();
      for (const key of this.keys) {
        if (!(await this.read(client, voice, key, FINAL_READ_MS_MAX)))
          problems.push(`${key} could not be read at port ${address.port}`);
      }
      const stored = await readAll(client, [...this.ledger.written.keys(), ...this.ledger.counters.keys()]);
      problems.push(...this.ledger.problems(stored).map((problem) => `at port ${address.port}: ${problem}`));
      client.close();
    }
    return problems;
  }
}

interface Answered {
  readonly outcome: Outcome;
  readonly reply: Reply;
}

/** As the history names it: counters hold numbers. */
function contentOf(key: string, reply: Reply): string | number | null {
  if (reply === null) return null;
  return key.startsWith("counter:") ? Number(textOf(reply)) : textOf(reply);
}

async function readAll(client: Client, keys: readonly string[]): Promise<Map<string, string | null>> {
  const stored = new Map<string, string | null>();
  for (let i = 0; i < keys.length; i += READ_AT_ONCE) {
    const some = keys.slice(i, i + READ_AT_ONCE);
    const replies = (await client.demand(["MGET", ...some])) as Reply[];
    for (const [j, key] of some.entries()) stored.set(key, replies[j] === null ? null : textOf(replies[j]));
  }
  return stored;
}
