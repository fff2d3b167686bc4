// `ping-sweep ADDRESS FIRST LAST SIZE...`: one echo request of every payload size from FIRST to LAST and of each further
// SIZE; prints how many were sent, and the sizes that were not answered with their own bytes.
import { loadNative } from '../../src/native/binding.js';
import { guard } from '../../src/native/errors.js';
import { IpAddress } from '../../src/net/ip.js';

const [, , text = '', first = '0', last = '0', ...further] = process.argv;
const address = IpAddress.parse(text).bytes();
const sizes = Array.from({ length: Number(last) - Number(first) + 1 }, (_, i) => Number(first) + i);
sizes.push(...further.map(Number));
const unanswered = sizes.filter((payloadBytes) => {
  const plan = { address, payloadBytes, count: 1, intervalMicros: 0, timeoutMs: 2000 };
  return guard(() => loadNative().traffic.ping(plan)).received !== 1;
});
console.log(JSON.stringify({ sent: sizes.length, unanswered }));
