import type { Socket } from "node:net";
import type { ReplyBuffer } from "../codec/reply-buffer.js";
import { Parsed, type RequestParser } from "../codec/request-parser.js";
import { ByteWriter, copyBytes } from "../core/bytes.js";
import type { Session } from "../kv/backend.js";
import type { Command } from "../kv/command.js";
import { KvError } from "../kv/errors.js";
import type { Receipt } from "../kv/receipt.js";
import type { ReplySink, Request, RequestId } from "../kv/request.js";
import type { Result } from "../kv/result.js";
import type { ClientService } from "./client-service.js";
import type { ConnectionWatch } from "./connection-watch.js";
import { Output } from "./output.js";
import { type PendingReply, Pipeline } from "./pipeline.js";

/** After the last reply has left: time for the client to hang up. */
const LINGER_MS = 1000;
const REPLY_BYTES_FIRST = 16_384;
/** Of requests behind one that is waited for: who sends that much waits as well. */
const UNREAD_BYTES = 16_384;

/**
 * One client of a wire that is a stream of requests. They are submitted in the order in which they came, which is the
 * order in which they take effect; replies leave in that order too, whatever order the answers come in. What a turn has
 * answered is written by one call.
 *
 * A request that must know what became of those before it waits until the pipeline is empty, and so do the requests after
 * one whose outcome they depend on; meanwhile nothing more is read.
 */
export abstract class ClientConnection<Writer extends ReplyBuffer, Slot extends PendingReply> implements ReplySink {
  readonly openedMs = Date.now();
  activeMs = this.openedMs;
  /** Of the last answer of the store, while the session explains. */
  lastReceipt: Receipt | null = null;
  /** What `gamut watch` has begun; null: nothing. */
  watch: ConnectionWatch<Writer, ClientConnection<Writer, PendingReply>> | null = null;

  protected readonly pipeline: Pipeline<Slot>;
  protected readonly output: Output<Writer>;
  /** The parser's request waits for the pipeline to empty. */
  protected held = false;
  /** Nothing is taken until the pipeline is empty. */
  protected draining = false;
  /** Not all that the socket has brought could be taken. */
  private paused = false;
  /** What it has brought since. Past some of it the socket is not read any more: then its end is not noticed either. */
  private unread: ByteWriter | null = null;
  private announced = false;
  /** No more requests are taken: a last reply is under way. */
  private ending = false;
  private finished = false;
  private closed = false;
  /** Monotonic ms: what is taken now was taken then. */
  private takingMs = 0;
  /** When the beginning of the unfinished request came; 0: there is none. */
  private partialSinceMs = 0;
  /** Size of recent replies, the larger ones counting most: what one more request may cost. High until some are known. */
  private replyBytes = REPLY_BYTES_FIRST;
  private hungUp: NodeJS.Timeout | null = null;

  constructor(
    readonly id: number,
    readonly socket: Socket,
    readonly service: ClientService<Writer, ClientConnection<Writer, PendingReply>>,
    readonly session: Session,
    protected readonly parser: RequestParser,
    makeSlot: () => Slot,
  ) {
    this.pipeline = new Pipeline(makeSlot);
    this.output = new Output(socket, service.writers, service.stats);
  }

  get isClosed(): boolean {
    return this.closed;
  }

  /** Does the parser's request, or holds it. */
  protected abstract execute(): void;
  /** Writes the reply to an answer of the store. */
  protected abstract render(slot: Slot, writer: Writer): void;
  /** The last line of a client whose request is not whole after so long. */
  protected abstract lateRequest(ms: number): string;
  protected abstract writeError(writer: Writer, error: string): void;
  /** Writes what the store has refused, in the wire's own words. */
  abstract writeRefusal(writer: Writer, error: KvError): void;
  /** Readies a writer that comes from the pool, or from another reply. */
  protected prepare(_writer: Writer): void {}

