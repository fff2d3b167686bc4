/**
 * subnet.env: what a CNI plugin, a shell or systemd learns about this node, and where we find our last subnet again
 * after a restart. Lines, order and rounding are flannel's; the subnet stands as its first usable address (the bridge's).
 */
import { constants } from 'node:fs';
import { chmod, type FileHandle, mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { TwillError } from '../errors.js';
import type { LeaseSubnets } from '../lease/lease.js';
import type { IpFamily } from '../net/ip.js';
import { Prefix } from '../net/prefix.js';
import { replaceFile } from '../store/files.js';

export interface SubnetEnv {
  readonly networks: LeaseSubnets;
  readonly subnets: LeaseSubnets;
  readonly mtuBytes: number;
  readonly ipMasq: boolean;
}

/** What could be read of an earlier file. */
export interface SubnetEnvRead {
  readonly networks: LeaseSubnets;
  readonly subnets: LeaseSubnets;
  /** It told the CNI plugin that the host masquerades. */
  readonly ipMasq: boolean;
  /** Lines that were not understood, by name: `line 3: FLANNEL_SUBNET: ...`. */
  readonly skipped: readonly string[];
}

const longestFileBytes = 64 * 1024;

export function formatSubnetEnv(env: SubnetEnv): string {
  const lines: string[] = [];
  const family = (prefix: string, network?: Prefix, subnet?: Prefix) => {
    if (!network || !subnet) return;
    lines.push(`FLANNEL_${prefix}NETWORK=${network}`);
    lines.push(`FLANNEL_${prefix}SUBNET=${subnet.address.add(1n)}/${subnet.length}`);
  };
  family('', env.networks.v4, env.subnets.v4);
  family('IPV6_', env.networks.v6, env.subnets.v6);
  lines.push(`FLANNEL_MTU=${env.mtuBytes}`, `FLANNEL_IPMASQ=${env.ipMasq}`);
  return `${lines.join('\n')}\n`;
}

/** Understands what a shell would: comments, `export`, quotes. Of a list, the only valid item counts; several count as none. */
export function parseSubnetEnv(text: string): SubnetEnvRead {
  const skipped: string[] = [];
  const found: { [name: string]: Prefix | undefined } = Object.create(null);
  let ipMasq = false;
  const wanted: { readonly [name: string]: IpFamily | undefined } = {
    FLANNEL_NETWORK: 4,
    FLANNEL_SUBNET: 4,
    FLANNEL_IPV6_NETWORK: 6,
    FLANNEL_IPV6_SUBNET: 6,
  };
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trim().replace(/^export\s+/, '');
    if (line === '' || line.startsWith('#')) continue;
    const skip = (why: string) => skipped.push(`line ${index + 1}: ${why}`);
    const equals = line.indexOf('=');
    if (equals < 0) {
      skip('no "=" in it');
      continue;
    }
    const name = line.slice(0, equals).trim();
    if (name === 'FLANNEL_IPMASQ') ipMasq = unquoted(line.slice(equals + 1).trim()) === 'true';
    const family = Object.hasOwn(wanted, name) ? wanted[name] : undefined;
    if (family === undefined) continue;
    const items = unquoted(line.slice(equals + 1).trim()).split(',');
    const prefixes = items.flatMap((item) => {
      const prefix = Prefix.tryParse(item.trim());
      return prefix?.family === family ? [prefix] : [];
    });
    const [only] = prefixes;
    if (prefixes.length === 1) found[name] = only;
    else skip(`${name} holds ${prefixes.length} valid IPv${family} prefixes, not one`);
  }
  return {
    networks: bothFamilies(found['FLANNEL_NETWORK'], found['FLANNEL_IPV6_NETWORK']),
    subnets: bothFamilies(found['FLANNEL_SUBNET'], found['FLANNEL_IPV6_SUBNET']),
    ipMasq,
    skipped,
  };
}

/** The earlier file, or null where there is none. Throws ERR_TWILL_CONFIG. */
export async function readSubnetEnv(path: string): Promise<SubnetEnvRead | null> {
  const text = await readSubnetText(path);
  return text === null ? null : parseSubnetEnv(text);
}

/**
 * Its text, or null where there is none. Reads a regular file of at most 64 KiB and follows no link in the last place,
 * since a file under /run may be anybody's. Throws ERR_TWILL_CONFIG otherwise.
 */
export async function readSubnetText(path: string): Promise<string | null> {
  let file: FileHandle | undefined;
  try {
    // O_NONBLOCK: opening a FIFO must not wait for a writer.
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const stat = await file.stat();
    if (!stat.isFile()) throw new Error('not a regular file');
    if (stat.size > longestFileBytes) throw new Error(`longer than ${longestFileBytes} bytes`);
    const bytes = Buffer.alloc(longestFileBytes);
    const { bytesRead } = await file.read(bytes, 0, longestFileBytes, 0);
    return bytes.toString('utf8', 0, bytesRead);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw new TwillError('ERR_TWILL_CONFIG', `cannot read subnet file ${path}: ${(cause as Error).message}`, {
      cause,
    });
  } finally {
    await file?.close();
  }
}

/** Replaces the file in one step: readers see the old one or the new one, also after a crash. Mode 0644, directory 0755. */
export async function writeSubnetEnv(path: string, env: SubnetEnv): Promise<void> {
  const directory = dirname(path);
  try {
    const made = await mkdir(directory, { recursive: true, mode: 0o755 });
    if (made !== undefined) await chmod(directory, 0o755);
    await replaceFile(path, formatSubnetEnv(env), 0o644);
  } catch (cause) {
    throw new TwillError(
      'ERR_TWILL_CONFIG',
      `cannot write subnet file ${path}: ${(cause as Error).message}`,
      { cause },
    );
  }
}

function unquoted(value: string): string {
  const quote = value[0];
  return (quote === '"' || quote === "'") && value.length > 1 && value.endsWith(quote)
    ? value.slice(1, -1)
    : value;
}

function bothFamilies(v4: Prefix | undefined, v6: Prefix | undefined): LeaseSubnets {
  return { ...(v4 && { v4 }), ...(v6 && { v6 }) };
}
