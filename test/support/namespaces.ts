/** What every namespace test needs: whether it can run here, waits that are conditions, topologies, pings. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { joinByVeth, Namespace } from '../../src/lab/namespace.js';

/** The executable. */
export const cli = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

/** The reason why namespace tests cannot run here, or false. */
export async function cannotRun(): Promise<string | false> {
  if (process.getuid?.() !== 0) return 'needs root, or a user namespace of its own';
  for (const [path, what] of [
    ['/dev/net/tun', 'TUN devices'],
    ['/usr/bin/unshare', 'unshare of util-linux'],
  ] as const) {
    const isThere = await access(path, constants.F_OK).then(
      () => true,
      () => false,
    );
    if (!isThere) return `needs ${what} (${path})`;
  }
  return false;
}

/** How to run a command as a user without any right. */
export const asNobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--'];

/** The reason why that user cannot even start us, or false. */
export async function nobodyCannotRun(): Promise<string | false> {
  const [command = '', ...argv] = asNobody;
  return promisify(execFile)(command, [...argv, process.execPath, cli, '--version']).then(
    () => false,
    (error) => `user nobody cannot start ${cli}: ${(error as Error).message.split('\n')[0]}`,
  );
}

/** Waits until `check` holds; fails naming `what` when it does not in time. The limit is for a machine that is busy. */
export async function until(what: string, check: () => Promise<boolean>, withinMs = 20_000): Promise<void> {
  const endMs = Date.now() + withinMs;
  while (!(await check())) {
    if (Date.now() > endMs) assert.fail(`not within ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export async function makeNamespace(t: TestContext, label: string): Promise<Namespace> {
  const namespace = await Namespace.create(label);
  t.after(() => namespace.close());
  return namespace;
}

/** Two namespaces joined by a veth pair, `eth0` at both ends, with these addresses. */
export async function makePair(
  t: TestContext,
  left: readonly string[],
  right: readonly string[],
): Promise<[Namespace, Namespace]> {
  const a = await makeNamespace(t, 'a');
  const b = await makeNamespace(t, 'b');
  await joinByVeth(
    { namespace: a, device: 'eth0', addresses: left },
    { namespace: b, device: 'eth0', addresses: right },
  );
  return [a, b];
}

/** Namespaces on one bridge, `eth0` in each; the bridge has a namespace of its own. */
export async function makeSegment(
  t: TestContext,
  nodes: readonly { readonly label: string; readonly addresses: readonly string[] }[],
): Promise<Namespace[]> {
  const bridge = await makeNamespace(t, 'segment');
  await bridge.ip('link', 'add', 'br0', 'type', 'bridge');
  await bridge.ip('link', 'set', 'br0', 'up');
  const namespaces: Namespace[] = [];
  for (const [i, { label, addresses }] of nodes.entries()) {
    const namespace = await makeNamespace(t, label);
    const port = `port${i}`;
    await joinByVeth({ namespace, device: 'eth0', addresses }, { namespace: bridge, device: port });
    await bridge.ip('link', 'set', port, 'master', 'br0');
    namespaces.push(namespace);
  }
  return namespaces;
}

/** One echo request; whether it was answered. */
export function pings(from: Namespace, to: string, ...flags: string[]): Promise<boolean> {
  return from.exec('ping', ['-n', '-c', '1', '-W', '1', ...flags, to]).then(
    () => true,
    () => false,
  );
}

/** The address of a prefix: `10.77.3.0/24` is `10.77.3.0`. */
export function base(subnet: string): string {
  return subnet.split('/')[0] ?? '';
}
