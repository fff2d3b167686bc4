/**
 * What Prometheus reads under `/metrics`. The packet path counts by itself; here its counts are only read, all at one
 * moment for each reading. `docs/operations.md` explains every metric, and a test holds it to this table.
 */
import type { Metric, MetricType, Registry } from 'prom-client';
import type { Page } from './health-server.js';
import { type PeerCounts, PeerSeries, type PeerSeriesCounts, type PeerSeriesValues } from './peer-series.js';

export interface DirectionCounts {
  readonly received: number;
  readonly receivedBytes: number;
  readonly delivered: number;
  readonly deliveredBytes: number;
  readonly drops: { readonly [reason: string]: number };
}

export interface DataplaneSample {
  /** What seldom changes in a run: interface, addresses, subnet, device, backend. */
  readonly node: { readonly [label: string]: string };
  readonly mtuBytes: number;
  /** Read before the directions. null, here and below: nobody counts that. */
  readonly peerCounts: (PeerCounts & { readonly idleSeconds: (row: number) => number }) | null;
  readonly encap: DirectionCounts | null;
  readonly decap: DirectionCounts | null;
  readonly icmpSent: number | null;
  readonly icmpSuppressed: number | null;
  readonly peers: number;
  readonly generation: number;
  readonly quarantined: number;
  readonly workers: number | null;
  readonly poolSlots: number | null;
  readonly poolFree: number | null;
  readonly offloads: {
    readonly [name: string]: { readonly wanted: boolean; readonly active: boolean; readonly refused: number };
  };
  readonly checksum: string | null;
  /** How often something of ours in the kernel had to be put right. */
  readonly mended: number;
  /** Peers that are not reached as wanted. */
  readonly peersInTrouble: number;
  readonly deviceTrouble: boolean;
  /** The host's rules: not as wanted; how many deviations were mended. */
  readonly rulesTrouble: boolean;
  readonly rulesMended: number;
  /** How often another place on the underlay was taken. */
  readonly underlayMoves: number;
  readonly storeTrouble: boolean;
  /** null: nothing was read yet. */
  readonly storeAgeSeconds: number | null;
  /** null: it never ends (a reservation). */
  readonly leaseExpiresAtMs: number | null;
  readonly leaseRenewsAtMs: number | null;
}

export interface MetricsSample {
  readonly version: string;
  readonly nowMs: number;
  readonly isReady: boolean;
  readonly conditions: { readonly [name: string]: boolean };
  /** null: the agent is still starting. */
  readonly dataplane: DataplaneSample | null;
}

/** At most so many peers have series of their own. */
export const MOST_PEER_SERIES = 1000;

interface Value {
  readonly value: number;
  readonly labels: { readonly [label: string]: string };
}
type Read = (sample: MetricsSample) => readonly Value[];
interface Definition {
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  readonly read: Read;
}

const one = (value: number | null, labels: Value['labels'] = {}): Value[] =>
  value === null ? [] : [{ value, labels }];
const flag = (isSo: boolean): number => (isSo ? 1 : 0);
/** Nothing while the agent is starting. */
const started =
  (read: (dataplane: DataplaneSample, sample: MetricsSample) => readonly Value[]): Read =>
  (sample) =>
    sample.dataplane ? read(sample.dataplane, sample) : [];
const byDirection = (read: (counts: DirectionCounts) => number): Read =>
  started((sample) =>
    (['encap', 'decap'] as const).flatMap((direction) => {
      const counts = sample[direction];
      return counts ? one(read(counts), { direction }) : [];
    }),
  );
const byOffload = (read: (state: { wanted: boolean; active: boolean; refused: number }) => number): Read =>
  started(({ offloads }) =>
    Object.entries(offloads).map(([offload, state]) => ({ value: read(state), labels: { offload } })),
  );

