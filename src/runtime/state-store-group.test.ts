import "./fast-bytes.js";
import { expect, it } from "vitest";
import { DiskError, type Done } from "../node/ports.js";
import { LmdbGroupStore } from "./state-store-group.js";

it("a side that could not be emptied is not filled, even if the disk has room again by then", () => {
  const jobs: { kind: string; done: Done }[] = [];
  const queue = { run: ({ kind }: { kind: string }, done: Done) => jobs.push({ kind, done }) };
  const reads = { record: () => ({ side: 0, meta: null, halfDone: false }) };
  const store = new LmdbGroupStore(1, [{}, {}] as never, reads as never, queue as never);
  const replacement = store.beginReplacement();
  const told: (DiskError | null)[] = [];
  replacement.put(new Map([["k", new Uint8Array(8)]]), (error) => told.push(error));
  expect(jobs.map(({ kind }) => kind)).toEqual(["clear", "fill"]);
  jobs[0].done(new DiskError("ENOSPC", "full"));
  jobs[1].done(null);
  expect(told).toMatchObject([{ code: "ENOSPC" }]);
});
