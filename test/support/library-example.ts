/** The library example of the README, to be run as it stands. */
import { readDocument } from './documents.js';

export const EXAMPLE_OUTPUT = '20 bytes from 10.244.1.0/24, TTL 62\n';

/** Its text, on a port of this process's own, since flannel or another run of this test may have the usual one. */
export function libraryExample(): string {
  const [, code = ''] = /```js\n([\s\S]*?)```/.exec(readDocument('README.md')) ?? [];
  const port = 20_000 + (process.pid % 20_000);
  return code.replace("encap: 'udp'", `$&, port: ${port}`);
}
