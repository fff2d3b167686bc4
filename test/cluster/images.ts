/** Images as `ctr images import` reads them (an archive of Docker's), of root file systems that need no registry. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  createReadStream,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { imageEnvironment } from '../support/image/dockerfile.js';
import { ARCH, assembleImage } from '../support/image/root-fs.js';
import { type DaemonSet, only, readManifests } from '../support/kube/manifests.js';

export const PAUSE = 'localhost/pause:1';
export const TOOLS = 'localhost/tools:1';

interface Image {
  readonly name: string;
  readonly rootFs: string;
  readonly environment?: { readonly [name: string]: string };
  readonly entrypoint?: readonly string[];
}

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk);
  return hash.digest('hex');
}

async function pack(folder: string, { name, rootFs, environment = {}, entrypoint }: Image): Promise<string> {
  const stage = mkdtempSync(join(folder, 'image-'));
  const layer = join(stage, 'layer.tar');
  execFileSync('tar', ['-C', rootFs, '--numeric-owner', '-cf', layer, '.']);
  const env = Object.entries({ PATH: '/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', ...environment });
  const config = {
    ...{ architecture: ARCH, os: 'linux' },
    config: {
      Env: env.map(([key, value]) => `${key}=${value}`),
      ...(entrypoint && { Entrypoint: entrypoint }),
    },
    rootfs: { type: 'layers', diff_ids: [`sha256:${await sha256(layer)}`] },
  };
  writeFileSync(join(stage, 'config.json'), JSON.stringify(config));
  const manifest = [{ Config: 'config.json', RepoTags: [name], Layers: ['layer.tar'] }];
  writeFileSync(join(stage, 'manifest.json'), JSON.stringify(manifest));
  const archive = `${stage}.tar`;
  execFileSync('tar', ['-C', stage, '-cf', archive, 'manifest.json', 'config.json', 'layer.tar']);
  rmSync(stage, { recursive: true });
  return archive;
}

/** busybox, whose shell, ping and httpd the pods of the test are made of. */
function tools(folder: string): string {
  const rootFs = join(folder, 'tools');
  mkdirSync(join(rootFs, 'bin'), { recursive: true });
  mkdirSync(join(rootFs, 'tmp'));
  copyFileSync('/bin/busybox', join(rootFs, 'bin/busybox'));
  for (const name of execFileSync('busybox', ['--list'], { encoding: 'utf8' }).trim().split('\n'))
    if (name !== 'busybox') symlinkSync('busybox', join(rootFs, 'bin', name));
  return rootFs;
}

function pause(folder: string): string {
  const rootFs = join(folder, 'pause');
  mkdirSync(rootFs);
  const source = 'int pause(void); int main(void) { for (;;) pause(); }';
  execFileSync('gcc', ['-static', '-O1', '-o', join(rootFs, 'pause'), '-x', 'c', '-'], { input: source });
  return rootFs;
}

/** All that the manifest and the test name, as archives below `folder`. */
export async function makeImages(folder: string): Promise<readonly string[]> {
  const { initContainers, containers } = only<DaemonSet>(readManifests(), 'DaemonSet').spec.template.spec;
  const [plugin = '', agent = ''] = [...initContainers.slice(0, 1), ...containers].map(({ image }) => image);
  const toolsFs = tools(folder);
  const archives = [
    await pack(folder, { name: PAUSE, rootFs: pause(folder), entrypoint: ['/pause'] }),
    await pack(folder, { name: TOOLS, rootFs: toolsFs }),
  ];
  // In the place of flannel's plugin, which Debian has not: it runs on the host, with the host's Node.
  const program = fileURLToPath(new URL('./flannel-plugin.js', import.meta.url));
  writeFileSync(join(toolsFs, 'flannel'), `#!/bin/sh\nexec ${process.execPath} ${program}\n`);
  chmodSync(join(toolsFs, 'flannel'), 0o755);
  archives.push(await pack(folder, { name: plugin, rootFs: toolsFs }));
  const { path: rootFs, remove } = assembleImage();
  try {
    archives.push(
      await pack(folder, {
        name: agent,
        rootFs,
        environment: imageEnvironment(),
        entrypoint: ['/opt/bin/flanneld'],
      }),
    );
  } finally {
    remove();
  }
  return archives;
}
