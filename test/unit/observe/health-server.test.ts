import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { afterEach, describe, test } from 'node:test';
import { IpAddress } from '../../../src/net/ip.js';
import { type HealthOptions, HealthServer } from '../../../src/observe/health-server.js';

const loopback = IpAddress.parse('127.0.0.1');
const servers: HealthServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});

async function listen(more: Partial<HealthOptions> = {}): Promise<HealthServer> {
  const server = await HealthServer.listen({ ip: loopback, port: 0, missing: () => [], ...more });
  servers.push(server);
  return server;
}

async function ask(server: HealthServer, path: string, method = 'GET') {
  const response = await fetch(`http://127.0.0.1:${server.port}${path}`, { method });
  return { status: response.status, text: await response.text(), headers: response.headers };
}

/** Everything that comes back on a connection that sends `bytes`. */
async function raw(server: HealthServer, bytes: string): Promise<string> {
  const socket = connect(server.port, '127.0.0.1');
  let text = '';
  socket.setEncoding('utf8').on('data', (part) => {
    text += part;
  });
  socket.on('error', () => {});
  socket.write(bytes);
  await once(socket, 'close');
  return text;
}

describe('health server', () => {
  test('/healthz is 200 with the text of flannel, whatever is missing', async () => {
    const server = await listen({ missing: () => ['lease: not yet'] });
    const { status, text, headers } = await ask(server, '/healthz');
    assert.deepEqual([status, text], [200, 'flanneld is running']);
    assert.match(headers.get('content-type') ?? '', /^text\/plain/);
  });

  for (const ip of ['0.0.0.0', '::'])
    test(`${ip} is every address of both families, as for Go`, async () => {
      const server = await listen({ ip: IpAddress.parse(ip) });
      for (const host of ['127.0.0.1', '[::1]'])
        assert.equal((await fetch(`http://${host}:${server.port}/healthz`)).status, 200, host);
    });

  test('/readyz follows the conditions: 200, or 503 with what is missing, and back again', async () => {
    let missing: string[] = ['lease: not taken yet', 'peers: none read yet'];
    const server = await listen({ missing: () => missing });
    const before = await ask(server, '/readyz');
    assert.equal(before.status, 503);
    assert.equal(before.text, 'flanneld is not ready yet\nlease: not taken yet\npeers: none read yet');
    missing = [];
    const ready = await ask(server, '/readyz?verbose');
    assert.deepEqual([ready.status, ready.text], [200, 'flanneld is ready']);
    missing = ['device: it is down'];
    assert.equal((await ask(server, '/readyz')).status, 503);
  });

  test('other paths are 404, other methods 405, HEAD has no body', async () => {
    const server = await listen();
    for (const path of ['/', '/healthz/', '/metrics', '/constructor', '//healthz', '/../healthz'])
      assert.equal((await raw(server, `GET ${path} HTTP/1.0\r\n\r\n`)).split(' ')[1], '404', path);
    const post = await ask(server, '/healthz', 'POST');
    assert.deepEqual([post.status, post.headers.get('allow')], [405, 'GET, HEAD']);
    const head = await ask(server, '/readyz', 'HEAD');
    assert.deepEqual([head.status, head.text, head.headers.get('content-length')], [200, '', '17']);
  });

  test('further pages: text and type of their own; one that throws is 500 and hurts nobody', async () => {
    const server = await listen({
      pages: {
        '/metrics': async () => ({ contentType: 'text/plain; version=0.0.4', text: 'up 1\n' }),
        '/broken': () => {
          throw new Error('no such thing');
        },
      },
    });
    const metrics = await ask(server, '/metrics');
    assert.deepEqual([metrics.status, metrics.text], [200, 'up 1\n']);
    assert.equal(metrics.headers.get('content-type'), 'text/plain; version=0.0.4');
    assert.deepEqual(
      [(await ask(server, '/broken')).status, (await ask(server, '/healthz')).status],
      [500, 200],
    );
    assert.equal((await ask(server, '/')).text, 'there is /healthz, /readyz, /metrics, /broken\n');
  });

  test('headers without end are refused, nonsense is 400, silence is cut off', {
    timeout: 30_000,
  }, async () => {
    const server = await listen();
    assert.match(await raw(server, `GET /healthz HTTP/1.1\r\nA: ${'x'.repeat(20_000)}`), /^HTTP\/1.1 431/);
    assert.match(await raw(server, 'hello\r\n\r\n'), /^HTTP\/1.1 400/);
    const startMs = performance.now();
    // Half a request, and nothing at all.
    const [half, nothing] = await Promise.all([raw(server, 'GET /healthz HTTP/1.1\r\n'), raw(server, '')]);
    assert.match(half + nothing, /408|^$/);
    assert.ok(performance.now() - startMs > 1000, 'they had their time');
    assert.equal((await ask(server, '/healthz')).status, 200);
  });

  test('a port in use and an address that is not ours are one line that says what to do', async () => {
    const { port } = await listen();
    const refused = (options: Partial<HealthOptions>, message: RegExp) =>
      assert.rejects(listen(options), (error: Error & { code?: string }) => {
        assert.equal(error.code, 'ERR_TWILL_HEALTH');
        assert.match(error.message, message);
        assert.doesNotMatch(error.message, /\n/);
        return true;
      });
    await refused({ port }, new RegExp(`127\\.0\\.0\\.1:${port} .*another program.*--healthz-port`));
    await refused({ ip: IpAddress.parse('192.0.2.77') }, /192\.0\.2\.77:0 .*--healthz-ip/);
    await refused({ ip: IpAddress.parse('2001:db8::77') }, /\[2001:db8::77\]:0 .*--healthz-ip/);
  });

  test('close answers what was asked, ends idle connections and frees the port', async () => {
    let finish = () => {};
    const held = new Promise<void>((resolve) => {
      finish = resolve;
    });
    let asked = () => {};
    const arrived = new Promise<void>((resolve) => {
      asked = resolve;
    });
    const server = await listen({
      pages: {
        '/slow': async () => {
          asked();
          await held;
          return { contentType: 'text/plain', text: 'done' };
        },
      },
    });
    const { port } = server;
    const idle = connect(port, '127.0.0.1');
    await once(idle, 'connect');
    const slow = new Promise<string>((resolve, reject) => {
      const request = httpRequest({ port, host: '127.0.0.1', path: '/slow' }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part) => {
          text += part;
        });
        response.on('end', () => resolve(text));
      });
      request.on('error', reject).end();
    });
    await arrived;
    const closing = server.close();
    finish();
    assert.equal(await slow, 'done');
    await closing;
    idle.destroy();
    assert.equal(server.port, 0);
    const again = await listen({ port });
    assert.equal((await ask(again, '/healthz')).status, 200);
  });

  test('close cuts off after three seconds what does not end by itself', { timeout: 20_000 }, async () => {
    let asked = () => {};
    const arrived = new Promise<void>((resolve) => {
      asked = resolve;
    });
    const server = await listen({
      pages: {
        '/never': () => {
          asked();
          return new Promise(() => {});
        },
      },
    });
    const never = raw(server, 'GET /never HTTP/1.1\r\nHost: x\r\n\r\n');
    await arrived;
    await server.close();
    assert.equal(await never, '');
  });
});
