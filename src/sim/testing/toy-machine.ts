/**
 * The smallest protocol that shows what the script driver must handle: node 1 orders, the others store and acknowledge,
 * and a write is answered when a majority has it durably. Nobody ever takes node 1's place.
 */

import { assert } from "../../core/assert.js";
import type { ByteReader, ByteWriter } from "../../core/bytes.js";
import { latin1Decode, latin1Encode } from "../../core/bytes.js";
import { LogRecord, type Machine, type MachineDescription, RecordKind, type StartState } from "../../core/machine.js";
import { Outbox } from "../../core/outbox.js";
import type { State } from "../../core/state.js";
import { ScriptError } from "../script.js";
import type { ScriptNodeSetup, ScriptProtocol } from "../script-protocol.js";

export class ToyMessage {
  constructor(
    readonly kind: "append" | "acknowledge",
    readonly position: number,
    readonly text: string,
  ) {}
}

export class ToyRequest {
  constructor(readonly text: string) {}
}

const ORDERER = 1;

export class ToyMachine implements Machine<ToyMessage, ToyRequest, string> {
  readonly outbox = new Outbox<ToyMessage, ToyRequest, string>();
  private readonly log: string[] = [];
  private readonly acknowledged = new Map<number, Set<number>>();
  private readonly open = new Map<number, ToyRequest>();
  private commit = 0;
  private ticks = 0;

  constructor(
    private readonly node: number,
    private readonly members: readonly number[],
    private readonly state: State,
  ) {}

  readonly codec = {
    encode(message: ToyMessage, writer: ByteWriter): void {
      writer.latin1(`${message.kind} ${message.position} ${message.text}`);
    },
    decode(reader: ByteReader): ToyMessage {
      const [kind, position, text] = reader.latin1().split(" ");
      return new ToyMessage(kind as "append", Number(position), text);
    },
  };

  start(from: StartState, tail: readonly LogRecord[]): void {
    this.commit = from.position;
    for (const record of tail) this.log[record.position] = latin1Decode(record.payload);
  }

  now(): void {}

  tick(): void {
    this.ticks += 1;
  }

  request(request: ToyRequest): void {
    if (this.node !== ORDERER) {
      this.outbox.reply(request, "not the orderer");
      return;
    }
    const position = Math.max(this.log.length, 1);
    this.store(position, request.text);
    this.open.set(position, request);
    for (const peer of this.members) {
      if (peer !== this.node) this.outbox.send(peer, new ToyMessage("append", position, request.text));
    }
  }

  receive(peer: number, message: ToyMessage): void {
    if (message.kind === "acknowledge") this.count(peer, message.position);
    else {
      assert(message.text !== "poison", "toy: poison must not be appended");
      if (this.log[message.position] === undefined) this.store(message.position, message.text);
      this.outbox.sendHeld(peer, new ToyMessage("acknowledge", message.position, ""));
    }
  }

  stored(): void {
    if (this.node === ORDERER) for (const position of this.open.keys()) this.count(this.node, position);
  }

  private store(position: number, text: string): void {
    this.log[position] = text;
    this.outbox.append(RecordKind.entry, 1, position, latin1Encode(text));
  }

  private count(from: number, position: number): void {
    const request = this.open.get(position);
    if (request === undefined) return;
    const known = this.acknowledged.get(position) ?? new Set<number>();
    known.add(from);
    this.acknowledged.set(position, known);
    if (known.size * 2 <= this.members.length) return;
    this.open.delete(position);
    this.state.put(request.text, latin1Encode(String(position)));
    this.commit = Math.max(this.commit, position);
    this.outbox.appliedPosition = this.commit;
    this.outbox.appliedEpoch = 1;
    this.outbox.reply(request, `ordered ${position}`);
  }

  cancel(): void {}
  flush(): void {}
  diskRefused(): void {}
  checkpointing(): void {}

  checkpointed(position: number): void {
    this.outbox.cutThrough = position;
    this.outbox.snapshots.push(this.members.length);
  }
  snapshotFailed(): void {}
  snapshotSent(): void {}
  snapshotInstalled(_epoch: number, position: number): void {
    this.commit = position;
    this.outbox.appliedPosition = position;
  }
  mayLead(): void {}
  stepAside(): void {}
  abandon(): void {}
  progress(): [] {
    return [];
  }

  describe(): MachineDescription {
    return {
      role: this.node === ORDERER ? "orderer" : "follower",
      leader: ORDERER,
      epoch: 1,
      lastPosition: Math.max(this.log.length - 1, 0),
      commitPosition: this.commit,
      appliedPosition: this.commit,
      recovering: false,
    };
  }

  tickCount(): number {
    return this.ticks;
  }
}

export const toyProtocol: ScriptProtocol<ToyMessage, ToyRequest, string> = {
  name: "toy",
  create: (setup: ScriptNodeSetup, state: State) => new ToyMachine(setup.node, setup.members, state),
  log: (words) =>
    (words.named.get("entries") ?? "")
      .split(",")
      .map((text, i) => new LogRecord(RecordKind.entry, 1, i + 1, latin1Encode(text))),
  makeRequest: (words) => {
    if (words.length !== 1) throw new ScriptError("a toy request is one word");
    return new ToyRequest(words[0]);
  },
  printMessage: (message) => `${message.kind} ${message.position} ${message.text}`.trim(),
  printRecord: (record) => `entry ${record.epoch}/${record.position} ${latin1Decode(record.payload)}`,
  printRequest: (request) => request.text,
  printResult: (_request, result) => result,
  show: (machine) => [`ticks=${(machine as ToyMachine).tickCount()}`],
  campaign: () => {
    throw new ScriptError("the toy protocol has no elections");
  },
};
