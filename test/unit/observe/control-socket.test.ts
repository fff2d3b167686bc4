import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { TwillError } from '../../../src/errors.js';
import {
  type ControlHandlers,
  ControlServer,
  ControlStream,
  controlRequest,
  controlStream,
  JsonRows,
} from '../../../src/observe/control-socket.js';

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'twill-control-'));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

async function served(t: TestContext, path: string, handlers: ControlHandlers): Promise<ControlServer> {
  const server = await ControlServer.listen(path, handlers);
  t.after(() => server.close());
  return server;
}

test('one question, one answer; errors arrive as they were thrown', async (t) => {
  const path = join(await folder(t), 'run', 'c.sock');
  await served(t, path, {
    echo: (params) => ({ params }),
    fail: () => {
      throw new TwillError('ERR_TWILL_ADDRESS', 'no such address');
    },
    large: () => 'x'.repeat(1 << 20),
  });
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.deepEqual(await controlRequest(path, 'echo', { a: [1] }), { params: { a: [1] } });
  assert.equal(String(await controlRequest(path, 'large')).length, 1 << 20);
  await assert.rejects(controlRequest(path, 'fail'), {
    code: 'ERR_TWILL_ADDRESS',
    message: 'no such address',
  });
  await assert.rejects(controlRequest(path, 'constructor'), {
    message: /unknown method "constructor": there is echo, fail, large/,
  });
});

test('nonsense from a client harms nobody', async (t) => {
  const path = join(await folder(t), 'c.sock');
  await served(t, path, { ping: () => 'pong' });
  for (const nonsense of ['\n', '{\n', 'null\n', `${'x'.repeat(70_000)}`, '{"method":7}\n']) {
    const socket = connect(path);
    let answer = '';
    socket.setEncoding('utf8').on('data', (text) => {
      answer += text;
    });
    socket.write(nonsense);
    await once(socket, 'close');
    assert.match(answer, /"ERR_TWILL_CONTROL"/, JSON.stringify(nonsense.slice(0, 20)));
  }
  assert.equal(await controlRequest(path, 'ping'), 'pong');
});

test('a dead socket file is taken over, a living one and a plain file are not', async (t) => {
  const directory = await folder(t);
  const path = join(directory, 'c.sock');
  await served(t, path, { who: () => 'first' });
  await assert.rejects(ControlServer.listen(path, {}), {
    code: 'ERR_TWILL_CONTROL',
    message: /another agent listens on/,
  });
  assert.equal(await controlRequest(path, 'who'), 'first');

  const stale = join(directory, 'stale.sock');
  const { execFileSync } = await import('node:child_process');
  // Listens, then dies without a chance to clean up.
  const dying = `require('node:net').createServer().listen(${JSON.stringify(stale)}, () => process.kill(process.pid, 'SIGKILL'))`;
  assert.throws(() => execFileSync(process.execPath, ['-e', dying], { stdio: 'ignore' }));
  await served(t, stale, { who: () => 'second' });
  assert.equal(await controlRequest(stale, 'who'), 'second');

  const plain = join(directory, 'plain');
  await writeFile(plain, 'x');
  await assert.rejects(ControlServer.listen(plain, {}), {
    code: 'ERR_TWILL_CONTROL',
    message: /is no socket/,
  });
});

test('who asks where nobody answers is told so', async (t) => {
  const directory = await folder(t);
  await assert.rejects(controlRequest(join(directory, 'none'), 'x'), {
    code: 'ERR_TWILL_CONTROL',
    message: /no agent listens on .*twill run/,
  });
  await assert.rejects(controlRequest(`/${'x'.repeat(120)}`, 'x'), /at most 107 bytes/);
  const path = join(directory, 'slow');
  await served(t, path, { never: () => new Promise(() => {}) });
  await assert.rejects(controlRequest(path, 'never', null, 50), { message: /does not answer within 50 ms/ });
});

test('many rows come whole, in their order, while the agent goes on with other things', async (t) => {
  const path = join(await folder(t), 'c.sock');
  let turns = 0;
  let isDone = false;
  const turn = () => {
    turns += 1;
    if (!isDone) setImmediate(turn);
  };
  function* rows(count: number) {
    for (let n = 0; n < count; n++) yield { n, text: 'x'.repeat(100) };
  }
  await served(t, path, {
    rows: (count) => new JsonRows(rows(Number(count))),
    ping: () => 'pong',
  });
  for (const count of [0, 1, 199, 200, 201]) {
    const answer = (await controlRequest(path, 'rows', count)) as { n: number }[];
    assert.deepEqual(
      answer.map(({ n }) => n),
      Array.from({ length: count }, (_, n) => n),
    );
  }
  turn();
  assert.equal(((await controlRequest(path, 'rows', 20_000)) as unknown[]).length, 20_000);
  isDone = true;
  assert.ok(turns >= 100, `the loop turned ${turns} times`);
  // Who hangs up in the middle harms nobody.
  const socket = connect(path);
  socket.write('{"method":"rows","params":100000}\n');
  await once(socket, 'data');
  socket.destroy();
  assert.equal(await controlRequest(path, 'ping'), 'pong');
});

test('an answer that goes on: until its sender, its reader or the signal ends it', async (t) => {
  const path = join(await folder(t), 'c.sock');
  let ends = 0;
  await served(t, path, {
    three: () => new ControlStream({ about: 3 }, async (socket) => void socket.write('abc')),
    endless: () =>
      new ControlStream('go', async (socket, signal) => {
        while (!signal.aborted) {
          socket.write('x'.repeat(1000));
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
        socket.write('last words');
        ends += 1;
      }),
    broken: () =>
      new ControlStream('go', async () => {
        throw new Error('no more');
      }),
    refused: () => {
      throw new TwillError('ERR_TWILL_ARGUMENT', 'not that');
    },
  });
  const read = async (method: string, signal = new AbortController().signal) => {
    const { result, chunks } = await controlStream(path, method, null, signal);
    let text = '';
    for await (const chunk of chunks) text += chunk;
    return { result, text };
  };
  assert.deepEqual(await read('three'), { result: { about: 3 }, text: 'abc' });
  assert.deepEqual(await read('broken'), { result: 'go', text: '' });
  await assert.rejects(read('refused'), { code: 'ERR_TWILL_ARGUMENT', message: 'not that' });
  await assert.rejects(controlStream(`${path}-not`, 'three', null, new AbortController().signal), {
    code: 'ERR_TWILL_CONTROL',
    message: /no agent listens on/,
  });

  const ending = new AbortController();
  setTimeout(() => ending.abort(), 50);
  assert.match(
    (await read('endless', ending.signal)).text,
    /^x+last words$/,
    'what is on its way still arrives',
  );
  const { chunks } = await controlStream(path, 'endless', null, new AbortController().signal);
  for await (const _ of chunks) break;
  while (ends < 2) await new Promise((resolve) => setTimeout(resolve, 1));
});
