import assert from 'node:assert/strict';
import { test } from 'node:test';
import { installedIptables } from '../../../src/firewall/iptables-choice.js';
import { FakeTools } from './fake-tools.js';

const EMPTY = '*filter\n:FORWARD ACCEPT [0:0]\nCOMMIT\n';
const OURS =
  '*nat\n-A POSTROUTING -m comment --comment "flanneld masq" -j FLANNEL-POSTRTG\n-A FLANNEL-POSTRTG -j RETURN\nCOMMIT\n';
const OTHERS = '*nat\n-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE\nCOMMIT\n';
const KUBELETS = '*mangle\n:KUBE-KUBELET-CANARY - [0:0]\nCOMMIT\n';

interface Host {
  /** What `iptables --version` says. */
  readonly usual?: string;
  readonly nft?: string;
  readonly legacy?: string;
  readonly isLegacyUsed?: boolean;
}

async function chosen({ usual, nft, legacy, isLegacyUsed = legacy !== undefined }: Host): Promise<string> {
  const programs: { [name: string]: () => string } = {};
  if (usual !== undefined) programs['iptables'] = () => usual;
  for (const [kind, listing] of Object.entries({ nft, legacy })) {
    if (listing === undefined) continue;
    for (const base of ['iptables', 'ip6tables']) {
      programs[`${base}-${kind}-save`] = () => listing;
      programs[`${base}-${kind}-restore`] = () => '';
    }
  }
  const installed = await installedIptables(new FakeTools(programs), () => isLegacyUsed);
  return installed.map(({ kind }) => kind).join(' ');
}

const NFT = 'iptables v1.8.9 (nf_tables)';
const LEGACY = 'iptables v1.8.9 (legacy)';

test('the only one that is installed', async () => {
  assert.equal(await chosen({}), '');
  assert.equal(await chosen({ usual: NFT, nft: EMPTY }), 'nft');
  assert.equal(await chosen({ usual: LEGACY, legacy: EMPTY }), 'legacy');
});

test('names without a kind, as before v1.8', async () => {
  const tools = new FakeTools({
    iptables: () => 'iptables v1.6.1',
    'iptables-save': () => '',
    'iptables-restore': () => '',
  });
  const [found] = await installedIptables(tools);
  assert.deepEqual(found, {
    kind: 'legacy',
    programs: { 4: { name: 'iptables-legacy', save: 'iptables-save', restore: 'iptables-restore' }, 6: null },
  });
});

test('both are there: where the rules of others are', async () => {
  assert.equal(await chosen({ usual: NFT, nft: EMPTY, legacy: OTHERS }), 'legacy nft');
  assert.equal(await chosen({ usual: LEGACY, nft: OTHERS, legacy: EMPTY }), 'nft legacy');
  assert.equal(await chosen({ usual: NFT, nft: OTHERS, legacy: OURS }), 'nft legacy', 'ours do not count');
  assert.equal(
    await chosen({ usual: LEGACY, nft: OTHERS, legacy: OTHERS, isLegacyUsed: false }),
    'nft legacy',
  );
});

test("both or none hold rules: where the kubelet's chains are, else what the command is", async () => {
  assert.equal(await chosen({ usual: LEGACY, nft: KUBELETS, legacy: EMPTY }), 'nft legacy');
  assert.equal(await chosen({ usual: NFT, nft: EMPTY, legacy: KUBELETS }), 'legacy nft');
  assert.equal(await chosen({ usual: NFT, nft: EMPTY, legacy: EMPTY }), 'nft legacy');
  assert.equal(await chosen({ usual: LEGACY, nft: EMPTY, legacy: EMPTY }), 'legacy nft');
  assert.equal(await chosen({ usual: LEGACY, nft: OTHERS, legacy: OTHERS }), 'legacy nft');
});
