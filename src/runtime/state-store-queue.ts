import { Worker } from "node:worker_threads";
import { DiskError, type Done } from "../node/ports.js";
import { builtFile } from "./built-file.js";
import type { WriterAnswer, WriterData, WriterJob } from "./state-store-jobs.js";

const RUN_LATER_MS = 500;

/** The disk was full in the middle of a job that can only go forward. */
export class HalfDone extends DiskError {}

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
  private closing = false;
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
    if (job.kind === "close") this.closing = true;
    this.add({ start: (begin) => begin(job), done });
  }

  /** Runs the job after a while, unless all is closed by then. */
  runLater(job: WriterJob, done: Done): void {
    const run = (): void => {
      if (!this.closing) this.run(job, done);
    };
    setTimeout(run, RUN_LATER_MS).unref();
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
    this.worker.postMessage(job);
  }

  private answer({ error, halfDone }: WriterAnswer): void {
    this.committed();
    const Kind = halfDone ? HalfDone : DiskError;
    this.answered?.(error === null ? null : new Kind(error.code, error.message));
  }

  private fail(reason: string): void {
    this.failure ??= new DiskError("other", reason);
    this.answered?.(this.failure);
  }
}
