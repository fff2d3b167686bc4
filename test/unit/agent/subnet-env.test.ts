import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import {
  formatSubnetEnv,
  parseSubnetEnv,
  readSubnetEnv,
  writeSubnetEnv,
} from '../../../src/agent/subnet-env.js';
import { TwillError } from '../../../src/errors.js';
import { Prefix } from '../../../src/net/prefix.js';

const v4 = { v4: Prefix.parse('10.42.0.0/16') };
const env = { networks: v4, subnets: { v4: Prefix.parse('10.42.7.0/24') }, mtuBytes: 1450, ipMasq: true };
const dual = {
  networks: { ...v4, v6: Prefix.parse('2001:cafe:42::/56') },
  subnets: { v4: Prefix.parse('10.42.0.0/24'), v6: Prefix.parse('2001:cafe:42::/64') },
  mtuBytes: 1450,
  ipMasq: true,
};

describe('subnet.env', () => {
  let directory = '';
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'twill-subnet-env-'));
  });
  after(() => rm(directory, { recursive: true, force: true }));

  test('lines and order are flannel’s, the subnet as its first usable address', () => {
    assert.equal(
      formatSubnetEnv(dual),
      'FLANNEL_NETWORK=10.42.0.0/16\nFLANNEL_SUBNET=10.42.0.1/24\nFLANNEL_IPV6_NETWORK=2001:cafe:42::/56\n' +
        'FLANNEL_IPV6_SUBNET=2001:cafe:42::1/64\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n',
    );
    assert.equal(
      formatSubnetEnv({ ...env, ipMasq: false }),
      'FLANNEL_NETWORK=10.42.0.0/16\nFLANNEL_SUBNET=10.42.7.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=false\n',
    );
  });

  test('what is written is read back', () => {
    const read = parseSubnetEnv(formatSubnetEnv(dual));
    const { networks, subnets } = dual;
    assert.deepEqual(read, { networks, subnets, ipMasq: true, skipped: [] });
  });

  test('quotes, export, comments and unknown lines are fine; bad lines are named', () => {
    const read = parseSubnetEnv(
      '# mine\nexport FLANNEL_SUBNET="10.42.7.1/24"\nOTHER=1\nFLANNEL_NETWORK=10.0.0.0/8,10.1.0.0/16\nFLANNEL_IPV6_SUBNET\n\r\n',
    );
    assert.equal(read.subnets.v4?.toString(), '10.42.7.0/24');
    assert.deepEqual(read.networks, {});
    assert.equal(read.skipped.length, 2);
    assert.match(read.skipped[0] ?? '', /line 4: FLANNEL_NETWORK holds 2/);
    assert.match(read.skipped[1] ?? '', /line 5/);
  });

  test('of a list the only valid item counts; the other family does not', () => {
    const read = parseSubnetEnv(
      'FLANNEL_SUBNET=nonsense,10.42.7.1/24\nFLANNEL_IPV6_SUBNET=10.1.0.0/16\n__proto__=10.0.0.0/8\n',
    );
    assert.deepEqual(Object.keys(read.subnets), ['v4']);
    assert.deepEqual(read.skipped, ['line 2: FLANNEL_IPV6_SUBNET holds 0 valid IPv6 prefixes, not one']);
  });

  test('written in one step, 0644 whatever the umask, in a directory that it makes', async () => {
    const path = join(directory, 'run', 'flannel', 'subnet.env');
    const umask = process.umask(0o077);
    try {
      await writeSubnetEnv(path, env);
      await writeSubnetEnv(path, { ...env, mtuBytes: 1400 });
    } finally {
      process.umask(umask);
    }
    assert.match(await readFile(path, 'utf8'), /^FLANNEL_MTU=1400$/m);
    assert.equal((await stat(path)).mode & 0o777, 0o644);
    assert.equal((await stat(join(path, '..'))).mode & 0o777, 0o755);
    assert.deepEqual(await readdir(join(path, '..')), ['subnet.env'], 'no temporary file is left');
  });

  test('a link in its place is replaced, not followed', async () => {
    const victim = join(directory, 'victim');
    const path = join(directory, 'linked.env');
    await writeFile(victim, 'FLANNEL_SUBNET=10.42.9.1/24\n');
    await symlink(victim, path);
    await assert.rejects(readSubnetEnv(path), isConfigError);
    await writeSubnetEnv(path, env);
    assert.equal(await readFile(victim, 'utf8'), 'FLANNEL_SUBNET=10.42.9.1/24\n');
    assert.equal((await readSubnetEnv(path))?.subnets.v4?.toString(), '10.42.7.0/24');
  });

  test('nothing, too much, a directory, a FIFO', async () => {
    assert.equal(await readSubnetEnv(join(directory, 'missing')), null);
    await writeFile(join(directory, 'big'), 'x'.repeat(64 * 1024 + 1));
    await assert.rejects(readSubnetEnv(join(directory, 'big')), /longer than 65536 bytes/);
    await mkdir(join(directory, 'folder'));
    await assert.rejects(readSubnetEnv(join(directory, 'folder')), isConfigError);
    execFileSync('mkfifo', [join(directory, 'fifo')]);
    await assert.rejects(readSubnetEnv(join(directory, 'fifo')), /not a regular file/);
  });

  test('a write that cannot succeed leaves nothing behind and says where', async () => {
    await mkdir(join(directory, 'taken', 'subnet.env'), { recursive: true });
    await writeFile(join(directory, 'taken', 'subnet.env', 'inside'), '');
    await assert.rejects(
      writeSubnetEnv(join(directory, 'taken', 'subnet.env'), env),
      /cannot write subnet file .*taken/,
    );
    assert.deepEqual(await readdir(join(directory, 'taken')), ['subnet.env']);
  });
});

function isConfigError(error: unknown): boolean {
  return error instanceof TwillError && error.code === 'ERR_TWILL_CONFIG';
}
