import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { Agent, type AgentParts } from '../../../src/agent/agent.js';
import type { HostNetlink } from '../../../src/agent/host.js';
import { runOptions } from '../../../src/config/run-options.js';
import type { UserspacePlaneOptions } from '../../../src/dataplane/userspace.js';
import { TwillError } from '../../../src/errors.js';
import { IpAddress } from '../../../src/net/ip.js';
import type { Json } from '../../../src/net/json.js';
import { controlRequest } from '../../../src/observe/control-socket.js';
import { openStore } from '../../../src/store/open.js';
import type { Store } from '../../../src/store/store.js';
import { FakeClock, FakePlane, MemoryStore, recordingLogger, until } from './fakes.js';

const hostNetlink: HostNetlink = {
  links: () => [
    {
      index: 2,
      name: 'eth0',
      alias: '',
      kind: '',
      mtu: 1500,
      up: true,
      mac: null,
      lower: 0,
      master: 0,
      carrier: true,
    },
  ],
  addresses: () => [{ index: 2, address: IpAddress.parse('192.0.2.1'), length: 24, scope: 0, flags: 0x80 }],
  routes: () => [],
  routeGet: () => assert.fail('not asked'),
  watchNftables: () => assert.fail('not asked'),
  blackholeAdd: () => assert.fail('not asked'),
  blackholeDelete: () => assert.fail('not asked'),
  vxlanAdd: () => assert.fail('not asked'),
  linkDelete: () => assert.fail('not asked'),
  watch: (onEvents) => {
    linkChanged = () => onEvents([{ kind: 'lost', removed: false, index: 0 }]);
    return { stop() {} };
  },
};
/** As if the kernel told of a change. */
let linkChanged = () => {};
const peerLease =
  '{"PublicIP":"192.0.2.2","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"02:00:00:00:00:02"}}';

