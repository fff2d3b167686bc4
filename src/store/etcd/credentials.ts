/**
 * How a connection to one member is secured. The endpoint's scheme alone says whether TLS is used; a CA alone suffices
 * for it, as does the system's. The files are read for each connection anew, so that renewed certificates need no restart.
 */
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { checkServerIdentity, createSecureContext } from 'node:tls';
import { type ChannelCredentials, type ChannelOptions, credentials } from '@grpc/grpc-js';
import type { EtcdOptions } from '../../config/store-options.js';
import { TwillError } from '../../errors.js';

export interface Security {
  readonly credentials: ChannelCredentials;
  readonly channelOptions: ChannelOptions;
}

/** Throws ERR_TWILL_STORE naming the file that is wrong. */
export async function securityFor(endpoint: string, options: EtcdOptions): Promise<Security> {
  const { protocol, hostname } = new URL(endpoint);
  if (protocol === 'http:') return { credentials: credentials.createInsecure(), channelOptions: {} };
  const [ca, cert, key] = await Promise.all([
    pem('--etcd-cafile', options.caFile),
    pem('--etcd-certfile', options.certFile),
    pem('--etcd-keyfile', options.keyFile),
  ]);
  const host = hostname.replace(/^\[|\]$/g, '');
  let secureContext: ReturnType<typeof createSecureContext>;
  try {
    // OpenSSL passes over what is no certificate, and would then trust nobody.
    if (ca) new X509Certificate(ca);
    secureContext = createSecureContext({
      minVersion: 'TLSv1.2',
      ...(ca && { ca }),
      ...(cert && key && { cert, key }),
    });
  } catch (cause) {
    const files = [options.caFile, options.certFile, options.keyFile].filter((path) => path !== undefined);
    throw new TwillError(
      'ERR_TWILL_STORE',
      `cannot use the certificates in ${files.join(', ')}: ${(cause as Error).message}; they must be PEM, and the key the certificate's`,
      { cause },
    );
  }
  return {
    credentials: credentials.createFromSecureContext(secureContext, {
      checkServerIdentity: (_, certificate) => checkServerIdentity(host, certificate),
    }),
    // TLS knows no server name that is an address (RFC 6066), and the library would send it: it gets another one to send.
    channelOptions: isIP(host) ? { 'grpc.ssl_target_name_override': 'etcd' } : {},
  };
}

async function pem(flag: string, path: string | undefined): Promise<Buffer | undefined> {
  if (path === undefined) return undefined;
  try {
    return await readFile(path);
  } catch (cause) {
    throw new TwillError('ERR_TWILL_STORE', `cannot read ${flag}: ${(cause as Error).message}`, { cause });
  }
}
