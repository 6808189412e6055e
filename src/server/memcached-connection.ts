import type { Socket } from "node:net";
import {
  ERROR,
  errorLine,
  type MemcachedCounts,
  MemcachedParser,
  type MemcachedSpec,
  type MemcachedWriter,
  type RenderContext,
  renderError,
} from "../codec/memcached/index.js";
import type { Session } from "../kv/backend.js";
import type { KvError } from "../kv/errors.js";
import { checkCommand } from "../kv/limits.js";
import { ResultKind } from "../kv/result.js";
import { ClientConnection } from "./client-connection.js";
import { type LocalMemcachedCommand, localMemcachedCommand } from "./memcached-local.js";
import { MemcachedReply } from "./memcached-reply.js";
import type { MemcachedService } from "./memcached-service.js";
import { isForWatchers, ONLY_WATCHES } from "./memcached-watch.js";

/** A client that speaks memcached's text protocol, or the plain dialect: its way from a request to the store and back. */
export class MemcachedConnection extends ClientConnection<MemcachedWriter, MemcachedReply> implements RenderContext {
  declare readonly service: MemcachedService;
  declare readonly parser: MemcachedParser;
  /** What the build of the request under way tells about its reply. */
  private readonly shape = new MemcachedReply();

  constructor(id: number, socket: Socket, service: MemcachedService, session: Session) {
    super(id, socket, service, session, new MemcachedParser(), () => new MemcachedReply());
  }

  get counts(): MemcachedCounts {
    return this.service.counts;
  }

  protected execute(): void {
    const { spec, words } = this.parser;
    if (spec === null || !spec.accepts(words)) {
      this.answerError(spec === null ? ERROR : spec.misfit);
      return;
    }
    if (this.watch !== null && !isForWatchers(this.parser)) {
      this.answerError(ONLY_WATCHES);
      return;
    }
    if (spec.build === null) this.executeLocal(localMemcachedCommand(spec));
    else this.executeStored(spec);
    // Once each: what is held comes here again.
    if (!this.held) this.service.stats.commands += 1;
  }

  private executeStored(spec: MemcachedSpec): void {
    const { shape } = this;
    shape.clear();
    const command = spec.build!(this.parser, shape);
    const error = typeof command === "string" ? command : checkCommand(command);
    if (typeof command === "string" || error !== null) {
      if (!shape.isSilent) this.answerError(typeof error === "string" ? error : errorLine(error!));
      return;
    }
    const slot = this.pushSlot();
    slot.spec = spec;
    slot.muted = shape.isSilent;
    slot.meta = shape.meta;
    this.submitFor(slot, command);
  }

  private executeLocal(local: LocalMemcachedCommand): void {
    if (this.pipeline.length > 0 && local.waits) {
      this.held = true;
      return;
    }
    const writer = this.beginAnswer();
    local.run(this, writer);
    this.endAnswer(writer);
  }

  protected render(slot: MemcachedReply, writer: MemcachedWriter): void {
    const result = slot.result!;
    if (this.session.explains) this.lastReceipt = slot.request!.receipt;
    if (result.kind === ResultKind.error) renderError(writer, result);
    else slot.spec!.render!(writer, result, slot, this);
  }

  protected writeError(writer: MemcachedWriter, error: string): void {
    writer.sentence(error);
  }

  writeRefusal(writer: MemcachedWriter, error: KvError): void {
    writer.sentence(errorLine(error));
  }

  protected lateRequest(ms: number): string {
    return `CLIENT_ERROR a request did not arrive whole within ${ms} ms`;
  }
}
