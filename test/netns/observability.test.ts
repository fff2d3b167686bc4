/** Two agents with traffic between them, looked at from all sides: peers, metrics and top tell the same. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type AgentNode, labOfTwo } from '../support/agent-node.js';
import { readExposition } from '../support/exposition.js';
import { base, cannotRun, cli, pings, until } from '../support/namespaces.js';

const skip = await cannotRun();
const terminalScript = fileURLToPath(new URL('../../../test/support/terminal.py', import.meta.url));

interface PeerRow {
  readonly subnet: string;
  readonly encap: { packets: number; bytes: number; drops: number };
  readonly decap: { packets: number; bytes: number; drops: number };
  readonly idleSeconds: number | null;
}

async function scrape({ namespace }: AgentNode) {
  const script = `process.stdout.write(await (await fetch('http://127.0.0.1:8081/metrics')).text())`;
  return readExposition(
    (await namespace.exec(process.execPath, ['--input-type=module', '-e', script])).stdout,
  );
}

type Step =
  | { await: string }
  | { send: string }
  | { resize: [number, number] }
  | { signal: string }
  | { touch: string };

async function onTerminal(size: [number, number], steps: Step[], command: string[], env = {}) {
  const argv = [terminalScript, ...size.map(String), JSON.stringify(steps), ...command];
  const options = { env: { ...process.env, TERM: 'xterm', NO_COLOR: '', ...env }, maxBuffer: 1 << 26 };
  const { stdout } = await promisify(execFile)('python3', argv, options);
  const played = JSON.parse(stdout) as {
    output: string;
    code: number;
    restored: boolean;
    failure: string | null;
  };
  assert.equal(played.failure, null, `${played.failure}: ${JSON.stringify(played.output.slice(-1000))}`);
  return played;
}

/** The pictures that were drawn, as lines without colours. */
function pictures(output: string): string[][] {
  return output
    .split('\x1b[H')
    .slice(1)
    .map((picture) => {
      const [text = ''] = picture.split('\x1b[J');
      // biome-ignore lint/suspicious/noControlCharactersInRegex: exactly these are meant
      return text.replace(/\x1b\[[0-9;]*[mK]/g, '').split('\r\n');
    });
}

test('peers, metrics, status and top agree on what passed', { skip, timeout: 120_000 }, async (t) => {
  const { nodes, writeRecord } = await labOfTwo(t, { Backend: { Type: 'vxlan' } });
  const [a, b] = nodes;
  a.run(['--healthz-port=8081']);
  b.run();
  const [left, right] = await Promise.all([a.ready(1), b.ready(1)]);
  const target = base(right.node.subnet);
  await until('a reaches b', () => pings(a.namespace, target));
  assert.ok(await pings(a.namespace, target, '-c', '20', '-i', '0.01', '-s', '1000'));

  const rows = (await a.peers()) as unknown as PeerRow[];
  const [row] = rows;
  assert.equal(rows.length, 1);
  assert.equal(row?.subnet, right.node.subnet);
  assert.ok((row?.encap.packets ?? 0) > 20 && (row?.decap.packets ?? 0) > 20);
  assert.ok((row?.idleSeconds ?? 999) < 60);
  const { counters } = (await a.status()) as unknown as {
    counters: { [direction: string]: { delivered: number; deliveredBytes: number } };
  };
  // Nothing passes any more, so all of them stand still.
  const { encap, decap } = row as PeerRow;
  assert.deepEqual(
    [encap.packets, encap.bytes],
    [counters['encap']?.delivered, counters['encap']?.deliveredBytes],
  );
  assert.deepEqual(
    [decap.packets, decap.bytes],
    [counters['decap']?.delivered, counters['decap']?.deliveredBytes],
  );
  const [theirs] = (await b.peers()) as unknown as PeerRow[];
  assert.deepEqual([theirs?.decap.packets, theirs?.encap.packets], [encap.packets, decap.packets]);

  const { value } = await scrape(a);
  const peer = right.node.subnet;
  assert.equal(value('twill_peer_packets_total', { direction: 'encap', peer }), encap.packets);
  assert.equal(value('twill_peer_bytes_total', { direction: 'decap', peer }), decap.bytes);
  assert.equal(value('twill_delivered_packets_total', { direction: 'encap' }), encap.packets);
  assert.equal(value('twill_peer_packets_total', { direction: 'encap', peer: 'other' }), 0);
  assert.equal(value('twill_ready'), 1);
  assert.equal(value('twill_peers'), 1);
  assert.equal(value('twill_store_trouble'), 0);
  assert.equal(value('twill_lease_reservation'), 0);
  assert.ok(
    (value('twill_lease_renewal_timestamp_seconds') ?? 0) <
      (value('twill_lease_expiry_timestamp_seconds') ?? 0),
  );

  // A record that cannot be a peer, and a device that somebody takes down, are in the metrics too.
  await writeRecord('10.77.250.0-24', '{broken');
  await until('quarantined', async () => (await scrape(a)).value('twill_quarantined_records') === 1);
  await a.namespace.ip('link', 'set', left.node.device, 'down');
  await until('device trouble', async () => (await scrape(a)).value('twill_device_trouble') === 1);
  assert.equal((await scrape(a)).value('twill_ready_condition', { condition: 'device' }), 0);
  await a.namespace.ip('link', 'set', left.node.device, 'up');
  await until('ready again', async () => (await scrape(a)).value('twill_ready') === 1);
});

test('top: live on a terminal, by its keys, and the terminal is given back however it ends', {
  skip,
  timeout: 180_000,
}, async (t) => {
  const { nodes, directory } = await labOfTwo(t, { Backend: { Type: 'vxlan' } });
  const [a, b] = nodes;
  a.run();
  b.run();
  const [, right] = await Promise.all([a.ready(1), b.ready(1)]);
  const target = base(right.node.subnet);
  await until('a reaches b', () => pings(a.namespace, target));
  const flow = a.namespace.spawn('ping', ['-q', '-i', '0.01', '-s', '1000', target], { stdio: 'ignore' });
  t.after(() => flow.kill());
  const command = [process.execPath, cli, 'top', `--control-socket=${a.socket}`];
  const rates = `${right.node.subnet.replaceAll('.', '\\.')}.*kbit/s`;

  const steps: Step[] = [{ await: rates }, { send: 's' }, { await: 'by packets' }, { send: 'p' }];
  const whole = await onTerminal(
    [100, 24],
    [
      ...steps,
      { await: 'paused' },
      { send: 'p' },
      { await: 'over \\d' },
      { resize: [44, 8] },
      { await: rates },
      { send: 'q' },
    ],
    command,
  );
  assert.deepEqual({ code: whole.code, restored: whole.restored }, { code: 0, restored: true });
  assert.ok(whole.output.includes('\x1b[?1049h'));
  assert.ok(whole.output.endsWith('\x1b[?25h\x1b[?1049l'), 'the page is left, the cursor is back');
  assert.ok(whole.output.includes('\x1b[2m'), 'colours');
  const shown = pictures(whole.output);
  const [full, narrow] = [shown[0] ?? [], shown.at(-1) ?? []];
  assert.equal(full.length, 24);
  assert.ok(
    full.some((line) => /ENDPOINT.*OUT PKT\/S.*HEARD/.test(line)),
    full.join('\n'),
  );
  assert.ok(narrow.length <= 8 && narrow.every((line) => line.length <= 44), narrow.join('\n'));
  assert.ok(
    narrow.some((line) => /^PEER.*OUT.*IN/.test(line)),
    narrow.join('\n'),
  );

  const plain = await onTerminal([80, 24], [{ await: rates }, { send: '\x03' }], command, { NO_COLOR: '1' });
  assert.deepEqual({ code: plain.code, restored: plain.restored }, { code: 0, restored: true });
  // biome-ignore lint/suspicious/noControlCharactersInRegex: exactly these are meant
  assert.doesNotMatch(plain.output, /\x1b\[[0-9;]*m/, 'no colour');

  const ended = await onTerminal([80, 24], [{ await: rates }, { signal: 'TERM' }], command);
  assert.deepEqual({ code: ended.code, restored: ended.restored }, { code: 0, restored: true });
  assert.ok(ended.output.endsWith('\x1b[?1049l'));

  const crash = "process.on('SIGUSR2', () => { throw new Error('boom'); })";
  const crashed = await onTerminal([80, 24], [{ await: rates }, { signal: 'USR2' }], command, {
    NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(crash)}`,
  });
  assert.equal(crashed.restored, true);
  assert.notEqual(crashed.code, 0);
  const page = crashed.output.indexOf('\x1b[?1049l');
  assert.ok(page > 0 && crashed.output.indexOf('boom') > page, 'the reason is told where it stays');

  // The agent goes away and comes back: top says so and goes on.
  const [looking, told] = [join(directory, 'looking'), join(directory, 'told')];
  const played = onTerminal(
    [110, 24],
    [
      ...[{ await: rates }, { touch: looking }],
      ...[{ await: 'no agent listens' }, { touch: told }],
      ...[{ await: rates }, { send: 'q' }],
    ],
    command,
  );
  await until('it looks', async () => existsSync(looking));
  await a.stop();
  await until('it tells that the agent went', async () => existsSync(told));
  a.run();
  await a.ready(1);
  assert.equal((await played).restored, true);

  // Without a terminal: one look.
  const once = JSON.parse(await a.twill('top', '--json', '--limit=1')) as {
    seconds: number;
    rows: { subnet: string; encap: { packetsPerSecond: number } }[];
  };
  assert.ok(once.seconds > 0.5);
  assert.equal(once.rows[0]?.subnet, right.node.subnet);
  assert.ok((once.rows[0]?.encap.packetsPerSecond ?? 0) > 1);
  assert.match(await a.twill('top'), /^twill top .*\n(.*\n)*PEER /);
  const nobody = await onTerminal(
    [80, 24],
    [],
    [process.execPath, cli, 'top', '--control-socket=/nowhere.sock'],
  );
  assert.equal(nobody.code, 1);
  assert.ok(!nobody.output.includes('\x1b[?1049h'), 'the terminal is left alone');
});

test('what the host lacks for pods is told with its remedy, and asked again', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const { nodes } = await labOfTwo(t, { Backend: { Type: 'vxlan' } });
  const [a] = nodes;
  const forward = (value: string) =>
    a.namespace.exec('sh', ['-c', `echo ${value} > /proc/sys/net/ipv4/ip_forward`]);
  await forward('0');
  // As where the module is not loaded.
  const hide = ['unshare', '--mount', 'sh', '-c', 'mount -t tmpfs none "$0" && exec "$@"'];
  a.run([], [...hide, existsSync('/proc/sys/net/bridge') ? '/proc/sys/net/bridge' : '/mnt']);
  await a.started();
  const missing = /^net\.bridge\.bridge-nf-call-iptables is not there: .*\("modprobe br_netfilter"\)$/;
  assert.ok(a.logged('warn').some((line) => missing.test(line)));
  assert.ok(a.logged('info').some((line) => line.startsWith('net.ipv4.ip_forward is 0: ')));
  const rows = async () =>
    (await a.twill('status')).split('\n').filter((line) => /^host +TROUBLE: /.test(line));
  const [forwarding = '', bridge = '', ...more] = await rows();
  assert.match(forwarding, /: net\.ipv4\.ip_forward is 0: .*"sysctl -w net\.ipv4\.ip_forward=1"/);
  assert.match(bridge, /: net\.bridge\.bridge-nf-call-iptables is not there: /);
  assert.deepEqual(more, []);
  await forward('1');
  assert.equal((await rows()).length, 1);
});
