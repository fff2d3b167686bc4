/** What a test does with `twill/agent` inside a namespace: `agent-steps NAME FOLDER` prints what it found as JSON. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Agent, type AgentOptions, openDirectoryStore, type Store } from '../../src/agent.js';
import { netlink } from '../../src/native/netlink.js';

const say = (value: unknown) => console.log(JSON.stringify(value));
const links = () => netlink.links().map(({ name }) => name);
const [, , name = '', folder = ''] = process.argv;

async function prepared(): Promise<{ path: string; options: AgentOptions }> {
  const path = join(folder, 'store');
  await mkdir(join(path, 'subnets'), { recursive: true });
  await writeFile(join(path, 'config'), '{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan"}}');
  const lease = {
    ...{ PublicIP: '192.0.2.2', BackendType: 'vxlan' },
    BackendData: { VNI: 1, VtepMAC: 'c6:d2:32:6f:8f:44' },
  };
  await writeFile(join(path, 'subnets', '10.5.77.0-24'), JSON.stringify(lease));
  const at = { controlSocket: join(folder, 'control.sock'), subnetFile: join(folder, 'subnet.env') };
  return { path, options: { ...at, store: `dir:${path}`, iface: ['none0', 'eth0'] } };
}

const steps: { readonly [name: string]: () => Promise<void> } = {
  async life() {
    const { options } = await prepared();
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
    const { path, options } = await prepared();
    let closed = 0;
    const counted = (store: Store): Store =>
      Object.assign(Object.create(store) as Store, {
        readConfig: () => store.readConfig(),
        list: () => store.list(),
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
};

await steps[name]?.();
