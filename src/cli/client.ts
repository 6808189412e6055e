/** A small client of the RESP wire: one connection, one request at a time. */
import { connect, type Socket } from "node:net";
import { type CallAnswer, decodeAnswer, encodeCall } from "../codec/call.js";
import { DEFAULT_KEYSPACE, keyspaceNamed } from "../codec/resp/keyspace-name.js";
import { ByteWriter, CodecError } from "../core/bytes.js";
import type { Command } from "../kv/command.js";
import { KvError } from "../kv/errors.js";
import { levelByName } from "../kv/level.js";
import { checkCommand } from "../kv/limits.js";
import { renderReceipt } from "../kv/receipt.js";
import type { Result } from "../kv/result.js";
import { tokenFromText, tokenToText } from "../kv/token.js";
import { type Address, showAddress } from "./address.js";
import { CliError, Exit } from "./exit.js";
import { ownName } from "./own-name.js";
import { type Answer, Push, type Reply, ReplyError, ReplyReader, textOf } from "./reply-reader.js";

/** A node that takes longer to say hello is passed over, if there is another. */
const HELLO_MS_MAX = 2_000;
/** Of a node from which something may come by itself: then it is asked whether it is there. */
const SILENCE_MS_MAX = 3_000;
/** More of what comes by itself is not read until somebody has taken these. */
const PUSHES_MAX = 1_024;
/** The longest timer that Node knows. */
const TIMER_MS_MAX = 2_147_483_647;
const CALL_PART_BYTES = 1_048_576;

/** What every request of a connection is to be asked with. */
export interface SessionChoice {
  readonly keyspace?: string;
  readonly level?: string;
  readonly token?: string;
  readonly explain?: boolean;
}

/** The connection broke, or the answer did not come in time. The request may have been carried out. */
export class NoAnswer extends Error {
  override readonly name = "NoAnswer";
}

export class Client {
  /** Of the last answer, when the session explains; "" for an answer without one. */
  receipt = "";
  /** Of the record that the last answer read or wrote, when the session explains; 0 where there is none. */
  version = 0;
  /** Of the last call, as text; "" before the first. */
  callToken = "";
  private choice: SessionChoice = {};
  private readonly reader = new ReplyReader();
  private waiting: { done: (answer: Answer) => void; failed: (reason: NoAnswer) => void } | null = null;
  private broken = "";
  private pushes: Push[] = [];
  /** Wakes whoever waits for one. */
  private pushCame: () => void = () => {};

  private constructor(
    readonly address: Address,
    private readonly socket: Socket,
    private readonly timeoutMs: number,
  ) {
    socket.on("data", (chunk: Buffer) => this.received(chunk));
    socket.on("error", (error) => this.breakOff(error.message));
    socket.on("close", () => this.breakOff("the connection was closed"));
  }

  /** Connects to the first of the addresses that answers. @throws CliError with the reason of each that does not */
  static async connect(addresses: readonly Address[], timeoutMs: number): Promise<Client> {
    const problems: string[] = [];
    for (const address of addresses) {
      try {
        return await Client.connectTo(address, timeoutMs);
      } catch (error) {
        problems.push(`${showAddress(address)}: ${(error as Error).message}`);
      }
    }
    throw new CliError(Exit.failed, noNodeAnswers(problems), "unavailable");
  }

  /** @throws Error with the reason */
  static async connectTo(address: Address, timeoutMs: number): Promise<Client> {
    const helloMs = Math.min(timeoutMs, HELLO_MS_MAX);
    const socket = await openSocket(address, helloMs);
    const client = new Client(address, socket, timeoutMs);
    try {
      const hello = await client.call(["HELLO", "3"], helloMs);
      if (hello instanceof ReplyError) throw new Error(`it is no Gamut node: ${hello.message}`);
      return client;
    } catch (error) {
      client.close();
      throw error;
    }
  }

  /** Nothing is asked before all of this is accepted. @throws ReplyError @throws NoAnswer */
  async choose(choice: SessionChoice): Promise<void> {
    this.choice = choice;
    if (choice.token !== undefined) await this.demand(["GAMUT", "TOKEN", choice.token]);
    if (choice.keyspace !== undefined) await this.demand(["SELECT", choice.keyspace]);
    if (choice.level !== undefined) await this.demand(["GAMUT", "LEVEL", choice.level]);
    if (choice.explain === true) await this.demand(["GAMUT", "EXPLAIN", "ON"]);
  }

  /** The reply, if it is not an error. @throws ReplyError @throws NoAnswer */
  async demand(request: readonly (string | Uint8Array)[]): Promise<Exclude<Reply, ReplyError>> {
    const reply = await this.call(request);
    if (reply instanceof ReplyError) throw reply;
    return reply;
  }

  async call(request: readonly (string | Uint8Array)[], timeoutMs = this.timeoutMs): Promise<Reply> {
    const { reply, attributes } = await this.exchange(request, timeoutMs);
    this.receipt = textOf(attributes?.get("receipt"));
    this.version = Number(attributes?.get("version") ?? 0);
    return reply;
  }

