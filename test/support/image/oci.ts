/** A container of a pod's manifest as the specification of an OCI runtime: what a kubelet and its runtime make of it. */
import type { Container, PodSpec } from '../kube/manifests.js';
import { runtimeDefault } from './seccomp.js';

export interface Surroundings {
  /** The root file system. */
  readonly rootFs: string;
  /** The pod's own, which holds for each container. */
  readonly podSecurity: PodSpec['securityContext'];
  /** What `fieldRef` finds. */
  readonly fields: { readonly [path: string]: string };
  /** Beside the container's own. */
  readonly environment: { readonly [name: string]: string };
  /** Where each volume of the pod is. */
  readonly volumes: { readonly [name: string]: string };
}

/** The defaults of containerd and CRI-O for a container that is not privileged. */
const MASKED = [
  'acpi',
  'asound',
  'kcore',
  'keys',
  'latency_stats',
  'sched_debug',
  'scsi',
  'timer_list',
  'timer_stats',
];
const READ_ONLY = ['bus', 'fs', 'irq', 'sys', 'sysrq-trigger'];
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

const plain = ['nosuid', 'noexec', 'nodev'];
const SYSTEM_MOUNTS = [
  { destination: '/proc', type: 'proc', source: 'proc', options: plain },
  {
    destination: '/dev',
    type: 'tmpfs',
    source: 'tmpfs',
    options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
  },
  { destination: '/dev/shm', type: 'tmpfs', source: 'shm', options: [...plain, 'mode=1777', 'size=65536k'] },
  { destination: '/sys', type: 'sysfs', source: 'sysfs', options: [...plain, 'ro'] },
];

/** Throws for what a kubelet would do otherwise than it is done here. */
export function ociSpec(container: Container, around: Surroundings): object {
  const { privileged, allowPrivilegeEscalation, readOnlyRootFilesystem, capabilities } =
    container.securityContext;
  if (privileged === true || capabilities.drop.join() !== 'ALL')
    throw new Error(`${container.name} keeps capabilities`);
  const { type } = around.podSecurity.seccompProfile;
  if (type !== 'RuntimeDefault' || 'seccompProfile' in container.securityContext)
    throw new Error(`${container.name} has another seccomp profile than RuntimeDefault`);
  const granted = capabilities.add.map((name) => `CAP_${name}`);
  const env = (container.env ?? []).map(({ name, value, valueFrom }) => {
    const path = valueFrom?.fieldRef.fieldPath ?? '';
    const found = value ?? around.fields[path];
    if (found === undefined) throw new Error(`${container.name}: ${name} is ${path}, which is not known`);
    return `${name}=${found}`;
  });
  const mounts = container.volumeMounts.map(({ name, mountPath }) => {
    const source = around.volumes[name];
    if (source === undefined) throw new Error(`${container.name}: there is no volume ${name}`);
    return { destination: mountPath, type: 'bind', source, options: ['rbind', 'rprivate', 'rw'] };
  });
  const given = Object.entries(around.environment).map(([name, value]) => `${name}=${value}`);
  return {
    ociVersion: '1.0.2',
    root: { path: around.rootFs, readonly: readOnlyRootFilesystem === true },
    process: {
      args: [...container.command, ...container.args],
      env: [`PATH=${PATH}`, ...given, ...env],
      cwd: '/',
      user: { uid: 0, gid: 0 },
      // Not inheritable, nor ambient: Kubernetes gives none.
      capabilities: { bounding: granted, effective: granted, permitted: granted },
      noNewPrivileges: allowPrivilegeEscalation === false,
    },
    mounts: [...SYSTEM_MOUNTS, ...mounts],
    linux: {
      // Of the host: its network, in which the runtime is started, and its name.
      namespaces: ['pid', 'mount', 'ipc'].map((type) => ({ type })),
      // Of devices those that every container has. /dev/net/tun is one of them, but for runc 1.2.0 to 1.2.3.
      resources: { devices: [{ allow: false, access: 'rwm' }] },
      seccomp: runtimeDefault(granted),
      maskedPaths: [...MASKED.map((name) => `/proc/${name}`), '/sys/firmware'],
      readonlyPaths: READ_ONLY.map((name) => `/proc/${name}`),
    },
  };
}
