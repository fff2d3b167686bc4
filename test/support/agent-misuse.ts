/**
 * The table of misuse of `Agent`, run inside a namespace that has eth0: `agent-misuse FOLDER SITUATION` uses each member in that
 * situation, each of an agent of its own, and prints the names of those that it used; without a situation, those that there are.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { Agent, openDirectoryStore, type Store } from '../../src/agent.js';
import { netlink } from '../../src/native/netlink.js';
import { createLogger } from '../../src/observe/log.js';
import { agentFolder, leaseText, storeAround } from './agent-folder.js';
import {
  ends,
  fieldsOf,
  membersOf,
  type Refusal,
  type Row,
  refused,
  wrong,
  wrongKind,
  wrongRange,
} from './misuse.js';

const [, , folder = '', name = ''] = process.argv;
const { path, options } = await agentFolder(folder);
const second = await agentFolder(join(folder, 'second'));

/** An agent over a store of the program's own, which hears when it is asked, and when a line is logged. */
class Fixture {
  readonly store: Store;
  onList: () => void = () => {};
  onLine: () => void = () => {};
  agent!: Agent;

  private constructor(store: Store) {
    this.store = storeAround(store, {
      list: () => {
        this.onList();
        return store.list();
      },
    });
  }

  static async start(): Promise<Fixture> {
    const store = await openDirectoryStore(path);
    const fixture = new Fixture(store);
    const destination = { write: () => fixture.onLine() };
    const logger = createLogger({ level: 'debug', destination });
    fixture.agent = await Agent.start({ ...options, store: fixture.store, logger });
    return fixture;
  }

  async end(): Promise<void> {
    this.onList = this.onLine = () => {};
    await this.agent.stop();
    await this.store.close();
    const left = netlink.links().map(({ name }) => name);
    if (left.join() !== 'lo,eth0') throw new Error(`left: ${left}`);
  }
}

interface AgentRow extends Row<Fixture> {
  /** When another node has taken its lease. Absent: as closed. */
  readonly lost?: unknown;
}

const busy = refused('ERR_TWILL_CONTROL', /control\.sock/);
const isStopped = async ({ agent }: Fixture, act: () => Promise<void>) => {
  await act();
  return agent.finished.then(
    () => 'resolved',
    ({ code }) => code,
  );
};
const stop = (call: (agent: Agent) => Promise<void>): AgentRow => ({
  ...{ call: (on) => isStopped(on, () => call(on.agent)), open: 'resolved', wrong: null },
  lost: 'ERR_TWILL_LEASE_LOST',
});
const wrongStart = (given: object, outcome: Refusal) =>
  [() => Agent.start({ ...second.options, ...given }), outcome] as const;

const rows: { readonly [member: string]: AgentRow } = {
  'static start': {
    // At its place there is one; when it has gone there is room.
    call: async () => {
      await using agent = await Agent.start(options);
      return agent.status().node.device;
    },
    ...{ open: busy, closed: 'flannel.1' },
    wrong: [
      wrongStart({ store: 5 }, wrongKind(/^Agent\.start: store must be text, or a Store with .*, not 5$/)),
      wrongStart(
        { logger: {} },
        wrongKind(/^Agent\.start: logger must be a Logger with debug\(\), not \[obj/),
      ),
      wrongStart({ iface: {} }, wrongKind(/iface must be .*, not \[object Object\]$/)),
      wrongStart({ workers: 65 }, wrongRange(/workers.*65/)),
      wrongStart({ tunName: 'a name with spaces' }, wrongRange(/tunName.*a name with spaces/)),
    ],
  },
  status: {
    call: ({ agent }) => [agent.status().node.device, agent.status().peers],
    open: ['flannel.1', 1],
    wrong: null,
  },
  peers: {
    call: ({ agent }) => agent.peers().map(({ subnet }) => subnet),
    open: ['10.5.77.0/24'],
    wrong: null,
  },
  trace: {
    call: ({ agent }) => agent.trace('10.5.77.9').endpoint?.address,
    open: '192.0.2.2',
    wrong: [
      [
        ({ agent }) => agent.trace(wrong(undefined)),
        wrongKind(/^Agent\.trace: address must be .*, not undefined$/),
      ],
      [({ agent }) => agent.trace(wrong(5)), wrongKind(/^Agent\.trace: address must be .*, not 5$/)],
      [({ agent }) => agent.trace('10.5.77'), refused('ERR_TWILL_ADDRESS', /"10\.5\.77"/)],
    ],
  },
  reload: { call: ({ agent }) => agent.reload(), open: undefined, wrong: null },
  finished: {
    call: ({ agent }) => Promise.race([agent.finished.then(() => 'resolved'), setImmediate('pending')]),
    ...{ open: 'pending', closed: 'resolved', wrong: null },
    lost: refused('ERR_TWILL_LEASE_LOST', /it is now held by node 192\.0\.2\.3/),
  },
  stop: stop((agent) => agent.stop()),
  '[Symbol.asyncDispose]': stop((agent) => agent[Symbol.asyncDispose]()),
};

const closedOf = ({ open, closed = open }: AgentRow) => closed;
type Use = (outcome: unknown) => Promise<void>;
type Situation = (on: Fixture, row: AgentRow, use: Use) => Promise<void>;

/** Uses it the first time that the program's own part is called. */
const inCallOf =
  (part: 'onList' | 'onLine'): Situation =>
  (on, { open }, use) =>
    new Promise((resolve, reject) => {
      let isFirst = true;
      on[part] = () => {
        if (!isFirst) return;
        isFirst = false;
        use(open).then(resolve, reject);
      };
      on.agent.reload();
    });

const situations: { readonly [name: string]: Situation } = {
  'once, and again': async (_, { open, again = open }, use) => {
    await use(open);
    await use(again);
  },
  'after stop': async ({ agent }, row, use) => {
    await agent.stop();
    await use(closedOf(row));
  },
  'in a listener of its end': async ({ agent }, row, use) => {
    const used = agent.finished.then(() => use(closedOf(row)));
    await agent.stop();
    await used;
  },
  'in a call of its store': inCallOf('onList'),
  'in a call of its logger': inCallOf('onLine'),
  'when another node has taken its lease': async ({ agent }, row, use) => {
    const key = agent.status().node.subnet?.replace('/', '-') ?? '';
    await writeFile(join(path, 'subnets', key), leaseText('192.0.2.3'));
    await agent.finished.catch(() => {});
    const { lost = closedOf(row) } = row;
    await use(lost);
  },
  'wrong arguments': async (on, { open, wrong }, use) => {
    for (const [act, outcome] of wrong ?? []) await ends(`${act}`, outcome, () => act(on));
    await use(open);
  },
};

const situation = situations[name];
if (situation) {
  for (const [member, row] of Object.entries(rows)) {
    const on = await Fixture.start();
    await situation(on, row, (outcome) => ends(`Agent.${member} ${name}`, outcome, () => row.call(on)));
    await on.end();
    console.log(member);
  }
} else {
  const on = await Fixture.start();
  const members = [...membersOf(Agent), ...fieldsOf(on.agent)];
  console.log(JSON.stringify({ members, rows: Object.keys(rows), situations: Object.keys(situations) }));
  await on.end();
}
