/** `twill capture` on whole agents; what it writes is read back by tshark and tcpdump. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFile, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { tcpBulk } from '../../src/lab/traffic.js';
import { type AgentNode, labOfTwo } from '../support/agent-node.js';
import { base, cannotRun, cli, makePair, pings, until } from '../support/namespaces.js';

const skip = await cannotRun();
const run = promisify(execFile);

/** A running `twill capture`, and what it printed. */
class Capture {
  readonly process;
  stdout = '';
  stderr = '';

  constructor(node: Pick<AgentNode, 'namespace' | 'socket'>, ...flags: string[]) {
    const argv = [cli, 'capture', `--control-socket=${node.socket}`, ...flags];
    this.process = node.namespace.spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.process.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    this.process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
  }

  get lines(): string[] {
    return this.stdout.split('\n').slice(0, -1);
  }

  async ended(): Promise<number | null> {
    const { process: child } = this;
    if (child.exitCode === null && child.signalCode === null) await once(child, 'close');
    return child.exitCode;
  }

  async stop(): Promise<number | null> {
    this.process.kill('SIGINT');
    return this.ended();
  }
}

async function started(t: TestContext, type: 'vxlan' | 'udp'): Promise<readonly [AgentNode, AgentNode]> {
  const { nodes } = await labOfTwo(t, { Backend: { Type: type } });
  const [a, b] = nodes;
  a.run();
  b.run();
  await Promise.all([a.ready(1), b.ready(1)]);
  return nodes;
}

async function subnetOf(node: AgentNode): Promise<string> {
  return (await node.status()).node.subnet;
}

/** Pings until the capture has shown or written something: only then it surely listens. */
async function pingsUntil(
  from: AgentNode,
  to: string,
  done: () => boolean | Promise<boolean>,
): Promise<void> {
  await until('the capture has what it waits for', async () => {
    await pings(from.namespace, to, '-W', '0.2');
    return done();
  });
}

async function tshark(file: string, port: number, ...fields: string[]): Promise<string[]> {
  const decode = port === 8472 ? ['-d', `udp.port==${port},vxlan`] : ['-d', `udp.port==${port},ip`];
  const { stdout } = await run('tshark', [
    '-r',
    file,
    '-n',
    ...decode,
    '-T',
    'fields',
    ...fields.flatMap((f) => ['-e', f]),
  ]);
  return stdout.split('\n').filter((line) => line !== '');
}

