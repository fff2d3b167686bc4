/** The API server as a process of its own, so that it can run in a namespace. Its parent calls it over the channel. */
import { KubeApiServer, type ServerSetup } from './api-server.js';

export interface Call {
  readonly id: number;
  readonly target: 'server' | 'state';
  readonly method: string;
  readonly args: readonly unknown[];
}

const server = new KubeApiServer(JSON.parse(process.argv[2] ?? '{}') as ServerSetup);
await server.start();
process.on('message', async ({ id, target, method, args }: Call) => {
  const object = (target === 'server' ? server : server.state) as unknown as {
    [name: string]: ((...given: readonly unknown[]) => unknown) | unknown;
  };
  try {
    const member = object[method];
    const value = typeof member === 'function' ? await member.apply(object, args) : member;
    process.send?.({ id, value });
  } catch (error) {
    process.send?.({ id, error: (error as Error).message });
  }
});
process.on('disconnect', () => process.exit(0));
process.send?.({ ready: true });
