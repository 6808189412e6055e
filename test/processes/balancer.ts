import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { sleep } from "./wait.js";

/** One address before several nodes: a connection goes to the first that takes it, and waits as long as none does. */
export class Balancer {
  private readonly sockets = new Set<Socket>();

  private constructor(
    private readonly server: Server,
    private readonly ports: readonly number[],
  ) {
    server.on("connection", (socket) => void this.serve(socket));
  }

  static async before(...ports: readonly number[]): Promise<Balancer> {
    const server = createServer();
    const balancer = new Balancer(server, ports);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return balancer;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  private async serve(near: Socket): Promise<void> {
    this.keep(near);
    for (let at = 0; !near.destroyed; at += 1) {
      const far = connect({ host: "127.0.0.1", port: this.ports[at % this.ports.length] });
      this.keep(far);
      const connected = await new Promise<boolean>((done) => {
        far.on("connect", () => done(true));
        far.on("close", () => done(false));
      });
      if (connected) {
        near.pipe(far).pipe(near);
        near.on("close", () => far.destroy());
        far.on("close", () => near.destroy());
        return;
      }
      await sleep(20);
    }
  }

  private keep(socket: Socket): void {
    this.sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => this.sockets.delete(socket));
  }

  close(): void {
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
  }
}
