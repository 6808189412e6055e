import type { Socket } from "node:net";
import {
  type Arguments,
  type CommandContext,
  type CommandSpec,
  errorText,
  findCommand,
  RespParser,
  type RespVersion,
  type RespWriter,
  renderError,
  unknownCommand,
  withSubcommand,
} from "../codec/resp/index.js";
import { keyspaceNamed } from "../codec/resp/keyspace-name.js";
import type { Session } from "../kv/backend.js";
import type { Command } from "../kv/command.js";
import type { KvError } from "../kv/errors.js";
import { checkCommand } from "../kv/limits.js";
import type { RequestId } from "../kv/request.js";
import { ResultKind } from "../kv/result.js";
import { ClientConnection } from "./client-connection.js";
import { ReplyMode } from "./reply-mode.js";
import { writeReceiptAttribute } from "./resp-gamut.js";
import { type LocalCommand, localCommand } from "./resp-local.js";
import { notWhileSubscribed, type Subscriptions } from "./resp-pubsub.js";
import { type Completion, RespReply } from "./resp-reply.js";
import type { RespService } from "./resp-service.js";
import { noteTime } from "./resp-times.js";
import type { Transaction } from "./resp-transaction.js";
import { notWhileWatching, WHILE_WATCHING } from "./resp-watch.js";

/** A client that speaks RESP: what it has set, and its way from a request to the store and back. */
export class RespConnection extends ClientConnection<RespWriter, RespReply> implements CommandContext {
  declare readonly service: RespService;
  readonly watched = new Map<string, number>();
  name = "";
  libraryName = "";
  libraryVersion = "";
  readonly replyMode = new ReplyMode();
  transaction: Transaction | null = null;
  subscriptions: Subscriptions | null = null;
  private spoken: RespVersion = 2;
  /** Of the request that is being executed. */
  private currentSpec: CommandSpec | null = null;

  constructor(id: number, socket: Socket, service: RespService, session: Session) {
    super(id, socket, service, session, new RespParser(), () => new RespReply());
  }

  get version(): RespVersion {
    return this.spoken;
  }

  /** Of all that is written from here on. */
  set version(version: RespVersion) {
    this.spoken = version;
    this.prepare(this.output.current());
  }

  protected override prepare(writer: RespWriter): void {
    writer.version = this.spoken;
  }

  get lastCommand(): string {
    return this.currentSpec?.name ?? "";
  }

  /** Whether it waits for a WAIT. */
  get isBlocked(): boolean {
    return this.draining && this.pipeline.length > 0 && this.lastCommand === "wait";
  }

  protected execute(): void {
    this.executeRequest(this.parser.request);
    if (!this.held) this.replyMode.commandTaken();
  }

  private executeRequest(request: Arguments): void {
    const found = findCommand(request);
    const refusal = found === null ? unknownCommand(request) : found.refusal(request);
    if (found === null || refusal !== "") {
      this.refuse(refusal);
      return;
    }
    const spec = withSubcommand(found, request);
    this.currentSpec = spec;
    const busy = this.version === 2 ? this.notWhileTold(spec.name) : "";
    if (busy !== "") {
      this.refuse(busy);
      return;
    }
    const local = spec.build === null ? localCommand(spec, request) : null;
    if (this.transaction !== null && local?.inTransaction !== "immediate") {
      this.queue(this.transaction, spec, local, request);
    } else if (local !== null) this.executeLocal(local, request);
    else this.executeStored(spec, request);
    // Once each: what is held comes here again.
    if (!this.held) this.service.stats.commands += 1;
  }

  /** RESP2 has nothing that tells a reply from what comes by itself. */
  private notWhileTold(name: string): string {
    if (this.subscriptions !== null) return notWhileSubscribed(name);
    return this.watch === null || WHILE_WATCHING.has(name) ? "" : notWhileWatching(name);
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
    if (this.pipeline.length > 0 && local.waits(this, request)) {
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

  /** For a call of the SDK: an operation in a session of its own. */
  submitIn(session: Session, command: Command, id: RequestId | null, completion: Completion): void {
    const slot = this.pushSlot();
    slot.completion = completion;
    slot.session = session;
    this.submitFor(slot, command, id);
  }

  protected render(slot: RespReply, writer: RespWriter): void {
    const result = slot.result!;
    const receipt = slot.request!.receipt;
    if (this.session.explains && slot.session === null) {
      this.lastReceipt = receipt;
      if (receipt !== null && this.version === 3) writeReceiptAttribute(writer, receipt, result.version);
    }
    if (slot.completion !== null) slot.completion(this, slot, writer);
    else if (result.kind === ResultKind.error) renderError(writer, result);
    else slot.spec!.render!(writer, result, this, slot.request!.command);
    noteTime(this, slot);
  }

  protected override pushSlot(): RespReply {
    const slot = super.pushSlot();
    slot.spec = this.currentSpec;
    slot.muted = this.replyMode.muted;
    return slot;
  }

  protected override get isMuted(): boolean {
    return this.replyMode.muted;
  }

  protected writeError(writer: RespWriter, error: string): void {
    writer.error(error);
  }

  writeRefusal(writer: RespWriter, error: KvError): void {
    writer.error(errorText(error));
  }

  protected lateRequest(ms: number): string {
    return `ERR Protocol error: a request did not arrive whole within ${ms} ms`;
  }

  protected override hearOn(): void {
    super.hearOn();
    this.subscriptions?.resume();
  }

  override hearNoMore(): void {
    super.hearNoMore();
    this.subscriptions?.close();
    this.subscriptions = null;
  }

  // What commands ask.

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
