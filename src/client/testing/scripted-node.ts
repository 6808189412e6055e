/**
 * A node whose answers a test decides, for what no real node can be brought to do on time. What the test does not decide
 * is answered as the store does: in order of sequences, each once.
 */
import { createServer, type Server, type Socket } from "node:net";
import { type Call, decodeCall, encodeAnswer } from "../../codec/call.js";
import { ByteWriter } from "../../core/bytes.js";
import { type Command, isWrite, Op } from "../../kv/command.js";
import { type ErrorCode, KvError } from "../../kv/errors.js";
import { errorResult, integerResult, Result, ResultKind } from "../../kv/result.js";

/**
 * An error, no answer at all, the end of the connection (before it is done, after that, or so that it is done a moment
 * later), or what the store would say: of its own accord, or because the command comes to that error.
 */
export type Reaction =
  | ErrorCode
  | { readonly executed: ErrorCode }
  | ("silence" | "hang up" | "done, hang up" | "hang up, done later" | "execute");

const LATER_MS = 5;

/** What nodes have in common: who has done what, each sequence once and in order. */
export class ScriptedStore {
  timeMs = 1_000;
  life = 1;
  /** What answers tell of it, if not the truth. */
  lifeTold: number | null = null;
  /** This life takes no ids, and tells no time. */
  isOrderless = false;
  /** How often each key was counted, in whichever life. */
  readonly counts = new Map<string, bigint>();
  private readonly results = new Map<string, Result[]>();

  /** Dropped, and made again under the same name. */
  remake(isOrderless: boolean): void {
    this.life += 1;
    this.isOrderless = isOrderless;
    this.results.clear();
  }

  /** `error`: what the command comes to when its turn has come. */
  execute({ command, id, life }: Call, error: KvError | null = null): Result {
    if (life !== 0 && life !== this.life) return errorResult(new KvError("keyspace_gone"));
    if (command.op === Op.time) {
      return this.isOrderless ? errorResult(new KvError("level_unsupported")) : integerResult(BigInt(this.timeMs));
    }
    if (!isWrite(command.op)) return new Result(ResultKind.absent);
    if (id === null) return this.count(command);
    if (this.isOrderless) return errorResult(new KvError("operation_unsupported"));
    const done = this.results.get(id.client) ?? [];
    this.results.set(id.client, done);
    if (id.sequence <= done.length) return done[id.sequence - 1];
    if (id.sequence > done.length + 1) return errorResult(new KvError("unknown", `expected ${done.length + 1}`));
    done.push(error === null ? this.count(command) : errorResult(error));
    return done[done.length - 1];
  }

  hasNoted({ id }: Call, result: Result): boolean {
    return id !== null && this.results.get(id.client)?.includes(result) === true;
  }

  private count({ op, key, integer }: Command): Result {
    if (op !== Op.increment) return new Result(ResultKind.ok);
    const count = (this.counts.get(key) ?? 0n) + integer;
    this.counts.set(key, count);
    return integerResult(count);
  }
}

export class ScriptedNode {
  readonly calls: Call[] = [];
  react: (call: Call, index: number) => Reaction = () => "execute";
  private readonly sockets = new Set<Socket>();
  private readonly mute = new WeakSet<Socket>();

  private constructor(
    private readonly server: Server,
    readonly store: ScriptedStore,
    readonly node: number,
  ) {}

  static async start(store = new ScriptedStore(), number = 1): Promise<ScriptedNode> {
    const server = createServer();
    const node = new ScriptedNode(server, store, number);
    server.on("connection", (socket) => node.serve(socket));
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    return node;
  }

  get address(): string {
    return `127.0.0.1:${(this.server.address() as { port: number }).port}`;
  }

  /** Writes with what their places are for: counting, or nothing. */
  get written(): { sequence: number; counts: boolean; acknowledgedThrough: number; client: string }[] {
    return this.calls
      .filter((call) => call.id !== null)
      .map(({ id, command }) => {
        const { sequence, acknowledgedThrough, client } = id!;
        return { sequence, acknowledgedThrough, client, counts: command.op === Op.increment };
      });
  }

  private serve(socket: Socket): void {
    this.sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => this.sockets.delete(socket));
    let received = Buffer.alloc(0);
    socket.on("data", (chunk) => {
      received = Buffer.concat([received, chunk]);
      for (let args = takeRequest(received); args !== null; args = takeRequest(received)) {
        received = received.subarray(args.end);
        this.answer(socket, args.values);
      }
    });
  }

  private answer(socket: Socket, args: Buffer[]): void {
    if (args[1].toString() === "STATUS") {
      const members = [{ node: this.node, clientAddress: this.address }];
      bulk(socket, Buffer.from(JSON.stringify({ node: this.node, clusterId: "scripted", members })));
      return;
    }
    const call = decodeCall(args[2]);
    if (call instanceof KvError) throw new Error(call.message);
    this.calls.push(call);
    const reaction = this.react(call, this.calls.length);
    // Answers keep their order: after one that is not given none can be.
    if (reaction === "silence") this.mute.add(socket);
    if (reaction === "silence" || this.mute.has(socket)) return;
    if (reaction === "done, hang up") this.store.execute(call);
    if (reaction === "hang up, done later") setTimeout(() => this.store.execute(call), LATER_MS);
    if (reaction === "hang up" || reaction === "done, hang up" || reaction === "hang up, done later") {
      socket.destroy();
      return;
    }
    const result = this.resultOf(call, reaction);
    const isExecuted = this.store.hasNoted(call, result);
    const writer = new ByteWriter(64);
    const head = {
      leader: this.node,
      life: this.store.lifeTold ?? this.store.life,
      isExecuted,
      token: null,
      receipt: null,
    };
    encodeAnswer(head, result, writer);
    bulk(socket, Buffer.from(writer.copy()));
  }

  private resultOf(call: Call, reaction: ErrorCode | "execute" | { readonly executed: ErrorCode }): Result {
    if (reaction === "execute") return this.store.execute(call);
    if (typeof reaction === "string") return errorResult(new KvError(reaction));
    return this.store.execute(call, new KvError(reaction.executed));
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((done) => this.server.close(done));
  }
}

function bulk(socket: Socket, bytes: Buffer): void {
  socket.write(Buffer.concat([Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from("\r\n")]));
}

/** The first whole request, as the client writes it; null: it is not there yet. */
function takeRequest(bytes: Buffer): { values: Buffer[]; end: number } | null {
  const values: Buffer[] = [];
  let at = bytes.indexOf("\r\n");
  if (at < 0) return null;
  const count = Number(bytes.subarray(1, at).toString());
  at += 2;
  for (let i = 0; i < count; i += 1) {
    const lineEnd = bytes.indexOf("\r\n", at);
    if (lineEnd < 0) return null;
    const length = Number(bytes.subarray(at + 1, lineEnd).toString());
    const start = lineEnd + 2;
    if (bytes.length < start + length + 2) return null;
    values.push(bytes.subarray(start, start + length));
    at = start + length + 2;
  }
  return { values, end: at };
}
