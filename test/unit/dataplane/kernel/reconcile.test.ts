/** Reconcile against a model of the kernel's tables: what its steps make of it, and what they leave alone. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { classify, type KernelTables, type Territory } from '../../../../src/dataplane/kernel/classify.js';
import {
  type Entry,
  keyOf,
  RTPROT_BOOT,
  RTPROT_TWILL,
  sameEntry,
} from '../../../../src/dataplane/kernel/entry.js';
import {
  applied,
  reconcile,
  type Step,
  type WantedEntry,
} from '../../../../src/dataplane/kernel/reconcile.js';
import { peerEntries } from '../../../../src/dataplane/kernel/wanted.js';
import type { Route } from '../../../../src/native/netlink.js';
import { IpAddress } from '../../../../src/net/ip.js';
import { MacAddress } from '../../../../src/net/mac.js';
import { Prefix } from '../../../../src/net/prefix.js';
import { times } from '../../../support/properties.js';

const DEVICE = 7;
const ETH0 = 2;
const OTHER = 3;
const territory: Territory = {
  networks: [Prefix.parse('10.77.0.0/16'), Prefix.parse('fd00:77::/48')],
  devices: [DEVICE],
  aside: [],
  own: [Prefix.parse('10.77.1.0/24')],
};

/** The kernel's tables as it keeps them: more than one may stand under what we call a key. */
interface Model {
  routes: Route[];
  addresses: { index: number; address: IpAddress; length: number; scope: number; flags: number }[];
  neighbours: { index: number; address: IpAddress; mac: MacAddress; state: number }[];
  forwarding: { index: number; mac: MacAddress; endpoint: IpAddress | null; state: number; self: boolean }[];
}

function tablesOf({ routes, addresses, neighbours, forwarding }: Model): KernelTables {
  return {
    ...{ routes, addresses },
    neighbours: new Map([[DEVICE, neighbours.filter(({ index }) => index === DEVICE)]]),
    forwarding: new Map([[DEVICE, forwarding.filter(({ index }) => index === DEVICE)]]),
  };
}

const metric = ({ family }: { family: 4 | 6 }) => (family === 4 ? 0 : 1024);

/** As the kernel would; throws what it would refuse. */
function act(model: Model, { verb, entry }: Step): void {
  switch (entry.kind) {
    case 'route': {
      const isSame = (route: Route) =>
        route.destination?.equals(entry.destination) === true &&
        route.priority === metric(entry.destination) &&
        route.table === 254;
      if (verb === 'delete') {
        const at = model.routes.findIndex(
          (route) =>
            isSame(route) &&
            route.index === entry.index &&
            route.protocol === entry.protocol &&
            `${route.gateway}` === `${entry.gateway}`,
        );
        assert.ok(at >= 0, 'ESRCH');
        model.routes.splice(at, 1);
        return;
      }
      const made = {
        ...{ source: null, table: 254, priority: metric(entry.destination), type: 1, scope: 0 },
        ...{ destination: entry.destination, gateway: entry.gateway, index: entry.index },
        protocol: entry.protocol,
      };
      const at = model.routes.findIndex(isSame);
      if (verb === 'add') assert.equal(at, -1, 'EEXIST');
      if (at >= 0) model.routes.splice(at, 1, made);
      else model.routes.push(made);
      return;
    }
    case 'neighbour': {
      const rest = model.neighbours.filter(
        ({ index, address }) => index !== entry.index || !address.equals(entry.address),
      );
      model.neighbours = verb === 'delete' ? rest : [...rest, { ...entry, state: 0x80 }];
      return;
    }
    case 'forwarding': {
      const rest = model.forwarding.filter(
        ({ index, mac }) => index !== entry.index || !mac.equals(entry.mac),
      );
      model.forwarding = verb === 'delete' ? rest : [...rest, { ...entry, state: 0x80, self: true }];
      return;
    }
    case 'address': {
      const rest = model.addresses.filter(
        ({ index, address }) => index !== entry.index || !address.equals(entry.address),
      );
      model.addresses = verb === 'delete' ? rest : [...rest, { ...entry, scope: 0, flags: 0x80 }];
    }
  }
}

