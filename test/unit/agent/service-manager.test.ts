import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ServiceManager, type ServiceManagerParts } from '../../../src/agent/service-manager.js';
import { notifySocket } from '../../support/notify-socket.js';
import { FakeClock, recordingLogger, until } from './fakes.js';

async function temporary(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'twill-notify-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** One that keeps what it would send. */
function recorded(env: { [name: string]: string | undefined }, parts: Partial<ServiceManagerParts> = {}) {
  const sent: string[] = [];
  const { logger, lines } = recordingLogger();
  const send = (_: string, message: Uint8Array) => {
    sent.push(Buffer.from(message).toString());
  };
  return { manager: new ServiceManager(env, { logger, send, pid: 7, ...parts }), sent, lines };
}

for (const kind of ['a path', 'an abstract name']) {
  test(`systemd hears in order that we are ready, reload and stop, at ${kind}`, async (t) => {
    const path = kind === 'a path' ? join(await temporary(t), 'notify') : `@twill-test-${process.pid}`;
    const { received } = await notifySocket(t, path);
    const { logger, lines } = recordingLogger();
    const manager = new ServiceManager({ NOTIFY_SOCKET: path }, { logger });
    manager.reloading(); // not before we are ready
    manager.status('not ready: peers\n and more');
    manager.ready();
    manager.ready();
    manager.reloading();
    manager.reloaded();
    manager.stopping();
    await until('all are there', () => received.length >= 5);
    const reloading = received[2] ?? '';
    assert.deepEqual(
      [...received],
      ['STATUS=not ready: peers and more', 'READY=1', reloading, 'READY=1', 'STOPPING=1'],
    );
    const [, micros] = /^RELOADING=1\nMONOTONIC_USEC=(\d+)$/.exec(reloading) ?? [];
    const nowMicros = Number(process.hrtime.bigint() / 1000n);
    assert.ok(Number(micros) <= nowMicros && Number(micros) > nowMicros - 60e6, reloading);
    assert.deepEqual(lines, []);
  });
}

test('without a service manager nothing is said, and its variables go either way', () => {
  const env = { NOTIFY_SOCKET: '/run/notify', WATCHDOG_USEC: '9', WATCHDOG_PID: '7', HOME: '/' };
  recorded(env);
  assert.deepEqual(env, { HOME: '/' });
  const { manager, sent } = recorded({ NOTIFY_SOCKET: '' });
  manager.ready();
  manager.stopping();
  assert.deepEqual(sent, []);
});

test('the watchdog hears twice in its time that we are alive, and nothing while we are not', async () => {
  const env = { NOTIFY_SOCKET: '/run/notify', WATCHDOG_USEC: '10000000', WATCHDOG_PID: '7' };
  const { manager, sent, lines } = recorded(env);
  const clock = new FakeClock();
  const stop = new AbortController();
  let isAlive = true;
  const watching = manager.watch(() => isAlive, clock, stop.signal);
  await clock.advance(20_000);
  assert.deepEqual(sent, Array(5).fill('WATCHDOG=1'));
  isAlive = false;
  await clock.advance(60_000);
  assert.equal(sent.length, 5);
  assert.deepEqual(lines, ['error: a worker does not turn: systemd will start us anew']);
  isAlive = true;
  await clock.advance(5000);
  assert.equal(sent.length, 6);
  stop.abort();
  await watching;
});

test('a watchdog of another process, or one that makes no sense, is none', async () => {
  for (const more of [{ WATCHDOG_PID: '8' }, { WATCHDOG_USEC: 'soon' }, { WATCHDOG_USEC: '0' }]) {
    const env = { NOTIFY_SOCKET: '/run/notify', WATCHDOG_USEC: '10000000', ...more };
    const { manager, sent } = recorded(env);
    await manager.watch(() => true, new FakeClock(), new AbortController().signal);
    assert.deepEqual(sent, [], JSON.stringify(more));
  }
});

test('a queue that is full is tried again, in order; a socket that is gone is one warning', async (t) => {
  const sent: string[] = [];
  let refusals = 3;
  const send = (_: string, message: Uint8Array) => {
    if (refusals-- > 0) throw Object.assign(new Error('full'), { errno: 11 });
    sent.push(Buffer.from(message).toString());
  };
  const { manager, lines } = recorded({ NOTIFY_SOCKET: '/run/notify' }, { send });
  // Its timers keep nothing alive.
  const alive = setInterval(() => {}, 1000);
  t.after(() => clearInterval(alive));
  manager.ready();
  manager.stopping();
  await until('both are sent', () => sent.length === 2);
  assert.deepEqual([sent, lines], [['READY=1', 'STOPPING=1'], []]);

  const { logger, lines: warnings } = recordingLogger();
  const gone = new ServiceManager({ NOTIFY_SOCKET: '/nonexistent/notify' }, { logger });
  gone.ready();
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? '', /^warn: systemd cannot be told anything: .*No such file or directory/);
  const tooLong = new ServiceManager({ NOTIFY_SOCKET: `/${'x'.repeat(200)}` }, { logger });
  tooLong.ready();
  assert.match(warnings[1] ?? '', /1 to 107 bytes/);
});
