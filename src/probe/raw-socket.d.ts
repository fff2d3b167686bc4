/** The package has no types of its own. What of it `raw-sockets.ts` uses. */
declare module 'raw-socket' {
  export interface Socket {
    on(event: 'message', listener: (message: Buffer, source: string) => void): this;
    on(event: 'error' | 'close', listener: (error: Error) => void): this;
    send(
      bytes: Buffer,
      offset: number,
      length: number,
      address: string,
      done: (error: Error | null, bytes: number) => void,
    ): this;
    setOption(level: number, option: number, value: number): void;
    close(): this;
  }
  const exported: {
    createSocket(options: { protocol: number; addressFamily: 1 | 2; bufferSize?: number }): Socket;
  };
  export default exported;
}
