/** Flags against a real kernel: which interface carries the underlay, and which address the others are told. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { joinByVeth } from '../../src/lab/namespace.js';
import { labWith } from '../support/agent-node.js';
import { cannotRun, makeNamespace } from '../support/namespaces.js';

const skip = await cannotRun();

/** Flags, then interface, address that we send from, address that the others are told. */
const cases: [string[], string, string, string][] = [
  [[], 'eth0', '192.0.2.1', '192.0.2.1'],
  [['--public-ip=203.0.113.9'], 'eth0', '192.0.2.1', '203.0.113.9'],
  [['--public-ip=198.51.100.2'], 'eth1', '198.51.100.2', '198.51.100.2'],
  [['--iface=nope0', '--iface=eth1'], 'eth1', '198.51.100.1', '198.51.100.1'],
  [['-iface', '198.51.100.2', '--public-ip=203.0.113.9'], 'eth1', '198.51.100.2', '203.0.113.9'],
  [['--iface-regex=^198\\.51\\.100\\.2$'], 'eth1', '198.51.100.2', '198.51.100.2'],
  [['--iface-regex=h1$'], 'eth1', '198.51.100.1', '198.51.100.1'],
  [['--iface-can-reach=203.0.113.77'], 'eth1', '198.51.100.2', '198.51.100.2'],
  [['--iface-can-reach=203.0.114.1', '--iface=eth0'], 'eth0', '192.0.2.1', '192.0.2.1'],
];

test('the interface is the one that the flags name, and its address is what the lease says', {
  skip,
  timeout: 120_000,
}, async (t) => {
  const { nodes, record } = await labWith(t, { Backend: { Type: 'vxlan' } }, async (make) => {
    const [a, far] = [await makeNamespace(t, 'a'), await makeNamespace(t, 'far')];
    const ends = [['192.0.2.1/24'], ['198.51.100.1/24', '198.51.100.2/24']] as const;
    for (const [i, addresses] of ends.entries()) {
      const near = { namespace: a, device: `eth${i}`, addresses };
      await joinByVeth(near, { namespace: far, device: `far${i}` });
    }
    await a.ip('route', 'add', 'default', 'via', '198.51.100.9', 'metric', '200');
    await a.ip('route', 'add', 'default', 'via', '192.0.2.9', 'metric', '100');
    // The source of a route counts for --iface-can-reach.
    await a.ip('route', 'add', '203.0.113.0/24', 'via', '198.51.100.9', 'src', '198.51.100.2');
    await a.ip('route', 'add', 'unreachable', '203.0.114.0/24');
    return [make(a)] as const;
  });
  const [a] = nodes;
  a.iface = '';
  for (const [flags, name, address, publicIp] of cases) {
    await t.test(flags.join(' ') || 'no flag', async () => {
      a.run(flags);
      const { node } = await a.started();
      const lease = JSON.parse(await readFile(record(node.subnet.replace('/', '-')), 'utf8'));
      assert.equal(lease.PublicIP, publicIp);
      assert.ok(
        a.logged('info').includes(`Using interface with name ${name} and address ${address}`),
        a.logged('info').join('\n'),
      );
      assert.equal(await a.stop(), 0);
    });
  }
  await t.test('nothing that is there', async () => {
    const { code, line } = await a.fail(['--iface=nope0', '--iface-regex=^nope']);
    assert.equal(code, 1);
    assert.match(
      line,
      /^twill: no interface matches --iface=nope0 or --iface-regex=\^nope; interfaces here: /,
    );
  });
});
