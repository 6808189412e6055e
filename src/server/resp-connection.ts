import type { Socket } from "node:net";
import {
  type Arguments,
  type CommandContext,
  type CommandSpec,
  errorText,
  findCommand,
  Parsed,
  RespParser,
  type RespVersion,
  type RespWriter,
  renderError,
  unknownCommand,
  withSubcommand,
} from "../codec/resp/index.js";
import { copyBytes } from "../core/bytes.js";
import type { Session } from "../kv/backend.js";
import type { Command } from "../kv/command.js";
import { checkCommand } from "../kv/limits.js";
import type { Receipt } from "../kv/receipt.js";
import type { ReplySink, Request } from "../kv/request.js";
import { type Result, ResultKind } from "../kv/result.js";
import { ReplyMode } from "./reply-mode.js";
import { writeReceiptAttribute } from "./resp-gamut.js";
import { keyspaceNamed } from "./resp-hello.js";
import { type LocalCommand, localCommand } from "./resp-local.js";
import { RespOutput } from "./resp-output.js";
import { type Completion, type PendingReply, Pipeline } from "./resp-pipeline.js";
import type { RespService } from "./resp-service.js";
import { noteTime } from "./resp-times.js";
import type { Transaction } from "./resp-transaction.js";

/** After the last reply has left: time for the client to hang up. */
const LINGER_MS = 1000;
const REPLY_BYTES_FIRST = 16_384;

/**
 * One client. Requests are submitted in the order in which they came, which is the order in which they take effect;
 * replies leave in that order too, whatever order the answers come in. What a turn has answered is written by one call.
 *
 * A request that must know what became of those before it waits until the pipeline is empty, and so do the requests after
 * one whose outcome they depend on; meanwhile nothing more is read.
 */
export class RespConnection implements ReplySink, CommandContext {
  readonly watched = new Map<string, number>();
  readonly openedMs = Date.now();
  activeMs = this.openedMs;
  name = "";
  libraryName = "";
  libraryVersion = "";
  readonly replyMode = new ReplyMode();
  transaction: Transaction | null = null;
  /** Of the last answer of the store, while the session explains. */
  lastReceipt: Receipt | null = null;
  /** While a SELECT is under way: where to go back to. */
  keyspaceBefore = "";

  private readonly parser = new RespParser();
  private readonly pipeline = new Pipeline();
  private readonly output: RespOutput;
  /** The parser's request waits for the pipeline to empty. */
  private held = false;
  /** Nothing is taken until the pipeline is empty. */
  private draining = false;
  /** The socket is not read because not all that it has brought could be taken. */
  private paused = false;
  private announced = false;
  /** No more requests are taken: a last reply is under way. */
  private ending = false;
  /** Of the request that is being executed. */
  private currentSpec: CommandSpec | null = null;
  private finished = false;
  closed = false;
  /** When the beginning of the unfinished request came; 0: there is none. */
  private partialSinceMs = 0;
  /** Size of recent replies, the larger ones counting most: what one more request may cost. High until some are known. */
  private replyBytes = REPLY_BYTES_FIRST;
  private hungUp: NodeJS.Timeout | null = null;

  constructor(
    readonly id: number,
    readonly socket: Socket,
    readonly service: RespService,
    readonly session: Session,
  ) {
    this.output = new RespOutput(socket, service.writers, service.stats);
  }

  get version(): RespVersion {
    return this.output.version;
  }

  /** Of all that is written from here on. */
  set version(version: RespVersion) {
    this.output.version = version;
    this.output.current().version = version;
  }

  get lastCommand(): string {
    return this.currentSpec?.name ?? "";
  }

  /** Whether it waits for a WAIT. */
  get isBlocked(): boolean {
    return this.draining && this.pipeline.length > 0 && this.lastCommand === "wait";
  }

  start(received: Uint8Array): void {
    this.socket.on("data", (chunk: Buffer) => this.received(chunk));
    this.socket.on("drain", () => this.advance());
    this.socket.on("end", () => this.inputEnded());
    this.socket.on("close", () => this.dispose());
    this.received(received);
  }

  private received(chunk: Uint8Array): void {
    if (this.ending || this.closed) return;
    this.activeMs = Date.now();
    this.service.stats.inputBytes += chunk.length;
    this.parser.feed(chunk);
    this.advance();
  }

  turnEnded(): void {
    this.announced = false;
    this.advance();
  }

  /** Does what can be done now: takes requests, writes replies, ends. */
  private advance(): void {
    if (this.closed) return;
    this.service.timePassed();
    do {
      this.take();
      this.output.flush();
    } while (this.paused && this.mayTake());
    // What was paused has more to take.
    const over = this.ending || (this.hungUp !== null && !this.paused);
    if (over && this.pipeline.length === 0) this.finish();
  }