const small = fc.integer({ min: 2, max: 5 });
const v4 = (n: number) => Prefix.parse(`10.77.${n}.0/24`);
const v6 = (n: number) => Prefix.parse(`fd00:77:0:${n}::/64`);
const subnetOf = fc.tuple(small, fc.boolean()).map(([n, isV6]) => (isV6 ? v6(n) : v4(n)));
const outside = fc.constantFrom('192.0.2.0/24', '10.0.0.0/8', '0.0.0.0/1', '2001:db8::/32').map(Prefix.parse);
const macOf = small.map((n) => MacAddress.parse(`02:00:00:00:00:0${n}`));
const hostOf = (family: 4 | 6, n: number) =>
  IpAddress.parse(family === 4 ? `192.0.2.${n}` : `2001:db8::${n}`);
const foreignProtocol = fc.constantFrom(2, 4, 12, 16, 186);

const peers = fc
  .uniqueArray(fc.tuple(subnetOf, small, small), { selector: ([subnet]) => subnet.toString() })
  .map((rows) =>
    rows.map(([subnet, n, m]) => ({
      ...{
        subnet,
        mac: MacAddress.parse(
          `02:00:00:00:0${m}:${subnet.toString().replace(/\D/g, '').slice(-2).padStart(2, '0')}`,
        ),
      },
      endpoint: { address: hostOf(subnet.family, n), port: 8472 },
    })),
  )
  .map((rows) => [...new Map(rows.map((peer) => [peer.mac.toString(), peer])).values()]);

const routes: fc.Arbitrary<Route[]> = fc.array(
  fc
    .record({
      destination: fc.oneof(subnetOf, outside, fc.constant(v4(1))),
      hasGateway: fc.boolean(),
      n: small,
      index: fc.constantFrom(DEVICE, ETH0, OTHER),
      table: fc.constantFrom(254, 254, 254, 255, 100),
      isPlain: fc.boolean(),
      type: fc.constantFrom(1, 1, 1, 6),
      protocol: fc.oneof(fc.constantFrom(RTPROT_TWILL, RTPROT_BOOT), foreignProtocol),
    })
    .map(({ destination, hasGateway, n, isPlain, ...rest }) => ({
      ...{ ...rest, destination, source: null, scope: 0 },
      gateway: hasGateway ? hostOf(destination.family, n) : null,
      priority: isPlain ? metric(destination) : 50,
    })),
);
const models: fc.Arbitrary<Model> = fc.record({
  routes,
  addresses: fc.array(
    fc.record({
      index: fc.constantFrom(DEVICE, ETH0),
      address: fc.constantFrom('10.77.1.0', '10.77.9.0', '192.0.2.1', 'fe80::1').map(IpAddress.parse),
      length: fc.constant(32),
      scope: fc.constant(0),
      flags: fc.constant(0x80),
    }),
  ),
  neighbours: fc.array(
    fc.record({
      index: fc.constantFrom(DEVICE, ETH0),
      address: subnetOf.map(({ address }) => address),
      mac: macOf,
      state: fc.constantFrom(0x80, 0x02, 0x40),
    }),
  ),
  forwarding: fc.array(
    fc.record({
      index: fc.constantFrom(DEVICE, ETH0),
      mac: fc.oneof(macOf, fc.constant(MacAddress.parse('00:00:00:00:00:00'))),
      endpoint: fc.option(small.map((n) => hostOf(4, n))),
      state: fc.constantFrom(0x80, 0x02),
      self: fc.constant(true),
    }),
  ),
});

/** At most one entry under each of the kernel's own keys. */
function possible(model: Model): Model {
  const once = <T>(rows: readonly T[], key: (row: T) => string) => [
    ...new Map(rows.map((row) => [key(row), row])).values(),
  ];
  return {
    routes: once(model.routes, ({ destination, priority, table }) => `${destination} ${priority} ${table}`),
    addresses: once(model.addresses, ({ index, address }) => `${index} ${address}`),
    neighbours: once(model.neighbours, ({ index, address }) => `${index} ${address}`),
    forwarding: once(model.forwarding, ({ index, mac }) => `${index} ${mac}`),
  };
}

const text = (value: unknown) =>
  JSON.stringify(value, (_, part) =>
    part instanceof IpAddress || part instanceof Prefix || part instanceof MacAddress ? `${part}` : part,
  );

