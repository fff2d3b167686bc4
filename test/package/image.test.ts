/**
 * The image without a registry: the root file system of the Dockerfile, and in it the manifest's containers, with that
 * manifest's capabilities, seccomp profile, mounts and devices and nothing else, on two nodes around an API server.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { validate } from 'dockerfile-utils';
import { makeCertificates } from '../support/certificates.js';
import { readDocument } from '../support/documents.js';
import { dockerfile, stages } from '../support/image/dockerfile.js';
import { Pod, type RunningContainer } from '../support/image/pod.js';
import { assembleImage } from '../support/image/root-fs.js';
import { labOnKube } from '../support/kube/lab.js';
import { readManifests } from '../support/kube/manifests.js';
import { cannotRun, pings, until } from '../support/namespaces.js';
import { manifest } from '../support/packed.js';

test('a linter of Dockerfiles finds nothing to say', () => {
  assert.deepEqual(validate(dockerfile), []);
});

test('the Dockerfile builds with the commands that were tested, for what it names itself', () => {
  const [build, final] = stages();
  const commands = build?.instructions.filter(({ keyword }) => keyword === 'RUN').map(({ text }) => text);
  assert.deepEqual(
    commands?.filter((text) => /^npm /.test(text)),
    ['npm ci --ignore-scripts --no-audit --no-fund', 'npm run build:ts'],
  );
  const labels = final?.instructions.find(({ keyword }) => keyword === 'LABEL')?.text ?? '';
  assert.match(labels, new RegExp(`image\\.version="${manifest.version}"`));
  const { engines } = JSON.parse(readDocument('package.json')) as { engines: { node: string } };
  // Debian 13 has 20.19, for each processor that the Dockerfile names.
  assert.deepEqual([final?.image, engines.node], ['debian:trixie-slim', '>=20.17']);
});

const skip = await cannotRun();
const account = 'system:serviceaccount:twill:twill';
const token = 'a-t0ken';
/** Numbers of CAP_NET_ADMIN and CAP_NET_RAW. */
const GRANTED = (1n << 12n) | (1n << 13n);

const image = skip ? null : assembleImage();
after(() => image?.remove());
const rootFs = image?.path ?? '';

/** A program of the root file system, outside of any container. */
const inside = (...argv: string[]) =>
  execFileSync('chroot', [rootFs, ...argv], {
    encoding: 'utf8',
    env: { PATH: '/usr/sbin:/usr/bin:/usr/local/bin' },
  });

test('the root file system has the names of flannel’s image, one addon, no compiler, and is small', {
  skip,
}, (t) => {
  assert.equal(inside('twill', '--version'), `twill ${manifest.version}\n`);
  assert.match(inside('/opt/bin/flanneld', '--help'), /--kube-subnet-mgr/);
  for (const program of ['iptables-nft', 'iptables-legacy', 'nft'])
    assert.match(inside(program, '--version'), /v\d/);
  assert.ok(existsSync(join(rootFs, 'etc/ssl/certs/ca-certificates.crt')));
  for (const absent of [
    'usr/bin/gcc',
    'usr/bin/npm',
    'opt/twill/native',
    'opt/twill/node_modules/typescript',
  ])
    assert.ok(!existsSync(join(rootFs, absent)), absent);
  const addons = inside('find', '/opt/twill', '-name', '*.node').trim().split('\n');
  assert.equal(addons.length, 1, addons.join());
  const mebibytes = (...paths: string[]) =>
    Number(
      execFileSync('du', ['-sxm', ...paths.map((path) => join(rootFs, path))], { encoding: 'utf8' }).split(
        '\t',
      )[0],
    );
  const [all, ours] = [mebibytes('/'), mebibytes('/opt/twill')];
  t.diagnostic(`the root file system: ${all} MiB, of which ${ours} MiB are /opt/twill`);
  assert.ok(all < 250 && ours < 30, `${all} MiB, ${ours} MiB`);
});

/** Of /proc/PID/status. */
function statusOf(container: RunningContainer): { [field: string]: string } {
  const lines = readFileSync(`/proc/${container.pid}/status`, 'utf8').trim().split('\n');
  return Object.fromEntries(lines.map((line) => line.split(/:\s+/, 2)));
}

