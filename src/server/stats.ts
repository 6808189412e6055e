import { RequestCounts } from "./request-counts.js";

/** What a node's client port has done since its start, or since CONFIG RESETSTAT. Counting is one addition each. */
export class ServerStats {
  /** Taken in; those past the limit are `rejected`. */
  connections = 0;
  rejected = 0;
  /** Begun, or queued in a transaction. A request that is refused before it begins is none. */
  commands = 0;
  /** By wire, command and outcome, since the start. */
  readonly requests = new RequestCounts();
  /** Of connections whose wire is known. */
  inputBytes = 0;
  outputBytes = 0;
  /** Over the time between the last two samples: per second. */
  commandRate = 0;
  inputByteRate = 0;
  outputByteRate = 0;

  private sampledMs = Date.now();
  private sampledCommands = 0;
  private sampledInputBytes = 0;
  private sampledOutputBytes = 0;

  /** Called about once a second. A wall clock that was set back costs one sample. */
  sample(nowMs: number): void {
    const seconds = (nowMs - this.sampledMs) / 1000;
    if (seconds > 0) {
      this.commandRate = (this.commands - this.sampledCommands) / seconds;
      this.inputByteRate = (this.inputBytes - this.sampledInputBytes) / seconds;
      this.outputByteRate = (this.outputBytes - this.sampledOutputBytes) / seconds;
    }
    this.sampledMs = nowMs;
    this.sampledCommands = this.commands;
    this.sampledInputBytes = this.inputBytes;
    this.sampledOutputBytes = this.outputBytes;
  }

  reset(): void {
    this.connections = 0;
    this.rejected = 0;
    this.commands = 0;
    this.inputBytes = 0;
    this.outputBytes = 0;
    this.commandRate = 0;
    this.inputByteRate = 0;
    this.outputByteRate = 0;
    this.sampledCommands = 0;
    this.sampledInputBytes = 0;
    this.sampledOutputBytes = 0;
  }
}
