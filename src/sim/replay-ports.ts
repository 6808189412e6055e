import { type ByteReader, copyBytes, latin1Decode } from "../core/bytes.js";
import { MapState } from "../core/map-state.js";
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
} from "../node/ports.js";
import type { OutputHash } from "../node/record/recorder.js";
import { hashChanges, ValueKind } from "../node/record/recording-ports.js";
import { type Block, forEachChange } from "../node/state/change-blocks.js";
import { type CheckpointDraft, sealChanges } from "../node/state/seal-changes.js";

/** Where the values of clock and chance come from. */
export interface ReplaySource {
  monotonic(): number;
  wall(): number;
  entropy(): number;
}

type Completion = (error: DiskError | null, reader: ByteReader, valueKind: number) => void;

/** Ports that answer what the recording has, and hash what is asked of them as the recorder did. */
export class ReplayPorts implements Ports {
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly net: Net;
  readonly disk: Disk;
  readonly store: StateStore;
  private readonly open = new Map<number, Completion>();
  private calls = 0;

  constructor(
    readonly hash: OutputHash,
    source: ReplaySource,
  ) {
    this.clock = { monotonicMs: () => source.monotonic(), wallMs: () => source.wall(), wake: () => {} };
    this.entropy = { u48: () => source.entropy() };
    this.net = { send: (peer, frame) => this.hash.add("send", String(peer), frame) };
    this.disk = new ReplayDisk(this);
    this.store = new ReplayStore(this);
  }

  begin(what: string, detail: string, bytes: Uint8Array | null, completion: Completion): void {
    this.calls += 1;
    this.hash.add(what, detail, bytes);
    this.open.set(this.calls, completion);
  }

  simple(what: string, detail: string, bytes: Uint8Array | null, done: Done, effect?: () => void): void {
    this.begin(what, detail, bytes, (error) => {
      if (error === null) effect?.();
      done(error);
    });
  }

  /** The completion of a call that the recording has next. */
  complete(call: number, error: DiskError | null, reader: ByteReader): void {
    const completion = this.open.get(call);
    this.open.delete(call);
    completion?.(error, reader, reader.u8());
  }
}

class ReplayDisk implements Disk {
  constructor(private readonly ports: ReplayPorts) {}

  list(done: DoneWith<FileInfo[]>): void {
    this.ports.begin("list", "", null, (error, reader, kind) => {
      const files: FileInfo[] = [];
      if (kind === ValueKind.files) {
        const count = reader.u32();
        for (let i = 0; i < count; i += 1) files.push({ name: reader.latin1(), size: reader.u53() });
      }
      done(error, files);
    });
  }

  create(name: string, size: number, done: Done): void {
    this.ports.simple("create", `${name} ${size}`, null, done);
  }

  write(name: string, offset: number, bytes: Uint8Array, sync: boolean, done: Done): void {
    this.ports.simple("write", `${name} ${offset} ${sync}`, bytes, done);
  }

  sync(name: string, done: Done): void {
    this.ports.simple("sync", name, null, done);
  }

  read(name: string, offset: number, length: number, done: DoneWith<Uint8Array>): void {
    this.ports.begin("read", `${name} ${offset} ${length}`, null, (error, reader, kind) => {
      done(error, kind === ValueKind.bytes ? copyBytes(reader.blob()) : new Uint8Array(0));
    });
  }

  replace(name: string, bytes: Uint8Array, done: Done): void {
    this.ports.simple("replace", name, bytes, done);
  }

  rename(from: string, to: string, done: Done): void {
    this.ports.simple("rename", `${from} ${to}`, null, done);
  }

  remove(name: string, done: Done): void {
    this.ports.simple("remove", name, null, done);
  }
}

class ReplayStore implements StateStore {
  constructor(private readonly ports: ReplayPorts) {}

  groups(done: DoneWith<number[]>): void {
    this.ports.begin("groups", "", null, (error, reader, kind) => {
      const groups: number[] = [];
      if (kind === ValueKind.groups) {
        const count = reader.u32();
        for (let i = 0; i < count; i += 1) groups.push(reader.u32());
      }
      done(error, groups);
    });
  }

  open(group: number, done: DoneWith<GroupStore | null>): void {
    this.ports.begin("open", String(group), null, (error, reader, kind) => {
      if (kind !== ValueKind.content) {
        done(error, null);
        return;
      }
      const meta = reader.u8() === 1 ? copyBytes(reader.blob()) : null;
      const content = new MapState();
      while (reader.u8() === 1) {
        const key = reader.latin1();
        content.put(key, copyBytes(reader.blob()));
      }
      done(error, new ReplayGroupStore(group, this.ports, content, meta));
    });
  }
}

/** A group's content in memory: a commit is visible when the recording says that it was done. */
class ReplayGroupStore implements GroupStore {
  constructor(
    private readonly group: number,
    private readonly ports: ReplayPorts,
    private content: MapState,
    private metaBytes: Uint8Array | null,
  ) {}

  get(key: string): Uint8Array | undefined {
    return this.content.get(key);
  }

  range(start: string, end: string, visit: (key: string, value: Uint8Array) => boolean): void {
    this.content.range(start, end, visit);
  }

  reverseRange(start: string, end: string, visit: (key: string, value: Uint8Array) => boolean): void {
    this.content.reverseRange(start, end, visit);
  }

  meta(): Uint8Array | null {
    return this.metaBytes;
  }

  commit(changes: readonly Block[], draft: CheckpointDraft, done: Done): void {
    const { content, ports } = this;
    ports.simple("commit", `${draft.group} ${draft.position}`, null, done, () => {
      const meta = sealChanges(
        (visit) => forEachChange(changes, visit),
        draft,
        (key) => content.get(latin1Decode(key)),
      );
      forEachChange(changes, (change) => {
        const key = latin1Decode(change.key);
        if (change.valueLength < 0) content.delete(key);
        else content.put(key, copyBytes(change.sealed));
      });
      this.metaBytes = meta.encode();
    });
    hashChanges(ports.hash, changes);
  }

  openReader(): StoreReader {
    const entries: [string, Uint8Array][] = [];
    const byKey = new Map<string, Uint8Array>();
    this.content.range("", "\xff".repeat(2_200), (key, value) => {
      entries.push([key, value]);
      byKey.set(key, value);
      return true;
    });
    let at = 0;
    return {
      meta: this.metaBytes ?? new Uint8Array(0),
      get: (key) => byKey.get(key),
      next(visit) {
        while (at < entries.length) {
          const [key, value] = entries[at];
          at += 1;
          if (!visit(key, value)) return true;
        }
        return false;
      },
      close() {},
    };
  }

  beginReplacement(): StoreReplacement {
    const next = new MapState();
    const { ports, group } = this;
    return {
      put(entries, done) {
        const copy = new Map(entries);
        ports.simple("put", `${group} ${entries.size}`, null, done, () => {
          for (const [key, value] of copy) next.put(key, value);
        });
      },
      finish: (meta, done) => {
        ports.simple("finish", String(group), meta, done, () => {
          this.content = next;
          this.metaBytes = meta;
        });
      },
      abort() {},
    };
  }

  drop(done: Done): void {
    this.ports.simple("drop", String(this.group), null, done, () => {
      this.content = new MapState();
      this.metaBytes = null;
    });
  }
}
