import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { KeyExchange } from "./http-keys.js";
import { lastWords, Problem, sendProblem } from "./http-problem.js";
import type { HttpService } from "./http-service.js";
import { originForm, parseKeyTarget } from "./http-target.js";
import { StalledReader } from "./stalled-reader.js";

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/**
 * One client. Its requests take effect in the order sent, pipelined or not: the next one begins when the one before is
 * answered. (What joins requests into a session is the token, so there is no run of reads or writes that could go in
 * parallel.) The bodies of those that wait stay unread, and so what waits is bounded by what Node reads ahead.
 */
export class HttpConnection {
  private waiting: Exchange[] = [];
  private current: Exchange | null = null;
  private exchange: KeyExchange | null = null;
  /** When the client closed its side, wall ms; 0: it has not. */
  private hungUpMs = 0;
  private readonly reader: StalledReader;
  private failure: Problem | null = null;

  constructor(
    readonly socket: Socket,
    private readonly service: HttpService,
  ) {
    this.reader = new StalledReader(socket);
    socket.on("end", () => {
      this.hungUpMs = Date.now();
    });
  }

  take(request: IncomingMessage, response: ServerResponse): void {
    if (this.current === null) {
      this.begin({ request, response });
      return;
    }
    const { pipelinedMax } = this.service.limits;
    if (this.waiting.length < pipelinedMax) this.waiting.push({ request, response });
    else {
      const detail = `${pipelinedMax} requests wait on this connection already: read their answers before you send more`;
      sendProblem(response, new Problem("overloaded", detail));
    }
  }

  private begin(exchange: Exchange): void {
    const { request, response } = exchange;
    this.current = exchange;
    if (this.failure !== null && !request.complete) {
      this.sayLastWords();
      return;
    }
    if (this.service.draining) response.shouldKeepAlive = false;
    response.on("close", this.answered);
    const url = originForm(request.url ?? "");
    request.url = url;
    const problem = this.service.refusal(request);
    const target = problem === null ? parseKeyTarget(url) : null;
    if (problem !== null) sendProblem(response, problem);
    else if (target === null) this.service.routes.serve(request, response);
    else {
      this.exchange = new KeyExchange(this.service, request, response);
      this.exchange.begin(target);
    }
  }

  /**
   * What came cannot be understood, or did not come in time; nothing more will be. It is told in its place: what came
   * whole before it is answered first, or the problem would be taken for the answer to that. A request that is not whole
   * has not begun anything that matters.
   */
  fail(problem: Problem): void {
    if (this.failure !== null) return;
    this.failure = problem;
    if (this.current === null || !this.current.request.complete) this.sayLastWords();
  }

  private sayLastWords(): void {
    const isBegun = this.current?.response.headersSent ?? false;
    // Within an answer it would be taken for a part of that.
    if (isBegun) this.socket.destroy();
    else this.socket.end(lastWords(this.failure!), "latin1");
    this.socket.destroySoon();
  }

  /** The response is out, or there is nobody to hear it. */
  private readonly answered = (): void => {
    this.current = null;
    this.exchange?.end();
    this.exchange = null;
    if (this.socket.destroyed) return;
    const next = this.waiting.shift();
    if (next !== undefined) this.begin(next);
    else if (this.failure !== null) this.sayLastWords();
    else if (this.service.draining) this.socket.end();
  };

  /**
   * Called once in a while. A client that will send no more may still listen: it hears what it has asked for, within
   * reason. One that does not read what it has asked for is cut off.
   */
  sweep(nowMs: number): void {
    const { hangUpMsMax, stalledMsMax } = this.service.limits;
    const isLate = this.hungUpMs > 0 && nowMs - this.hungUpMs > hangUpMsMax;
    if (isLate || this.reader.stalledMs(nowMs) > stalledMsMax) this.socket.destroy();
  }

  /** Takes no more requests: hangs up now, or with the answer to what is under way. */
  drain(): void {
    this.waiting = [];
    if (this.current === null) this.socket.end();
    else if (!this.current.response.headersSent) this.current.response.shouldKeepAlive = false;
  }
}
