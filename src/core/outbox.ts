import { LogRecord, type NodeId, type RecordKind } from "./machine.js";

export class Envelope<Message> {
  constructor(
    readonly peer: NodeId,
    readonly message: Message,
    /** Leaves once `stored` has reached this write sequence; 0: at once. */
    readonly afterSeq: number,
  ) {}
}

export class Reply<Request, Result> {
  constructor(
    readonly request: Request,
    readonly result: Result,
  ) {}
}

/**
 * What a machine wants from the world, collected during a turn. The host drains it at the turn's end: records to the
 * log, plain sends at once, held sends when their write sequence is durable.
 *
 * A held item carries the highest write sequence issued when it was held, not the number of its drain: an
 * acknowledgement of a duplicate append has no record of its own, and must still wait for the records before it.
 */
export class Outbox<Message, Request, Result> {
  sends: Envelope<Message>[] = [];
  replies: Reply<Request, Result>[] = [];
  records: LogRecord[] = [];
  /** Peers to which the host shall stream its newest checkpoint. */
  snapshots: NodeId[] = [];
  /** Entries up to here may be deleted from the log. Only grows. */
  cutThrough = 0;
  /** The applied position; the host compares it to the last checkpoint. */
  appliedPosition = 0;
  appliedEpoch = 0;
  /** There was more to do than a turn should take: the machine wants another one at once. */
  hasMore = false;
  /** The machine wants another turn after so many ms at the latest; 0: whenever there is one. */
  turnWithinMs = 0;
  /** Write sequence of the newest record handed out: monotone, one a record, never reused after a truncation. */
  issuedSeq = 0;

  append(kind: RecordKind, epoch: number, position: number, payload: Uint8Array): number {
    this.records.push(new LogRecord(kind, epoch, position, payload));
    this.issuedSeq += 1;
    return this.issuedSeq;
  }

  send(peer: NodeId, message: Message): void {
    this.sends.push(new Envelope(peer, message, 0));
  }

  /** Holds the message behind every record issued so far. */
  sendHeld(peer: NodeId, message: Message): void {
    this.sends.push(new Envelope(peer, message, this.issuedSeq));
  }

  reply(request: Request, result: Result): void {
    this.replies.push(new Reply(request, result));
  }
}
