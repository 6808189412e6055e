import { type ByteWriter, latin1Decode } from "../../core/bytes.js";
import type {
  Clock,
  Disk,
  DiskError,
  Done,
  DoneWith,
  Entropy,
  FileInfo,
  GroupStore,
  Net,
  Ports,
  StateStore,
  StoreReader,
  StoreReplacement,
} from "../ports.js";
import { type Block, forEachChange } from "../state/change-blocks.js";
import type { CheckpointDraft } from "../state/seal-changes.js";
import { EventKind } from "./format.js";
import type { OutputHash, Recorder } from "./recorder.js";

/** What a call brought, behind its error: told by a byte. */
export const ValueKind = { none: 0, bytes: 1, files: 2, groups: 3, content: 4 } as const;

/** Ports that work as those behind them do, and write down what the world answers. */
export function recordingPorts(ports: Ports, recorder: Recorder): Ports {
  const calls = new CallRecorder(recorder);
  return {
    clock: recordingClock(ports.clock, recorder),
    entropy: recordingEntropy(ports.entropy, recorder),
    net: recordingNet(ports.net, recorder.hash),
    disk: new RecordingDisk(ports.disk, calls),
    store: new RecordingStore(ports.store, calls),
  };
}

function recordingClock(clock: Clock, recorder: Recorder): Clock {
  return {
    monotonicMs: () => {
      const value = clock.monotonicMs();
      recorder.event(EventKind.monotonic).f64(value);
      return value;
    },
    wallMs: () => {
      const value = clock.wallMs();
      recorder.event(EventKind.wall).f64(value);
      return value;
    },
    wake: (withinMs) => clock.wake(withinMs),
  };
}

function recordingEntropy(entropy: Entropy, recorder: Recorder): Entropy {
  return {
    u48: () => {
      const value = entropy.u48();
      recorder.event(EventKind.entropy).u53(value);
      return value;
    },
  };
}

function recordingNet(net: Net, hash: OutputHash): Net {
  return {
    send: (peer, frame) => {
      hash.add("send", String(peer), frame);
      net.send(peer, frame);
    },
  };
}

/** Numbers the calls to disk and store, hashes them, and writes down their completions. */
class CallRecorder {
  private calls = 0;

  constructor(readonly recorder: Recorder) {}

  begin(what: string, detail: string, bytes: Uint8Array | null): number {
    this.calls += 1;
    this.recorder.hash.add(what, detail, bytes);
    return this.calls;
  }

  /** The completion goes on to `done`, and what that does is recorded behind it. */
  done(call: number, done: Done): Done {
    return (error) => {
      this.completed(call, error).u8(ValueKind.none);
      done(error);
    };
  }

  doneWith<T>(call: number, write: (writer: ByteWriter, value: T) => void, done: DoneWith<T>): DoneWith<T> {
    return (error, value) => {
      const writer = this.completed(call, error);
      if (error === null) write(writer, value);
      else writer.u8(ValueKind.none);
      done(error, value);
    };
  }

  private completed(call: number, error: DiskError | null): ByteWriter {
    const writer = this.recorder.event(EventKind.callDone);
    writer.u53(call);
    this.recorder.error(error);
    return writer;
  }
}

function writeBytes(writer: ByteWriter, bytes: Uint8Array): void {
  writer.u8(ValueKind.bytes);
  writer.blob(bytes);
}

class RecordingDisk implements Disk {
  constructor(
    private readonly disk: Disk,
    private readonly calls: CallRecorder,
  ) {}

  list(done: DoneWith<FileInfo[]>): void {
    const call = this.calls.begin("list", "", null);
    const write = (writer: ByteWriter, files: FileInfo[]): void => {
      writer.u8(ValueKind.files);
      writer.u32(files.length);
      for (const file of files) {
        writer.latin1(file.name);
        writer.u53(file.size);
      }
    };
    this.disk.list(this.calls.doneWith(call, write, done));
  }

  create(name: string, size: number, done: Done): void {
    this.disk.create(name, size, this.calls.done(this.calls.begin("create", `${name} ${size}`, null), done));
  }

  write(name: string, offset: number, bytes: Uint8Array, sync: boolean, done: Done): void {
    const call = this.calls.begin("write", `${name} ${offset} ${sync}`, bytes);
    this.disk.write(name, offset, bytes, sync, this.calls.done(call, done));
  }

