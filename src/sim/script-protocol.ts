import type { LogRecord, Machine, NodeId } from "../core/machine.js";
import type { State } from "../core/state.js";
import type { Arguments } from "./script.js";

/** What one node of a trace is made from. */
export interface ScriptNodeSetup {
  readonly node: NodeId;
  readonly members: readonly NodeId[];
  /** The `key=value` words of the trace's `cluster` command. */
  readonly options: ReadonlyMap<string, string>;
}

/** What a trace needs to know of a protocol: how to make its machine, and how its parts look as text. */
export interface ScriptProtocol<Message, Request, Result> {
  readonly name: string;
  /** `life` counts the starts of this node, from 1. */
  create(setup: ScriptNodeSetup, state: State, life: number): Machine<Message, Request, Result>;
  /** Durable records to start from, out of the words of the `log` command. Throws a ScriptError. */
  log(words: Arguments, setup: ScriptNodeSetup): LogRecord[];
  /** Throws a ScriptError on words that are no request. */
  makeRequest(words: readonly string[]): Request;
  printMessage(message: Message): string;
  printRecord(record: LogRecord): string;
  printRequest(request: Request): string;
  printResult(request: Request, result: Result): string;
  /** What only this machine shows, one line each, after the common description. */
  show(machine: Machine<Message, Request, Result>): string[];
  /** Makes this replica try to lead now. */
  campaign(machine: Machine<Message, Request, Result>): void;
}
