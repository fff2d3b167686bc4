/** Whatever an API server does to a list or a watch: nothing is lost, nothing goes that is there, and it is not asked to death. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeApiServer } from '../support/kube/api-server.js';
import {
  flannelPlan,
  followedKube,
  kubeOptionsFor,
  openKubeStore,
  PREFIX,
  startServer,
} from '../support/kube/followed.js';
import { until } from '../support/namespaces.js';

function fill(server: KubeApiServer, count: number): void {
  for (let i = 1; i <= count; i++) server.state.addNode(`n${String(i).padStart(5, '0')}`, flannelPlan(i));
}
const count = (server: KubeApiServer, what: string) =>
  server.asked.filter(({ verb, resource }) => `${verb} ${resource}` === what).length;

test('a list comes in pages; one whose pages are gone begins anew, at last without pages', async (t) => {
  const server = await startServer(t);
  fill(server, 1201);
  const store = await openKubeStore(t, await kubeOptionsFor(t, server));
  assert.equal((await store.list()).records.length, 1201);
  assert.deepEqual(
    server.asked.map(({ query }) => query['limit']),
    ['500', '500', '500'],
  );
  server.asked.length = 0;
  server.setFaults({ lostPages: 2 });
  assert.equal((await store.list()).records.length, 1201);
  assert.equal(server.asked.length, 2 + 2 + 3);
  server.asked.length = 0;
  server.setFaults({ lostPages: 99 });
  assert.equal((await store.list()).records.length, 1201);
  assert.equal(server.asked.at(-1)?.query['limit'], undefined);
  server.setFaults({ ignoresLimit: true });
  assert.equal((await store.list()).records.length, 1201);
});

test('a list that breaks off is no list', async (t) => {
  const server = await startServer(t);
  fill(server, 40);
  const followed = await followedKube(t, await kubeOptionsFor(t, server));
  await until('40 leases', async () => followed.last?.records.length === 40);
  for (const afterBytes of [0, 1, 100, 5000, 20_000]) {
    server.setFaults({ cutList: { afterBytes, times: 1 } });
    await assert.rejects(followed.store.list(), { code: 'ERR_TWILL_STORE_UNAVAILABLE' }, `${afterBytes}`);
    assert.equal((await followed.store.list()).records.length, 40);
  }
  assert.equal(followed.last?.records.length, 40);
});

test('watches that are closed go on where they stopped, without a list', async (t) => {
  const server = await startServer(t);
  fill(server, 3);
  server.setFaults({ watchLastsMs: 150 });
  const followed = await followedKube(t, await kubeOptionsFor(t, server));
  await until('three', async () => followed.last?.records.length === 3);
  for (let i = 4; i <= 40; i++) {
    server.state.addNode(`n${i}`, flannelPlan(i));
    if (i % 3 === 0) server.state.deleteNode(`n${i}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const expected = server.state.nodes().length;
  await until(`${expected} of them`, async () => followed.last?.records.length === expected);
  assert.equal(count(server, 'list nodes'), 1);
  assert.ok(count(server, 'watch nodes') > 2);
  assert.deepEqual(followed.troubles, []);
});

for (const refusesOldWatch of [false, true]) {
  test(`history that is gone (410 ${refusesOldWatch ? 'as the status' : 'within the watch'}): listed afresh, by content`, async (t) => {
    const server = await startServer(t);
    fill(server, 5);
    const followed = await followedKube(t, await kubeOptionsFor(t, server));
    await until('five', async () => followed.last?.records.length === 5);
    await until('a watch', async () => server.watches === 1);
    await server.stop();
    server.state.deleteNode('n00001');
    server.state.annotate('n00002', { [`${PREFIX}public-ip`]: '192.168.7.7' });
    server.state.addNode('n00006', flannelPlan(6));
    server.state.compact();
    server.setFaults({ refusesOldWatch });
    await server.start();
    await until('all three changes', async () => {
      const keys = followed.keys.split(' ');
      return (
        !keys.includes('10.100.1.0-24') &&
        keys.includes('10.100.6.0-24') &&
        followed.value('10.100.2.0-24')?.includes('192.168.7.7') === true
      );
    });
    await until('no trouble', async () => followed.trouble === null);
  });
}

test('a server that is away: one line, what is known stays, and within two seconds of its return all is known', async (t) => {
  const server = await startServer(t);
  fill(server, 5);
  const followed = await followedKube(t, await kubeOptionsFor(t, server));
  await until('five', async () => followed.last?.records.length === 5);
  await server.stop();
  await until('the trouble', async () => followed.trouble !== null);
  assert.match(
    followed.trouble ?? '',
    /^cannot reach the API server at http:\/\/127\.0\.0\.1:\d+: connect ECONNREFUSED/,
  );
  server.state.deleteNode('n00005');
  await new Promise((resolve) => setTimeout(resolve, 3000));
  assert.equal(followed.last?.records.length, 5);
  await server.start();
  const backMs = performance.now();
  await until('the change', async () => followed.last?.records.length === 4);
  t.diagnostic(`${Math.round(performance.now() - backMs)} ms after its return`);
  assert.deepEqual(followed.troubles.filter((line) => line !== null).length, 1, followed.troubles.join('\n'));
  assert.equal(
    count(server, 'list nodes'),
    2,
    'the first, and a small one that asks whether it is the same server',
  );
});

test('a server whose history is an older one (etcd was restored) is noticed', async (t) => {
  const server = await startServer(t);
  fill(server, 5);
  const then = server.state.version;
  for (let i = 0; i < 50; i++) server.state.heartbeat('n00001');
  const followed = await followedKube(t, await kubeOptionsFor(t, server));
  await until('five', async () => followed.last?.records.length === 5);
  await until('a watch', async () => server.watches === 1);
  await server.stop();
  server.state.deleteNode('n00005');
  server.state.turnBack(then);
  await server.start();
  await until('four', async () => followed.last?.records.length === 4);
  server.state.addNode('n7', flannelPlan(7));
  await until('five again', async () => followed.last?.records.length === 5);
});

test('a watch that falls silent is begun anew, and one that is answered by silence is a trouble', async (t) => {
  const server = await startServer(t, { bookmarkEachMs: 60_000 });
  fill(server, 2);
  const followed = await followedKube(t, await kubeOptionsFor(t, server), { silentAtMostMs: 400 });
  await until('two', async () => followed.last?.records.length === 2);
  await until('a watch', async () => server.watches === 1);
  // Half open: the connection stands, and nothing comes.
  server.setFaults({ isDeaf: true });
  server.state.addNode('n3', flannelPlan(3));
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.equal(followed.last?.records.length, 2);
  server.setFaults({});
  await until('three', async () => followed.last?.records.length === 3);
  assert.equal(count(server, 'list nodes'), 1);
  server.setFaults({ isSilent: true });
  await until('the trouble', async () => /no answer within 10 s$/.test(followed.trouble ?? ''), 30_000);
  server.setFaults({});
  await until('no trouble', async () => followed.trouble === null);
});

test('a server that refuses is asked seldom, and the line names what it refuses', async (t) => {
  const server = await startServer(t);
  fill(server, 2);
  server.setFaults({ forbidden: ['watch nodes'] });
  const followed = await followedKube(t, await kubeOptionsFor(t, server));
  await until('the trouble', async () => followed.trouble !== null);
  assert.match(
    followed.trouble ?? '',
    /does not let us watch nodes \(403 Forbidden nodes is forbidden: User "system:anonymous" cannot watch resource "nodes".*\): the role of our service account must allow it$/,
  );
  assert.equal(followed.last?.records.length, 2, 'what could be listed is there');
  await new Promise((resolve) => setTimeout(resolve, 4000));
  assert.ok(count(server, 'watch nodes') <= 8, `${count(server, 'watch nodes')} in four seconds`);
});

test('429 and 503: asked again after as long as the server says', async (t) => {
  const server = await startServer(t);
  fill(server, 2);
  server.setFaults({ refuse: { what: 'list nodes', status: 429, retryAfterS: 2, times: 1 } });
  const beganMs = performance.now();
  const followed = await followedKube(t, await kubeOptionsFor(t, server));
  await until('two', async () => followed.last?.records.length === 2);
  assert.ok(performance.now() - beganMs >= 1990);
  assert.match(
    followed.troubles[0] ?? '',
    /does not list nodes \(429 Too Many Requests the server has refused/,
  );
  assert.equal(count(server, 'list nodes'), 2);
});

test('what comes that is no list and no event is a trouble, no more', async (t) => {
  const server = await startServer(t);
  const store = await openKubeStore(t, await kubeOptionsFor(t, { url: `${server.url}/elsewhere` }));
  await assert.rejects(store.list(), {
    code: 'ERR_TWILL_STORE',
    message: /does not list nodes \(404 Not Found/,
  });
});

test('closing ends everything that is under way', async (t) => {
  const server = await startServer(t);
  fill(server, 1);
  server.setFaults({ isSilent: true });
  const options = await kubeOptionsFor(t, server);
  const store = await openKubeStore(t, options);
  const stop = new AbortController();
  const listing = store.list(stop.signal);
  setTimeout(() => stop.abort(), 50);
  await assert.rejects(listing, { name: 'AbortError' });
  await store.close();
  await assert.rejects(store.list(), { code: 'ERR_TWILL_CLOSED' });
});