/** Everything but the peers' series. */
const definitions: readonly Definition[] = [
  {
    name: 'twill_build_info',
    type: 'gauge',
    help: 'Always 1; version of Twill and of Node as labels',
    read: ({ version }) => one(1, { version, node_version: process.version }),
  },
  {
    name: 'twill_node_info',
    type: 'gauge',
    help: 'Always 1; what this node is as labels',
    read: started(({ node }) => one(1, node)),
  },
  {
    name: 'twill_ready',
    type: 'gauge',
    help: 'Whether this node carries the traffic of its pods, as /readyz says',
    read: ({ isReady }) => one(flag(isReady)),
  },
  {
    name: 'twill_ready_condition',
    type: 'gauge',
    help: 'Whether this condition of readiness holds',
    read: ({ conditions }) =>
      Object.entries(conditions).map(([condition, holds]) => ({ value: flag(holds), labels: { condition } })),
  },
  {
    name: 'twill_received_packets_total',
    type: 'counter',
    help: 'Packets that the packet path was handed',
    read: byDirection(({ received }) => received),
  },
  {
    name: 'twill_received_bytes_total',
    type: 'counter',
    help: 'Bytes of those: of inner packets (encap), of datagram payloads (decap)',
    read: byDirection(({ receivedBytes }) => receivedBytes),
  },
  {
    name: 'twill_delivered_packets_total',
    type: 'counter',
    help: 'Packets that the other side took',
    read: byDirection(({ delivered }) => delivered),
  },
  {
    name: 'twill_delivered_bytes_total',
    type: 'counter',
    help: 'Bytes of those, of inner packets',
    read: byDirection(({ deliveredBytes }) => deliveredBytes),
  },
  {
    name: 'twill_dropped_packets_total',
    type: 'counter',
    help: 'Packets that ended early, by the reason',
    read: started(({ encap, decap }) =>
      Object.entries({ encap, decap }).flatMap(([direction, counts]) =>
        Object.entries(counts?.drops ?? {}).map(([reason, value]) => ({
          value,
          labels: { direction, reason },
        })),
      ),
    ),
  },
  {
    name: 'twill_icmp_errors_sent_total',
    type: 'counter',
    help: 'ICMP errors sent into the overlay',
    read: started(({ icmpSent }) => one(icmpSent)),
  },
  {
    name: 'twill_icmp_errors_suppressed_total',
    type: 'counter',
    help: 'ICMP errors held back by the rate limit',
    read: started(({ icmpSuppressed }) => one(icmpSuppressed)),
  },
  {
    name: 'twill_peers',
    type: 'gauge',
    help: 'Rows of the peer table',
    read: started(({ peers }) => one(peers)),
  },
  {
    name: 'twill_table_generation',
    type: 'gauge',
    help: 'How often the peer table has changed',
    read: started(({ generation }) => one(generation)),
  },
  {
    name: 'twill_quarantined_records',
    type: 'gauge',
    help: 'Records of the store that cannot become peers',
    read: started(({ quarantined }) => one(quarantined)),
  },
  {
    name: 'twill_peers_in_trouble',
    type: 'gauge',
    help: 'Peers that the kernel cannot be told to reach as wanted; status names them',
    read: started(({ peersInTrouble }) => one(peersInTrouble)),
  },
  {
    name: 'twill_mended_total',
    type: 'counter',
    help: 'How often a device, address, route or entry of ours had been changed by others and was put right',
    read: started(({ mended }) => one(mended)),
  },
  {
    name: 'twill_store_trouble',
    type: 'gauge',
    help: 'Whether the store cannot be followed now; peers stay as they are',
    read: started(({ storeTrouble }) => one(flag(storeTrouble))),
  },
  {
    name: 'twill_store_age_seconds',
    type: 'gauge',
    help: 'Since the store was last read in full',
    read: started(({ storeAgeSeconds }) => (storeAgeSeconds === null ? [] : one(storeAgeSeconds))),
  },
  {
    name: 'twill_lease_expiry_timestamp_seconds',
    type: 'gauge',
    help: 'When the lease of this node ends unless it is renewed; +Inf: never',
    read: started(({ leaseExpiresAtMs }) => one(seconds(leaseExpiresAtMs))),
  },
  {
    name: 'twill_lease_renewal_timestamp_seconds',
    type: 'gauge',
    help: 'When the lease of this node is renewed next; +Inf: never',
    read: started(({ leaseRenewsAtMs }) => one(seconds(leaseRenewsAtMs))),
  },
  {
    name: 'twill_lease_reservation',
    type: 'gauge',
    help: 'Whether the lease of this node never ends',
    read: started(({ leaseExpiresAtMs }) => one(flag(leaseExpiresAtMs === null))),
  },
  {
    name: 'twill_device_trouble',
    type: 'gauge',
    help: 'Whether the device carries nothing although it should',
    read: started(({ deviceTrouble }) => one(flag(deviceTrouble))),
  },
  {
    name: 'twill_rules_trouble',
    type: 'gauge',
    help: "Whether the host's rules are not as they should be, or cannot be looked at",
    read: started(({ rulesTrouble }) => one(flag(rulesTrouble))),
  },
  {
    name: 'twill_rules_mended_total',
    type: 'counter',
    help: "Deviations of the host's rules that were put right",
    read: started(({ rulesMended }) => one(rulesMended)),
  },
  {
    name: 'twill_underlay_moves_total',
    type: 'counter',
    help: 'How often the interface below us, its address or its MTU was followed to another one',
    read: started(({ underlayMoves }) => one(underlayMoves)),
  },
  {
    name: 'twill_device_mtu_bytes',
    type: 'gauge',
    help: 'MTU of the device',
    read: started(({ mtuBytes }) => one(mtuBytes)),
  },
  {
    name: 'twill_offload_wanted',
    type: 'gauge',
    help: 'Whether --offload asks for this offload of the kernel',
    read: byOffload(({ wanted }) => flag(wanted)),
  },
  {
    name: 'twill_offload_active',
    type: 'gauge',
    help: 'Whether this offload of the kernel is in use',
    read: byOffload(({ active }) => flag(active)),
  },
  {
    name: 'twill_offload_refused_total',
    type: 'counter',
    help: 'How often the kernel refused this offload; what was refused then went without it',
    read: byOffload(({ refused }) => refused),
  },
  {
    name: 'twill_checksum_info',
    type: 'gauge',
    help: 'Always 1; how this processor sums checksums as label',
    read: started(({ checksum }) => (checksum === null ? [] : one(1, { kind: checksum }))),
  },
  {
    name: 'twill_workers',
    type: 'gauge',
    help: 'Threads of the packet path',
    read: started(({ workers }) => one(workers)),
  },
  {
    name: 'twill_pool_slots',
    type: 'gauge',
    help: 'Packet slots of the pool',
    read: started(({ poolSlots }) => one(poolSlots)),
  },
  {
    name: 'twill_pool_free_slots',
    type: 'gauge',
    help: 'Packet slots that nobody holds; none left: nothing can be received',
    read: started(({ poolFree }) => one(poolFree)),
  },
];

