/** Certificates for tests, made by openssl: a CA, a server's and a client's. */
import { execFile } from 'node:child_process';
import { rename, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';

export interface Certificates {
  readonly caFile: string;
  readonly caKeyFile: string;
  readonly serverCertFile: string;
  readonly serverKeyFile: string;
  /** Its CN is `root`, whom etcd takes for a user of that name. */
  readonly clientCertFile: string;
  readonly clientKeyFile: string;
}

async function openssl(...args: string[]): Promise<void> {
  await promisify(execFile)('openssl', args);
}

export async function makeCertificates(
  directory: string,
  { hosts, name = '' }: { readonly hosts: readonly string[]; readonly name?: string },
): Promise<Certificates> {
  const path = (file: string) => join(directory, `${name}${file}`);
  await openssl(
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'],
    ...['-subj', `/CN=test CA ${name}`, '-keyout', path('ca.key'), '-out', path('ca.pem')],
  );
  const ca = { caFile: path('ca.pem'), caKeyFile: path('ca.key') };
  await issue(ca, { cn: 'etcd', hosts, certFile: path('server.pem'), keyFile: path('server.key') });
  await issue(ca, { cn: 'root', hosts: [], certFile: path('client.pem'), keyFile: path('client.key') });
  return {
    ...ca,
    serverCertFile: path('server.pem'),
    serverKeyFile: path('server.key'),
    clientCertFile: path('client.pem'),
    clientKeyFile: path('client.key'),
  };
}

/** A certificate of this CA, put in place by renaming, as tools that rotate certificates do. */
export async function issue(
  { caFile, caKeyFile }: { readonly caFile: string; readonly caKeyFile: string },
  to: {
    readonly cn: string;
    readonly hosts: readonly string[];
    readonly certFile: string;
    readonly keyFile: string;
  },
): Promise<void> {
  const names = to.hosts.map((host) => `${isIP(host) ? 'IP' : 'DNS'}:${host}`);
  const extensions = [
    'extendedKeyUsage=serverAuth,clientAuth',
    ...(names.length > 0 ? [`subjectAltName=${names.join(',')}`] : []),
  ];
  const [request, extensionFile] = [`${to.certFile}.csr`, `${to.certFile}.ext`];
  await writeFile(extensionFile, extensions.join('\n'));
  await openssl(
    ...['req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
    ...['-subj', `/CN=${to.cn}`, '-keyout', `${to.keyFile}.new`, '-out', request],
  );
  await openssl(
    ...['x509', '-req', '-in', request, '-CA', caFile, '-CAkey', caKeyFile, '-CAcreateserial', '-days', '2'],
    ...['-extfile', extensionFile, '-out', `${to.certFile}.new`],
  );
  await rename(`${to.keyFile}.new`, to.keyFile);
  await rename(`${to.certFile}.new`, to.certFile);
}
