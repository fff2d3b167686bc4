/** `twill top` by a terminal that remembers; the real one is in test/netns/observability.test.ts. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Terminal } from '../../../src/cli/terminal.js';
import { runTop } from '../../../src/cli/top.js';
import { bitRateText, countText, renderTop, type TopView } from '../../../src/cli/top-screen.js';
import type { Json } from '../../../src/net/json.js';
import { ControlServer } from '../../../src/observe/control-socket.js';
import { until } from '../agent/fakes.js';

const flow = (packetsPerSecond: number | null, dropsPerSecond: number | null = 0) => ({
  ...{ packets: 10, bytes: 4096, drops: 2, packetsPerSecond, dropsPerSecond },
  bytesPerSecond: packetsPerSecond === null ? null : packetsPerSecond * 125,
});
const row = (n: number, more: { [key: string]: Json } = {}) => ({
  subnet: `10.5.${n}.0/24`,
  endpoint: { address: `192.0.2.${n}`, port: 8472 },
  ...{ encap: flow(n * 1000), decap: flow(n), idleSeconds: n, ...more },
});
const traffic = {
  node: { subnet: '10.5.1.0/24', device: 'flannel.1' },
  ...{ seconds: 1.02, encap: flow(1_234_567), decap: flow(0, 3), peers: 40 },
  drops: [
    { direction: 'decap', reason: 'src_mismatch', packets: 9, packetsPerSecond: 3 },
    { direction: 'encap', reason: 'no_route', packets: 9, packetsPerSecond: 0 },
  ],
  rows: [row(2), row(30, { idleSeconds: null, decap: flow(0, 1500) })],
};
const view: TopView = {
  ...{ order: 'bytes', isPaused: false, trouble: null, isColoured: false, isLive: true },
  ...{ columns: 100, rows: 12 },
};

test('a picture of the size of the screen, all that matters in it', () => {
  assert.deepEqual(renderTop(traffic, view), [
    'twill top  10.5.1.0/24 on flannel.1   over 1.0 s',
    'out (encap)    1.2 Gbit/s    1.2M pkt/s       0 drops/s    4.0 KiB in all',
    'in (decap)        0 bit/s       0 pkt/s       3 drops/s    4.0 KiB in all',
    'dropping: decap src_mismatch 3/s',
    '',
    'PEER          ENDPOINT                  OUT  OUT PKT/S            IN   IN PKT/S  DROPS/S       HEARD',
    '10.5.2.0/24   192.0.2.2:8472     2.0 Mbit/s       2.0k    2.0 kbit/s          2        0     2 s ago',
    '10.5.30.0/24  192.0.2.30:8472   30.0 Mbit/s      30.0k       0 bit/s          0     1.5k       never',
    '',
    '',
    '',
    '40 peers by bytes   q quit  s sort  p pause',
  ]);
});

test('whatever the size, nothing is longer or higher than the screen, and peers come before everything else', () => {
  for (const isColoured of [true, false]) {
    for (let columns = 1; columns < 140; columns += 3) {
      for (let rows = 1; rows < 30; rows += 2) {
        const lines = renderTop(traffic, { ...view, columns, rows, isColoured });
        assert.equal(lines.length, rows);
        for (const line of lines) {
          // biome-ignore lint/suspicious/noControlCharactersInRegex: exactly these are meant
          const plain = line.replace(/\x1b\[\d+m/g, '');
          assert.ok(plain.length <= columns, `${columns}: ${plain}`);
          if (!isColoured) assert.equal(plain, line);
        }
      }
    }
  }
  const narrow = renderTop(traffic, { ...view, columns: 52, rows: 8 });
  assert.ok(
    narrow.some((line) => /^10\.5\.2\.0\/24 +2\.0 Mbit\/s +2\.0 kbit\/s +0$/.test(line)),
    narrow.join('\n'),
  );
});

test('no peers, a first look, an agent that tells less, and names that would steer the terminal', () => {
  assert.ok(renderTop({ ...traffic, rows: [], peers: 0 }, view).includes('no peers'));
  const first = {
    ...traffic,
    seconds: 0,
    encap: flow(null, null),
    rows: [row(2, { encap: flow(null, null) })],
  };
  assert.match(renderTop(first, view).join('\n'), /first look: rates follow[\s\S]* - drops\/s/);
  for (const less of [null, {}, { rows: [{}, null] }]) assert.doesNotThrow(() => renderTop(less, view));
  const hostile = {
    ...traffic,
    node: { subnet: '\x1b[2J', device: '\r\n' },
    rows: [row(2, { subnet: '\x1b]0;x\x07' })],
  };
  // biome-ignore lint/suspicious/noControlCharactersInRegex: exactly these are meant
  assert.doesNotMatch(renderTop(hostile, view).join('\n'), /[\x1b\r\x07]/);
  assert.match(renderTop(traffic, { ...view, trouble: 'no agent\nlistens' })[0] ?? '', /no agent\?listens/);
});

test('numbers stay short', () => {
  assert.deepEqual([0, 999, 999.9, 1000, 1_234_567, 5e12].map(countText), [
    '0',
    '999',
    '1000',
    '1.0k',
    '1.2M',
    '5000.0G',
  ]);
  assert.deepEqual([0, 8, 12_345, 9.4e8, 1e10].map(bitRateText), [
    '0 bit/s',
    '8 bit/s',
    '12.3 kbit/s',
    '940.0 Mbit/s',
    '10.0 Gbit/s',
  ]);
});

test('keys: sort by the next, hold the picture, end; an agent that goes away is told, and the look goes on', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'twill-top-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const path = join(directory, 'c.sock');
  const asked: string[] = [];
  const listen = () =>
    ControlServer.listen(path, {
      traffic: (params) => {
        asked.push((params as { order: string }).order);
        return { ...traffic, seconds: asked.length };
      },
    });
  let server = await listen();
  t.after(() => server.close());
  let press: (key: string) => void = () => {};
  const pictures: string[] = [];
  let isClosed = false;
  const terminal: Terminal = {
    open: (onKey) => {
      press = onKey;
      return {
        size: () => ({ columns: 80, rows: 24 }),
        draw: (lines) => pictures.push(lines.join('\n')),
        close: () => {
          isClosed = true;
        },
      };
    },
  };
  const io = { stdout: () => {}, stderr: () => {}, env: {}, signal: new AbortController().signal };
  const running = runTop([`--control-socket=${path}`], io, terminal);
  const last = () => pictures.at(-1) ?? '';
  await until('a picture', () => pictures.length > 0);
  press('s');
  await until('the next order', () => asked.at(-1) === 'packets' && last().includes('by packets'));
  press('p');
  await until('held', () => last().includes('paused'));
  const before = asked.length;
  press('s');
  press('x');
  press(' ');
  await until('it goes on', () => asked.length > before && !last().includes('paused'));
  assert.equal(asked.at(-1), 'packets', 'a held picture is not sorted anew');
  await server.close();
  await until('told', () => last().includes('no agent listens'));
  server = await listen();
  await until('it is back', () => !last().includes('no agent listens'));
  press('q');
  assert.equal(await running, 0);
  assert.ok(isClosed);
});
