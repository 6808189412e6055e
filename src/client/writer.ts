import { type CallAnswer, type CallError, encodeCall } from "../codec/call.js";
import { ByteWriter, latin1Decode } from "../core/bytes.js";
import { Command, Op } from "../kv/command.js";
import { Level } from "../kv/level.js";
import { learn, mayTryElsewhere, type PendingCall } from "./call.js";
import type { Cluster, Worker } from "./cluster.js";
import { type Attempt, backoff, type Link } from "./link.js";
import { nodeTimeoutMs } from "./options.js";
import { callError } from "./outcome.js";
import { overdue } from "./reader.js";
import { type SingleWrite, SingleWrites } from "./single-writes.js";

/** Fewer than the results that the store keeps of one client: the answer to a retry is still there. */
const PLACES_MAX = 256;
/** A client id that was not used for so long is replaced: the store forgets those that idle for an hour. */
const IDLE_MS_MAX = 600_000;

/** Nothing can be written at all. */
const NO_SUCH_PLACE: ReadonlySet<string> = new Set(["keyspace_unknown", "wrong_cluster"]);

/** One sequence of the client id. */
class Place {
  /** The round in which it was last sent; 0: it was not, or that sending was answered. */
  round = 0;
  /** Sendings of which it is not known that they had no effect. */
  doubts = 0;

  constructor(
    readonly sequence: number,
    /**
     * Null: nobody waits for it any more. Its sequence is used all the same, by a command that does nothing, for later
     * ones build on it; and if it was not done yet, it never will be.
     */
    public call: PendingCall | null,
  ) {}
}

class PlaceAttempt implements Attempt {
  constructor(
    private readonly writer: Writer,
    private readonly place: Place,
    private readonly round: number,
    /** The client id under which it was sent. */
    private readonly client: string,
  ) {}

  answered(link: Link, answer: CallAnswer): void {
    this.writer.answered(this.place, this.round, this.client, link, answer);
  }

  lost(link: Link): void {
    this.writer.lost(this.round, this.client, link);
  }
}

/**
 * The writes of one keyspace, under one client id: each has its sequence, so that whichever node gets it, however often,
 * it is done once. They leave in the order of their sequences over one connection. Where one is not answered for good,
 * it is sent again with all after it, in order (a new round): here, or over another connection.
 */
export class Writer implements Worker {
  /** Not yet given a sequence: no node has heard of them. */
  private queue: PendingCall[] = [];
  /** In order of sequence: given one, and not yet answered for good. */
  private places: Place[] = [];
  private client = "";
  private openedMs = 0;
  private opening = false;
  private nextSequence = 1;
  private link: Link | null = null;
  private round = 1;
  private retryAtMs = 0;
  private failures = 0;
  private usedMs = 0;
  private problem = "";
  /** Which life of the keyspace the id belongs to, and what else is known of it; 0: not asked yet. */
  private life = 0;
  /** The protocol of that life makes no order, and takes no ids. */
  private isOrderless = false;
  /** That life is over: what is under way is heard to its end, and then a later one is asked for. */
  private isOver = false;
  private readonly singles = new SingleWrites((...refusal) => this.singleRefused(...refusal));
  private readonly bytes = new ByteWriter(1_024);

  constructor(
    private readonly keyspace: string,
    private readonly cluster: Cluster,
  ) {
    cluster.add(this);
  }

  /** Places that nobody waits for can wait themselves. */
  get isBusy(): boolean {
    return this.queue.length > 0 || this.singles.isBusy || this.places.some((place) => place.call !== null);
  }

  add(call: PendingCall): void {
    this.queue.push(call);
    this.cluster.wake();
    this.pump();
  }

  pump(): void {
    if (!this.isBusy || this.opening || this.cluster.closed) return;
    const nowMs = performance.now();
    if (this.isOver && !this.endLife()) return;
    if (nowMs < this.retryAtMs || !this.chooseLink()) return;
    if (nowMs - this.usedMs > IDLE_MS_MAX && !this.places.some((place) => place.call !== null)) this.dropId();
    if (this.isOrderless) this.sendSingles(nowMs);
    else if (this.client === "") this.askTime();
    else this.sendAll(nowMs);
  }

  /** The link of the round: another one begins a round, and not while answers of this one may still come. */
  private chooseLink(): boolean {
    const link = this.cluster.pick(this.keyspace);
    if (link === null) return false;
    if (link === this.link) return true;
    const { round } = this;
    const isUnderWay = this.link?.state === "open" && this.places.some((place) => place.round === round);
    if (isUnderWay) return false;
    this.link = link;
    this.round += 1;
    return true;
  }

