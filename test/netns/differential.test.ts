/**
 * The same datagrams sent to an agent and to the kernel's vxlan device: what reaches a socket behind the one reaches it
 * behind the other, apart from what we refuse on purpose.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Namespace } from '../../src/lab/namespace.js';
import { type AgentNode, labWith, network, vxlanLease } from '../support/agent-node.js';
import { cannotRun, makeSegment } from '../support/namespaces.js';
import { udpPacket, vxlanPayload } from '../support/packets.js';
import { type Arrival, Probe } from '../support/probe.js';
import { type Site, startKernelSite } from '../support/sites.js';

const skip = await cannotRun();
const PORT = 9000;
/** Ours and the kernel's are the same site but for the endpoint, so that the very same bytes fit both. */
const own: Site = { subnets: ['10.77.1.0/24'], endpoint: '192.0.2.1', mac: '02:00:00:00:00:01' };
const kernel: Site = { ...own, endpoint: '192.0.2.2' };
const peer: Site = { subnets: ['10.77.9.0/24'], endpoint: '192.0.2.9', mac: '02:00:00:00:00:09' };
const stranger = '192.0.2.10';
/** The host takes in what is for it, by a route, and yet it is none of its addresses, which would be ours. */
const takenAddress = '10.99.0.1';

interface Case {
  readonly name: string;
  readonly payload: Uint8Array;
  readonly from?: string;
}

const text = 'probe';
const innerPacket = udpPacket({ source: '10.77.9.0', destination: '10.77.1.0', port: PORT, text });
const macs = { destinationMac: own.mac, sourceMac: peer.mac };
const good = vxlanPayload({ ...macs, inner: innerPacket });

/** A copy with these bytes in place of others. */
function changed(bytes: Uint8Array, at: number, ...values: number[]): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy.set(values, at);
  return copy;
}

/** Checks of the VXLAN header: the kernel's rules are ours. */
function headerCases(): Case[] {
  const cases: Case[] = [
    { name: 'good', payload: good },
    { name: 'padded as Ethernet pads', payload: Buffer.concat([good, Buffer.alloc(20)]) },
    { name: 'flag I clear', payload: changed(good, 0, 0) },
    { name: 'all flags', payload: changed(good, 0, 0xff) },
    { name: 'no bytes', payload: new Uint8Array() },
  ];
  for (const vni of [0, 2, 256, 65_536, 65_537, 0xffffff])
    cases.push({ name: `VNI ${vni}`, payload: vxlanPayload({ ...macs, vni, inner: innerPacket }) });
  // 39 bits: seven flags, three bytes, the last byte.
  for (let bit = 0; bit < 64; bit++) {
    const at = bit >> 3;
    const mask = 0x80 >> (bit & 7);
    if ((at === 0 && mask === 0x08) || (at >= 4 && at <= 6)) continue;
    const value = (good[at] ?? 0) | mask;
    cases.push({ name: `reserved bit ${bit}`, payload: changed(good, at, value) });
  }
  for (let length = 1; length < good.length; length++)
    cases.push({ name: `cut to ${length} bytes`, payload: good.subarray(0, length) });
  cases.push({
    name: 'from our own MAC',
    payload: vxlanPayload({ ...macs, sourceMac: own.mac, inner: innerPacket }),
  });
  for (const destinationMac of ['02:00:00:00:00:02', '00:00:00:00:00:00'])
    cases.push({
      name: `to MAC ${destinationMac}`,
      payload: vxlanPayload({ ...macs, destinationMac, inner: innerPacket }),
    });
  for (const etherType of [0x0005, 0x0806, 0x8100, 0x8847, 0x8863, 0x8864, 0x6558, 0x86dd])
    cases.push({
      name: `EtherType ${etherType.toString(16)}`,
      payload: vxlanPayload({ ...macs, etherType, inner: innerPacket }),
    });
  return cases;
}

