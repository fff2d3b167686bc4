/**
 * Where the API server is and who we are there: what flags name, else what each pod is given, else the usual kubeconfig.
 * Files are read for each request anew, so tokens and certificates that are renewed need no restart.
 */
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { KubeOptions } from '../../config/kube-options.js';
import { Secret } from '../../config/secret.js';
import { TwillError } from '../../errors.js';
import type { KubeconfigUser } from './kubeconfig.js';

export interface TlsMaterial {
  /** PEM; absent: the system's CAs. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: Secret;
  /** Whom the server's certificate must name, if not the host of the URL. */
  readonly serverName?: string;
  /** The server is believed without proof. */
  readonly isUnverified?: true;
}

export interface Access {
  /** `https://HOST:PORT`, perhaps with a path, without "/" at its end. */
  readonly server: string;
  readonly tls: TlsMaterial;
  readonly token: Secret | null;
}

/** Where Kubernetes puts what a pod needs to talk to it. */
const POD_FILES = '/var/run/secrets/kubernetes.io/serviceaccount';

/** Reads the files anew. Throws ERR_TWILL_STORE naming the file that is wrong, never what is in it. */
export async function readAccess(options: KubeOptions, podFiles = POD_FILES): Promise<Access> {
  const { apiUrl, kubeconfigFile, podApiUrl, usualKubeconfigs } = options;
  if (kubeconfigFile !== undefined) return fromKubeconfig(kubeconfigFile, apiUrl);
  if (apiUrl !== undefined) return { server: apiUrl, tls: {}, token: null };
  if (podApiUrl !== undefined) return fromPod(podApiUrl, podFiles);
  for (const path of usualKubeconfigs) {
    const text = await readFile(path, 'utf8').catch(() => null);
    if (text !== null) return fromKubeconfig(path, undefined);
  }
  throw wrong(
    'nothing says where the API server is: give --kube-api-url or --kubeconfig-file, or run in a pod of the cluster',
  );
}

async function fromPod(server: string, files: string): Promise<Access> {
  const [token, ca] = await Promise.all([
    readText(`${files}/token`, 'the token of the service account'),
    readText(`${files}/ca.crt`, 'the CA of the cluster'),
  ]);
  return {
    server,
    tls: { ca: certificate(ca, `${files}/ca.crt`) },
    token: tokenOf(token, `${files}/token`),
  };
}

async function fromKubeconfig(path: string, apiUrl: string | undefined): Promise<Access> {
  // Nobody else shall pay for the YAML library.
  const { parseKubeconfig } = await import('./kubeconfig.js');
  const { server, ca, caFile, serverName, isUnverified, user } = parseKubeconfig(
    await readText(path, '--kubeconfig-file'),
    path,
  );
  const url = apiUrl ?? server;
  if (url === undefined) throw wrong(`${path}: its cluster names no server: give --kube-api-url`);
  const caText = ca ?? (caFile === undefined ? undefined : await readText(caFile, 'certificate-authority'));
  return {
    server: url,
    tls: {
      ...(caText !== undefined && { ca: certificate(caText, caFile ?? path) }),
      ...(serverName !== undefined && { serverName }),
      ...(isUnverified && { isUnverified: true }),
      ...(await pairOf(user, path)),
    },
    token: await userToken(user, path),
  };
}

async function pairOf(user: KubeconfigUser, path: string): Promise<{ cert: string; key: Secret } | null> {
  const { cert, certFile, key, keyFile } = user;
  const certText =
    cert ?? (certFile === undefined ? undefined : await readText(certFile, 'client-certificate'));
  const keySecret =
    key ?? (keyFile === undefined ? undefined : new Secret(await readText(keyFile, 'client-key')));
  if (certText === undefined && keySecret === undefined) return null;
  if (certText === undefined || keySecret === undefined)
    throw wrong(`${path}: a client certificate and its key come together, and one of the two is missing`);
  return { cert: certificate(certText, certFile ?? path), key: keySecret };
}

async function userToken({ token, tokenFile }: KubeconfigUser, path: string): Promise<Secret | null> {
  // As Kubernetes' own client: the file comes first, since it is the one that is renewed.
  if (tokenFile !== undefined) return tokenOf(await readText(tokenFile, 'tokenFile'), tokenFile);
  return token === undefined ? null : tokenOf(token.reveal(), path);
}

/** It becomes a header, which must not be cut in two by what is in it. */
function tokenOf(text: string, path: string): Secret {
  const token = text.trim();
  if (/^[\x21-\x7e]+$/.test(token)) return new Secret(token);
  throw wrong(`${path}: ${token === '' ? 'its token is empty' : 'what it holds is no bearer token'}`);
}

/** OpenSSL passes over what is no certificate, and would then trust nobody. */
function certificate(pem: string, path: string): string {
  try {
    new X509Certificate(pem);
    return pem;
  } catch {
    throw wrong(`${path}: a certificate in it is none: it must be PEM`);
  }
}

async function readText(path: string, what: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new TwillError('ERR_TWILL_STORE', `cannot read ${what}: ${(cause as Error).message}`, { cause });
  }
}

function wrong(message: string): TwillError {
  return new TwillError('ERR_TWILL_STORE', message);
}
