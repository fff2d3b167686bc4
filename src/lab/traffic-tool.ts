/**
 * One traffic tool in a process of its own, for it blocks, and must run inside a namespace: `traffic-tool NAME OPTIONS`,
 * options and report in JSON; a receiver first prints the port that it listens on. Without OPTIONS it reads them from
 * standard input, one run a line, until that ends.
 */
import { readSync, writeSync } from 'node:fs';
import { loadNative, type NativeTraffic } from '../native/binding.js';
import { guard } from '../native/errors.js';
import { IpAddress } from '../net/ip.js';

const [, , name = '', text] = process.argv;
const tool = loadNative().traffic[name as Exclude<keyof NativeTraffic, 'flannelLoop'>] as (
  options: object,
  ready: (port: number) => void,
) => object;

function print(value: unknown): void {
  // stdout is a pipe that somebody reads; a long report may need several writes.
  let rest = Buffer.from(`${JSON.stringify(value)}\n`);
  while (rest.length > 0) rest = rest.subarray(writeSync(1, rest));
}

function run(line: string): void {
  const { address, ...options } = JSON.parse(line) as { address: string };
  print(
    guard(() => tool({ ...options, address: IpAddress.parse(address).bytes() }, (port) => print({ port }))),
  );
}

/** Blocks: nothing else happens in this process. */
function* linesOfInput(): Generator<string> {
  const chunk = Buffer.alloc(1 << 16);
  let held = '';
  for (;;) {
    const count = readSync(0, chunk);
    if (count === 0) return;
    const lines = (held + chunk.toString('utf8', 0, count)).split('\n');
    held = lines.pop() ?? '';
    yield* lines;
  }
}

try {
  for (const line of text === undefined ? linesOfInput() : [text]) run(line);
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}