/** What the kernel's IP layer checks behind its device, and our decapsulation before the TUN. */
function innerCases(): Case[] {
  const inner = (name: string, packet: Uint8Array): Case => ({
    name: `inner ${name}`,
    payload: vxlanPayload({ ...macs, etherType: 0x0800, inner: packet }),
  });
  const to = { destination: '10.77.1.0', port: PORT, text };
  return [
    inner('version 5', changed(innerPacket, 0, 0x55)),
    inner('version 6', changed(innerPacket, 0, 0x65)),
    inner('header of 16 bytes', changed(innerPacket, 0, 0x44)),
    inner('header longer than the packet', changed(innerPacket, 0, 0x4f)),
    inner('longer than its datagram', changed(innerPacket, 2, 0x05, 0xdc)),
    inner('shorter than its header', changed(innerPacket, 2, 0, 19)),
    inner('header checksum wrong', changed(innerPacket, 10, 0, 0)),
    inner('UDP checksum wrong', changed(innerPacket, 26, 0x12, 0x34)),
    inner('TTL 1', udpPacket({ ...to, source: '10.77.9.0', ttl: 1 })),
    inner('from 127.0.0.1', udpPacket({ ...to, source: '127.0.0.1' })),
    inner('from a multicast group', udpPacket({ ...to, source: '224.0.0.1' })),
    inner('from the receiver itself', udpPacket({ ...to, source: '10.77.1.0' })),
  ];
}

/** Let through by the kernel, refused by the source check: each has a name among the drop reasons. */
const onPurpose: readonly (Case & { readonly reason: string })[] = [
  { name: 'a host that is no peer', payload: good, from: stranger, reason: 'unknown_peer' },
  ...(
    [
      ['8.8.8.8', '10.77.1.0', 'src_mismatch'],
      ['10.77.200.1', '10.77.1.0', 'src_mismatch'],
      [stranger, '10.77.1.0', 'src_mismatch'],
      ['10.77.9.0', takenAddress, 'not_for_us'],
    ] as const
  ).map(([source, destination, reason]) => ({
    name: `from ${source} to ${destination}`,
    payload: vxlanPayload({ ...macs, inner: udpPacket({ source, destination, port: PORT, text }) }),
    reason,
  })),
];

/** Let through by the kernel where it learns nothing; no VTEP sends such frames, so ours never lets them. */
const neverOurs = [
  ...['ff:ff:ff:ff:ff:ff', '01:00:5e:00:00:01'].map((destinationMac) => ({
    name: `to MAC ${destinationMac}`,
    payload: vxlanPayload({ ...macs, destinationMac, inner: innerPacket }),
    reason: 'mac_destination',
  })),
  ...['00:00:00:00:00:00', 'ff:ff:ff:ff:ff:ff', '01:00:5e:00:00:01'].map((sourceMac) => ({
    name: `from MAC ${sourceMac}`,
    payload: vxlanPayload({ ...macs, sourceMac, inner: innerPacket }),
    reason: 'mac_source',
  })),
];

interface Stage {
  readonly agent: AgentNode;
  /** Whether each case reached the socket behind our agent, and behind the kernel's device. */
  outcomes(cases: readonly Case[]): Promise<{ ours: string[]; kernel: string[] }>;
}

async function stage(t: TestContext, flags: readonly string[]): Promise<Stage> {
  const lab = await labWith(t, { Backend: { Type: 'vxlan' } }, (make) =>
    makeSegment(t, [
      { label: 'ours', addresses: [`${own.endpoint}/24`] },
      { label: 'kernel', addresses: [`${kernel.endpoint}/24`] },
      { label: 'remote', addresses: [`${peer.endpoint}/24`, `${stranger}/24`] },
    ]).then(([a, k, remote]) => {
      assert.ok(a && k && remote);
      return { agent: make(a), kernel: k, remote };
    }),
  );
  const { nodes } = lab;
  await lab.writeRecord('10.77.1.0-24', vxlanLease(own.endpoint, own.mac));
  await lab.writeRecord('10.77.9.0-24', vxlanLease(peer.endpoint, peer.mac));
  nodes.agent.run(flags);
  const status = await nodes.agent.ready(1);
  assert.deepEqual([status.node.subnet, status.backend.mac], ['10.77.1.0/24', own.mac]);
  await startKernelSite(nodes.kernel, kernel, peer);
  await nodes.kernel.ip('route', 'add', network, 'dev', 'flannel.1');
  const ends = [
    { inside: nodes.agent.namespace, endpoint: own.endpoint },
    { inside: nodes.kernel, endpoint: kernel.endpoint },
  ];
  const wires = await Promise.all(ends.map(({ inside, endpoint }) => wire(inside, nodes.remote, endpoint)));
  const outcomes = async (cases: readonly Case[]) => {
    const [ours = [], theirs = []] = await Promise.all(wires.map((tryAll) => tryAll(cases)));
    return { ours, kernel: theirs };
  };
  return { agent: nodes.agent, outcomes };
}

