import { Worker } from "node:worker_threads";
import { DiskError, type Done } from "../node/ports.js";
import { builtFile } from "./built-file.js";
import { type Block, ChangePacker, type WriterAnswer, type WriterData, type WriterJob } from "./state-store-jobs.js";

/** About half a millisecond of packing. */
const ENTRIES_PER_TURN = 1_000;

interface Task {
  /** Does its part on this thread; a job for the writer, or null when there is none. */
  start(begin: (job: WriterJob) => void, finish: Done): void;
  readonly done: Done;
}

/**
 * What changes the states, one after the other: the next begins when the one before has ended. So LMDB's write lock is
 * free when a task of this thread needs it, and a commit to one group never meets the switch of another half-way.
 */
export class StateStoreQueue {
  private readonly worker: Worker;
  private readonly tasks: Task[] = [];
  private running = false;
  private answered: Done | null = null;
  /** Why nothing can be written any more. */
  private failure: DiskError | null = null;

  constructor(
    data: WriterData,
    /** A transaction was committed: what this thread reads from now on must see it. */
    private readonly committed: () => void,
  ) {
    this.worker = new Worker(builtFile("state-store-writer"), { workerData: data });
    this.worker.on("message", (answer: WriterAnswer) => this.answer(answer));
    this.worker.on("error", (error) => this.fail(`the state's writer died: ${error.message}`));
    this.worker.on("exit", () => this.fail("the state's writer has ended"));
  }

  run(job: WriterJob, done: Done): void {
    this.add({ start: (begin) => begin(job), done });
  }

  /** Packs the changes over several turns, then runs the job made from them. */
  pack(changes: ReadonlyMap<string, Uint8Array | null>, make: (blocks: Block[]) => WriterJob, done: Done): void {
    const start = (begin: (job: WriterJob) => void): void => {
      const packer = new ChangePacker(changes);
      const step = (): void => {
        if (packer.pack(ENTRIES_PER_TURN)) begin(make(packer.blocks));
        else setImmediate(step);
      };
      step();
    };
    this.add({ start, done });
  }

  /** Runs on this thread when no transaction of the writer is open. `done` gets what it throws. */
  runHere(step: () => void, done: Done): void {
    const start = (_: unknown, finish: Done): void => {
      try {
        step();
        finish(null);
      } catch (error) {
        finish(new DiskError("other", `state: ${(error as Error).message}`));
      }
    };
    this.add({ start, done });
  }

  private add(task: Task): void {
    this.tasks.push(task);
    if (this.tasks.length === 1 && !this.running) setImmediate(() => this.next());
  }

  private next(): void {
    if (this.running) return;
    const task = this.tasks.shift();
    if (task === undefined) return;
    this.running = true;
    let ended = false;
    const finish: Done = (error) => {
      if (ended) return;
      ended = true;
      this.answered = null;
      this.running = false;
      if (this.tasks.length > 0) setImmediate(() => this.next());
      task.done(error);
    };
    if (this.failure !== null) finish(this.failure);
    else task.start((job) => this.post(job, finish), finish);
  }

  private post(job: WriterJob, finish: Done): void {
    if (this.failure !== null) {
      finish(this.failure);
      return;
    }
    this.answered = finish;
    const blocks = job.kind === "commit" || job.kind === "fill" ? job.blocks : [];
    this.worker.postMessage(
      job,
      blocks.map((block) => block.buffer),
    );
  }

  private answer({ error }: WriterAnswer): void {
    this.committed();
    this.answered?.(error === null ? null : new DiskError(error.code, error.message));
  }

  private fail(reason: string): void {
    this.failure ??= new DiskError("other", reason);
    this.answered?.(this.failure);
  }
}
