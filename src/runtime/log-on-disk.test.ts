import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { LogRecord, RecordKind } from "../core/machine.js";
import { Log } from "../node/log/log.js";
import { LOG_DEFAULTS, type LogOptions } from "../node/log/options.js";
import type { RecoveryOutcome } from "../node/log/outcome.js";
import { FileDisk } from "./disk.js";

/** The log on real files: what the simulator cannot show is that the two fit together. */
const OPTIONS: LogOptions = {
  ...LOG_DEFAULTS,
  freshIdentity: 12345,
  segmentBytes: 256 * 1024,
  batchBytesMax: 64 * 1024,
  reserveBytes: 64 * 1024,
};

let folder: string;

beforeEach(() => {
  folder = fs.mkdtempSync(join(tmpdir(), "gamut-log-"));
});
afterEach(() => fs.rmSync(folder, { recursive: true }));

class Life {
  readonly disk = FileDisk.open(folder);
  readonly log: Log;
  private durable = 0;
  private told: () => void = () => {};

  constructor() {
    this.log = new Log(this.disk, OPTIONS, {
      logDurable: (_group, seq) => {
        this.durable = seq;
        this.told();
      },
      logFailed: (error) => expect.unreachable(error.message),
      diskRefused: (reason) => expect.unreachable(reason),
    });
  }

  recover(): Promise<RecoveryOutcome> {
    return new Promise((resolve) => this.log.recover(resolve));
  }

  async untilDurable(seq: number): Promise<void> {
    while (this.durable < seq) {
      await new Promise<void>((resolve) => {
        this.told = resolve;
      });
    }
  }
}

/** Until the spare is there and what was cut is gone: one folder belongs to one life at a time. */
async function quiet(life: Life): Promise<void> {
  for (;;) {
    const names = fs.readdirSync(folder);
    const segments = names.filter((name) => /^log-\d+$/.test(name)).length;
    if (segments === life.log.status().segments + 1 && !names.some((name) => name.endsWith(".aside"))) break;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  // Names are there a moment before the folder's sync has returned.
  await new Promise((resolve) => setTimeout(resolve, 50));
}

function entry(position: number): LogRecord {
  return new LogRecord(RecordKind.entry, 1, position, new Uint8Array(3000).fill(position));
}

test("a log on files comes back as it was, over several segments", async () => {
  const first = new Life();
  expect((await first.recover()).kind).toBe("empty");
  first.log.append(1, new LogRecord(RecordKind.hardState, 1, 0, Uint8Array.of(7)), 1);
  for (let position = 1; position <= 400; position += 1) {
    first.log.append(1, entry(position), position + 1);
    first.log.submit();
    if (position % 5 === 0) await first.untilDurable(position + 1);
  }
  first.log.cut(1, 150);
  await first.untilDurable(401);
  await quiet(first);
  // No close and no last word, as after kill -9.
  const second = new Life();
  const outcome = await second.recover();
  expect(outcome.kind).toBe("ok");
  const group = outcome.groups.get(1);
  expect(group?.hardState).toEqual(new LogRecord(RecordKind.hardState, 1, 0, Uint8Array.of(7)));
  expect(group?.records.filter((record) => record.position > 150)).toEqual(
    Array.from({ length: 250 }, (_, i) => entry(151 + i)),
  );
  expect(fs.existsSync(join(folder, "log-0000000001"))).toBe(false);
  first.disk.close();
  second.disk.close();
});

test("a byte changed in a file is found, and the log can start over", async () => {
  const first = new Life();
  await first.recover();
  for (let position = 1; position <= 3; position += 1) first.log.append(1, entry(position), position);
  first.log.submit();
  await first.untilDurable(3);
  const file = fs.openSync(join(folder, "log-0000000001"), "r+");
  fs.writeSync(file, Uint8Array.of(0xee), 0, 1, 5000);
  fs.closeSync(file);
  await quiet(first);
  const second = new Life();
  expect(await second.recover()).toMatchObject({
    kind: "damaged",
    reason: expect.stringContaining("at 0: the payload"),
  });
  expect((await new Promise<RecoveryOutcome>((resolve) => second.log.startOver(resolve))).kind).toBe("empty");
  expect(fs.readdirSync(folder).sort()).toEqual(
    expect.arrayContaining(["log-0000000001", "log-marks", "lost-log-0000000001", "lost-log-marks"]),
  );
  first.disk.close();
  second.disk.close();
});