interface PeerDefinition {
  readonly name: string;
  readonly help: string;
  readonly what: 'Packets' | 'Bytes' | 'Drops';
}
const OTHER = `the busiest ${MOST_PEER_SERIES} peers by their subnet, all else as "other"`;
const peerDefinitions: readonly PeerDefinition[] = [
  {
    name: 'twill_peer_packets_total',
    what: 'Packets',
    help: `Packets delivered to and from a peer: ${OTHER}`,
  },
  { name: 'twill_peer_bytes_total', what: 'Bytes', help: `Bytes of inner packets delivered, likewise` },
  {
    name: 'twill_peer_dropped_packets_total',
    what: 'Drops',
    help: 'Packets to and from a peer that ended early, likewise',
  },
];
const LAST_PACKET = 'twill_peer_last_packet_timestamp_seconds';

export class Metrics {
  readonly #registry: Registry;
  readonly #source: () => MetricsSample;
  readonly #peers = new PeerSeries(MOST_PEER_SERIES);
  /** Of the reading under way. */
  #sample: MetricsSample;
  #peerValues: PeerSeriesValues | null = null;

  private constructor(registry: Registry, source: () => MetricsSample) {
    this.#registry = registry;
    this.#source = source;
    this.#sample = source();
    for (const { read, ...definition } of definitions) this.#register(definition, () => read(this.#sample));
    for (const { name, help, what } of peerDefinitions)
      this.#register({ name, help, type: 'counter' }, () => this.#readPeers(what));
    const help = 'When the last packet from a peer was delivered, of those with series of their own';
    this.#register({ name: LAST_PACKET, help, type: 'gauge' }, () => this.#readLastPackets());
  }

