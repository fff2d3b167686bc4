/**
 * What a test does with TUN devices inside a namespace: `tun-steps NAME ARGS...` runs one of these and prints what it found as
 * JSON. Each step is a program as somebody might write it, whose end is part of the test.
 */
import { readdirSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { PassThrough } from 'node:stream';
import { Worker } from 'node:worker_threads';
import { decodeIcmp, decodeIp, encodeIcmpEcho, encodeIpv4, encodeIpv6 } from '../../src/codec.js';
import { Tun } from '../../src/dataplane/tun.js';
import { netlink } from '../../src/native/netlink.js';

const wrongType = 5 as unknown as () => void;
const say = (value: unknown) => console.log(JSON.stringify(value));
const held = () => ({
  descriptors: readdirSync('/proc/self/fd').length,
  links: netlink.links().map(({ name }) => name),
});
const told = (error: unknown) => {
  const { name, code, message, errno, syscall } = error as Error & Record<string, unknown>;
  return { name, code, message, errno, syscall };
};
const thrownBy = (act: () => unknown) => {
  try {
    act();
    return null;
  } catch (error) {
    return told(error);
  }
};
const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

/** The answer to an echo request; null: it is none. */
function echoReply(packet: Uint8Array): Uint8Array | null {
  const ip = decodeIp(packet);
  if ('drop' in ip) return null;
  const icmp = decodeIcmp(ip.payload, ip.family);
  if ('drop' in icmp || icmp.kind !== 'echoRequest') return null;
  const reply = Uint8Array.from(packet);
  const between = { source: ip.destination, destination: ip.source };
  const { id, sequence, payload } = icmp;
  const fields = { kind: 'echoReply', id, sequence, payloadBytes: payload.length, between } as const;
  encodeIcmpEcho(fields, reply, ip.headerBytes);
  const header = { ...between, protocol: ip.protocol, payloadBytes: ip.payload.length };
  if (ip.family === 4) encodeIpv4(header, reply);
  else encodeIpv6(header, reply);
  return reply;
}

/** An IPv4 packet of UDP with a number in it, from one host behind the device to its own address. */
function numbered(number: number): Buffer {
  const packet = Buffer.alloc(32);
  encodeIpv4(
    {
      source: Buffer.from([10, 9, 0, 2]),
      destination: Buffer.from([10, 9, 0, 1]),
      protocol: 17,
      payloadBytes: 12,
    },
    packet,
  );
  packet.writeUInt32BE(number, 28);
  return packet;
}

const steps: { readonly [name: string]: (...args: string[]) => unknown } = {
  /** Answers pings until a line comes in, through the API that is named. */
  async answer(how = 'data') {
    const tun = new Tun({ name: 'weft%d', ipv4: '10.9.0.1/24', ipv6: 'fd00:9::1/64', mtu: 1300, isUp: true });
    if (how === 'data') {
      tun.on('data', (packet: Buffer) => {
        const reply = echoReply(packet);
        if (reply) tun.write(reply);
      });
    } else {
      void (async () => {
        for await (const packet of tun) {
          const reply = echoReply(packet);
          if (reply) tun.write(reply);
        }
        say({ ended: true });
      })();
    }
    const { name, index, mtu, ipv4, ipv6, isUp, addresses } = tun;
    say({ name, index, mtu, ipv4, ipv6, isUp, addresses });
    await new Promise((resolve) => createInterface({ input: process.stdin }).once('line', resolve));
    await tun.release();
    await tun.release();
    say({ links: held().links, dropped: tun.dropped });
    process.stdin.destroy();
  },

  /** Changes what can be changed, and says what is seen after each. */
  async change() {
    const tun = new Tun({ name: 'weft0' });
    const seen = () => ({ mtu: tun.mtu, isUp: tun.isUp, ipv4: tun.ipv4, ipv6: tun.ipv6 });
    const states = [seen()];
    tun.mtu = 1400;
    tun.ipv4 = '10.9.0.1/24';
    tun.isUp = true;
    tun.ipv6 = 'fd00:9::1/64';
    states.push(seen());
    tun.ipv4 = '10.9.7.1/30';
    tun.ipv4 = '10.9.7.1/30';
    tun.ipv6 = null;
    tun.isUp = false;
    tun.isUp = true;
    states.push(seen());
    say({ states, addresses: tun.addresses });
    await tun.release();
    const closed = [
      () => tun.mtu,
      () => tun.isUp,
      () => tun.addresses,
      () => {
        tun.ipv4 = null;
      },
    ].map((act) => thrownBy(act)?.code);
    say({ closed, name: tun.name });
  },

  /** Opens and releases, in every other way that a program may; then what it holds. */
  async many(times = '200') {
    const once = async (i: number) => {
      const tun = new Tun({ ipv4: '10.9.0.1/24', isUp: i % 2 === 0 });
      if (i % 4 === 1) tun.resume();
      if (i % 4 === 2) tun.write(numbered(i));
      if (i % 5 === 0) tun.destroy();
      else await tun.release();
      if (i % 3 === 0) await nextTurn();
    };
    await once(1);
    await nextTurn();
    const before = held();
    for (let i = 0; i < Number(times); i++) await once(i);
    await nextTurn();
    say({ before, after: held() });
  },

  /** Many at once, and all forgotten: the collector takes those that nobody watches. */
  async forgotten() {
    const gc = (globalThis as { gc?: () => void }).gc;
    if (!gc) throw new Error('run with --expose-gc');
    const before = held();
    for (let i = 0; i < 20; i++) new Tun();
    const during = held().links.length - before.links.length;
    while (held().links.length > before.links.length) {
      gc();
      await nextTurn();
    }
    await nextTurn();
    say({ during, same: JSON.stringify(held()) === JSON.stringify(before) });
  },

  /** Back-pressure: a reader that stops leaves packets in the device, and gets them, whole and in order, when it goes on. */
  async paused() {
    const tun = new Tun({ name: 'weft0', ipv4: '10.9.0.1/24', isUp: true, highWaterMark: 4 });
    const { createSocket } = await import('node:dgram');
    const socket = createSocket('udp4');
    const sent = 200;
    for (let i = 0; i < sent; i++)
      await new Promise((resolve) => socket.send(Buffer.from([i]), 9, '10.9.0.2', resolve));
    socket.close();
    await nextTurn();
    const waiting = tun.readableLength;
    const got: number[] = [];
    let most = 0;
    for await (const packet of tun) {
      most = Math.max(most, tun.readableLength);
      const ip = decodeIp(packet);
      if ('drop' in ip || ip.family !== 4 || ip.protocol !== 17) continue;
      got.push(packet[28]);
      if (got.length % 50 === 0) await nextTurn();
      if (got.length === sent) break;
    }
    say({ waiting, most, inOrder: got.every((value, i) => value === i), got: got.length });
    say({ destroyed: tun.destroyed, links: held().links });
  },

  /** What was written before `release` reaches the kernel, whoever waits for it. */
  async flushed() {
    const tun = new Tun({ name: 'weft0', ipv4: '10.9.0.1/24', isUp: true });
    const { createSocket } = await import('node:dgram');
    const socket = createSocket('udp4').bind(7, '10.9.0.1');
    await new Promise((resolve) => socket.once('listening', resolve));
    const sent = 100;
    const got = new Set<number>();
    const all = new Promise<void>((resolve) => {
      socket.on('message', (message) => {
        got.add(message[0] ?? -1);
        if (got.size === sent) resolve();
      });
    });
    const { encodeUdp } = await import('../../src/codec.js');
    tun.cork();
    for (let i = 0; i < sent; i++) {
      const packet = new Uint8Array(29);
      packet[28] = i;
      const between = { source: Buffer.from([10, 9, 0, 2]), destination: Buffer.from([10, 9, 0, 1]) };
      encodeUdp({ sourcePort: 9, destinationPort: 7, payloadBytes: 1, between }, packet, 20);
      encodeIpv4({ ...between, protocol: 17, payloadBytes: 9 }, packet);
      tun.write(packet);
    }
    say({ unwritten: tun.writableLength });
    const released = tun.release();
    await Promise.all([released, all]);
    socket.close();
    say({ got: got.size, dropped: tun.dropped, links: held().links });
  },

  /** What the kernel refuses is told, and harms nothing. */
  async refused() {
    const tun = new Tun({ name: 'weft0', ipv4: '10.9.0.1/24' });
    const drops: unknown[] = [];
    tun.on('drop', (error: unknown, packet: Uint8Array) => drops.push([told(error), packet.length]));
    tun.write(numbered(1));
    tun.isUp = true;
    tun.write(Buffer.from('what is no packet'));
    tun.write(Buffer.alloc(0));
    await new Promise((resolve) => tun.write(numbered(2), resolve));
    say({ drops, dropped: tun.dropped, destroyed: tun.destroyed });
    say({ wrong: [() => tun.write('text'), () => tun.write(null), () => tun.write([1])].map(thrownBy) });
    await tun.release();
  },

  /** Writes after `release`: refused, and no harm to what was written before; what is piped into it just flows no more. */
  async late() {
    const tun = new Tun({ name: 'weft0', ipv4: '10.9.0.1/24', isUp: true });
    const trouble: unknown[] = [];
    tun.on('error', (error) => trouble.push(told(error)));
    const source = new PassThrough({ objectMode: true });
    source.pipe(tun);
    tun.cork();
    let written = 0;
    for (let i = 0; i < 10; i++) {
      tun.write(numbered(i), (error: unknown) => {
        written += error ? 0 : 1;
      });
    }
    const released = tun.release();
    const acts = [
      () => tun.write(numbered(1)),
      () => tun.end(numbered(1)),
      () => tun.write('text'),
      () => tun.end('text'),
      () => tun.release(wrongType),
    ];
    const pending = acts.map(thrownBy);
    source.write(numbered(2));
    await nextTurn();
    await released;
    const after = acts.map(thrownBy);
    tun.end();
    say({ pending, after, written, dropped: tun.dropped, waiting: source.readableLength, trouble });
    const destroyed = new Tun();
    destroyed.destroy();
    say({ destroyed: thrownBy(() => destroyed.write(numbered(1))), links: held().links });
  },

  /** Somebody deletes the device under a reader, a writer, or one who does neither. */
  async deleted(who = 'reader') {
    const tun = new Tun({ name: 'weft0', ipv4: '10.9.0.1/24', isUp: true });
    const failed = new Promise((resolve) => tun.once('error', (error) => resolve(told(error))));
    if (who === 'reader') tun.resume();
    netlink.linkDelete(tun.index);
    if (who === 'writer') tun.write(numbered(1));
    if (who !== 'idle') say({ error: await failed, destroyed: tun.destroyed });
    say({ mtu: thrownBy(() => tun.mtu)?.code });
    await tun.release();
    say({ links: held().links });
  },

  /** Releases from its own callbacks, and while a packet is on its way in. */
  async within() {
    for (const how of ['release', 'destroy'] as const) {
      const tun = new Tun({ name: 'weft0', ipv4: '10.9.0.1/24', ipv6: 'fd00:9::1/64', isUp: true });
      const closed = new Promise((resolve) => tun.once('close', resolve));
      let packets = 0;
      tun.on('data', () => {
        packets += 1;
        if (how === 'release') void tun.release();
        else tun.destroy();
      });
      await closed;
      say({ how, packets: packets > 0, links: held().links });
    }
  },

  /** An exception of the program's in its own callback is the program's, and the device goes on. */
  async thrown() {
    const tun = new Tun({ name: 'weft0', ipv6: 'fd00:9::1/64', isUp: true });
    const seen: string[] = [];
    process.on('uncaughtException', (error) => seen.push(error.message));
    let count = 0;
    const twice = new Promise<void>((resolve) => {
      tun.on('data', () => {
        count += 1;
        if (count > 1) resolve();
        throw new Error(`the program's ${count}`);
      });
    });
    await twice;
    await nextTurn();
    say({ seen: seen.slice(0, 2) });
    await tun.release();
  },

  /** The thread ends under its device: nothing is left, and the process goes on. */
  async worker(times = '10', ...argv: string[]) {
    const once = async () => {
      const worker = new Worker(new URL(import.meta.url), { argv: argv.length > 0 ? argv : ['busy'] });
      await new Promise((resolve) => worker.once('message', resolve));
      await worker.terminate();
    };
    await once();
    const before = held();
    for (let i = 0; i < Number(times); i++) await once();
    say({ before, after: held() });
  },

  /** Reads and writes without an end, in a thread. */
  async busy() {
    const { parentPort } = await import('node:worker_threads');
    const tun = new Tun({ ipv4: '10.9.0.1/24', ipv6: 'fd00:9::1/64', isUp: true });
    tun.on('data', () => {});
    const more = () => {
      tun.write(numbered(1));
      setImmediate(more);
    };
    more();
    parentPort?.postMessage('busy');
  },

  /** In a thread: does not come back out of its listener, which may have ended what it listens to. */
  async spins(who = 'tun', how = 'ended') {
    const { parentPort } = await import('node:worker_threads');
    const spin = () => {
      parentPort?.postMessage('spinning');
      for (;;);
    };
    if (who === 'tun') {
      const tun = new Tun({ name: 'weft0', ipv6: 'fd00:9::1/64', isUp: true });
      tun.on('data', () => {
        if (how === 'ended') tun.destroy();
        process.nextTick(() => process.nextTick(spin));
      });
      return;
    }
    const watch = netlink.watch(() => {
      if (how === 'ended') watch.stop();
      spin();
    });
    // Its news; the thread lives until then.
    new Tun({ name: 'weft0', isUp: true }).resume();
  },

  /** Ends the process under traffic, in its own way each. */
  exit(how = 'exit') {
    const tun = new Tun({ ipv4: '10.9.0.1/24', ipv6: 'fd00:9::1/64', isUp: true });
    tun.on('data', () => {});
    for (let i = 0; i < 100; i++) tun.write(numbered(i));
    say({ open: held().links.length });
    if (how === 'exit') process.exit(0);
    // Nothing else keeps the process.
    if (how === 'unref') tun.unref();
  },

  /** Opens what cannot be opened. */
  failures() {
    new Tun().destroy();
    // Writing opens what it needs.
    say({});
    const before = held();
    using(new Tun({ name: 'taken' }), () => {
      say({ taken: thrownBy(() => new Tun({ name: 'taken' })) });
    });
    say({ loopback: thrownBy(() => new Tun({ name: 'lo' })) });
    const same = JSON.stringify(held()) === JSON.stringify(before);
    say({ same });
  },

  /** Without any right. */
  unprivileged(name = 'weft%d') {
    say(thrownBy(() => new Tun({ name })));
  },

  /** A device that was made for this user. */
  async owned() {
    const tun = new Tun({ name: 'mine' });
    const refused = thrownBy(() => {
      tun.mtu = 1400;
    });
    say({ name: tun.name, isUp: tun.isUp, mtu: refused?.code });
    await tun.release();
    say({ links: held().links });
  },
};

function using(tun: Tun, act: () => void): void {
  try {
    act();
  } finally {
    tun.destroy();
  }
}

const [, , name = '', ...args] = process.argv;
await steps[name]?.(...args);
