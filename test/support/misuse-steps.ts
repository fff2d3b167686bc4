/**
 * What a test of misuse lets a process of its own do: `misuse-steps NAME ARGS...`, each a program as somebody might write it,
 * with packets on their way, whose end is part of the test. What it finds it prints as JSON.
 */
import { execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { parentPort, Worker } from 'node:worker_threads';
import { Dataplane } from '../../src/index.js';
import { ipPacket } from './packets.js';

const self = new URL(import.meta.url);
const say = (value: unknown) => console.log(JSON.stringify(value));
const held = () => ({
  descriptors: readdirSync('/proc/self/fd').length,
  threads: readdirSync('/proc/self/task').length,
});

function open(node: number, port: number) {
  return Dataplane.open({
    ...{ encap: 'vxlan', port, subnets: [`10.5.${node}.0/24`], mac: `02:00:00:00:00:0${node}` },
    overlay: { kind: 'user' },
    underlay: { kind: 'udp', addresses: [`127.0.0.${node}`] },
  });
}

interface Traffic {
  readonly planes: readonly [Dataplane, Dataplane];
  /** Packets that have arrived. */
  count: number;
  /** Called for each wake-up of the receiver. */
  onPackets: () => void;
  /** Nothing of ours keeps the process any more; packets may still be on their way. */
  stop(): void;
}

/** Two dataplanes in one thread, and packets from one to the other without an end. */
async function startTraffic(place: number): Promise<Traffic> {
  const port = 20_000 + (process.pid % 20_000) + 2 * place;
  const a = await open(2 * place + 1, port);
  const b = await open(2 * place + 2, port + 1);
  const peer = { subnet: `10.5.${2 * place + 2}.0/24`, mac: `02:00:00:00:00:0${2 * place + 2}` };
  a.peers.set({ ...peer, endpoint: { address: `127.0.0.${2 * place + 2}`, port: port + 1 } });
  b.peers.set({
    subnet: `10.5.${2 * place + 1}.0/24`,
    mac: `02:00:00:00:00:0${2 * place + 1}`,
    endpoint: { address: `127.0.0.${2 * place + 1}`, port },
  });
  const packet = ipPacket({ source: `10.5.${2 * place + 1}.9`, destination: `10.5.${2 * place + 2}.9` });
  let isOver = false;
  const traffic: Traffic = {
    ...{ planes: [a, b], count: 0, onPackets: () => {} },
    stop: () => {
      isOver = true;
      if (!b.isClosed) b.overlay.onReadable(null);
    },
  };
  b.overlay.onReadable(() => {
    const packets = b.overlay.receive();
    traffic.count += packets.length;
    b.pool.release(packets);
    traffic.onPackets();
  });
  void (async () => {
    for (; !isOver && !a.isClosed; await setImmediate()) for (let i = 0; i < 32; i++) a.overlay.write(packet);
  })();
  return traffic;
}

async function flows(traffic: Traffic, packets = 500): Promise<void> {
  const { count } = traffic;
  while (traffic.count < count + packets) await setImmediate();
}

/** How a program ends under traffic. */
const ends: { readonly [how: string]: (traffic: Traffic) => unknown } = {
  exit: () => process.exit(7),
  exitInCallback: (traffic) => {
    traffic.onPackets = () => process.exit(7);
  },
  throws: () => {
    throw new Error('the program’s own');
  },
  throwsInCallback: (traffic) => {
    traffic.onPackets = () => {
      throw new Error('the program’s own');
    };
  },
  rejects: () => void Promise.reject(new Error('the program’s own')),
  /** Nothing is left to do, and nothing is closed. */
  ends: (traffic) => traffic.stop(),
  /** Looks at what is closed by then, and closes it once more. */
  closesAtExit: ({ planes }) => {
    for (const plane of planes) plane.on('close', () => say({ closed: plane.isClosed }));
    process.on('exit', () => {
      for (const plane of planes) void plane.close();
      say({ workers: readdirSync('/proc/self/task').length });
    });
    process.exit(0);
  },
  /** Somebody sends a signal. */
  waits: () => say('waiting'),
  /** Of a thread: does not come back out of its callback, which has closed what it is about. */
  spins: (traffic) => {
    traffic.onPackets = () => {
      void traffic.planes[1].close();
      parentPort?.postMessage('spinning');
      for (;;);
    };
  },
};

const steps: { readonly [name: string]: (...args: string[]) => unknown } = {
  async end(how = '', place = '0') {
    const traffic = await startTraffic(Number(place));
    await flows(traffic);
    await ends[how]?.(traffic);
  },

  /** Threads come and end, each in its way, while this one's own packets flow. */
  async threads(times = '3') {
    const traffic = await startTraffic(0);
    const runOne = async (how: string) => {
      const worker = new Worker(self, { argv: ['end', how, '1'], stdout: true, stderr: true });
      const outcome = new Promise((resolve) => {
        worker.once('error', (error: Error) => resolve(error.message));
        worker.once('exit', (code) => resolve(code));
      });
      if (how === 'waits') await once(worker.stdout, 'data');
      if (how === 'spins') await once(worker, 'message');
      if (how === 'waits' || how === 'spins') await worker.terminate();
      return outcome;
    };
    const ways = ['waits', 'spins', 'exit', 'throws', 'exitInCallback', 'throwsInCallback', 'ends'];
    const outcomes: { [how: string]: unknown } = {};
    for (const how of ways) outcomes[how] = await runOne(how);
    await setImmediate();
    const before = held();
    for (let i = 0; i < Number(times); i++) for (const how of ways) await runOne(how);
    await flows(traffic);
    say({ outcomes, before, after: held() });
    traffic.stop();
  },

  /** Opens, uses and forgets, closed or not. */
  async forgotten(times = '20') {
    const { gc } = globalThis as { gc?: () => void };
    if (!gc) throw new Error('run with --expose-gc');
    const collectAll = async () => {
      for (let i = 0; i < 4; i++) {
        gc();
        await setImmediate();
      }
    };
    const gone: WeakRef<Dataplane>[] = [];
    const round = async () => {
      const plane = await open(1, 20_000 + (process.pid % 20_000));
      plane.overlay.onReadable(() => {});
      // A quarter of the pool is written to: 16 MiB.
      for (const packet of plane.pool.allocateBatch(256, plane.pool.packetBytes)) packet.bytes.fill(1);
      const batch = plane.pool.batch(9);
      batch.allocate(9, 9);
      const waits = plane.pool.whenFree(plane.pool.size);
      await plane.close();
      await waits.catch(() => {});
      gone.push(new WeakRef(plane));
    };
    await round();
    await collectAll();
    const before = { ...held(), residentBytes: process.memoryUsage.rss() };
    for (let i = 0; i < Number(times); i++) {
      await round();
      await collectAll();
    }
    const after = { ...held(), residentBytes: process.memoryUsage.rss() };
    say({ before, after, kept: gone.filter((one) => one.deref()).length });
    // Not closed, it lives on: whoever forgot it.
    const far = await open(2, 20_001 + (process.pid % 20_000));
    let count = 0;
    far.overlay.onReadable(() => {
      const packets = far.overlay.receive();
      count += packets.length;
      far.pool.release(packets);
    });
    await (async () => {
      const near = await open(1, 20_000 + (process.pid % 20_000));
      const [nearMac, farMac] = ['02:00:00:00:00:01', '02:00:00:00:00:02'];
      const [subnet, address, port] = ['10.5.2.0/24', '127.0.0.2', 20_001 + (process.pid % 20_000)];
      near.peers.set({ subnet, endpoint: { address, port }, mac: farMac });
      const back = { address: '127.0.0.1', port: port - 1 };
      far.peers.set({ subnet: '10.5.1.0/24', endpoint: back, mac: nearMac });
      const packet = ipPacket({ source: '10.5.1.9', destination: '10.5.2.9' });
      near.overlay.onReadable(() => {});
      const timer = setInterval(() => near.overlay.write(packet), 1);
      timer.unref();
    })();
    await collectAll();
    const { length } = readdirSync('/proc/self/task');
    while (count < 20) {
      gc();
      await setImmediate();
    }
    say({ alive: readdirSync('/proc/self/task').length === length });
    process.exit();
  },

  /** What children inherit. */
  async children() {
    const ofListing = () =>
      execFileSync('/bin/ls', ['-l', '/proc/self/fd'], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'inherit'],
      })
        .split('\n')
        .flatMap((line) => /(\d+) -> (.*)$/.exec(line)?.slice(1) ?? [])
        .filter((_, i) => i % 2 === 1)
        .map((target) => target.replace(/\d+/g, 'N'));
    const ofNode = async () => {
      const child = fork(self, ['count']);
      const [count] = await once(child, 'message');
      await once(child, 'exit');
      return count as number;
    };
    const before = { listing: ofListing(), node: await ofNode() };
    const traffic = await startTraffic(0);
    await flows(traffic);
    const during = held().descriptors;
    const after = { listing: ofListing(), node: await ofNode() };
    await flows(traffic);
    traffic.stop();
    await Promise.all(traffic.planes.map((plane) => plane.close()));
    say({ before, after, ours: during - held().descriptors });
  },

  /** Its own descriptors, to whoever forked it. */
  count() {
    process.send?.(held().descriptors, () => process.disconnect());
  },
};

const [, , name = '', ...args] = process.argv;
await steps[name]?.(...args);
