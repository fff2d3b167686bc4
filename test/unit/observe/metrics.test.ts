/** `/metrics` as a monitor reads it. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { type DataplaneSample, Metrics, MOST_PEER_SERIES } from '../../../src/observe/metrics.js';
import { root } from '../../support/documents.js';
import { readExposition } from '../../support/exposition.js';
import { dataplaneSample, metricsSample } from '../../support/metrics-sample.js';

async function read(now: DataplaneSample | null) {
  const metrics = await Metrics.open(() => metricsSample(now));
  const { text, contentType } = await metrics.page();
  assert.match(contentType, /^text\/plain; version=0\.0\.4/);
  return readExposition(text);
}

test('every metric has help, type and the values of the moment', async () => {
  const { value } = await read(dataplaneSample());
  assert.equal(value('twill_delivered_packets_total', { direction: 'encap' }), 7);
  assert.equal(value('twill_received_bytes_total', { direction: 'decap' }), 1000);
  assert.equal(value('twill_dropped_packets_total', { direction: 'encap', reason: 'no_route' }), 3);
  assert.equal(value('twill_dropped_packets_total', { direction: 'encap', reason: 'ttl_exceeded' }), 0);
  assert.equal(value('twill_dropped_packets_total', { direction: 'decap', reason: 'vni' }), 3);
  assert.equal(value('twill_peer_packets_total', { direction: 'encap', peer: '10.5.2.0/24' }), 12);
  assert.equal(value('twill_peer_last_packet_timestamp_seconds', { peer: '10.5.2.0/24' }), 997.5);
  assert.equal(value('twill_store_age_seconds'), 12.5);
  assert.equal(value('twill_store_trouble'), 1);
  assert.equal(value('twill_lease_expiry_timestamp_seconds'), 1_800_000_000);
  assert.equal(value('twill_lease_renewal_timestamp_seconds'), 1_799_996_400);
  assert.equal(value('twill_lease_reservation'), 0);
  assert.equal(value('twill_offload_active', { offload: 'udp-gso' }), 0);
  assert.equal(value('twill_offload_refused_total', { offload: 'udp-gso' }), 3);
  assert.equal(value('twill_quarantined_records'), 2);
  assert.equal(value('twill_ready'), 1);
  assert.ok((value('process_resident_memory_bytes') ?? 0) > 1e6);
});

test('a reservation never ends; a store that was not read has no age', async () => {
  const { value } = await read(
    dataplaneSample({ leaseExpiresAtMs: null, leaseRenewsAtMs: null, storeAgeSeconds: null }),
  );
  assert.equal(value('twill_lease_expiry_timestamp_seconds'), Number.POSITIVE_INFINITY);
  assert.equal(value('twill_lease_reservation'), 1);
  assert.equal(value('twill_store_age_seconds'), undefined);
});

test('an agent that is still starting tells what there is', async () => {
  const { value, names } = await read(null);
  assert.equal(value('twill_build_info', { version: '0.1.0', node_version: process.version }), 1);
  assert.equal(value('twill_ready'), 0);
  assert.equal(value('twill_ready_condition', { condition: 'peers' }), 0);
  assert.equal(value('twill_ready_condition', { condition: 'lease' }), 1);
  assert.equal(value('twill_workers'), undefined);
  assert.ok(names.has('twill_workers'), 'help and type are there all the same');
});

test('whatever stands in a name cannot end its line or its quotes', async () => {
  const hostile = 'x"} 1\ntwill_ready 7\\';
  const { value } = await read(dataplaneSample({ node: { interface: hostile } }));
  assert.equal(value('twill_node_info', { interface: hostile }), 1);
  assert.equal(value('twill_ready'), 1);
});

test('ten thousand peers: a bounded number of series', async () => {
  const subnets = Array.from({ length: 10_000 }, (_, n) => `10.${n >> 8}.${n & 255}.0/24`);
  const huge = {
    received: 1e9,
    receivedBytes: 1e12,
    delivered: 1e9,
    deliveredBytes: 1e12,
    drops: { ecn: 1e6 },
  };
  const peerCounts = { subnets, get: (row: number) => row, idleSeconds: (row: number) => row };
  const { values, value } = await read(dataplaneSample({ peerCounts, encap: huge, decap: huge }));
  const packets = values.filter(({ name }) => name === 'twill_peer_packets_total');
  assert.equal(packets.length, 2 * (MOST_PEER_SERIES + 1));
  const out = packets.filter(({ labels }) => labels['direction'] === 'encap');
  assert.equal(
    out.reduce((sum, { value: n }) => sum + n, 0),
    1e9,
    'the rest is in "other"',
  );
  const busiest = { direction: 'encap', peer: subnets.at(-1) ?? '' };
  assert.equal(value('twill_peer_packets_total', busiest), 9999);
});

test('the library is loaded with the health port, not before', () => {
  const script = `
    const { createRequire } = await import('node:module');
    const loaded = () => Object.keys(createRequire(import.meta.url).cache ?? {}).some((path) => path.includes('prom-client'));
    const at = (path) => new URL(path, ${JSON.stringify(import.meta.url)}).href;
    await import(at('../../../src/cli/run.js'));
    const before = loaded();
    const { Metrics } = await import(at('../../../src/observe/metrics.js'));
    await Metrics.open(() => ({ conditions: {}, dataplane: null }));
    console.log(before, loaded());
    process.exit();`;
  const out = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
    cwd: root,
  });
  assert.equal(out, 'false true\n');
});
