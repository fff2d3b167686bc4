/** What a test does with `twill/agent` inside a namespace: `agent-steps NAME FOLDER` prints what it found as JSON. */
import { createSocket } from 'node:dgram';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { parentPort, Worker } from 'node:worker_threads';
import { Agent, type AgentOptions, openDirectoryStore, type Store } from '../../src/agent.js';
import { netlink } from '../../src/native/netlink.js';
import { createLogger } from '../../src/observe/log.js';
import { agentFolder, storeAround } from './agent-folder.js';

/** An agent, and packets of this host to its peer without an end. */
async function underTraffic(options: AgentOptions): Promise<Agent> {
  const agent = await Agent.start(options);
  const socket = createSocket('udp4');
  const send = () => socket.send('packet', 9, '10.5.77.9', () => setImmediate(send));
  for (let i = 0; i < 8; i++) send();
  socket.unref();
  const sent = () => agent.status().counters.encap?.delivered ?? 0;
  while (sent() < 100) await nextTurn();
  return agent;
}

const say = (value: unknown) => console.log(JSON.stringify(value));
const links = () => netlink.links().map(({ name }) => name);
const [, , name = '', folder = '', how = ''] = process.argv;

const steps: { readonly [name: string]: () => Promise<void> } = {
  async life() {
    const { options } = await agentFolder(folder);
    const agent = await Agent.start({ ...options, publicIp: '192.0.2.9', tunName: 'weft7', workers: '2' });
    const status = agent.status();
    const { leaseExpiresAt: _, leaseRenewsAt: __, publicIpv6: ___, ...node } = status.node;
    const traced = agent.trace('10.5.77.9');
    const nowhere = agent.trace('10.5.200.9');
    let wrong: unknown;
    try {
      agent.trace('somewhere');
    } catch (error) {
      wrong = (error as { code?: string }).code;
    }
    say({
      ...{ node, ready: status.ready, wrong },
      peers: agent.peers().map(({ subnet, endpoint }) => [subnet, endpoint.address, endpoint.port]),
      traced: [traced.peer?.subnet, traced.endpoint?.address, traced.drop],
      nowhere: [nowhere.drop, nowhere.peer],
    });
    const finished = agent.finished.then(() => 'resolved');
    await Promise.all([agent.stop(), agent.stop()]);
    await agent[Symbol.asyncDispose]();
    say({
      finished: await finished,
      links: links(),
      same: agent.status().node.subnet === status.node.subnet,
    });
  },

  async failures() {
    const { path, options } = await agentFolder(folder);
    let closed = 0;
    const counted = (store: Store): Store =>
      storeAround(store, {
        close: async () => {
          closed += 1;
        },
      });
    const empty = counted(await openDirectoryStore(join(folder, 'empty')));
    const full = counted(await openDirectoryStore(path));
    const failed = (given: AgentOptions) =>
      Agent.start({ ...options, ...given }).then(
        (agent) => agent.stop().then(() => 'it started'),
        (error: Error & { code?: string }) => [error.name, error.code],
      );
    const errors = [
      await failed({ store: empty }),
      await failed({ store: full, iface: 'none0' }),
      await failed({ store: full, signal: AbortSignal.abort() }),
    ];
    const first = await Agent.start(options);
    errors.push(await failed({ store: full, tunName: 'weft8' }));
    await first.stop();
    say({ errors, links: links(), closed });
  },

  /** How a program ends, or a thread of it, while its agent carries. */
  async end() {
    const { options } = await agentFolder(folder);
    const agent = await underTraffic(options);
    const ends: { readonly [how: string]: () => unknown } = {
      exit: () => process.exit(7),
      throws: () => {
        throw new Error('the program’s own');
      },
      waits: () => {
        parentPort?.postMessage('carries');
        say('carries');
      },
      stops: () => agent.stop().then(() => process.exit(0)),
    };
    await ends[how]?.();
  },

  async threads() {
    const held = () => ({ descriptors: readdirSync('/proc/self/fd').length, links: links() });
    const once = async (way: string) => {
      const worker = new Worker(new URL(import.meta.url), { argv: ['end', folder, way], stdout: true });
      const outcome = new Promise((resolve) => {
        worker.once('error', (error: Error) => resolve(error.message));
        worker.once('exit', (code) => resolve(code));
      });
      if (way === 'waits') {
        await new Promise((resolve) => worker.once('message', resolve));
        await worker.terminate();
      }
      return outcome;
    };
    const ways = ['waits', 'exit', 'throws', 'stops'];
    const outcomes: unknown[] = [];
    for (const way of ways) outcomes.push(await once(way));
    await nextTurn();
    const before = held();
    for (let i = 0; i < 3; i++) for (const way of ways) await once(way);
    await nextTurn();
    say({ outcomes, before, after: held() });
  },

  /** Whoever forgets it has not ended it. */
  async forgotten() {
    const { gc } = globalThis as { gc?: () => void };
    if (!gc) throw new Error('run with --expose-gc');
    const { options } = await agentFolder(folder);
    const gone: WeakRef<Agent>[] = [];
    await (async () => {
      gone.push(new WeakRef(await underTraffic(options)));
    })();
    for (let i = 0; i < 20; i++) {
      gc();
      await nextTurn();
    }
    const again = await Agent.start(options).catch((error) => error.code);
    say({ again, links: links() });
    process.exit(0);
  },

  /** Exceptions of the program's own parts: what becomes of the start, of the agent, of the process. */
  async thrown() {
    const { path, options } = await agentFolder(folder);
    const inner = await openDirectoryStore(path);
    const strays: unknown[] = [];
    for (const event of ['uncaughtException', 'unhandledRejection'])
      process.on(event, (error: Error) => strays.push(error.message));
    const mine = () => {
      throw new Error('the program’s own');
    };
    const storeOf = (methods: object) => storeAround(inner, { close: async () => {}, ...methods });
    const starts: { [part: string]: string } = {};
    for (const part of ['readConfig', 'list', 'create', '', 'replace'])
      starts[part] = await Agent.start({ ...options, store: storeOf({ [part]: mine }) }).then(
        (agent) => agent.stop().then(() => 'it started'),
        (error) => error.message,
      );
    const afterStarts = links();
    // Once it lives, a store that throws is a store in trouble.
    let isFaulty = false;
    const faulty = (part: 'list' | 'readConfig') => () => (isFaulty ? mine() : inner[part]());
    const watch = async function* (signal: AbortSignal) {
      for await (const snapshot of inner.watch(signal)) {
        if (isFaulty) mine();
        yield snapshot;
      }
    };
    const methods = { list: faulty('list'), readConfig: faulty('readConfig'), watch };
    const lines: string[] = [];
    const destination = { write: (line: string) => void lines.push(JSON.parse(line).msg) };
    const logger = createLogger({ level: 'info', destination });
    const agent = await Agent.start({ ...options, store: storeOf(methods), logger });
    isFaulty = true;
    agent.reload();
    const isTold = () =>
      lines.some((line) => line.startsWith('reload failed, all stays as it is: the program’s own'));
    while (!isTold() || agent.status().store.trouble === null) await nextTurn();
    const { ready, peers, store } = agent.status();
    isFaulty = false;
    agent.reload();
    while (agent.status().store.trouble !== null) await nextTurn();
    await agent.stop();
    say({ starts, afterStarts, ready, peers, trouble: store.trouble, strays });
  },
};

await steps[name]?.();