  /** The client will send no more, but may still listen: it hears what it has asked for, within reason. */
  private inputEnded(): void {
    this.hungUp = setTimeout(() => this.socket.destroy(), this.service.limits.hangUpMsMax);
    this.hungUp.unref();
    this.advance();
  }

  // Requests.

  private take(): void {
    while (this.mayTake()) {
      if (!this.held) {
        const parsed = this.parser.next();
        if (parsed === Parsed.more) {
          this.readOn();
          return;
        }
        if (parsed === Parsed.error) {
          this.fail(this.parser.error);
          return;
        }
      }
      this.held = false;
      this.partialSinceMs = 0;
      this.execute(this.parser.request);
      if (!this.held) this.replyMode.commandTaken();
    }
    this.readNoMore();
  }

  private mayTake(): boolean {
    if (this.ending || this.closed) return false;
    const pending = this.pipeline.length;
    const { pendingMax, outputBytesMax } = this.service.limits;
    if (pending === 0) {
      this.draining = false;
      return this.output.bytes < outputBytesMax;
    }
    if (this.draining || this.held) return false;
    return pending < pendingMax && this.output.bytes + pending * this.replyBytes < outputBytesMax;
  }

  private readNoMore(): void {
    if (this.paused || this.ending) return;
    this.paused = true;
    this.socket.pause();
  }

  private readOn(): void {
    if (this.parser.partial && this.partialSinceMs === 0) this.partialSinceMs = this.activeMs;
    if (!this.paused) return;
    this.paused = false;
    this.socket.resume();
  }

  private execute(request: Arguments): void {
    const found = findCommand(request);
    const refusal = found === null ? unknownCommand(request) : found.refusal(request);
    if (found === null || refusal !== "") {
      this.refuse(refusal);
      return;
    }
    const spec = withSubcommand(found, request);
    this.currentSpec = spec;
    const local = spec.build === null ? localCommand(spec, request) : null;
    if (this.transaction !== null && local?.inTransaction !== "immediate") {
      this.queue(this.transaction, spec, local, request);
    } else if (local !== null) this.executeLocal(local, request);
    else this.executeStored(spec, request);
    // Once each: what is held comes here again.
    if (!this.held) this.service.stats.commands += 1;
  }

  private executeStored(spec: CommandSpec, request: Arguments): void {
    const command = spec.build!(request, this);
    if (typeof command === "string") {
      this.answerError(command);
      return;
    }
    const error = checkCommand(command);
    if (error !== null) {
      this.answerError(errorText(error));
      return;
    }
    this.submitFor(this.pushSlot(), command);
  }

  private executeLocal(local: LocalCommand, request: Arguments): void {
    if (this.pipeline.length > 0 && local.waits(this)) {
      this.held = true;
      return;
    }
    const writer = this.beginAnswer();
    local.run(this, request, writer);
    this.endAnswer(writer);
  }

  private queue(transaction: Transaction, spec: CommandSpec, local: LocalCommand | null, request: Arguments): void {
    const error = transaction.add(spec, local, request, this);
    if (error !== null) {
      this.refuse(error);
      return;
    }
    const writer = this.beginAnswer();
    writer.queued();
    this.endAnswer(writer);
  }

  /** The command could not even be begun: a transaction that it was part of is void. */
  private refuse(error: string): void {
    if (this.transaction !== null) this.transaction.failed = true;
    this.answerError(error);
  }

  /** For a local command that asks the store. Its reply is what `completion` writes. */
  submit(command: Command, completion: Completion, transaction: Transaction | null = null): void {
    const slot = this.pushSlot();
    slot.completion = completion;
    slot.transaction = transaction;
    this.submitFor(slot, command);
  }

  private pushSlot(): PendingReply {
    const slot = this.pipeline.push();
    slot.spec = this.currentSpec;
    slot.takenMs = this.service.nowMs();
    slot.muted = this.replyMode.muted;
    return slot;
  }

  private submitFor(slot: PendingReply, command: Command): void {
    const tag = this.pipeline.tail - 1;
    slot.waiting = true;
    const request = this.session.submit(command, this, tag);
    if (slot.waiting && this.pipeline.head <= tag) slot.request = request;
  }

  /** What was sent after this must wait for its outcome. */
  drainFirst(): void {
    this.draining = true;
  }

  // Replies.

  reply(request: Request, result: Result): void {
    if (this.closed) return;
    if (!this.announced) this.service.timePassed();
    const slot = this.pipeline.at(request.tag);
    slot.waiting = false;
    slot.request = request;
    slot.result = result;
    if (request.tag === this.pipeline.head) this.renderReady();
    this.announce();
  }

  /** Has the replies written when the turn ends. */
  private announce(): void {
    if (this.announced) return;
    this.announced = true;
    this.service.answeredTo(this);
  }