describe('an agent over a directory store', () => {
  let directory = '';
  let store: Store;
  const agents: Agent[] = [];
  let plane: FakePlane;
  let opened: UserspacePlaneOptions | undefined;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'twill-agent-'));
    await mkdir(join(directory, 'store', 'subnets'), { recursive: true });
    await configure({ Network: '10.5.0.0/16', Backend: { Type: 'vxlan' } });
    store = await openStore({ kind: 'directory', path: join(directory, 'store') });
  });
  afterEach(async () => {
    for (const agent of agents.splice(0)) await agent.stop();
    await store.close();
    await rm(directory, { recursive: true, force: true });
  });

  const configure = (config: Json) => writeFile(join(directory, 'store', 'config'), JSON.stringify(config));
  const record = (key: string) => join(directory, 'store', 'subnets', key);
  const socket = () => join(directory, 'control.sock');
  const log = recordingLogger();

  const subnetFile = () => join(directory, 'run', 'subnet.env');

  async function start(
    more: readonly string[] = [],
    openPlane?: () => FakePlane,
    parts: Partial<AgentParts> = {},
  ): Promise<Agent> {
    const argv = [`--store=dir:${join(directory, 'store')}`, '--iface=eth0', `--control-socket=${socket()}`];
    const options = runOptions([...argv, `--subnet-file=${subnetFile()}`, ...more], {});
    const agent = await Agent.start(options, {
      ...{ store, logger: log.logger, netlink: hostNetlink },
      openPlane: (planeOptions) => {
        opened = planeOptions;
        plane = openPlane ? openPlane() : new FakePlane();
        return plane;
      },
      ...parts,
    });
    agents.push(agent);
    return agent;
  }

  test('takes a lease, opens the plane, writes subnet.env, follows the others', async () => {
    const agent = await start();
    const key = `${opened?.subnets.v4?.address}-24`;
    const lease = JSON.parse(await readFile(record(key), 'utf8'));
    assert.equal(lease.PublicIP, '192.0.2.1');
    assert.equal(lease.BackendData.VtepMAC, opened?.mac?.toString());
    const subnet = `${opened?.subnets.v4?.address.add(1)}/24`;
    assert.equal(
      await readFile(join(directory, 'run', 'subnet.env'), 'utf8'),
      `FLANNEL_NETWORK=10.5.0.0/16\nFLANNEL_SUBNET=${subnet}\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=false\n`,
    );
    assert.equal(opened?.externalMtuBytes, 1500);
    assert.equal(opened?.localAddress.toString(), '192.0.2.1');

    await writeFile(record('10.5.240.0-24'), peerLease);
    await writeFile(record('10.5.241.0-24'), '{broken');
    await until('the hand-written lease is a peer', () => plane.wanted.length === 1);
    const quarantined = () => agent.status().quarantined.map((entry) => entry.key);
    await until('the broken one is named', () => quarantined().includes('10.5.241.0-24'));
    assert.equal(plane.wanted.length, 1);
  });

  test('answers status, peers and trace on the control socket', async () => {
    await start();
    await writeFile(record('10.5.240.0-24'), peerLease);
    await until('a peer', () => plane.wanted.length === 1);
    const status = (await controlRequest(socket(), 'status')) as { [key: string]: { [key: string]: Json } };
    assert.equal(status['node']?.['publicIp'], '192.0.2.1');
    assert.equal(status['backend']?.['type'], 'vxlan');
    assert.equal(status['peers'], 1);
    const { leaseRenewsAt, leaseExpiresAt } = status['node'] ?? {};
    // A day, renewed an hour before.
    assert.equal(Date.parse(`${leaseExpiresAt}`) - Date.parse(`${leaseRenewsAt}`), 3_600_000);
    // The fake plane's decap counters do not add up, its encap counters do.
    assert.deepEqual(status['identity'], { encap: true, decap: false });
    assert.deepEqual(await controlRequest(socket(), 'peers'), [
      {
        key: '10.5.240.0-24',
        subnet: '10.5.240.0/24',
        endpoint: { address: '192.0.2.2', port: 8472 },
        mac: '02:00:00:00:00:02',
        way: 'tunnel',
        trouble: null,
        expiresAt: null,
        isReservation: true,
        encap: { packets: 1, bytes: 100, drops: 0 },
        decap: { packets: 2, bytes: 200, drops: 1 },
        idleSeconds: 0,
      },
    ]);
    await writeFile(record('10.5.241.0-24'), '{broken');
    const culprits = async () =>
      (
        (await controlRequest(socket(), 'trace', { address: '10.5.241.9' })) as {
          quarantined: { key: string }[];
        }
      ).quarantined.map(({ key }) => key);
    await until('a trace names the record', async () => `${await culprits()}` === '10.5.241.0-24');
    const look = { session: 'x', order: 'packets', limit: 1 };
    const traffic = (await controlRequest(socket(), 'traffic', look)) as { rows: { subnet: string }[] };
    assert.deepEqual(
      traffic.rows.map(({ subnet }) => subnet),
      ['10.5.240.0/24'],
    );
    const trace = (await controlRequest(socket(), 'trace', { address: '10.5.240.9' })) as {
      [key: string]: Json;
    };
    assert.deepEqual([trace['drop'], trace['endpoint']], [null, { address: '192.0.2.2', port: 8472 }]);
    const miss = (await controlRequest(socket(), 'trace', { address: '10.5.239.1' })) as {
      [key: string]: Json;
    };
    assert.equal(miss['drop'], 'no_route');
    await assert.rejects(controlRequest(socket(), 'trace', { address: 'nonsense' }), /nonsense/);
  });

  test('a restart finds subnet and MAC again', async () => {
    const first = await start();
    const before = { subnet: `${opened?.subnets.v4}`, mac: `${opened?.mac}` };
    await first.stop();
    await first.finished;
    assert.equal(plane.isClosed, true);
    await start();
    assert.deepEqual({ subnet: `${opened?.subnets.v4}`, mac: `${opened?.mac}` }, before);
  });

  test('ends when another node holds its lease', async () => {
    const agent = await start();
    const key = `${opened?.subnets.v4?.address}-24`;
    // Moved into place: what it reads half-written the agent takes for damage, and mends.
    await writeFile(record('.new'), peerLease);
    await rename(record('.new'), record(key));
    await assert.rejects(agent.finished, (error) => (error as TwillError).code === 'ERR_TWILL_LEASE_LOST');
    assert.equal(plane.isClosed, true);
    await assert.rejects(
      controlRequest(socket(), 'status'),
      (error) => (error as TwillError).code === 'ERR_TWILL_CONTROL',
    );
    assert.equal(await readFile(record(key), 'utf8'), peerLease);
  });

  test('a lease removed by hand comes back', async () => {
    await start();
    const path = record(`${opened?.subnets.v4?.address}-24`);
    await rm(path);
    await until('the lease is back', () =>
      readFile(path).then(
        () => true,
        () => false,
      ),
    );
  });

  test('a second agent on the same socket is refused before it touches anything', async () => {
    await start();
    await assert.rejects(
      start(['--public-ip=192.0.2.99']),
      (error) => (error as TwillError).code === 'ERR_TWILL_CONTROL',
    );
    await until('the first still answers', async () => (await controlRequest(socket(), 'status')) !== null);
    assert.equal((await store.list()).records.length, 1);
  });

  test('a plane that does not open takes the socket back and tells why', async () => {
    const fault = new TwillError('ERR_TWILL_SOCKET', 'bind', { errno: 98 });
    const failing = () => {
      throw fault;
    };
    await assert.rejects(start([], failing), /port 8472 is held by another program/);
    assert.ok(log.lines.some((line) => /^error: Error registering network: .*8472/.test(line)));
    await assert.rejects(controlRequest(socket(), 'status'), /./);
    await start();
  });

  /** A port for health checks, and what is asked there. */
  async function healthPort() {
    const probe = createServer().listen(0, '127.0.0.1');
    await once(probe, 'listening');
    const { port } = probe.address() as AddressInfo;
    probe.close();
    await once(probe, 'close');
    const ask = async (path: string) => {
      const response = await fetch(`http://127.0.0.1:${port}${path}`);
      return { status: response.status, text: await response.text() };
    };
    return { ask, flags: ['--healthz-ip=127.0.0.1', `--healthz-port=${port}`] };
  }

  test('subnet.env and readiness come after the first peers, never before', async () => {
    await writeFile(record('10.5.240.0-24'), peerLease);
    let open = () => {};
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const inner = store;
    async function* watch(...args: Parameters<Store['watch']>) {
      await gate;
      yield* inner.watch(...args);
    }
    const gated = new Proxy(inner, {
      get: (target, name) => {
        const value = name === 'watch' ? watch : Reflect.get(target, name);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    const events: string[] = [];
    class WatchfulPlane extends FakePlane {
      override setPeers(...args: Parameters<FakePlane['setPeers']>): number {
        events.push(`${args[0].length} peers, ${existsSync(subnetFile()) ? 'file' : 'no file'}`);
        return super.setPeers(...args);
      }
    }
    const { ask, flags } = await healthPort();
    let isUp = false;
    const starting = start(flags, () => new WatchfulPlane(), { store: gated }).then(() => {
      isUp = true;
    });
    await until('status answers while it waits', () =>
      controlRequest(socket(), 'status').then(
        () => true,
        () => false,
      ),
    );
    assert.equal((await ask('/healthz')).status, 200);
    const waiting = await ask('/readyz');
    assert.deepEqual(waiting, {
      status: 503,
      text: [
        'flanneld is not ready yet',
        'peers: the leases of the other nodes have not been read yet',
        'subnet-file: it has not been written yet',
      ].join('\n'),
    });
    assert.deepEqual([isUp, existsSync(subnetFile())], [false, false]);
    open();
    await starting;
    assert.deepEqual(events.slice(0, 1), ['1 peers, no file']);
    assert.ok(existsSync(subnetFile()));
    assert.deepEqual(await ask('/readyz'), { status: 200, text: 'flanneld is ready' });
  });

  test('a subnet file that cannot be written keeps it from being ready, and is tried again', async () => {
    await writeFile(join(directory, 'run'), 'in the way');
    const { ask, flags } = await healthPort();
    await start(flags);
    assert.ok(log.lines.some((line) => line.startsWith('warn: cannot write subnet file')));
    const { status, text } = await ask('/readyz');
    assert.equal(status, 503);
    assert.match(text, /\nsubnet-file: cannot write subnet file [^\n]*$/);
    await rm(join(directory, 'run'));
    await until('it is ready', async () => (await ask('/readyz')).status === 200);
    assert.ok(existsSync(subnetFile()));
  });

  test('a subnet file that is removed comes back; one that somebody else wrote is left, and not ready', async () => {
    const clock = new FakeClock();
    const { ask, flags } = await healthPort();
    await start(flags, undefined, { store: new MemoryStore(clock), clock });
    const ours = await readFile(subnetFile(), 'utf8');
    await rm(subnetFile());
    const later = (what: string, check: () => Promise<boolean>) =>
      until(what, async () => {
        await clock.advance(1000);
        return check();
      });
    await later('it is back', async () => existsSync(subnetFile()));
    assert.equal(await readFile(subnetFile(), 'utf8'), ours);
    await writeFile(subnetFile(), ours.replace(/SUBNET=.*/, 'SUBNET=10.9.9.1/24'));
    await later('not ready', async () => (await ask('/readyz')).status === 503);
    assert.match((await ask('/readyz')).text, /\nsubnet-file: somebody else has written it/);
    assert.match(await readFile(subnetFile(), 'utf8'), /10\.9\.9\.1/);
    await rm(subnetFile());
    await later('ready again', async () => (await ask('/readyz')).status === 200);
    assert.equal(await readFile(subnetFile(), 'utf8'), ours);
  });

  test('trouble with the device withdraws readiness until it is over', async () => {
    const { ask, flags } = await healthPort();
    const agent = await start(flags);
    const isReady = async () => (await ask('/readyz')).status === 200;
    await until('ready', isReady);
    const down = Array.from({ length: 3 }, () => ({ mended: [], trouble: 'it is down' }));
    plane.states.push(...down);
    linkChanged();
    await until('not ready', async () => !(await isReady()));
    assert.match((await ask('/readyz')).text, /\ndevice: it is down$/);
    assert.equal(agent.status().ready, false);
    await until('ready again', async () => {
      linkChanged();
      return isReady();
    });
    assert.equal((await ask('/healthz')).status, 200);
  });

  test('a lease that has ended withdraws readiness', async () => {
    const clock = new FakeClock();
    const memory = new MemoryStore(clock);
    const { ask, flags } = await healthPort();
    await start(flags, undefined, { store: memory, clock });
    assert.equal((await ask('/readyz')).status, 200);
    memory.fault = new Error('away');
    await clock.advance(23 * 3_600_000);
    assert.equal((await ask('/readyz')).status, 200, 'a store that is away is no reason');
    await clock.advance(2 * 3_600_000);
    assert.match(
      (await ask('/readyz')).text,
      /\nlease: 10\.5\.\d+\.0-24 has ended and could not be renewed$/,
    );
    memory.fault = null;
    await clock.advance(120_000);
    assert.equal((await ask('/readyz')).status, 200);
  });

  test('a port for health checks that is held ends the start before anything is changed', async () => {
    const { flags } = await healthPort();
    await start(flags);
    await assert.rejects(
      start([...flags, `--control-socket=${join(directory, 'other.sock')}`]),
      (error) => (error as TwillError).code === 'ERR_TWILL_HEALTH',
    );
    assert.equal((await store.list()).records.length, 1);
  });

  test('a reload names what needs a restart and survives nonsense', async () => {
    const agent = await start();
    await configure({ Network: '10.5.0.0/16', SubnetLen: 26, Backend: { Type: 'vxlan', VNI: 9 } });
    agent.reload();
    await until('the changes are named', () =>
      log.lines.some((line) => /backend changed, .*restart/.test(line)),
    );
    await writeFile(join(directory, 'store', 'config'), '{');
    agent.reload();
    await until('the failure is told', () =>
      log.lines.some((line) => line.startsWith('error: reload failed')),
    );
    assert.equal(plane.isClosed, false);
  });

  test('bad starts say what is wrong', async () => {
    await configure({ Network: '10.5.0.0/16', Backend: { Type: 'warp' } });
    await assert.rejects(start(), (error) => (error as TwillError).code === 'ERR_TWILL_CONFIG');
    await rm(join(directory, 'store', 'config'));
    await assert.rejects(start(), (error) => (error as TwillError).code === 'ERR_TWILL_STORE');
  });
});
