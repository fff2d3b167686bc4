/**
 * `end SYSTEM SIDE PORT OTHER_PORT`: one of the two processes that packets go between, asked by messages. Both sides are
 * processes of this kind, for every system, so that all are measured alike.
 */
import { once } from 'node:events';
import { BuffersCarrier } from './buffers-carrier.js';
import type { Carrier, CarrierPlan } from './carrier.js';
import { DgramCarrier } from './dgram-carrier.js';
import { Meter, type Usage } from './meter.js';
import type { Side } from './packet.js';
import { TwillCarrier } from './twill-carrier.js';

export type Question =
  | { readonly kind: 'measure' }
  | { readonly kind: 'usage' }
  /** Near end: until so many came back, or so long. */
  | {
      readonly kind: 'exchange';
      readonly lengthBytes: number;
      readonly packets: number;
      readonly seconds: number;
    };

export interface Exchange {
  readonly returned: number;
  readonly lost: number;
  readonly seconds: number;
}
export type Answer = 'ready' | 'measuring' | Usage | Exchange;

/** What has not come back by then is lost. */
const LOST_MS = 200;

const OPEN: { readonly [system: string]: (plan: CarrierPlan) => Promise<Carrier> } = {
  dgram: DgramCarrier.open,
  buffers: BuffersCarrier.open,
  batches: TwillCarrier.open,
};

const [system = '', side, port, otherPort] = process.argv.slice(2);
const open = OPEN[system];
if (!open) throw new Error(`there is no system "${system}"`);
const carrier = await open({ side: side as Side, port: Number(port), otherPort: Number(otherPort) });
if (side === 'far') carrier.echo();

let returned = 0;
let sum = 0;
let goOn = (): void => {};
if (side === 'near')
  carrier.onReturn((count, numbers) => {
    returned += count;
    sum += numbers;
    goOn();
  });

async function exchange(lengthBytes: number, packets: number, seconds: number): Promise<Exchange> {
  const { window } = carrier;
  carrier.prepare(lengthBytes);
  const startedAt = performance.now();
  let [sent, lost, mayGoOn] = [0, 0, true];
  returned = 0;
  sum = 0;
  await new Promise<void>((resolve) => {
    goOn = () => {
      const room = Math.min(window - (sent - returned - lost), packets - sent);
      // Not for each single packet: that would make batches of one.
      if (mayGoOn && room >= Math.min(window / 8, packets - sent)) {
        sent += carrier.send(room, sent);
        mayGoOn = sent < packets && performance.now() - startedAt < seconds * 1000;
      }
      if (!mayGoOn && returned + lost >= sent) resolve();
    };
    goOn();
    let before = 0;
    const watch = setInterval(() => {
      if (mayGoOn || returned + lost < sent) {
        if (returned === before) lost = sent - returned;
        before = returned;
        goOn();
      } else clearInterval(watch);
    }, LOST_MS);
  });
  goOn = () => {};
  // Each number came once and whole, unless some are lost.
  if (lost === 0 && sum !== (sent * (sent - 1)) / 2)
    throw new Error(`${system}: what came back is not what went out`);
  return { returned, lost, seconds: (performance.now() - startedAt) / 1000 };
}

let meter = new Meter();
process.on('message', async (question: Question) => {
  let answer: Answer = 'measuring';
  if (question.kind === 'measure') meter = new Meter();
  else if (question.kind === 'usage') answer = meter.stop();
  else answer = await exchange(question.lengthBytes, question.packets, question.seconds);
  process.send?.(answer);
});
process.send?.('ready' satisfies Answer);
await once(process, 'disconnect');
await carrier.close();
