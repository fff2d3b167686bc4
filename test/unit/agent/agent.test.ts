import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { Agent } from '../../../src/agent/agent.js';
import type { HostNetlink } from '../../../src/agent/host.js';
import { runOptions } from '../../../src/config/run-options.js';
import type { UserspacePlaneOptions } from '../../../src/dataplane/userspace.js';
import { TwillError } from '../../../src/errors.js';
import { IpAddress } from '../../../src/net/ip.js';
import type { Json } from '../../../src/net/json.js';
import { controlRequest } from '../../../src/observe/control-socket.js';
import { openStore } from '../../../src/store/open.js';
import type { Store } from '../../../src/store/store.js';
import { FakePlane, recordingLogger, until } from './fakes.js';

const hostNetlink: HostNetlink = {
  links: () => [
    { index: 2, name: 'eth0', kind: '', mtu: 1500, up: true, mac: null, lower: 0, master: 0, carrier: true },
  ],
  addresses: () => [{ index: 2, address: IpAddress.parse('192.0.2.1'), length: 24, scope: 0, flags: 0x80 }],
  routes: () => [],
  routeGet: () => assert.fail('not asked'),
  watch: () => ({ stop() {} }),
};
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

  async function start(more: readonly string[] = [], openPlane?: () => FakePlane): Promise<Agent> {
    const argv = [`--store=dir:${join(directory, 'store')}`, '--iface=eth0', `--control-socket=${socket()}`];
    const options = runOptions(
      [...argv, `--subnet-file=${join(directory, 'run', 'subnet.env')}`, ...more],
      {},
    );
    const agent = await Agent.start(options, {
      ...{ store, logger: log.logger, netlink: hostNetlink },
      openPlane: (planeOptions) => {
        opened = planeOptions;
        plane = openPlane ? openPlane() : new FakePlane();
        return plane;
      },
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
    const quarantined = () =>
      (agent.status() as { quarantined: { key: string }[] }).quarantined.map((entry) => entry.key);
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
    // The fake plane's decap counters do not add up, its encap counters do.
    assert.deepEqual(status['identity'], { encap: true, decap: false });
    assert.deepEqual(await controlRequest(socket(), 'peers'), [
      {
        key: '10.5.240.0-24',
        subnet: '10.5.240.0/24',
        endpoint: { address: '192.0.2.2', port: 8472 },
        mac: '02:00:00:00:00:02',
        expiresAt: null,
      },
    ]);
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
    await assert.rejects(controlRequest(socket(), 'status'), /./);
    await start();
  });

  test('a subnet file that cannot be written is a warning', async () => {
    await start([`--subnet-file=${join(directory, 'store', 'config', 'subnet.env')}`]);
    assert.ok(log.lines.some((line) => line.startsWith('warn: cannot write subnet file')));
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