  /** A place among the replies for an answer that is not the store's: `write` is called with it, once, later or at once. */
  answerLater(): (write: (writer: RespWriter) => void) => void {
    const tag = this.pipeline.tail;
    this.pushSlot().waiting = true;
    return (write) => {
      if (this.closed) return;
      const slot = this.pipeline.at(tag);
      const writer = this.service.writers.take(this.version);
      write(writer);
      slot.bytes = copyBytes(writer.written());
      slot.waiting = false;
      this.service.writers.give(writer);
      if (tag === this.pipeline.head) this.renderReady();
      this.announce();
    };
  }

  private renderReady(): void {
    const pipeline = this.pipeline;
    while (pipeline.length > 0 && !pipeline.first().waiting) {
      const slot = pipeline.first();
      const writer = slot.muted ? this.service.writers.take(this.version) : this.output.current();
      const before = writer.length;
      this.render(slot, writer);
      if (slot.request !== null) noteTime(this, slot);
      const bytes = slot.muted ? 0 : writer.length - before;
      if (slot.muted) this.service.writers.give(writer);
      pipeline.shift();
      this.replyBytes = bytes > this.replyBytes ? bytes : this.replyBytes - ((this.replyBytes - bytes) >> 3);
      if (this.output.bytes > this.service.limits.outputBytesCut) {
        this.socket.destroy();
        this.dispose();
        return;
      }
    }
  }

  private render(slot: PendingReply, writer: RespWriter): void {
    if (slot.bytes !== null) {
      writer.raw(slot.bytes);
      return;
    }
    const result = slot.result!;
    const receipt = slot.request!.receipt;
    if (this.session.explains) {
      this.lastReceipt = receipt;
      if (receipt !== null && this.version === 3) writeReceiptAttribute(writer, receipt);
    }
    if (slot.completion !== null) slot.completion(this, slot, writer);
    else if (result.kind === ResultKind.error) renderError(writer, result);
    else slot.spec!.render!(writer, result, this, slot.request!.command);
  }

  private answerError(error: string): void {
    const writer = this.beginAnswer();
    writer.error(error);
    this.endAnswer(writer);
  }

  /** For an answer that is known at once. It goes straight out unless others are due before it. */
  private beginAnswer(): RespWriter {
    const goesOut = this.pipeline.length === 0 && !this.replyMode.muted;
    return goesOut ? this.output.current() : this.service.writers.take(this.version);
  }

  private endAnswer(writer: RespWriter): void {
    if (this.output.isCurrent(writer)) return;
    if (writer.length > 0 && !this.replyMode.muted) {
      this.pipeline.push().bytes = copyBytes(writer.written());
      this.renderReady();
    }
    this.service.writers.give(writer);
  }

  // The end.

  /** A last error, after the replies that are due before it; then the connection is closed. */
  private fail(error: string): void {
    this.answerError(error);
    this.ending = true;
  }

  takeNoMore(): void {
    this.ending = true;
  }

  /** Takes no more requests, and hangs up when all is answered. */
  endWhenAnswered(): void {
    this.ending = true;
    this.advance();
  }

  private finish(): void {
    if (this.finished) return;
    this.finished = true;
    this.socket.once("finish", () => setTimeout(() => this.socket.destroy(), LINGER_MS).unref());
    this.socket.end();
    // What still comes is dropped unread: a close with unread bytes would be a reset, and might cost the last reply.
    this.socket.resume();
  }

  /** Looks for a client that has stopped in the middle: of a request, or of reading its replies. */
  sweep(nowMs: number): void {
    if (this.closed) return;
    const { requestMsMax, stalledMsMax } = this.service.limits;
    if (this.output.stalledMs(nowMs) > stalledMsMax) this.socket.destroy();
    else if (!this.ending && this.partialSinceMs !== 0 && nowMs - this.partialSinceMs >= requestMsMax) {
      this.fail(`ERR Protocol error: a request did not arrive whole within ${requestMsMax} ms`);
      this.advance();
    }
  }

  private dispose(): void {
    if (this.closed) return;
    this.closed = true;
    if (this.hungUp !== null) clearTimeout(this.hungUp);
    for (let tag = this.pipeline.head; tag < this.pipeline.tail; tag += 1) {
      const slot = this.pipeline.at(tag);
      if (slot.waiting && slot.request !== null) this.session.cancel(slot.request);
    }
    this.session.close();
    this.output.drop();
    this.service.closed(this);
  }

  // What commands ask.

  wallMs(): number {
    return Date.now();
  }

  scanKey(cursor: string): string | null {
    return this.service.cursors.key(cursor);
  }

  scanCursor(key: string): string {
    return this.service.cursors.add(key);
  }

  isKeyspace(name: string): boolean {
    return keyspaceNamed(name) === this.session.keyspace;
  }

  keyspaceCount(): number {
    return this.service.backend.status().keyspaces.length;
  }
}
