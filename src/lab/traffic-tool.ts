/**
 * One traffic tool in a process of its own, for it blocks, and must run inside a namespace:
 * `traffic-tool NAME OPTIONS`, options and report in JSON; a receiver first prints the port that it listens on.
 */
import { writeSync } from 'node:fs';
import { loadNative, type NativeTraffic } from '../native/binding.js';
import { guard } from '../native/errors.js';
import { IpAddress } from '../net/ip.js';

const [, , name = '', text = '{}'] = process.argv;
const { address, ...options } = JSON.parse(text) as { address: string };
const tool = loadNative().traffic[name as keyof NativeTraffic] as (
  options: object,
  ready: (port: number) => void,
) => object;
const print = (value: unknown) => {
  // stdout is a pipe that somebody reads; a long report may need several writes.
  let rest = Buffer.from(`${JSON.stringify(value)}\n`);
  while (rest.length > 0) rest = rest.subarray(writeSync(1, rest));
};
try {
  print(
    guard(() => tool({ ...options, address: IpAddress.parse(address).bytes() }, (port) => print({ port }))),
  );
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}
