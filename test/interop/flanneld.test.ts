/** The swap: where flanneld ran, with nothing but its name and its environment, and its store on the usual port. */
import assert from 'node:assert/strict';
import { readFile, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { AgentNode } from '../support/agent-node.js';
import { noEtcd, startEtcd } from '../support/etcd.js';
import { cannotRun, cli, makePair, until } from '../support/namespaces.js';

const skip = (await cannotRun()) || noEtcd();

/** A node with an etcd of its own on 127.0.0.1:2379, and an agent under the name of flanneld that is told nothing of it. */
async function nodeOfFlannel(t: TestContext) {
  const [a, far] = await makePair(t, ['192.0.2.1/24'], ['192.0.2.2/24']);
  await a.ip('route', 'add', 'default', 'via', '192.0.2.2');
  const etcd = await startEtcd(t, { namespace: a });
  await etcd.put('config', '{"Network":"10.77.0.0/16","Backend":{"Type":"vxlan"}}');
  const node = new AgentNode(a, etcd.directory, '');
  const link = join(etcd.directory, 'flanneld');
  await symlink(cli, link);
  node.program = [link];
  node.iface = '';
  node.storeFlags = [`--state-dir=${join(etcd.directory, 'state')}`];
  node.environment = { FLANNELD_HEALTHZ_PORT: '8081', FLANNELD_IP_MASQ: 'true' };
  t.after(() => node.stop('SIGKILL'));
  return { etcd, node, far };
}

test("flanneld without a flag finds etcd on its usual port, and its lease has flannel's form", {
  skip,
  timeout: 120_000,
}, async (t) => {
  const { etcd, node } = await nodeOfFlannel(t);
  node.run();
  const { node: own } = await node.started();
  const [configKey, , leaseKey, lease = ''] = await etcd.records();
  assert.equal(configKey, '/coreos.com/network/config');
  assert.equal(leaseKey, `/coreos.com/network/subnets/${own.subnet.replace('/', '-')}`);
  assert.match(
    lease,
    /^\{"PublicIP":"192\.0\.2\.1","PublicIPv6":null,"BackendType":"vxlan","BackendData":\{"VNI":1,"VtepMAC":"([0-9a-f]{2}:){5}[0-9a-f]{2}"\}\}$/,
  );
  const [first = ''] = own.subnet.split('.0/');
  assert.equal(
    await readFile(node.subnetFile, 'utf8'),
    `FLANNEL_NETWORK=10.77.0.0/16\nFLANNEL_SUBNET=${first}.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n`,
  );
  assert.deepEqual(await node.get('/readyz'), { status: 200, text: 'flanneld is ready' });

  // The store goes: nothing of what is known is lost, and a probe shall not end us.
  await etcd.member().kill();
  await until('the trouble is known', async () => (await node.status()).store.trouble !== null);
  assert.deepEqual(await node.get('/readyz'), { status: 200, text: 'flanneld is ready' });
  assert.equal(await node.stop(), 0);
});

test('flanneld that finds no etcd is alive, not ready, and becomes it when etcd is there', {
  skip,
  timeout: 120_000,
}, async (t) => {
  const { etcd, node } = await nodeOfFlannel(t);
  await etcd.member().stop();
  node.run();
  await until('it is alive', async () =>
    node.get('/healthz').then(
      ({ status, text }) => status === 200 && text === 'flanneld is running',
      () => false,
    ),
  );
  const { status, text } = await node.get('/readyz');
  assert.equal(status, 503);
  assert.match(text, /^flanneld is not ready yet\nlease: none is held yet\n/);
  await assert.rejects(node.status(), /the agent is still starting: lease: none is held yet/);
  await etcd.member().start();
  await node.started();
  assert.equal((await node.get('/readyz')).status, 200);
  // A stop while the start is waiting is no failure.
  await node.stop();
  await etcd.member().stop();
  // Without what it knew of etcd.
  node.run(['--state-dir=']);
  await until('it waits', async () =>
    node.logged('warn').some((line) => line.startsWith('waiting for the store')),
  );
  assert.equal(await node.stop(), 0);
});
