import { Command, deleteCommand, Op } from "../kv/command.js";
import { ResultKind } from "../kv/result.js";
import type { RawOutcome } from "./call.js";
import { buildSet, buildSum } from "./commands.js";
import { type Key, keyString } from "./key.js";
import { type CallOptions, checkOptions } from "./options.js";
import { callError, failed, GamutError, type Outcome } from "./outcome.js";
import type { ValueCodec } from "./values.js";
import { fromVersionstamp, toVersionstamp } from "./versionstamp.js";

/** That a record is still at this version; null: that there is none. An entry of `get` can be given as it is. */
export interface Check {
  readonly key: Key;
  readonly versionstamp: string | null;
}

type Step = (command: Command) => void;

/**
 * Operations on one keyspace that are done together, under one versionstamp, or not at all: if a check does not hold
 * (`conflict`), or if a sum would fail (`not_an_integer`, `overflow`).
 */
export class Atomic<V> {
  private readonly steps: Step[] = [];

  constructor(
    private readonly values: ValueCodec<V>,
    private readonly call: (build: () => Command, options: CallOptions) => Promise<RawOutcome>,
  ) {}

  check(...checks: readonly Check[]): this {
    for (const { key, versionstamp } of checks) {
      this.steps.push((command) => {
        const version = versionstamp === null ? 0 : fromVersionstamp(versionstamp);
        if (version === null) throw new GamutError(callError("bad_request", `"${versionstamp}" is no versionstamp`));
        command.keys!.push(keyString(key));
        command.versions!.push(version);
      });
    }
    return this;
  }

  set(key: Key, value: V, options: { readonly expireIn?: number } = {}): this {
    return this.add(() => {
      checkOptions("set of an atomic", options, { expireIn: true });
      return buildSet(key, value, options.expireIn, this.values);
    });
  }

  delete(key: Key): this {
    return this.add(() => deleteCommand([keyString(key)]));
  }

  /** As `Gamut.sum`; the answer's `sums` has the new values, in order. */
  sum(key: Key, delta: bigint | number): this {
    return this.add(() => buildSum(key, delta));
  }

  private add(build: () => Command): this {
    this.steps.push((command) => command.children!.push(build()));
    return this;
  }

  /** Keys, values and deltas are looked at now: what is wrong with one is this call's `bad_request`. */
  async commit(
    options: CallOptions = {},
  ): Promise<Outcome<{ readonly versionstamp: string; readonly sums: readonly bigint[] }>> {
    const children: Command[] = [];
    const raw = await this.call(() => this.build(children), options);
    if (raw.kind !== "ok") return raw;
    const { kind, result, receipt } = raw;
    if (result.kind === ResultKind.notDone) return failed(callError("conflict"));
    const items = result.items ?? [];
    const sums = items.filter((_, i) => children[i].op === Op.increment).map((item) => item.integer);
    const versionstamp = toVersionstamp(result.version);
    return receipt === undefined ? { kind, versionstamp, sums } : { kind, receipt, versionstamp, sums };
  }

  private build(children: Command[]): Command {
    const command = new Command(Op.transaction);
    command.keys = [];
    command.versions = [];
    command.children = children;
    for (const step of this.steps) step(command);
    return command;
  }
}
