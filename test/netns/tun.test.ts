/** `Tun` in namespaces: what it carries, what the kernel sees of it, and that it goes in every situation. */
import assert from 'node:assert/strict';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Namespace } from '../../src/lab/namespace.js';
import { asNobody, cannotRun, makeNamespace, nobodyCannotRun, pings, until } from '../support/namespaces.js';

const skip = await cannotRun();
const script = fileURLToPath(new URL('../support/tun-steps.js', import.meta.url));
const options = { skip, timeout: 60_000 };

/** Runs one step to its end; the lines that it said. */
// biome-ignore lint/suspicious/noExplicitAny: each step says something else.
async function step(namespace: Namespace, ...args: string[]): Promise<any[]> {
  // Under the sanitizers, on a busy machine, ten threads take long to come and go.
  const { stdout } = await namespace.exec(process.execPath, ['--expose-gc', script, ...args], 240_000);
  return stdout
    .trim()
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

for (const how of ['data', 'iterator']) {
  test(
    `a program answers pings through it (${how}); the kernel sees name, addresses and MTU`,
    options,
    async (t) => {
      const namespace = await makeNamespace(t, 'tun');
      const child = namespace.spawn(process.execPath, [script, 'answer', how], {
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      assert.ok(child.stdout);
      const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
      const next = async () => JSON.parse((await lines.next()).value as string);
      const { addresses, ...own } = await next();
      const [link] = JSON.parse(await namespace.ip('-j', 'address', 'show', 'dev', own.name));
      assert.deepEqual(own, {
        ...{ name: 'weft0', index: link.ifindex, mtu: 1300, isUp: true },
        ...{ ipv4: '10.9.0.1/24', ipv6: 'fd00:9::1/64' },
      });
      assert.equal(link.mtu, 1300);
      assert.ok(link.flags.includes('UP'));
      const seen = link.addr_info.map(
        ({ local, prefixlen }: { local: string; prefixlen: number }) => `${local}/${prefixlen}`,
      );
      assert.deepEqual([...addresses].sort(), seen.sort());
      assert.ok(await pings(namespace, '10.9.0.2'));
      assert.ok(await pings(namespace, '10.9.0.3', '-s', '1272', '-M', 'do'), 'a packet as long as the MTU');
      assert.ok(await pings(namespace, 'fd00:9::2'));
      await namespace.exec('ping', ['-n', '-i', '0.005', '-c', '200', '-W', '5', '10.9.0.2']);
      child.stdin?.write('\n');
      const ends = [await next(), ...(how === 'iterator' ? [await next()] : [])];
      assert.deepEqual(
        ends.sort((one) => ('ended' in one ? 1 : -1)),
        [{ links: ['lo'], dropped: 0 }, ...(how === 'iterator' ? [{ ended: true }] : [])],
      );
      await until('the program has ended', async () => child.exitCode === 0);
    },
  );
}

test('addresses, MTU and state change as they are set; after release they are closed', options, async (t) => {
  const [{ states, addresses }, after] = await step(await makeNamespace(t, 'tun'), 'change');
  assert.deepEqual(states, [
    { mtu: 1500, isUp: false, ipv4: null, ipv6: null },
    { mtu: 1400, isUp: true, ipv4: '10.9.0.1/24', ipv6: 'fd00:9::1/64' },
    { mtu: 1400, isUp: true, ipv4: '10.9.7.1/30', ipv6: null },
  ]);
  assert.ok(addresses.includes('10.9.7.1/30') && !addresses.includes('fd00:9::1/64'));
  assert.deepEqual(after, { closed: Array(4).fill('ERR_TWILL_CLOSED'), name: 'weft0' });
});

test(
  'a reader that stops leaves packets in the device, and gets all of them in order',
  options,
  async (t) => {
    const [found, after] = await step(await makeNamespace(t, 'tun'), 'paused');
    assert.equal(found.waiting, 0, 'nothing is read before somebody reads');
    assert.ok(found.most <= 4, `${found.most} packets had piled up`);
    assert.deepEqual([found.inOrder, found.got], [true, 200]);
    assert.deepEqual(after, { destroyed: true, links: ['lo'] }, 'a loop that breaks off closes it');
  },
);

test('what was written before release is delivered', options, async (t) => {
  const [{ unwritten }, after] = await step(await makeNamespace(t, 'tun'), 'flushed');
  assert.equal(unwritten, 100, 'all were waiting');
  assert.deepEqual(after, { got: 100, dropped: 0, links: ['lo'] });
});

test('what the kernel refuses is told with its reason, and harms nothing', options, async (t) => {
  const [{ drops, ...rest }, { wrong }] = await step(await makeNamespace(t, 'tun'), 'refused');
  const found = drops.map(([{ code, errno, syscall }, length]: [Record<string, unknown>, number]) => [
    ...[code, errno, syscall, length],
  ]);
  assert.deepEqual(found, [
    ['ERR_TWILL_DEVICE', 5, 'write', 32],
    ['ERR_TWILL_DEVICE', 22, 'write', 17],
    ['ERR_TWILL_DEVICE', 22, 'write', 0],
  ]);
  assert.match(drops[0][0].message, /^TUN weft0: cannot write a packet: it is down/);
  assert.deepEqual(rest, { dropped: 3, destroyed: false });
  for (const error of wrong) assert.deepEqual([error.name, error.code], ['TypeError', 'ERR_TWILL_ARGUMENT']);
});

test('writes after release are refused as everything is, and harm nothing', options, async (t) => {
  const [found, { destroyed, links }] = await step(await makeNamespace(t, 'tun'), 'late');
  const { pending, after, ...rest } = found;
  const closed = ['TwillError', 'ERR_TWILL_CLOSED', 'TUN weft0 is released'];
  const wrong = (what: string) => ['TypeError', 'ERR_TWILL_ARGUMENT', what];
  for (const outcomes of [pending, after]) {
    assert.deepEqual(
      outcomes.map(({ name, code, message }: Record<string, string>) => [name, code, message]),
      [
        ...[closed, closed],
        wrong('Tun.write: packet must be a Uint8Array or Buffer, not "text"'),
        wrong('Tun.end: packet must be a Uint8Array or Buffer, not "text"'),
        wrong('Tun.release: done must be a function, not 5'),
      ],
    );
  }
  assert.deepEqual(rest, { written: 10, dropped: 0, waiting: 1, trouble: [] });
  assert.deepEqual([destroyed.code, links], ['ERR_TWILL_CLOSED', ['lo']]);
});

for (const who of ['reader', 'writer', 'idle']) {
  test(`a device that is deleted under its ${who}`, options, async (t) => {
    const said = await step(await makeNamespace(t, 'tun'), 'deleted', who);
    if (who !== 'idle') {
      const { error, destroyed } = said.shift();
      assert.deepEqual([error.code, error.errno, destroyed], ['ERR_TWILL_DEVICE', 77, true]);
      assert.match(error.message, /gone: somebody has deleted it/);
      assert.deepEqual(said.shift(), { mtu: 'ERR_TWILL_CLOSED' });
    } else assert.deepEqual(said.shift(), { mtu: 'ERR_TWILL_DEVICE' });
    assert.deepEqual(said, [{ links: ['lo'] }]);
  });
}

test('released from its own callback', options, async (t) => {
  assert.deepEqual(await step(await makeNamespace(t, 'tun'), 'within'), [
    { how: 'release', packets: true, links: ['lo'] },
    { how: 'destroy', packets: true, links: ['lo'] },
  ]);
});

test('an exception in a callback is the program’s, and the device goes on', options, async (t) => {
  assert.deepEqual(await step(await makeNamespace(t, 'tun'), 'thrown'), [
    { seen: ["the program's 1", "the program's 2"] },
  ]);
});

test('opened and closed two hundred times it leaves nothing', options, async (t) => {
  const [{ before, after }] = await step(await makeNamespace(t, 'tun'), 'many', '200');
  assert.deepEqual(after, before);
  assert.deepEqual(after.links, ['lo']);
});

test('forgotten devices go with the collector', options, async (t) => {
  assert.deepEqual(await step(await makeNamespace(t, 'tun'), 'forgotten'), [{ during: 20, same: true }]);
});

test('a thread that ends under traffic leaves nothing', options, async (t) => {
  const [{ before, after }] = await step(await makeNamespace(t, 'tun'), 'worker', '10');
  assert.deepEqual(after, before);
  assert.deepEqual(after.links, ['lo']);
});

for (const who of ['tun', 'netlink']) {
  for (const how of ['ended', 'open']) {
    test(
      `a thread that is ended in a listener of ${who}, which is ${how}, leaves nothing`,
      options,
      async (t) => {
        const [{ before, after }] = await step(
          await makeNamespace(t, 'tun'),
          'worker',
          '3',
          'spins',
          who,
          how,
        );
        assert.deepEqual(after, before);
        assert.deepEqual(after.links, ['lo']);
      },
    );
  }
}

for (const how of ['exit', 'unref']) {
  test(`a process that ends under traffic (${how}) leaves nothing`, options, async (t) => {
    const namespace = await makeNamespace(t, 'tun');
    assert.deepEqual(await step(namespace, 'exit', how), [{ open: 2 }]);
    assert.equal(JSON.parse(await namespace.ip('-j', 'link')).length, 1);
  });
}

test('a name that is taken', options, async (t) => {
  const [, { taken }, { loopback }, { same }] = await step(await makeNamespace(t, 'tun'), 'failures');
  assert.deepEqual([taken.code, taken.errno, taken.syscall], ['ERR_TWILL_DEVICE', 16, 'ioctl(TUNSETIFF)']);
  assert.match(taken.message, /taken is in use/);
  assert.deepEqual([loopback.code, loopback.errno], ['ERR_TWILL_DEVICE', 22]);
  assert.equal(same, true, 'a failure leaves nothing');
});

const noNobody = skip || (await nobodyCannotRun());

test('without privilege: a clear error, or a device that root made for this user', {
  ...options,
  skip: noNobody,
}, async (t) => {
  const namespace = await makeNamespace(t, 'tun');
  const asUser = async (rights: string[], ...args: string[]) => {
    const [command = '', ...rest] = asNobody;
    const user = [...rest.slice(0, -1), ...rights, '--'];
    const { stdout } = await namespace.exec(command, [...user, process.execPath, script, ...args]);
    return stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
  };
  const [error] = await asUser([], 'unprivileged');
  assert.equal(error.code, 'ERR_TWILL_PRIVILEGE');
  assert.ok([1, 13].includes(error.errno), String(error.errno));
  await namespace.ip('tuntap', 'add', 'mine', 'mode', 'tun', 'user', '65534');
  // Wherever /dev/net/tun is root's alone: this user may open it, and has no right over the network.
  const mayOpen = ['--inh-caps=+dac_override', '--ambient-caps=+dac_override'];
  assert.deepEqual(await asUser(mayOpen, 'owned'), [
    { name: 'mine', isUp: false, mtu: 'ERR_TWILL_PRIVILEGE' },
    { links: ['lo', 'mine'] },
  ]);
});
