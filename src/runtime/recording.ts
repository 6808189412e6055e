/** The file behind `gamut node --record DIR`. */
import { mkdirSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { latin1Encode } from "../core/bytes.js";
import type { NodeOptions } from "../node/options.js";
import { Recorder } from "../node/record/recorder.js";

export const RECORDING_FILE = "recording.grec";

/** Writes at once, in pieces: what was recorded before a crash is there after it but for the last piece. */
export function openRecording(folder: string, options: NodeOptions): Recorder {
  mkdirSync(folder, { recursive: true });
  const file = openSync(join(folder, RECORDING_FILE), "w");
  const header = Buffer.from(JSON.stringify(options), "utf8").toString("latin1");
  return new Recorder((bytes) => writeSync(file, bytes), latin1Encode(header));
}
