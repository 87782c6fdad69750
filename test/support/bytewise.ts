import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

/** The same connection, written one byte at a time, each in a turn of its own: no reader may rely on where a chunk ends. */
export class BytewiseSocket extends Duplex {
  private readonly socket: Socket;

  constructor(socket: Socket) {
    super();
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) socket.pause();
    });
    socket.on('end', () => this.push(null));
    socket.on('close', () => this.destroy());
  }

  resetAndDestroy(): void {
    this.socket.resetAndDestroy();
  }

  override _read(): void {
    this.socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    let at = 0;
    const next = (): void => {
      if (at === chunk.length || this.socket.destroyed) {
        done();
        return;
      }
      this.socket.write(chunk.subarray(at, ++at));
      setImmediate(next);
    };
    next();
  }

  override _final(done: (error?: Error | null) => void): void {
    this.socket.end(done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.socket.destroy();
    done(error);
  }
}
