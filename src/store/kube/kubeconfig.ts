/**
 * kubeconfig, as kubectl reads it: of the current context the cluster and the user. Credentials that need a program to be
 * run (`exec`, `auth-provider`) are refused. Messages name places, never what stands there: most of it is secret.
 */
import { dirname, resolve } from 'node:path';
import { parseDocument } from 'yaml';
import { serverUrl } from '../../config/kube-options.js';
import { Secret } from '../../config/secret.js';
import { TwillError } from '../../errors.js';

export interface KubeconfigUser {
  readonly token?: Secret;
  readonly tokenFile?: string;
  /** PEM. */
  readonly cert?: string;
  readonly certFile?: string;
  readonly key?: Secret;
  readonly keyFile?: string;
}

export interface Kubeconfig {
  readonly server?: string;
  /** PEM. */
  readonly ca?: string;
  readonly caFile?: string;
  readonly serverName?: string;
  readonly isUnverified: boolean;
  readonly user: KubeconfigUser;
}

type Fields = { readonly [name: string]: unknown };

/** Paths in it are relative to where it lies. Throws ERR_TWILL_STORE. */
export function parseKubeconfig(text: string, path: string): Kubeconfig {
  const config = fieldsOf(parsed(text, path));
  if (!config) throw wrong(path, 'it is no kubeconfig');
  const context = named(config['contexts'], string(config, 'current-context'), 'context');
  const { cluster: clusterName, user: userName } = context ?? {};
  const cluster = named(config['clusters'], clusterName, 'cluster') ?? {};
  const user = named(config['users'], userName, 'user') ?? {};
  if (!context && config['clusters'] !== undefined && string(config, 'current-context') === undefined)
    throw wrong(path, 'it has no current-context');
  for (const program of ['exec', 'auth-provider']) {
    if (user[program] === undefined) continue;
    throw wrong(
      path,
      `its user needs ${program}, and Twill runs no program for credentials: use a token, a token file or a client certificate`,
    );
  }
  if (user['username'] !== undefined || user['password'] !== undefined)
    throw wrong(
      path,
      'its user has a password, which Kubernetes no longer takes: use a token or a certificate',
    );
  const file = (fields: Fields, name: string) => {
    const value = string(fields, name);
    return value === undefined ? undefined : resolve(dirname(path), value);
  };
  const server = string(cluster, 'server');
  return defined({
    server: server === undefined ? undefined : clusterUrl(server, path),
    ca: decoded(cluster, 'certificate-authority-data', path),
    caFile: file(cluster, 'certificate-authority'),
    serverName: string(cluster, 'tls-server-name'),
    isUnverified: cluster['insecure-skip-tls-verify'] === true,
    user: defined({
      token: secret(string(user, 'token')),
      tokenFile: file(user, 'tokenFile'),
      cert: decoded(user, 'client-certificate-data', path),
      certFile: file(user, 'client-certificate'),
      key: secret(decoded(user, 'client-key-data', path)),
      keyFile: file(user, 'client-key'),
    }),
  }) as unknown as Kubeconfig;

  function named(list: unknown, name: unknown, kind: 'context' | 'cluster' | 'user'): Fields | undefined {
    if (name === undefined || name === '') return undefined;
    const entry = (Array.isArray(list) ? list : []).map(fieldsOf).find((fields) => fields?.['name'] === name);
    const found = fieldsOf(entry?.[kind]);
    if (entry && !found) return {};
    if (found) return found;
    throw wrong(path, `it has no ${kind} ${JSON.stringify(String(name).slice(0, 80))}`);
  }
}

/** The library's own messages show the lines that are wrong. */
function parsed(text: string, path: string): unknown {
  const document = parseDocument(text, { prettyErrors: true, logLevel: 'silent' });
  const [error] = document.errors;
  if (error) {
    const line = error.linePos?.[0].line;
    throw wrong(path, `${line === undefined ? 'it' : `line ${line}`} is no YAML (${error.code})`);
  }
  try {
    // Few aliases are in a kubeconfig; many are a bomb.
    return document.toJS({ maxAliasCount: 100 });
  } catch {
    throw wrong(path, 'its aliases cannot be resolved');
  }
}

function clusterUrl(server: string, path: string): string {
  try {
    return serverUrl(`${path}: its server`, server);
  } catch (error) {
    throw wrong('', (error as Error).message);
  }
}

function decoded(fields: Fields, name: string, path: string): string | undefined {
  const text = string(fields, name);
  if (text === undefined) return undefined;
  const compact = text.replace(/\s+/g, '');
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(compact)) throw wrong(path, `its ${name} is no base64`);
  return Buffer.from(compact, 'base64').toString('utf8');
}

function string(fields: Fields, name: string): string | undefined {
  const value = fields[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function secret(text: string | undefined): Secret | undefined {
  return text === undefined ? undefined : new Secret(text);
}

function fieldsOf(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
}

function defined(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

function wrong(path: string, why: string): TwillError {
  return new TwillError('ERR_TWILL_STORE', path === '' ? why : `${path}: ${why}`);
}
