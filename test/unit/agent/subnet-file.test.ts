import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { SubnetFile } from '../../../src/agent/subnet-file.js';
import { Prefix } from '../../../src/net/prefix.js';
import { FakeClock, recordingLogger, until } from './fakes.js';

const env = {
  ...{ networks: { v4: Prefix.parse('10.42.0.0/16') }, subnets: { v4: Prefix.parse('10.42.7.0/24') } },
  ...{ mtuBytes: 1450, ipMasq: false },
};

test('what it tells may change: replaced at once, unless it is somebody else’s by now', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'twill-subnet-file-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const path = join(directory, 'subnet.env');
  const [clock, stopping] = [new FakeClock(), new AbortController()];
  const file = new SubnetFile(path, { clock, logger: recordingLogger().logger, random: () => 0 });
  const text = () => readFile(path, 'utf8').catch(() => '');
  const tells = (mtuBytes: number) =>
    until(`MTU ${mtuBytes}`, async () => (await text()).includes(`FLANNEL_MTU=${mtuBytes}\n`));
  const kept = file.keep(env, stopping.signal, () => {});
  await tells(1450);
  file.update({ ...env, mtuBytes: 1350 });
  await tells(1350);
  await until('well', () => file.missing === null);
  await rm(path);
  file.update({ ...env, mtuBytes: 1300 });
  await tells(1300);
  await writeFile(path, 'FLANNEL_MTU=9\n');
  file.update({ ...env, mtuBytes: 1200 });
  await until('not ready', () => file.missing !== null);
  assert.equal(await text(), 'FLANNEL_MTU=9\n');
  assert.match(file.missing ?? '', /^somebody else has written it/);
  stopping.abort();
  await kept;
});

test('a change before the first writing is what is written', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'twill-subnet-file-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const path = join(directory, 'subnet.env');
  const [clock, stopping] = [new FakeClock(), new AbortController()];
  const file = new SubnetFile(path, { clock, logger: recordingLogger().logger, random: () => 0 });
  file.update({ ...env, mtuBytes: 1350 });
  const kept = file.keep(env, stopping.signal, () => {});
  await until('written', () => file.missing === null);
  assert.match(await readFile(path, 'utf8'), /^FLANNEL_MTU=1350$/m);
  stopping.abort();
  await kept;
});