  private sendAll(nowMs: number): void {
    this.usedMs = nowMs;
    for (const place of this.places) if (place.round < this.round) this.send(place, nowMs);
    // Whether the id is taken shows with the first: all others wait for that.
    if (this.places.length > 0 && this.places[0].sequence === 1) return;
    while (this.queue.length > 0 && this.places.length < PLACES_MAX) {
      const call = this.queue.shift()!;
      if (call.settled) continue;
      const place = new Place(this.nextSequence, call);
      this.nextSequence += 1;
      this.places.push(place);
      this.send(place, nowMs);
    }
  }

  private send(place: Place, nowMs: number): void {
    const { keyspace, life, client, openedMs } = this;
    const { call, sequence } = place;
    const nodeMs = nodeTimeoutMs(this.cluster.settings);
    const timeoutMs = call === null ? nodeMs : Math.max(1, Math.min(Math.ceil(call.deadlineMs - nowMs), nodeMs));
    const id = { client, sequence, acknowledgedThrough: this.places[0].sequence - 1, openedMs };
    const { command, level, explain } = call ?? NOTHING;
    const token = call === null ? null : call.session.demand(keyspace);
    this.bytes.reset();
    encodeCall({ command, keyspace, life, level, timeoutMs, id, token, explain }, this.bytes);
    place.round = this.round;
    place.doubts += 1;
    this.link!.send(this.bytes.copy(), new PlaceAttempt(this, place, this.round, client));
  }

  // Without an order

  private sendSingles(nowMs: number): void {
    const nodeMs = nodeTimeoutMs(this.cluster.settings);
    for (const call of this.queue.splice(0)) {
      if (call.settled) continue;
      this.singles.send(call, this.life, this.link!, Math.max(1, Math.min(Math.ceil(call.deadlineMs - nowMs), nodeMs)));
    }
  }

  /** Nothing was done: another node may do it, or a later life of the keyspace. */
  private singleRefused({ call, life }: SingleWrite, link: Link, answer: CallAnswer): boolean {
    const error = answer.error!;
    if (life === this.life && (isLifeOver(answer) || NO_SUCH_PLACE.has(error.code))) this.isOver = true;
    if (!isLifeOver(answer) && !mayTryElsewhere(error)) return false;
    this.problem = `node ${link.node}: ${error.code}: ${error.message}`;
    this.queue.push(call);
    this.again(link, error);
    return true;
  }

  // A life of the keyspace

  /**
   * Once nothing of the round is under way any more: what was certainly not done goes to the life that comes next. False:
   * it is not yet so far.
   */
  private endLife(): boolean {
    const { places } = this;
    if (this.link?.state === "open" && places.some((place) => place.round > 0)) return false;
    this.forgetLife();
    // A node that has not heard of it yet would tell of the old life again.
    this.retryAtMs = performance.now() + this.nextBackoff();
    for (const { call, doubts } of places) {
      if (call === null) continue;
      if (doubts === 0) this.queue.push(call);
      else
        call.fail(callError("unknown", "the keyspace was dropped when it had been sent: it may have been done before"));
    }
    return true;
  }

  private forgetLife(): void {
    this.dropId();
    this.life = 0;
    this.isOrderless = false;
    this.isOver = false;
  }

  // A new client id

  /** An id bears the replicated time at which it was made: the store tells by it a new client from a forgotten one. */
  private askTime(): void {
    this.opening = true;
    const { keyspace } = this;
    const timeoutMs = nodeTimeoutMs(this.cluster.settings);
    const command = new Command(Op.time);
    this.bytes.reset();
    encodeCall(
      { command, keyspace, life: 0, level: Level.linearizable, timeoutMs, id: null, token: null, explain: false },
      this.bytes,
    );
    this.link!.send(this.bytes.copy(), {
      answered: (link, answer) => {
        this.opening = false;
        this.cluster.leads(keyspace, answer.leader);
        this.life = answer.life;
        if (answer.result !== null) this.openId(Number(answer.result.integer));
        else if (mayTryElsewhere(answer.error!)) this.again(link, answer.error!);
        else if (answer.error!.code === "level_unsupported") this.isOrderless = true;
        else this.failAll(answer.error!);
        this.pump();
      },
      lost: (link) => {
        this.opening = false;
        this.problem = link.problem;
      },
    });
  }

  /** The first sequence is a command that does nothing: if the store refuses the id, nothing is lost nor done twice. */
  private openId(timeMs: number): void {
    this.client = latin1Decode(crypto.getRandomValues(new Uint8Array(16)));
    this.openedMs = Math.min(Math.max(1, timeMs), Number.MAX_SAFE_INTEGER);
    this.places = [new Place(1, null)];
    this.nextSequence = 2;
  }

  // Answers

