import type { Origin } from '../exchange.ts';
import type { ConnectionShared } from '../http1/connection.ts';
import { Http2Connection, type Lane } from './connection.ts';
import type { Http2Request } from './request.ts';

/** The connections to one origin, at most `max`, and the requests that wait for room on them, in the order of asking. */
class OriginLane implements Lane {
  private readonly origin: Origin;
  private readonly shared: ConnectionShared;
  private readonly max: number;
  private readonly connections = new Set<Http2Connection>();
  private readonly waiting = new Set<Http2Request>();

  constructor(origin: Origin, shared: ConnectionShared, max: number) {
    this.origin = origin;
    this.shared = shared;
    this.max = max;
  }

  /** Room on a connection that stands comes first, then a new one. */
  admit(request: Http2Request, nowUs: number): void {
    const connection = this.findRoom(nowUs);
    if (connection === undefined) this.waiting.add(request);
    else connection.take(request, nowUs);
  }

  giveUp(request: Http2Request): void {
    this.waiting.delete(request);
  }

  freed(): void {
    if (this.waiting.size === 0) return;
    const nowUs = this.shared.clock.nowUs();
    for (const request of this.waiting) {
      const connection = this.findRoom(nowUs);
      if (connection === undefined) return;
      this.waiting.delete(request);
      connection.take(request, nowUs);
    }
  }

  left(connection: Http2Connection): void {
    this.connections.delete(connection);
    this.freed();
  }

  close(): void {
    for (const connection of [...this.connections]) connection.close();
  }

  private findRoom(nowUs: number): Http2Connection | undefined {
    for (const connection of this.connections) if (connection.hasRoom) return connection;
    if (this.connections.size >= this.max) return undefined;
    const opened = new Http2Connection(this.origin, this.shared, this, nowUs);
    this.connections.add(opened);
    return opened;
  }
}

/** Connections by origin: those of one VU, or of all VUs of an agent. */
export class Lanes {
  private readonly shared: ConnectionShared;
  private readonly max: number;
  private readonly originsMax: number;
  private readonly lanes = new Map<Origin, OriginLane>();
  private clients = 0;

  /** `max`: connections per origin. Past `originsMax` the connections to the origin asked for first are closed. */
  constructor(shared: ConnectionShared, max: number, originsMax = Infinity) {
    this.shared = shared;
    this.max = max;
    this.originsMax = originsMax;
  }

  to(origin: Origin): OriginLane {
    let lane = this.lanes.get(origin);
    if (lane === undefined) {
      this.makeRoom();
      lane = new OriginLane(origin, this.shared, this.max);
      this.lanes.set(origin, lane);
    }
    return lane;
  }

  join(): void {
    this.clients++;
  }

  /** When the last client leaves, the connections are closed. */
  leave(): void {
    this.clients--;
    if (this.clients === 0) this.close();
  }

  close(): void {
    for (const lane of this.lanes.values()) lane.close();
    this.lanes.clear();
  }

  private makeRoom(): void {
    const [oldest] = this.lanes;
    if (this.lanes.size < this.originsMax || oldest === undefined) return;
    oldest[1].close();
    this.lanes.delete(oldest[0]);
  }
}

export type { OriginLane };