  /** Loads the library, which nobody needs who asks for no metrics. */
  static async open(source: () => MetricsSample): Promise<Metrics> {
    const { collectDefaultMetrics, Registry: NewRegistry } = await import('prom-client');
    const registry = new NewRegistry();
    collectDefaultMetrics({ register: registry });
    return new Metrics(registry, source);
  }

  /** In their order, those of the process too. */
  get names(): readonly string[] {
    return this.#registry.getMetricsAsArray().map(({ name }) => name);
  }

  /** One reading. */
  async page(): Promise<Page> {
    this.#sample = this.#source();
    const { peerCounts, encap, decap } = this.#sample.dataplane ?? {};
    this.#peerValues =
      peerCounts && encap && decap ? this.#peers.update(peerCounts, totalsOf({ encap, decap })) : null;
    return { contentType: this.#registry.contentType, text: await this.#registry.metrics() };
  }

  /** A metric of the library is anything with a name that answers `get`. */
  #register(
    definition: { name: string; help: string; type: 'counter' | 'gauge' },
    read: () => readonly Value[],
  ) {
    const metric = {
      ...definition,
      get: async () => ({ ...definition, type: definition.type as unknown as MetricType, values: read() }),
      reset: () => {},
    };
    this.#registry.registerMetric(metric as unknown as Metric);
  }

  #readPeers(what: PeerDefinition['what']): Value[] {
    if (!this.#peerValues) return [];
    const { series, other } = this.#peerValues;
    const values: Value[] = [];
    for (const direction of ['encap', 'decap'] as const) {
      const column = `${direction}${what}` as const;
      for (const { peer, counts } of series)
        values.push({ value: counts[column], labels: { direction, peer } });
      values.push({ value: other[column], labels: { direction, peer: 'other' } });
    }
    return values;
  }

  #readLastPackets(): Value[] {
    const { nowMs } = this.#sample;
    const peerCounts = this.#sample.dataplane?.peerCounts;
    if (!peerCounts) return [];
    return (this.#peerValues?.series ?? []).flatMap(({ peer, row }) => {
      const idleSeconds = peerCounts.idleSeconds(row);
      if (!Number.isFinite(idleSeconds)) return [];
      return one(Math.round(nowMs - idleSeconds * 1000) / 1000, { peer });
    });
  }
}

function totalsOf({
  encap,
  decap,
}: {
  readonly encap: DirectionCounts;
  readonly decap: DirectionCounts;
}): PeerSeriesCounts {
  const drops = (counts: DirectionCounts) =>
    Object.values(counts.drops).reduce((sum, count) => sum + count, 0);
  return {
    ...{ encapPackets: encap.delivered, encapBytes: encap.deliveredBytes, encapDrops: drops(encap) },
    ...{ decapPackets: decap.delivered, decapBytes: decap.deliveredBytes, decapDrops: drops(decap) },
  };
}

function seconds(atMs: number | null): number {
  return atMs === null ? Number.POSITIVE_INFINITY : atMs / 1000;
}
