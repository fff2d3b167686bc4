/** What a host learns from an agent that has no peer for its packet: the answer must pass the host's own checks. */
import assert from 'node:assert/strict';
import { constants } from 'node:fs';
import { access, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { AgentProcess } from '../../src/lab/agent-process.js';
import { joinByVeth, Namespace } from '../../src/lab/namespace.js';

/** The reason why these tests cannot run here, or false. */
async function missing(): Promise<string | false> {
  if (process.getuid?.() !== 0) return 'needs root, or a user namespace of its own';
  const there = await access('/dev/net/tun', constants.F_OK).then(
    () => true,
    () => false,
  );
  return there ? false : 'needs TUN devices (/dev/net/tun)';
}
const skip = await missing();

const nets = { Network: '10.78.0.0/16', IPv6Network: 'fd00:10:78::/48' };
const cases = [
  { type: 'vxlan', target: '10.78.250.1', says: /Destination Net Unreachable/ },
  { type: 'vxlan', target: 'fd00:10:78:fff::1', says: /Destination unreachable: No route/ },
  { type: 'udp', target: '10.78.250.1', says: /Destination Net Unreachable/ },
] as const;

for (const { type, target, says } of cases) {
  test(`${type}: ping of ${target}, which nobody holds, is told so at once`, {
    skip,
    timeout: 60_000,
  }, async (t) => {
    const directory = await mkdtemp(join(tmpdir(), 'twill-netns-'));
    t.after(() => rm(directory, { recursive: true, force: true }));
    const store = join(directory, 'store');
    await mkdir(store);
    const config = { ...nets, EnableIPv6: type === 'vxlan', Backend: { Type: type } };
    await writeFile(join(store, 'config'), JSON.stringify(config));
    const namespace = await Namespace.create('u');
    t.after(() => namespace.close());
    const addresses = ['192.0.2.1/24', '2001:db8::1/64'];
    await joinByVeth({ namespace, device: 'eth0', addresses }, { namespace, device: 'eth1' });
    const agent = AgentProcess.start(namespace, { store, directory, iface: 'eth0' });
    await agent.ready(0);
    // ping fails, as it should: its words are what counts.
    const said = await namespace.exec('ping', ['-n', '-c', '1', '-W', '5', target]).then(
      ({ stdout }) => stdout,
      (error: { stdout?: string }) => error.stdout ?? '',
    );
    assert.match(said, says);
    assert.equal(await agent.stop(), 0);
  });
}
