/** The seccomp profile RuntimeDefault as an OCI runtime wants it, of the file that podman and CRI-O read (seccomp.json(5)). */
import { readFileSync } from 'node:fs';

/** Of Debian's golang-github-containers-common. */
const PROFILE = '/usr/share/containers/seccomp.json';
/** This machine's processor, as Go and as libseccomp name it. */
const [ARCH = '', NATIVE = ''] = {
  x64: ['amd64', 'SCMP_ARCH_X86_64'],
  arm64: ['arm64', 'SCMP_ARCH_AARCH64'],
}[process.arch as string] ?? [process.arch, ''];

interface Conditions {
  readonly arches?: readonly string[];
  readonly caps?: readonly string[];
}
interface Profile {
  readonly defaultAction: string;
  readonly defaultErrnoRet: number;
  readonly archMap: readonly {
    readonly architecture: string;
    readonly subArchitectures: readonly string[];
  }[];
  readonly syscalls: readonly {
    readonly names: readonly string[];
    readonly action: string;
    readonly args: readonly object[] | null;
    readonly errnoRet?: number;
    readonly includes: Conditions;
    readonly excludes: Conditions;
  }[];
}

/** `linux.seccomp` for a container with these capabilities (`CAP_NET_RAW`). */
export function runtimeDefault(capabilities: readonly string[]): object {
  const profile = JSON.parse(readFileSync(PROFILE, 'utf8')) as Profile;
  const has = (name: string) => capabilities.includes(name);
  const rules = profile.syscalls.filter(
    ({ includes, excludes }) =>
      (includes.arches?.includes(ARCH) ?? true) &&
      (includes.caps?.every(has) ?? true) &&
      !excludes.arches?.includes(ARCH) &&
      !excludes.caps?.some(has),
  );
  return {
    defaultAction: profile.defaultAction,
    defaultErrnoRet: profile.defaultErrnoRet,
    architectures: profile.archMap
      .filter(({ architecture }) => architecture === NATIVE)
      .flatMap(({ architecture, subArchitectures }) => [architecture, ...subArchitectures]),
    syscalls: rules.map(({ names, action, args, errnoRet }) => ({
      ...{ names, action, args: args ?? [] },
      ...(errnoRet !== undefined && { errnoRet }),
    })),
  };
}