/** Sends cases to one end, each followed by a good datagram whose arrival tells that the case is over. */
async function wire(inside: Namespace, remote: Namespace, endpoint: string) {
  await inside.ip('route', 'add', 'local', `${takenAddress}/32`, 'dev', 'lo');
  await inside.exec('sh', ['-c', 'for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 > $f; done']);
  // One socket, so that what arrives keeps its order.
  const listener = await Probe.start(inside, 'listen', String(PORT), '0.0.0.0');
  const senders = new Map<string, Probe>();
  for (const from of [peer.endpoint, stranger])
    senders.set(from, await Probe.start(remote, 'send', from, endpoint, '8472'));
  const end = { source: '10.77.9.0', destination: '10.77.1.0', port: PORT };
  return async (cases: readonly Case[]): Promise<string[]> => {
    const found: string[] = [];
    for (const [i, { name, payload, from = peer.endpoint }] of cases.entries()) {
      const marker = `end of ${i}`;
      const [sender, usual] = [senders.get(from), senders.get(peer.endpoint)];
      assert.ok(sender && usual);
      // Two senders keep no order between them.
      if (sender === usual) sender.send(payload);
      else await sender.sendNow(payload);
      usual.send(vxlanPayload({ ...macs, inner: udpPacket({ ...end, text: marker }) }));
      let hasArrived = false;
      for (;;) {
        const arrival = Buffer.from((await listener.next<Arrival>()).hex, 'hex').toString();
        if (arrival === marker) break;
        assert.equal(arrival, text, `${name}: what arrives is what was sent`);
        hasArrived = true;
      }
      found.push(`${name}: ${hasArrived ? 'arrives' : 'dropped'}`);
    }
    return found;
  };
}

test('without the source check we accept and refuse what the kernel does', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const { agent, outcomes } = await stage(t, ['--source-check=off']);
  const cases = [...headerCases(), ...innerCases(), ...onPurpose];
  const { ours, kernel: theirs } = await outcomes(cases);
  assert.deepEqual(ours, theirs);
  const arrived = theirs.filter((line) => line.endsWith('arrives'));
  assert.ok(arrived.length >= 8, arrived.join('\n'));
  const reserved = ours.filter((line) => /^reserved bit .*dropped$/.test(line));
  assert.equal(reserved.length, 39);
  const { counters, identity } = await agent.status();
  assert.equal(identity.decap, true);
  assert.equal(counters.decap.drops['reserved_bits'], 39 + 1, 'all 39, and all flags at once');
});

test('with the source check, and for MACs of no station, we refuse by name what the kernel accepts', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const { agent, outcomes } = await stage(t, []);
  const common = [...headerCases(), ...innerCases()];
  const agreed = await outcomes(common);
  assert.deepEqual(agreed.ours, agreed.kernel);
  const before = (await agent.status()).counters.decap.drops;
  const refused = [...onPurpose, ...neverOurs];
  const { ours, kernel: theirs } = await outcomes(refused);
  assert.deepEqual(
    theirs,
    refused.map(({ name }) => `${name}: arrives`),
  );
  assert.deepEqual(
    ours,
    refused.map(({ name }) => `${name}: dropped`),
  );
  const { counters, identity } = await agent.status();
  const counted = (reason: string) => (counters.decap.drops[reason] ?? 0) - (before[reason] ?? 0);
  for (const reason of new Set(refused.map((entry) => entry.reason)))
    assert.equal(counted(reason), refused.filter((entry) => entry.reason === reason).length, reason);
  assert.equal(identity.decap, true);
});