  /** The reader has taken what there was: there is room for what comes by itself. */
  protected hearOn(): void {
    this.watch?.resume();
  }

  /** Nothing comes by itself from here on. */
  hearNoMore(): void {
    this.unwatch();
  }

  unwatch(): void {
    this.watch?.close();
    this.watch = null;
  }

  start(received: Uint8Array): void {
    this.socket.on("data", (chunk: Buffer) => this.received(chunk));
    this.socket.on("drain", () => {
      this.advance();
      this.hearOn();
    });
    this.socket.on("end", () => this.inputEnded());
    this.socket.on("close", () => this.dispose());
    this.received(received);
  }

  private received(chunk: Uint8Array): void {
    if (this.ending || this.closed) return;
    this.activeMs = Date.now();
    this.service.stats.inputBytes += chunk.length;
    if (this.paused) {
      this.unread ??= new ByteWriter(chunk.length);
      this.unread.raw(chunk);
      if (this.unread.length >= UNREAD_BYTES) this.socket.pause();
      return;
    }
    this.parser.feed(chunk);
    this.advance();
    // The bytes are the socket's again after this.
    if (this.paused) this.parser.keepChunk();
  }

  turnEnded(): void {
    this.announced = false;
    this.advance();
  }

  /** Does what can be done now: takes requests, writes replies, ends. */
  private advance(): void {
    if (this.closed) return;
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
    if (this.mayTake()) this.takingMs = performance.now();
    while (this.mayTake()) {
      if (!this.held) {
        const parsed = this.parser.next();
        if (parsed === Parsed.more) {
          if (this.readOn()) continue;
          return;
        }
        if (parsed === Parsed.error) {
          this.fail(this.parser.error);
          return;
        }
      }
      this.held = false;
      this.partialSinceMs = 0;
      this.execute();
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
    if (!this.ending) this.paused = true;
  }

  /** False: there is nothing more to read. */
  private readOn(): boolean {
    if (this.parser.partial && this.partialSinceMs === 0) this.partialSinceMs = this.activeMs;
    this.paused = false;
    const { unread } = this;
    if (unread === null) return false;
    this.unread = null;
    this.parser.feed(unread.written());
    if (unread.length >= UNREAD_BYTES) this.socket.resume();
    return true;
  }

  /** The place of the request at hand among the replies. */
  protected pushSlot(): Slot {
    const slot = this.pipeline.push();
    slot.takenMs = this.takingMs;
    return slot;
  }

  protected submitFor(slot: Slot, command: Command, id: RequestId | null = null): void {
    const tag = this.pipeline.tail - 1;
    slot.waiting = true;
    const request = (slot.session ?? this.session).submitWithId(command, id, this, tag);
    if (slot.waiting && this.pipeline.head <= tag) slot.request = request;
  }

  /** What was sent after this must wait for its outcome. */
  drainFirst(): void {
    this.draining = true;
  }

  // Replies.

  reply(request: Request, result: Result): void {
    if (this.closed) return;
    const slot = this.pipeline.at(request.tag);
    slot.waiting = false;
    slot.request = request;
    slot.result = result;
    const { service } = this;
    service.stats.requests.answered(service.wire, request.command.op, result, service.turnMs() - slot.takenMs);
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
  answerLater(): (write: (writer: Writer) => void) => void {
    const tag = this.pipeline.tail;
    this.pushSlot().waiting = true;
    return (write) => {
      if (this.closed) return;
      const slot = this.pipeline.at(tag);
      const writer = this.output.fresh();
      this.prepare(writer);
      write(writer);
      slot.bytes = copyBytes(writer.written());
      slot.waiting = false;
      this.service.writers.give(writer);
      if (tag === this.pipeline.head) this.renderReady();
      this.announce();
    };
  }

  /** Whether what comes by itself finds room. */
  get hasRoom(): boolean {
    return !this.closed && this.output.bytes < this.service.limits.outputBytesMax;
  }

  /** Where that is written, whole: between two replies. */
  get unasked(): Writer {
    return this.currentWriter();
  }

  flushUnasked(): void {
    if (!this.closed) this.output.flush();
  }

  private renderReady(): void {
    const pipeline = this.pipeline;
    while (pipeline.length > 0 && !pipeline.first().waiting) {
      const writer = this.currentWriter();
      const before = writer.length;
      const slot = pipeline.first();
      if (slot.bytes !== null) writer.raw(slot.bytes);
      else this.render(slot, writer);
      // It was rendered all the same: what is to be noted of an answer is noted there.
      if (slot.muted) writer.length = before;
      pipeline.shift();
      const bytes = writer.length - before;
      this.replyBytes = bytes > this.replyBytes ? bytes : this.replyBytes - ((this.replyBytes - bytes) >> 3);
      if (this.output.bytes > this.service.limits.outputBytesCut) {
        this.socket.destroy();
        this.dispose();
        return;
      }
    }
  }

  protected answerError(error: string): void {
    const writer = this.beginAnswer();
    this.writeError(writer, error);
    this.endAnswer(writer);
  }

  /** Where the next reply in line is written. */
  protected currentWriter(): Writer {
    const writer = this.output.current();
    if (writer.length === 0) this.prepare(writer);
    return writer;
  }

  /** For an answer that is known at once. It goes straight out unless others are due before it. */
  protected beginAnswer(): Writer {
    if (this.pipeline.length === 0 && !this.isMuted) return this.currentWriter();
    const writer = this.output.fresh();
    this.prepare(writer);
    return writer;
  }

  protected endAnswer(writer: Writer): void {
    if (this.output.isCurrent(writer)) return;
    if (writer.length > 0 && !this.isMuted) {
      this.pipeline.push().bytes = copyBytes(writer.written());
      this.renderReady();
    }
    this.service.writers.give(writer);
  }

  /** Whether the client does not want to hear what is answered now. */
  protected get isMuted(): boolean {
    return false;
  }

  // The end.

  /** A last error, after the replies that are due before it; then the connection is closed. */
  protected fail(error: string): void {
    this.answerError(error);
    this.ending = true;
  }

  takeNoMore(): void {
    this.ending = true;
  }

  /** Takes no more requests, and hangs up when all is answered. */
  endWhenAnswered(): void {
    this.ending = true;
    this.watch?.end(new KvError("stopping"));
    this.advance();
  }

  private finish(): void {
    if (this.finished) return;
    this.finished = true;
    this.hearNoMore();
    this.socket.once("finish", () => setTimeout(() => this.socket.destroy(), LINGER_MS).unref());
    this.socket.end();
    // What still comes is dropped unread: a close with unread bytes would be a reset, and might cost the last reply.
    this.socket.resume();
  }

  /** Looks for a client that has stopped in the middle: of a request, or of reading its replies. */
  sweep(nowMs: number): void {
    if (this.closed) return;
    const { requestMsMax, stalledMsMax } = this.service.limits;
    if (this.output.reader.stalledMs(nowMs) > stalledMsMax) this.socket.destroy();
    else if (!this.ending && this.partialSinceMs !== 0 && nowMs - this.partialSinceMs >= requestMsMax) {
      this.fail(this.lateRequest(requestMsMax));
      this.advance();
    }
  }

  private dispose(): void {
    if (this.closed) return;
    this.closed = true;
    if (this.hungUp !== null) clearTimeout(this.hungUp);
    for (let tag = this.pipeline.head; tag < this.pipeline.tail; tag += 1) {
      const slot = this.pipeline.at(tag);
      if (slot.waiting && slot.request !== null) (slot.session ?? this.session).cancel(slot.request);
      slot.session?.close();
    }
    this.hearNoMore();
    this.session.close();
    this.output.drop();
    this.service.closed(this.id);
  }

  // What commands ask.

  wallMs(): number {
    return Date.now();
  }
}
