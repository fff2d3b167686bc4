/**
 * What a test does with a dataplane over a TUN inside a namespace: `plane-steps NAME` prints what it found as JSON. Each step
 * is a program as somebody might write it.
 */

import { spawnSync } from 'node:child_process';
import { readdirSync, readlinkSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { Dataplane, type TwillError } from '../../src/index.js';
import { netlink } from '../../src/native/netlink.js';

const say = (value: unknown) => console.log(JSON.stringify(value));

async function open() {
  const plane = await Dataplane.open({
    ...{ encap: 'vxlan', subnets: ['10.1.1.0/24'], networks: ['10.1.0.0/16'] },
    overlay: { kind: 'tun', name: 'weft%d' },
    underlay: { kind: 'udp', addresses: ['192.0.2.1'] },
  });
  const { index } = netlink.links().find(({ name }) => name === plane.deviceName) ?? { index: 0 };
  const faults: [string, string][] = [];
  plane.on('fault', ({ code, message }: TwillError) => faults.push([code, message]));
  return { plane, index, faults };
}

async function until(check: () => boolean): Promise<void> {
  while (!check()) await setImmediate();
}

const steps: { readonly [name: string]: () => Promise<void> } = {
  /** Each thing that the host takes away is told once, and once more when it went anew. */
  async faults() {
    const { plane, index, faults } = await open();
    const address = netlink.addresses().find((one) => `${one.address}` === '192.0.2.1');
    if (!address) throw new Error('no address');
    netlink.linkSet(index, { up: false });
    await until(() => faults.length === 1);
    netlink.linkSet(index, { up: true });
    netlink.addressDelete(address.index, address);
    await until(() => faults.length === 2);
    netlink.linkSet(index, { mtu: 1400 });
    netlink.addressAdd(address.index, address);
    for (let turn = 0; turn < 20; turn++) await setImmediate();
    netlink.linkSet(index, { up: false });
    await until(() => faults.length === 3);
    netlink.linkDelete(index);
    await until(() => faults.length === 4);
    say({ faults, isClosed: plane.isClosed, drop: plane.trace('10.1.2.9').drop });
    await plane.close();
    say({ links: netlink.links().map(({ name }) => name) });
  },

  /** A listener that throws, and one that closes: the second is told, and nobody is told afterwards. */
  async listeners() {
    const { plane, index, faults } = await open();
    const uncaught: string[] = [];
    process.on('uncaughtException', (error) => uncaught.push(error.message));
    let calls = 0;
    plane.on('fault', () => {
      calls += 1;
      if (calls === 2) void plane.close();
      throw new Error(`in fault ${calls}`);
    });
    netlink.linkSet(index, { up: false });
    await until(() => uncaught.length === 1);
    netlink.linkSet(index, { up: true });
    for (let turn = 0; turn < 20; turn++) await setImmediate();
    netlink.linkSet(index, { up: false });
    await until(() => uncaught.length === 2);
    await plane.close();
    for (let turn = 0; turn < 20; turn++) await setImmediate();
    say({ uncaught, calls, faults: faults.length, links: netlink.links().map(({ name }) => name) });
  },

  /** What a child inherits of device, sockets and watches. */
  async child() {
    const list = () =>
      spawnSync('/bin/ls', ['-l', '/proc/self/fd'], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'inherit'],
      })
        .stdout.split('\n')
        .flatMap((line) => / -> (.*)$/.exec(line)?.[1]?.replace(/\d+/g, 'N') ?? []);
    const before = list();
    const { plane } = await open();
    const ours = readdirSync('/proc/self/fd').flatMap((fd) => {
      try {
        return [readlinkSync(`/proc/self/fd/${fd}`)];
      } catch {
        return [];
      }
    });
    say({ before, after: list(), hasDevice: ours.includes('/dev/net/tun') });
    await plane.close();
  },
};

const [, , name = ''] = process.argv;
await steps[name]?.();
