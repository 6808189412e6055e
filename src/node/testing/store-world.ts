import type { Done, DoneWith, StateStore } from "../ports.js";

/** One node's state store as an acceptance suite sees it. */
export interface StoreWorld {
  readonly store: StateStore;
  /** Ends the process as it should end, and starts it again on the same data. */
  reopen(): Promise<void>;
  /** From now on a commit of 4 MB finds no room (a small one may), or does again. */
  setDiskFull(full: boolean): void;
  end(): Promise<void>;
}

export interface StoreSuiteOptions {
  readonly makeWorld: () => Promise<StoreWorld>;
  /** A world whose disk can be full, or why there is none here. */
  readonly makeTightWorld: (() => Promise<StoreWorld>) | string;
}

/** Name of a test that needs a tight world, with the reason when it is skipped. */
export function tightTest(options: StoreSuiteOptions, name: string): string {
  return typeof options.makeTightWorld === "string" ? `${name} (${options.makeTightWorld})` : name;
}

export async function makeTightWorld(options: StoreSuiteOptions): Promise<StoreWorld> {
  if (typeof options.makeTightWorld === "string") throw new Error(options.makeTightWorld);
  return options.makeTightWorld();
}

/** Waits for a callback of a port; a {@link DiskError} is thrown. */
export function told(call: (done: Done) => void): Promise<void> {
  return toldValue<void>((done) => call((error) => done(error, undefined)));
}

export function toldValue<T>(call: (done: DoneWith<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    let within = true;
    call((error, value) => {
      if (within) reject(new Error("a port answered from within the call"));
      else if (error !== null) reject(error);
      else resolve(value);
    });
    within = false;
  });
}

export function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