test('two nodes run the manifest’s containers from it: pods’ addresses are reached, rules are set, it ends in order', {
  skip,
  timeout: 240_000,
}, async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'twill-nodes-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const api = { host: '192.0.2.250', port: 6443 };
  const made = await makeCertificates(directory, { hosts: [api.host] });
  const tls = { certFile: made.serverCertFile, keyFile: made.serverKeyFile };
  const lab = await labOnKube(t, {}, { tls, tokens: { [token]: account } });
  const manifests = readManifests();
  const pods = await Promise.all(
    lab.nodes.map(async ({ namespace }, i) => {
      const nodeName = `n${i}`;
      await namespace.ip('route', 'add', 'default', 'via', '192.0.2.254');
      await lab.api.addNode(nodeName, { podCidrs: [`10.244.${i}.0/24`], addresses: [`192.0.2.${i + 1}`] });
      const disk = join(directory, nodeName);
      return new Pod({
        ...{ rootFs, manifests, nodeName, namespace, disk },
        api: { ...api, caFile: made.caFile, token },
      });
    }),
  );
  for (const pod of pods) {
    const installed = pod.start(t, 'install-cni');
    assert.equal(await installed.ended(), 0, installed.output);
    assert.equal(
      readFileSync(pod.onDisk('/etc/cni/net.d/10-flannel.conflist'), 'utf8'),
      readFileSync(join(pod.volume('flannel-cfg'), 'cni-conf.json'), 'utf8'),
    );
  }
  const agents = pods.map((pod) => pod.start(t, 'twill'));
  for (const [i, agent] of agents.entries())
    await until(
      `node ${i} is ready`,
      () => {
        assert.ok(agent.isRunning, agent.output);
        return lab
          .node(i)
          .get('/readyz')
          .then(
            ({ status }) => status === 200,
            () => false,
          );
      },
      60_000,
    );
  const [a, b] = [lab.node(0).namespace, lab.node(1).namespace];
  await until('the first reaches the second', () => pings(a, '10.244.1.0'));
  await until('the second reaches the first', () => pings(b, '10.244.0.0'));
  for (const [i, agent] of agents.entries()) {
    const { CapBnd, CapEff, CapPrm, CapInh, CapAmb, NoNewPrivs, Seccomp } = statusOf(agent);
    const masks = [CapBnd, CapEff, CapPrm, CapInh, CapAmb].map((mask) => BigInt(`0x${mask}`));
    // 2: a filter (proc_pid_status(5)).
    assert.deepEqual([masks, NoNewPrivs, Seccomp], [[GRANTED, GRANTED, GRANTED, 0n, 0n], '1', '2']);
    const pod = pods[i];
    assert.match(
      readFileSync(pod?.onDisk('/run/flannel/subnet.env') ?? '', 'utf8'),
      new RegExp(`FLANNEL_SUBNET=10\\.244\\.${i}\\.1/24`),
    );
    const { stdout } = await lab.node(i).namespace.exec('nft', ['list', 'ruleset']);
    assert.match(stdout, /FLANNEL-POSTRTG.*10\.244\.0\.0\/16.*masquerade/is);
    assert.ok(statSync(join(pod?.volume('control') ?? '', 'control.sock')).isSocket());
  }
  for (const agent of agents) {
    agent.signal('SIGTERM');
    assert.equal(await agent.ended(), 0, agent.output);
  }
});

test('without the manifest’s capabilities it does not start, and says what it lacks', { skip }, async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'twill-nodes-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const lab = await labOnKube(t, {}, { nodes: 1 });
  const { namespace } = lab.node(0);
  await namespace.ip('route', 'add', 'default', 'via', '192.0.2.254');
  await lab.api.addNode('n0', { podCidrs: ['10.244.0.0/24'] });
  const caFile = join(directory, 'ca.pem');
  copyFileSync(join(rootFs, 'etc/ssl/certs/ca-certificates.crt'), caFile);
  const pod = new Pod({
    ...{ rootFs, manifests: readManifests(), nodeName: 'n0', namespace, disk: join(directory, 'n0') },
    api: { host: '192.0.2.250', port: 6443, caFile, token },
  });
  const { args, securityContext } = pod.container('twill');
  const agent = pod.start(t, 'twill', {
    args: [...args, `--kube-api-url=${lab.api.url}`],
    securityContext: { ...securityContext, capabilities: { drop: ['ALL'], add: [] } },
  });
  assert.equal(await agent.ended(), 1, agent.output);
  assert.match(agent.output, /NET_ADMIN/);
});