  /**
   * One operation as the SDK sends it, for what Redis has no command for; what was chosen holds for it, too.
   * @throws ReplyError @throws NoAnswer
   */
  async operate(command: Command): Promise<Result> {
    const refused = checkCommand(command);
    if (refused !== null) throw new ReplyError(`ERR ${refused.code}: ${refused.message}`);
    const { keyspace, level, token, explain = false } = this.choice;
    const text = this.callToken === "" ? token : this.callToken;
    const bytes = text === undefined ? null : tokenFromText(text);
    if (bytes instanceof KvError) throw new ReplyError(`ERR ${bytes.code}: ${bytes.message}`);
    const writer = new ByteWriter(256);
    const call = {
      command,
      keyspace: keyspaceNamed(keyspace ?? DEFAULT_KEYSPACE),
      life: 0,
      level: level === undefined ? null : levelByName(level),
      timeoutMs: Math.min(this.timeoutMs, TIMER_MS_MAX),
      id: null,
      token: bytes,
      explain,
    };
    encodeCall(call, writer);
    // None of its arguments may be longer than a value.
    const parts: Uint8Array[] = [];
    const all = writer.written();
    for (let at = 0; at < all.length; at += CALL_PART_BYTES) parts.push(all.subarray(at, at + CALL_PART_BYTES));
    const reply = await this.demand(["GAMUT", "CALL", ...parts]);
    if (!(reply instanceof Uint8Array)) throw new NoAnswer("the answer to a call is none");
    const answer = readAnswer(reply);
    if (answer.token !== null) this.callToken = tokenToText(answer.token);
    this.receipt = answer.receipt === null ? "" : renderReceipt(answer.receipt);
    if (answer.error !== null) {
      const { code, definite, message } = answer.error;
      throw new ReplyError(`${definite ? "ERR" : "UNKNOWN"} ${code}: ${message}`);
    }
    this.version = answer.result!.version;
    return answer.result!;
  }

  private exchange(request: readonly (string | Uint8Array)[], timeoutMs: number): Promise<Answer> {
    return new Promise((done, failed) => {
      if (this.broken !== "") {
        failed(new NoAnswer(this.broken));
        return;
      }
      const late = (): void => this.breakOff(`it did not answer within ${timeoutMs} ms`);
      const timer = setTimeout(late, Math.min(timeoutMs, TIMER_MS_MAX));
      this.waiting = {
        done: (answer) => {
          clearTimeout(timer);
          done(answer);
        },
        failed: (reason) => {
          clearTimeout(timer);
          failed(reason);
        },
      };
      this.socket.write(encodeRequest(request));
    });
  }

  private received(chunk: Buffer): void {
    try {
      this.reader.feed(chunk);
      for (let answer = this.reader.next(); answer !== null; answer = this.reader.next()) {
        if (answer instanceof Push) {
          this.pushed(answer);
          continue;
        }
        const { waiting } = this;
        this.waiting = null;
        waiting?.done(answer);
      }
    } catch (error) {
      this.breakOff((error as Error).message);
    }
  }

  private pushed(push: Push): void {
    this.pushes.push(push);
    if (this.pushes.length >= PUSHES_MAX) this.socket.pause();
    this.pushCame();
  }

  /**
   * What has come by itself since the last call, at least one. While nothing comes the node is asked now and then whether
   * it is there. @throws NoAnswer when the connection is broken, or that is not answered in time
   */
  async nextPushes(): Promise<readonly Push[]> {
    while (this.pushes.length === 0) {
      if (this.broken !== "") throw new NoAnswer(this.broken);
      await this.pushOrSilence();
    }
    const pushes = this.pushes;
    this.pushes = [];
    this.socket.resume();
    return pushes;
  }

  private pushOrSilence(): Promise<void> {
    return new Promise((came) => {
      const ask = (): void => {
        if (this.waiting === null) this.call(["PING"]).then(() => came(), came);
      };
      const silence = setTimeout(ask, Math.min(this.timeoutMs, SILENCE_MS_MAX));
      this.pushCame = () => {
        clearTimeout(silence);
        came();
      };
    });
  }

  private breakOff(reason: string): void {
    if (this.broken !== "") return;
    this.broken = reason;
    this.socket.destroy();
    this.waiting?.failed(new NoAnswer(reason));
    this.waiting = null;
    this.pushCame();
  }

  close(): void {
    this.breakOff("the connection was closed");
  }
}

/** `problems`: one for each address asked. */
export function noNodeAnswers(problems: readonly string[]): string {
  const advice = `is a cluster running? Start one with \`${ownName()} up\`; one on other ports than 7001 to 7003 is named with --address host:port or GAMUT_ADDRESS`;
  return `no node answers (${problems.join("; ")}): ${advice}`;
}

/** @throws NoAnswer */
function readAnswer(bytes: Uint8Array): CallAnswer {
  try {
    return decodeAnswer(bytes);
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
    throw new NoAnswer(error.message);
  }
}

function openSocket({ host, port }: Address, timeoutMs: number): Promise<Socket> {
  return new Promise((done, failed) => {
    const socket = connect({ host, port, noDelay: true });
    const timer = setTimeout(() => {
      socket.destroy();
      failed(new Error(`no connection within ${timeoutMs} ms`));
    }, timeoutMs);
    socket.once("error", (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      failed(new Error(error.code === "ECONNREFUSED" ? "connection refused" : error.message));
    });
    socket.once("connect", () => {
      clearTimeout(timer);
      socket.removeAllListeners("error");
      done(socket);
    });
  });
}

function encodeRequest(request: readonly (string | Uint8Array)[]): Buffer {
  const parts: Uint8Array[] = [Buffer.from(`*${request.length}\r\n`)];
  for (const argument of request) {
    const bytes = typeof argument === "string" ? Buffer.from(argument, "utf8") : argument;
    parts.push(Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from("\r\n"));
  }
  return Buffer.concat(parts);
}