  sync(name: string, done: Done): void {
    this.disk.sync(name, this.calls.done(this.calls.begin("sync", name, null), done));
  }

  read(name: string, offset: number, length: number, done: DoneWith<Uint8Array>): void {
    const call = this.calls.begin("read", `${name} ${offset} ${length}`, null);
    this.disk.read(name, offset, length, this.calls.doneWith(call, writeBytes, done));
  }

  replace(name: string, bytes: Uint8Array, done: Done): void {
    this.disk.replace(name, bytes, this.calls.done(this.calls.begin("replace", name, bytes), done));
  }

  rename(from: string, to: string, done: Done): void {
    this.disk.rename(from, to, this.calls.done(this.calls.begin("rename", `${from} ${to}`, null), done));
  }

  remove(name: string, done: Done): void {
    this.disk.remove(name, this.calls.done(this.calls.begin("remove", name, null), done));
  }
}

/** Reads are not recorded: a replay has the content that a group had when it was opened, and every change since. */
class RecordingStore implements StateStore {
  constructor(
    private readonly store: StateStore,
    private readonly calls: CallRecorder,
  ) {}

  groups(done: DoneWith<number[]>): void {
    const call = this.calls.begin("groups", "", null);
    const write = (writer: ByteWriter, groups: number[]): void => {
      writer.u8(ValueKind.groups);
      writer.u32(groups.length);
      for (const group of groups) writer.u32(group);
    };
    this.store.groups(this.calls.doneWith(call, write, done));
  }

  open(group: number, done: DoneWith<GroupStore | null>): void {
    const call = this.calls.begin("open", String(group), null);
    this.store.open(
      group,
      this.calls.doneWith<GroupStore | null>(call, writeContent, (error, opened) =>
        done(error, opened === null ? null : new RecordingGroupStore(group, opened, this.calls)),
      ),
    );
  }
}

function writeContent(writer: ByteWriter, store: GroupStore | null): void {
  writer.u8(ValueKind.content);
  const meta = store?.meta() ?? null;
  writer.u8(meta === null ? 0 : 1);
  if (meta !== null) writer.blob(meta);
  store?.range("", "\xff".repeat(2_200), (key, value) => {
    writer.u8(1);
    writer.latin1(key);
    writer.blob(value);
    return true;
  });
  writer.u8(0);
}

class RecordingGroupStore implements GroupStore {
  constructor(
    private readonly group: number,
    private readonly store: GroupStore,
    private readonly calls: CallRecorder,
  ) {}

  get(key: string): Uint8Array | undefined {
    return this.store.get(key);
  }

  range(start: string, end: string, visit: (key: string, value: Uint8Array) => boolean): void {
    this.store.range(start, end, visit);
  }

  reverseRange(start: string, end: string, visit: (key: string, value: Uint8Array) => boolean): void {
    this.store.reverseRange(start, end, visit);
  }

  meta(): Uint8Array | null {
    return this.store.meta();
  }

  commit(changes: readonly Block[], draft: CheckpointDraft, done: Done): void {
    const { group, position } = draft;
    const call = this.calls.begin("commit", `${group} ${position}`, null);
    hashChanges(this.calls.recorder.hash, changes);
    this.store.commit(changes, draft, this.calls.done(call, done));
  }

  openReader(): StoreReader {
    return this.store.openReader();
  }

  beginReplacement(): StoreReplacement {
    const replacement = this.store.beginReplacement();
    const { calls, group } = this;
    return {
      put(entries, done) {
        const call = calls.begin("put", `${group} ${entries.size}`, null);
        replacement.put(entries, calls.done(call, done));
      },
      finish(meta, done) {
        replacement.finish(meta, calls.done(calls.begin("finish", String(group), meta), done));
      },
      abort() {
        replacement.abort();
      },
    };
  }

  drop(done: Done): void {
    this.store.drop(this.calls.done(this.calls.begin("drop", String(this.group), null), done));
  }
}

/** What a checkpoint is asked to change, as the recording and the replay hash it. */
export function hashChanges(hash: OutputHash, changes: readonly Block[]): void {
  forEachChange(changes, (change) => {
    hash.add("change", latin1Decode(change.key), change.valueLength < 0 ? null : change.value);
  });
}
