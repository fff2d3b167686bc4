/**
 * The image's root file system without Docker and without a registry: the base is what Debian's own tool makes of the
 * suite that the Dockerfile names, and on it the Dockerfile's instructions are done as they stand.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../documents.js';
import { plainEnvironment } from '../packed.js';
import { OWN_TARGET, prebuilt } from '../prebuilt.js';
import { stages } from './dockerfile.js';

/** As Docker calls this machine's. */
export const ARCH = process.arch === 'x64' ? 'amd64' : process.arch;

/** Those of Debian's slim images: no manuals, no translations. */
const SLIM = ['doc', 'info', 'linda', 'lintian', 'locale', 'man'].map(
  (folder) => `--dpkgopt=path-exclude=/usr/share/${folder}/*`,
);

function run(command: string, args: readonly string[], env: Record<string, string> = {}): string {
  const options = { cwd: root, encoding: 'utf8', maxBuffer: 1 << 26, env: plainEnvironment(env) } as const;
  return execFileSync(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Where this system takes Debian's packages from. Throws where it is no Debian. */
export function mirror(): string {
  const format = '$(REPO_URI) $(ORIGIN) $(LABEL)';
  const lines = run('apt-get', ['indextargets', '--format', format, 'Created-By: Packages']).split('\n');
  const found = lines.find((line) => line.endsWith(' Debian Debian'))?.split(' ')[0];
  if (found === undefined) throw new Error(`apt knows no mirror of Debian: ${lines.join('; ')}`);
  return found;
}

/** The last stage up to where it takes over what the first has built, and from there on. */
function lastStage() {
  const { image = '', instructions = [] } = stages().at(-1) ?? {};
  const suite = /^debian:(\w+)-slim$/.exec(image)?.[1];
  const cut = instructions.findIndex(({ keyword }) => keyword === 'COPY');
  if (suite === undefined || cut < 0) throw new Error('the image is no slim Debian, or holds nothing of us');
  return { suite, system: instructions.slice(0, cut), ours: instructions.slice(cut) };
}

/** An archive of what the image is without us. Made once for each text of the Dockerfile, as Docker does; by root. */
export function systemArchive(): string {
  const { suite, system } = lastStage();
  const key = createHash('sha256')
    .update(JSON.stringify([suite, system]))
    .digest('hex')
    .slice(0, 16);
  const archive = join(root, 'build/image', `${key}.tar`);
  if (existsSync(archive)) return archive;
  mkdirSync(join(root, 'build/image'), { recursive: true });
  const folder = mkdtempSync(join(root, 'build/image/system-'));
  try {
    const [path, partial] = [join(folder, 'rootfs'), join(folder, 'partial.tar')];
    run('mmdebstrap', ['--quiet', '--variant=minbase', ...SLIM, suite, path, mirror()]);
    for (const { keyword, text } of system) if (keyword === 'RUN') runInside(path, text);
    run('tar', ['-cf', partial, '--numeric-owner', '--xattrs', '--xattrs-include=*', '-C', path, '.']);
    renameSync(partial, archive);
    return archive;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A shell's command as RUN gives it to the root file system: with /proc, and mounts that nobody else sees. */
function runInside(path: string, command: string): void {
  const nameServers = join(path, 'etc/resolv.conf');
  cpSync('/etc/resolv.conf', nameServers, { dereference: true });
  try {
    const inside = ['--mount', '--pid', '--fork', '--kill-child', `--root=${path}`, '--mount-proc'];
    run('unshare', [...inside, '/bin/sh', '-c', command], { DEBIAN_FRONTEND: 'noninteractive' });
  } finally {
    rmSync(nameServers);
  }
}

/**
 * Assembles it for this machine below build/image; `remove` takes it away. Of the build's stage only the last step is done
 * anew: the ones before, packages and compilers, made the checkout that is being tested.
 */
export function assembleImage(): { readonly path: string; remove(): void } {
  const step = stages()[0]?.instructions.at(-1);
  if (step?.keyword !== 'RUN') throw new Error('the build ends with another step');
  prebuilt(OWN_TARGET);
  const archive = systemArchive();
  const folder = mkdtempSync(join(root, 'build/image/root-'));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  const [path, built] = [join(folder, 'rootfs'), join(folder, 'built')];
  try {
    mkdirSync(path);
    run('tar', ['-xpf', archive, '--numeric-owner', '--xattrs', '--xattrs-include=*', '-C', path]);
    // The folder that the stage puts things into is ours here.
    run('sh', ['-c', step.text.replace(/ \/image$/, ' "$IMAGE"')], { TARGETARCH: ARCH, IMAGE: built });
    for (const { keyword, flags, text } of lastStage().ours) {
      if (keyword === 'COPY' && text === '/image/ /' && flags.join() === '--from=build')
        // As BuildKit does it: links stay links, folders that are there stay.
        run('cp', ['-dR', '--preserve=mode', `${built}/.`, path]);
      else if (!['ENTRYPOINT', 'ENV', 'LABEL'].includes(keyword))
        throw new Error(`not known: ${keyword} ${text}`);
    }
    rmSync(built, { recursive: true });
    return { path, remove };
  } catch (error) {
    remove();
    throw error;
  }
}