test('vxlan: lines, filters, drops; the file as tshark and tcpdump read it', {
  skip,
  timeout: 120_000,
}, async (t) => {
  const [a, b] = await started(t, 'vxlan');
  const [mine, theirs] = [base(await subnetOf(a)), base(await subnetOf(b))];
  const macs = [(await a.status()).backend.mac, (await b.status()).backend.mac];

  await t.test('one line for each packet, both ways, with MACs', async () => {
    const capture = new Capture(a, '--macs', '--count=2');
    await pingsUntil(a, theirs, () => capture.lines.length >= 2);
    assert.equal(await capture.ended(), 0);
    const [out = '', back = ''] = capture.lines;
    const time = '\\d\\d:\\d\\d:\\d\\d\\.\\d{6}';
    const request = `${time} out 192.0.2.1:\\d+ > 192.0.2.2:8472 vxlan 1 ${macs[0]} > ${macs[1]}: ${mine} > ${theirs} icmp echo request id \\d+ seq 1 len 64`;
    const reply = `${time} in 192.0.2.2:\\d+ > 192.0.2.1:8472 vxlan 1 ${macs[1]} > ${macs[0]}: ${theirs} > ${mine} icmp echo reply id \\d+ seq 1 len 64`;
    assert.match(out, new RegExp(`^${request}$`));
    assert.match(back, new RegExp(`^${reply}$`));
    assert.equal(capture.stderr, '');
  });

  await t.test('the file: outer, VXLAN, inner, direction, times, drop reasons as comments', async () => {
    const file = join(a.directory, 'plane.pcapng');
    const capture = new Capture(a, '-w', file, '--count=6');
    const startedAtS = Date.now() / 1000;
    await pingsUntil(a, theirs, async () => {
      await pings(a.namespace, '10.77.254.254', '-W', '0.1');
      return capture.process.exitCode !== null;
    });
    assert.equal(await capture.ended(), 0);
    assert.equal(capture.stdout, '');
    assert.match(capture.stderr, /^6 packets$/m);
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    const rows = await tshark(
      ...[
        file,
        8472,
        'frame.time_epoch',
        'ip.src',
        'ip.dst',
        'udp.dstport',
        'vxlan.vni',
        'eth.src',
        'icmp.type',
      ],
      ...['frame.packet_flags_direction', 'frame.comment', '_ws.malformed'],
    );
    assert.equal(rows.length, 6);
    const seen = rows.map((row) => row.split('\t'));
    const request = seen.find((row) => row[6] === '8' && row[8] === '');
    const reply = seen.find((row) => row[6] === '0');
    const dropped = seen.find((row) => row[8] !== '');
    assert.deepEqual(request?.slice(1, 8), [
      `192.0.2.1,${mine}`,
      `192.0.2.2,${theirs}`,
      '8472',
      '1',
      macs[0],
      '8',
      '0x00000002',
    ]);
    assert.deepEqual(reply?.slice(1, 8), [
      `192.0.2.2,${theirs}`,
      `192.0.2.1,${mine}`,
      '8472',
      '1',
      macs[1],
      '0',
      '0x00000001',
    ]);
    assert.deepEqual(dropped?.slice(1), [
      mine,
      '10.77.254.254',
      '',
      '',
      '',
      '8',
      '0x00000002',
      'dropped: no_route',
      '',
    ]);
    for (const row of seen) assert.ok(Math.abs(Number(row[0]) - startedAtS) < 120, `time ${row[0]}`);
    const { stdout } = await run('tcpdump', ['-r', file, '-n', '-T', 'vxlan']);
    assert.match(
      stdout,
      new RegExp(
        `192\\.0\\.2\\.1\\.\\d+ > 192\\.0\\.2\\.2\\.8472: VXLAN, flags \\[I\\] \\(0x08\\), vni 1\\s+IP ${mine} > ${theirs}: ICMP echo request`,
      ),
    );
    const again = await a.twill('capture', '-r', file);
    assert.equal(again.split('\n').length, 7);
    assert.match(again, /10\.77\.254\.254 icmp echo request .* \[dropped: no_route\]$/m);
    assert.match(
      await a.twill('capture', '-r', file, '--drop=any', '--json'),
      /^(\{"time":"20[^\n]*"drop":"no_route"[^\n]*\}\n)+$/,
    );
  });

  await t.test('-w - | tshark: a pipe works as well as a file', async () => {
    const command = `${process.execPath} ${cli} capture --control-socket=${a.socket} --count=2 -w - 2>/dev/null | tshark -n -i - -d udp.port==8472,vxlan -T fields -e vxlan.vni 2>/dev/null`;
    const pipe = a.namespace.exec('bash', ['-c', command]);
    let isDone = false;
    void pipe.finally(() => {
      isDone = true;
    });
    await pingsUntil(a, theirs, () => isDone);
    assert.deepEqual((await pipe).stdout.split('\n').filter(Boolean), ['1', '1']);
  });

  await t.test('filters: peer by subnet, endpoint and address; subnet; drop reason', async () => {
    for (const peer of [await subnetOf(b), '192.0.2.2', theirs]) {
      const capture = new Capture(a, `--peer=${peer}`, '--count=1');
      await pingsUntil(a, theirs, () => capture.process.exitCode !== null);
      assert.match(capture.stdout, /192\.0\.2\.2/);
    }
    const filters = [
      ['--peer=192.0.2.99'],
      ['--subnet=10.99.0.0/16'],
      ['--drop=vni', '--drop=martian'],
      ['--drop=any', '--peer=192.0.2.2'],
    ];
    const silent: Capture[] = [];
    for (const flags of filters) {
      const capture = new Capture(a, ...flags, '--seconds=1');
      silent.push(capture);
      while (capture.process.exitCode === null) await pings(a.namespace, theirs, '-W', '0.2');
    }
    assert.deepEqual(
      silent.map(({ stdout, stderr, process: { exitCode } }) => [stdout, stderr, exitCode]),
      filters.map(() => ['', '', 0]),
    );
    const noRoute = new Capture(a, '--drop=any', '--subnet=10.77.254.0/24', '--count=1');
    await pingsUntil(a, '10.77.254.254', () => noRoute.process.exitCode !== null);
    assert.match(noRoute.stdout, /out .* > 10\.77\.254\.254 icmp echo request .* \[dropped: no_route\]\n$/);
  });

  await t.test('wrong wishes are one clear line', async () => {
    const fails = async (...flags: string[]) => {
      const capture = new Capture(a, ...flags);
      return [await capture.ended(), capture.stderr.split('\n')[0]];
    };
    assert.deepEqual(await fails('--drop=nonsense'), [1, 'twill: there is no drop reason "nonsense"']);
    assert.match(
      String(await fails('--peer=10.1.2.0/24')),
      /^1,twill: no peer has the subnet 10\.1\.2\.0\/24: see "twill peers"$/,
    );
    assert.match(String(await fails('--peer=nobody')), /^1,twill: "nobody" names no peer/);
    assert.match(String(await fails('--subnet=10.0.0.1')), /^2,twill: --subnet=10\.0\.0\.1 is no prefix/);
    assert.match(String(await fails('-r', `${cli}/x`)), /^1,twill: cannot read .*main\.js\/x/);
    assert.match(String(await fails('-w', `${cli}/x`)), /^1,twill: cannot write .*main\.js\/x/);
    assert.match(String(await fails('-r', cli)), /^1,twill: this is neither a pcap nor a pcapng file/);
  });

  await t.test('one capture at a time; the next one goes when it has gone', async () => {
    const first = new Capture(a);
    await pingsUntil(a, theirs, () => first.lines.length > 0);
    const second = new Capture(a);
    assert.equal(await second.ended(), 1);
    assert.equal(second.stderr, 'twill: another capture of this agent is running: end that one first\n');
    assert.equal(await first.stop(), 0);
    const third = new Capture(a, '--count=1');
    await pingsUntil(a, theirs, () => third.process.exitCode !== null);
    assert.equal(third.lines.length, 1);
  });

  await t.test('super-packets are shown as what they are, their bytes whole', async () => {
    const file = join(a.directory, 'super.pcapng');
    const capture = new Capture(a, '-w', file, '--subnet', `${theirs}/24`);
    await pingsUntil(
      a,
      theirs,
      async () =>
        (await stat(file).catch(() => null))?.size !== undefined && (await readFile(file)).length > 1000,
    );
    const bulk = await tcpBulk(a.namespace, b.namespace, theirs, { bytes: 1 << 20 });
    assert.ok(bulk.intact);
    assert.equal(await capture.stop(), 0);
    const rows = await tshark(file, 8472, 'frame.comment', 'tcp.len', 'frame.len', 'ip.src');
    const supers = rows
      .map((row) => row.split('\t'))
      .filter(([comment]) => comment?.startsWith('super-packet: '));
    assert.ok(supers.length > 0, rows.slice(0, 5).join('\n'));
    for (const [comment = '', bytes = ''] of supers) {
      const [, segments, size] = /^super-packet: (\d+) segments of (\d+) bytes/.exec(comment) ?? [];
      assert.equal(Math.ceil(Number(bytes) / Number(size)), Number(segments), comment);
    }
  });

  await t.test('a reader that sleeps makes nobody wait and is told what it lost', async () => {
    const socket = connect(a.socket);
    await once(socket, 'connect');
    socket.pause();
    socket.write('{"method":"capture","params":{}}\n');
    // Its capture is open once a second one is refused.
    await until('the capture is open', async () => {
      const other = new Capture(a, '--seconds=1');
      return (await other.ended()) === 1;
    });
    const before = (await a.status()).counters.encap.delivered;
    const bulk = await tcpBulk(a.namespace, b.namespace, theirs, { bytes: 64 << 20 });
    assert.ok(bulk.intact);
    assert.ok((await a.status()).counters.encap.delivered > before + 10_000);
    let text = '';
    socket.on('data', (bytes) => {
      text += bytes.toString('latin1');
    });
    socket.resume();
    await until('the count of lost packets arrives', async () => /"lost":[1-9]/.test(text));
    assert.ok(text.length < 32 << 20, `${text.length} bytes were kept for it`);
    socket.destroy();
    const next = new Capture(a, '--count=1');
    await pingsUntil(a, theirs, () => next.process.exitCode !== null);
  });

  await t.test('the agent ends: the capture says so', async () => {
    const capture = new Capture(a);
    await pingsUntil(a, theirs, () => capture.lines.length > 0);
    assert.equal(await a.stop(), 0);
    assert.equal(await capture.ended(), 1);
    assert.match(capture.stderr, /^twill: the agent has ended/);
  });
});

test('udp: bare packets, lines and file', { skip, timeout: 60_000 }, async (t) => {
  const [a, b] = await started(t, 'udp');
  const [mine, theirs] = [base(await subnetOf(a)), base(await subnetOf(b))];
  const file = join(a.directory, 'udp.pcapng');
  const capture = new Capture(a, '-w', file, '--count=2');
  await pingsUntil(a, theirs, () => capture.process.exitCode !== null);
  const lines = (await a.twill('capture', '-r', file)).split('\n');
  assert.match(
    lines[0] ?? '',
    new RegExp(`out 192\\.0\\.2\\.1:8285 > 192\\.0\\.2\\.2:8285 udp: ${mine} > ${theirs} icmp echo request`),
  );
  assert.match(
    lines[1] ?? '',
    new RegExp(`in 192\\.0\\.2\\.2:8285 > 192\\.0\\.2\\.1:8285 udp: ${theirs} > ${mine} icmp echo reply`),
  );
  const rows = await tshark(file, 8285, 'ip.src', 'icmp.type');
  assert.deepEqual(rows, [`192.0.2.1,${mine}\t8`, `192.0.2.2,${theirs}\t0`]);
});

test('an interface, by cap: what is on the wire agrees with what the plane shows', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const [a, b] = await started(t, 'vxlan');
  const theirs = base(await subnetOf(b));
  const plane = new Capture(a);
  await pingsUntil(a, theirs, () => plane.lines.length > 0);
  const wire = new Capture(a, '--interface=eth0', '--count=4');
  await pingsUntil(a, theirs, () => wire.process.exitCode !== null);
  assert.equal(await wire.ended(), 0, wire.stderr);
  await plane.stop();
  const shown = plane.lines.map((line) => line.replace(/^\S+ (in|out) /, ''));
  for (const line of wire.lines)
    assert.ok(shown.includes(line.replace(/^\S+ /, '')), `${line}\nnot in\n${plane.stdout}`);

  const device = (await a.status()).node.device;
  const tun = new Capture(a, `--interface=${device}`, '--filter=icmp', '--count=1');
  await pingsUntil(a, theirs, () => tun.process.exitCode !== null);
  assert.match(
    tun.stdout,
    new RegExp(`^[\\d:.]+ [\\d.]+ > ${theirs} icmp echo request id \\d+ seq 1 len 64\n`),
  );

  const file = join(a.directory, 'wire.pcapng');
  const written = new Capture(a, '--interface=eth0', '--peer=192.0.2.2', '-w', file, '--count=2');
  await pingsUntil(a, theirs, () => written.process.exitCode !== null);
  assert.deepEqual(await tshark(file, 8472, 'vxlan.vni'), ['1', '1']);

  const fails = async (...flags: string[]) => {
    const capture = new Capture(a, ...flags);
    return `${await capture.ended()} ${capture.stderr.split('\n').filter((line) => line.startsWith('twill:'))}`;
  };
  assert.match(
    await fails('--interface=nope0'),
    /^1 twill: cannot capture on nope0: .*"ip link" lists the interfaces$/,
  );
  assert.match(
    await fails('--interface=eth0', '--filter=udp prt 9'),
    /^1 twill: cannot capture on eth0: .*mend the filter "udp prt 9"$/,
  );
});

test('an interface without an address and the loopback are captured too', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const [a, b] = await makePair(t, [], []);
  const on = (namespace: typeof a, device: string, filter: string) =>
    new Capture({ namespace, socket: '' }, `--interface=${device}`, `--filter=${filter}`, '--count=1');
  await b.ip('address', 'add', '192.0.2.2/24', 'dev', 'eth0');
  const arp = on(a, 'eth0', 'arp');
  await until('an ARP request is seen', async () => {
    await pings(b, '192.0.2.1', '-W', '0.2');
    return arp.process.exitCode !== null;
  });
  assert.match(arp.stdout, /arp who has 192\.0\.2\.1, tell 192\.0\.2\.2\n$/);
  const loopback = on(a, 'lo', 'icmp');
  await until('a ping is seen', async () => {
    await pings(a, '127.0.0.1');
    return loopback.process.exitCode !== null;
  });
  assert.match(loopback.stdout, /127\.0\.0\.1 > 127\.0\.0\.1 icmp echo request/);
});