/** Nobody may touch these: they are outside our territory, or somebody else's. */
function foreignOf(model: Model, wanted: readonly WantedEntry[]): string[] {
  const keys = new Set(wanted.map(({ entry }) => keyOf(entry)));
  const isInside = ({ destination }: Route) =>
    destination !== null && territory.networks.some((network) => network.contains(destination));
  const routesOfOthers = model.routes.filter((route) => {
    const { destination, table, protocol, gateway, index, type, priority } = route;
    if (!isInside(route) || table !== 254 || !destination || v4(1).contains(destination)) return true;
    const isPlain = type === 1 && priority === metric(destination);
    if (protocol === RTPROT_TWILL) return !isPlain;
    if (protocol !== RTPROT_BOOT || !isPlain) return true;
    return index !== DEVICE && (!gateway || !keys.has(`route ${destination}`));
  });
  return [
    ...routesOfOthers,
    ...model.addresses.filter(({ index, address }) => index !== DEVICE || !`${address}`.startsWith('10.77.')),
    ...model.neighbours.filter(
      ({ index, state, address }) =>
        index !== DEVICE || (state !== 0x80 && !keys.has(`neighbour ${index} ${address}`)),
    ),
    ...model.forwarding.filter(
      ({ index, mac, endpoint, state }) =>
        index !== DEVICE ||
        ((mac.isZero || !endpoint || state !== 0x80) && !keys.has(`forwarding ${index} ${mac}`)),
    ),
  ].map(text);
}

const wantedOf = (
  rows: ReadonlyArray<Parameters<typeof peerEntries>[0]>,
  direct: readonly number[],
): WantedEntry[] => [
  {
    owner: null,
    entry: { kind: 'address', index: DEVICE, address: IpAddress.parse('10.77.1.0'), length: 32 },
  },
  ...rows.flatMap((peer) =>
    peerEntries(peer, {
      devices: new Map([
        [4, DEVICE],
        [6, DEVICE],
      ]),
      onLink: (address) => (direct.some((n) => address.equals(hostOf(address.family, n))) ? ETH0 : null),
    }),
  ),
];

describe('reconcile', () => {
  test('its steps lead to what is wanted, touch nothing of others, and then there are none', () =>
    fc.assert(
      fc.property(models, peers, fc.array(small), (found, rows, direct) => {
        const model = possible(found);
        const wanted = wantedOf(rows, direct);
        const foreign = foreignOf(model, wanted);
        const actual = classify(tablesOf(model), territory);
        const { steps, blocked } = reconcile(wanted, actual);
        for (const step of steps) act(model, step);

        const after = classify(tablesOf(model), territory);
        for (const { entry, owner } of wanted) {
          const there = after.ours.get(keyOf(entry));
          if (entry.kind === 'route' && blocked.has(owner ?? '')) continue;
          assert.ok(there && sameEntry(there, entry), `${keyOf(entry)} is as it is wanted`);
        }
        const keys = new Set(wanted.map(({ entry }) => keyOf(entry)));
        for (const key of after.ours.keys()) assert.ok(keys.has(key), `${key} is not left over`);
        const left = new Set(
          [...model.routes, ...model.addresses, ...model.neighbours, ...model.forwarding].map(text),
        );
        for (const one of foreign) assert.ok(left.has(one), `untouched: ${one}`);
        assert.deepEqual(reconcile(wanted, after).steps, [], 'a second time there is nothing to do');
        const known = (entries: Iterable<Entry>) => [...entries].map(text).sort();
        const guessed = applied(actual, steps);
        assert.deepEqual(
          [...guessed.ours.keys()].sort(),
          [...after.ours.keys()].sort(),
          'and what was known from the steps is what there is',
        );
        assert.deepEqual(known(guessed.doubles), known(after.doubles));
      }),
      times(500),
    ));

  test('a step for one peer does not depend on another: any of them may fail', () =>
    fc.assert(
      fc.property(models, peers, fc.array(fc.boolean()), (found, rows, fails) => {
        const model = possible(found);
        const wanted = wantedOf(rows, []);
        const { steps } = reconcile(wanted, classify(tablesOf(model), territory));
        const failed = steps.filter((_, i) => fails[i] === true);
        for (const step of steps) {
          if (failed.includes(step)) continue;
          try {
            act(model, step);
          } catch {
            // What had to go first is still there.
            failed.push(step);
          }
        }
        const again = reconcile(wanted, classify(tablesOf(model), territory)).steps;
        assert.deepEqual(again.map(text).sort(), failed.map(text).sort());
      }),
      times(300),
    ));
});

