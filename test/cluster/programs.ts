/**
 * The programs of Kubernetes, built from Debian's source package, which the client's package comes from too. Debian 12 has
 * 1.20 with all that it takes to build it; its Go is the one that it wants. Below build/kubernetes, once: ten minutes.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../support/documents.js';
import { mirror } from '../support/image/root-fs.js';
import { plainEnvironment } from '../support/packed.js';

const PROGRAMS = ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kube-proxy', 'kubelet'];
const SUITE = 'bookworm';
const folder = join(root, 'build/kubernetes');
/** As Go's old way of finding packages wants it, which this Kubernetes was built with. */
const tree = join(folder, 'go/src/k8s.io/kubernetes');

function run(command: string, args: readonly string[], cwd: string, env: Record<string, string> = {}): void {
  execFileSync(command, args, { cwd, stdio: ['ignore', 'ignore', 2], env: plainEnvironment(env) });
}

/** apt of another system than this: its own list of sources, and nothing that this one has. */
function fetchSource(): void {
  const apt = join(folder, 'apt');
  mkdirSync(join(apt, 'lists/partial'), { recursive: true });
  const key = '/usr/share/keyrings/debian-archive-keyring.gpg';
  writeFileSync(join(apt, 'sources.list'), `deb-src [signed-by=${key}] ${mirror()} ${SUITE} main\n`);
  const own = [`Dir::Etc::SourceList=${apt}/sources.list`, 'Dir::Etc::SourceParts=/dev/null'];
  const options = [...own, `Dir::State::Lists=${apt}/lists`, 'APT::Sandbox::User=root'].flatMap((option) => [
    '-o',
    option,
  ]);
  run('apt-get', [...options, 'update', '-qq'], folder);
  run('apt-get', [...options, 'source', '-qq', 'kubernetes'], folder);
  const unpacked = readdirSync(folder).find((name) => /^kubernetes-\d/.test(name));
  if (unpacked === undefined) throw new Error(`apt-get has unpacked no kubernetes below ${folder}`);
  mkdirSync(join(tree, '..'), { recursive: true });
  run('mv', [join(folder, unpacked), tree], folder);
}

/** The folder that they are in. */
export function kubernetesPrograms(): string {
  const built = join(folder, 'bin');
  if (PROGRAMS.every((name) => existsSync(join(built, name)))) return built;
  mkdirSync(folder, { recursive: true });
  if (!existsSync(tree)) {
    rmSync(join(folder, 'go'), { recursive: true, force: true });
    fetchSource();
  }
  const env = {
    GOPATH: join(folder, 'go'),
    GOCACHE: join(folder, 'cache'),
    HOME: folder,
    GOPROXY: 'off',
    GO111MODULE: 'off',
  };
  run('make', ['generated_files'], tree, { HOME: folder, GOCACHE: env.GOCACHE });
  const version = ['gitVersion=v1.20.2', 'gitMajor=1', 'gitMinor=20'].map(
    (field) => `-X k8s.io/kubernetes/vendor/k8s.io/component-base/version.${field}`,
  );
  for (const name of PROGRAMS)
    run('go', ['build', '-ldflags', `-s -w ${version.join(' ')}`, '-o', `${built}/`, `./cmd/${name}`], tree, {
      ...env,
      CGO_ENABLED: '0',
    });
  return built;
}