  answered(place: Place, round: number, client: string, link: Link, answer: CallAnswer): void {
    this.cluster.leads(this.keyspace, answer.leader);
    if (place.call !== null) learn(place.call, answer, link.clusterId);
    if (client !== this.client || !this.places.includes(place)) return;
    const { error } = answer;
    if (error === null || answer.isExecuted) {
      this.finish(place, answer);
    } else if (error.code === "session_expired") {
      this.idIsGone(place, error);
    } else {
      if (error.definite) place.doubts -= 1;
      if (place.round === round) place.round = 0;
      if (isLifeOver(answer)) this.isOver = true;
      if (this.isOver || mayTryElsewhere(error)) this.problem = `node ${link.node}: ${error.code}: ${error.message}`;
      else if (NO_SUCH_PLACE.has(error.code)) {
        this.failAll(error);
        return;
      } else this.refused(place, error);
      if (round === this.round && !this.isOver) this.again(link, error);
    }
    this.pump();
  }

  private finish(place: Place, answer: CallAnswer): void {
    this.failures = 0;
    if (this.places[0] === place) this.places.shift();
    else this.places.splice(this.places.indexOf(place), 1);
    if (place.call === null) return;
    if (answer.error === null) place.call.succeed(answer);
    else place.call.fail(answer.error);
  }

  /** This node does not do it. That none has is certain only if every sending was refused. */
  private refused(place: Place, error: CallError): void {
    const { call } = place;
    place.call = null;
    if (call === null) return;
    if (place.doubts === 0) call.fail(error);
    else
      call.fail(
        callError("unknown", `an earlier try may have been done; the last one: ${error.code}: ${error.message}`),
      );
  }

  /** Only the first sequence can be refused without a doubt: nothing was sent but it, and it does nothing. */
  private idIsGone(place: Place, error: CallError): void {
    if (place.sequence === 1) {
      this.dropId();
      this.retryAtMs = performance.now() + this.nextBackoff();
      this.problem = `${error.code}: ${error.message}`;
      return;
    }
    const { places } = this;
    this.dropId();
    for (const { call } of places) call?.fail(error);
  }

  private dropId(): void {
    this.client = "";
    this.places = [];
  }

  /** Nothing of this keyspace can be done. */
  private failAll(error: CallError): void {
    const { places, queue } = this;
    this.forgetLife();
    this.queue = [];
    for (const place of places) this.refused(place, error);
    for (const call of queue) call.fail(error);
  }

  /** Everything that is not answered is to be sent again, after a while, and rather to another node. */
  private again(link: Link, error: CallError): void {
    if (mayTryElsewhere(error)) this.cluster.avoid(link);
    this.round += 1;
    this.retryAtMs = performance.now() + this.nextBackoff();
  }

  private nextBackoff(): number {
    this.failures += 1;
    return backoff(this.failures, this.cluster.settings);
  }

  lost(round: number, client: string, link: Link): void {
    if (client !== this.client || round !== this.round) return;
    // Once for all that was under way: the pump finds another link, and that is a round of its own.
    this.round += 1;
    this.link = null;
    this.problem = link.problem;
  }

  // Giving up

  tick(nowMs: number): void {
    this.singles.tick(nowMs);
    for (const place of this.places) if (place.call !== null && place.call.deadlineMs <= nowMs) this.giveUp(place);
    if (!this.queue.some((call) => call.settled || call.deadlineMs <= nowMs)) return;
    const left: PendingCall[] = [];
    for (const call of this.queue) {
      if (call.settled) continue;
      if (call.deadlineMs > nowMs) left.push(call);
      else call.fail(overdue(this.problem || this.cluster.problem));
    }
    this.queue = left;
  }

  private giveUp(place: Place): void {
    const { call } = place;
    place.call = null;
    if (place.doubts === 0) call!.fail(overdue(this.problem));
    else
      call!.fail(
        callError("unknown", `no answer in time: it may have been done (${this.problem || "sent, not answered"})`),
      );
  }

  /** Its caller gives it up. */
  abort(call: PendingCall): void {
    if (this.singles.abort(call)) return;
    const place = this.places.find((each) => each.call === call);
    if (place === undefined) call.fail(callError("cancelled", "given up by its caller before it was sent"));
    else {
      place.call = null;
      if (place.doubts === 0) call.fail(callError("cancelled", "given up by its caller; every try was refused"));
      else call.fail(callError("unknown", "given up by its caller when it had been sent: it may have been done"));
    }
  }

  close(): void {
    this.singles.close();
    for (const place of this.places) if (place.call !== null) this.abort(place.call);
    for (const call of this.queue) call.fail(callError("cancelled", "the client was closed"));
    this.queue = [];
    this.places = [];
  }
}

/** The keyspace itself is gone. Where the answer names no life, the node speaks of what the call's token has seen. */
function isLifeOver({ error, life }: CallAnswer): boolean {
  return error?.code === "keyspace_gone" && life !== 0;
}

const NOTHING = { command: new Command(Op.transaction), level: null, explain: false } as const;