const route = (destination: string, gateway: string | null, index: number, protocol: number): Route => ({
  ...{ destination: Prefix.parse(destination), source: null, table: 254, priority: 0, type: 1, scope: 0 },
  ...{ gateway: gateway === null ? null : IpAddress.parse(gateway), index, protocol },
});
const tables = (...all: Route[]): KernelTables => ({
  ...{ routes: all, addresses: [], neighbours: new Map(), forwarding: new Map() },
});
const direct = (destination: string, gateway: string): WantedEntry => ({
  owner: destination,
  entry: {
    ...{ kind: 'route', destination: Prefix.parse(destination), gateway: IpAddress.parse(gateway) },
    ...{ index: ETH0, onlink: false, protocol: RTPROT_TWILL },
  },
});

test("flannel's route to a peer's subnet becomes ours in place; one of its to nobody's subnet stays, and is named", () => {
  const there = tables(
    route('10.77.2.0/24', '192.0.2.2', ETH0, RTPROT_BOOT),
    route('10.77.3.0/24', '192.0.2.9', ETH0, RTPROT_BOOT),
  );
  const { steps, blocked, foreign } = reconcile(
    [direct('10.77.2.0/24', '192.0.2.2')],
    classify(there, territory),
  );
  assert.deepEqual(
    steps.map(({ verb, entry }) => `${verb} ${keyOf(entry)}`),
    ['set route 10.77.2.0/24'],
  );
  assert.equal(blocked.size, 0);
  assert.deepEqual(foreign, ['route to 10.77.3.0/24 via 192.0.2.9']);
});

test('a route of a routing daemon in the place of ours blocks that peer alone, and is named', () => {
  const there = tables(route('10.77.2.0/24', '192.0.2.250', OTHER, 12));
  const wanted = [direct('10.77.2.0/24', '192.0.2.2'), direct('10.77.3.0/24', '192.0.2.3')];
  const { steps, blocked } = reconcile(wanted, classify(there, territory));
  assert.deepEqual(
    steps.map(({ entry }) => keyOf(entry)),
    ['route 10.77.3.0/24'],
  );
  assert.deepEqual([...blocked.keys()], ['10.77.2.0/24']);
  assert.match(
    blocked.get('10.77.2.0/24') ?? '',
    /^a route to 10\.77\.2\.0\/24 via 192\.0\.2\.250 of protocol 12 .* in the way/,
  );
});

test('what ours left is removed: the lease went while we were down', () => {
  const there = tables(
    route('10.77.2.0/24', '192.0.2.2', ETH0, RTPROT_TWILL),
    route('10.99.2.0/24', '192.0.2.2', ETH0, RTPROT_TWILL),
  );
  const { steps } = reconcile([], classify(there, territory));
  assert.deepEqual(
    steps.map(({ verb, entry }) => `${verb} ${keyOf(entry)}`),
    ['delete route 10.77.2.0/24'],
    'of our network',
  );
});

test('a peer that moves to another way or another MAC is never without one: what is new comes before what goes', () => {
  const peer = (mac: string) => ({
    ...{ subnet: v4(2), mac: MacAddress.parse(mac) },
    endpoint: { address: hostOf(4, 2), port: 8472 },
  });
  const model: Model = { routes: [], addresses: [], neighbours: [], forwarding: [] };
  for (const step of reconcile(
    wantedOf([peer('02:00:00:00:00:02')], []),
    classify(tablesOf(model), territory),
  ).steps)
    act(model, step);
  const verbs = (wanted: WantedEntry[]) =>
    reconcile(wanted, classify(tablesOf(model), territory)).steps.map(
      ({ verb, entry }) => `${verb} ${entry.kind}`,
    );
  assert.deepEqual(verbs(wantedOf([peer('02:00:00:00:00:09')], [])), [
    'set neighbour',
    'add forwarding',
    'delete forwarding',
  ]);
  const direct = wantedOf([peer('02:00:00:00:00:02')], [2]);
  assert.deepEqual(verbs(direct), ['set route', 'delete neighbour', 'delete forwarding']);
});
