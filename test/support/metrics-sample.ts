/** A node that has something to tell about everything. */
import type { DataplaneSample, MetricsSample } from '../../src/observe/metrics.js';

const counts = {
  ...{ received: 10, receivedBytes: 1000, delivered: 7, deliveredBytes: 700 },
  drops: { no_route: 3, ttl_exceeded: 0 },
};

export function dataplaneSample(more: Partial<DataplaneSample> = {}): DataplaneSample {
  return {
    node: {
      ...{ interface: 'eth0', public_ip: '192.0.2.1', public_ipv6: '2001:db8::1' },
      ...{ subnet: '10.5.1.0/24', device: 'flannel.1', backend: 'vxlan' },
    },
    mtuBytes: 1450,
    peerCounts: { subnets: ['10.5.2.0/24'], get: (_, column) => column.length, idleSeconds: () => 2.5 },
    ...{ encap: counts, decap: { ...counts, drops: { vni: 3 } }, icmpSent: 1, icmpSuppressed: 2 },
    ...{ peers: 1, generation: 4, quarantined: 2, workers: 1, poolSlots: 8, poolFree: 7 },
    offloads: { 'udp-gso': { wanted: true, active: false, refused: 3 } },
    checksum: 'avx2',
    ...{
      deviceTrouble: false,
      underlayMoves: 5,
      rulesTrouble: false,
      rulesMended: 3,
      storeTrouble: true,
      storeAgeSeconds: 12.5,
    },
    ...{ mended: 5, peersInTrouble: 1 },
    ...{ leaseExpiresAtMs: 1_800_000_000_000, leaseRenewsAtMs: 1_799_996_400_000 },
    ...more,
  };
}

export function metricsSample(dataplane: DataplaneSample | null = dataplaneSample()): MetricsSample {
  const conditions = { lease: true, peers: dataplane !== null };
  return {
    ...{ version: '0.1.0', nowMs: 1_000_000, isReady: dataplane !== null, conditions, dataplane },
  };
}
