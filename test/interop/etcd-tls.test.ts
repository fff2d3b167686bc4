/** etcd over TLS: with a CA alone, with a client certificate, with what does not fit; and certificates that are renewed. */
import assert from 'node:assert/strict';
import { copyFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { EtcdStore } from '../../src/store/etcd/etcd-store.js';
import { type Certificates, issue, makeCertificates } from '../support/certificates.js';
import { type Etcd, etcdPrefix, noEtcd, startEtcd } from '../support/etcd.js';
import { FollowedStore } from '../support/followed-store.js';

const skip = noEtcd();
const lease = '{"PublicIP":"192.0.2.1","PublicIPv6":null}';
const { emitWarning } = process;

function certificatesOf(etcd: Etcd): Certificates {
  assert.ok(etcd.certificates);
  return etcd.certificates;
}

test('a server that shows a certificate', { skip }, async (t) => {
  const etcd = await startEtcd(t, { tls: 'server' });
  await etcd.put('config', '{}');
  const read = async (more: Parameters<Etcd['options']>[0]) => {
    const store = new EtcdStore(etcd.options(more));
    t.after(() => store.close());
    return store.readConfig();
  };
  const warnings: string[] = [];
  process.emitWarning = (warning: string | Error) => void warnings.push(String(warning));
  t.after(() => {
    process.emitWarning = emitWarning;
  });

  await t.test('is believed by its CA alone', async () => {
    assert.equal(await read({}), '{}');
    assert.deepEqual(warnings, []);
  });
  await t.test('is believed by its name', async () => {
    const { port } = new URL(etcd.member().clientUrl);
    assert.equal(await read({ endpoints: [`https://localhost:${port}`] }), '{}');
  });
  await t.test('is not believed by another CA', async () => {
    const other = await makeCertificates(etcd.directory, { hosts: [], name: 'other-' });
    await assert.rejects(read({ caFile: other.caFile }), {
      code: 'ERR_TWILL_STORE_UNAVAILABLE',
      message: /certificate/,
    });
  });
  await t.test('is not believed under a name that is not its own', async () => {
    const { port } = new URL(etcd.member().clientUrl);
    await assert.rejects(read({ endpoints: [`https://127.0.0.2:${port}`] }), /127\.0\.0\.2/);
  });
  await t.test('is not spoken to without TLS', async () => {
    await assert.rejects(read({ endpoints: [etcd.member().clientUrl.replace('https:', 'http:')] }), {
      code: 'ERR_TWILL_STORE_UNAVAILABLE',
    });
  });
  await t.test('a CA file that is missing or no certificate is named', async () => {
    await assert.rejects(
      read({ caFile: '/nowhere/ca.pem' }),
      /cannot read --etcd-cafile: .*\/nowhere\/ca\.pem/,
    );
    const broken = join(etcd.directory, 'broken.pem');
    await writeFile(broken, '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
    await assert.rejects(read({ caFile: broken }), /cannot use the certificates in .*broken\.pem/);
  });
});

test('http:// never uses TLS, whatever certificates are given', { skip }, async (t) => {
  const etcd = await startEtcd(t);
  await etcd.put('config', '{}');
  const certificates = await makeCertificates(etcd.directory, { hosts: [] });
  const store = new EtcdStore(
    etcd.options({
      caFile: certificates.caFile,
      certFile: certificates.clientCertFile,
      keyFile: certificates.clientKeyFile,
    }),
  );
  t.after(() => store.close());
  assert.equal(await store.readConfig(), '{}');
});

test('a server that wants a certificate, whose CN is the user', { skip }, async (t) => {
  const etcd = await startEtcd(t, { tls: 'client' });
  const certificates = certificatesOf(etcd);
  await etcd.put('config', '{}');
  await etcd.addUser('twill', 'unused');
  await etcd.ctl('user', 'add', 'root:unused');
  await etcd.ctl('user', 'grant-role', 'root', 'root');
  await etcd.ctl('auth', 'enable');
  const certFile = join(etcd.directory, 'twill.pem');
  const keyFile = join(etcd.directory, 'twill.key');
  await issue(certificates, { cn: 'twill', hosts: [], certFile, keyFile });
  const nobody = new EtcdStore(etcd.options());
  t.after(() => nobody.close());
  await assert.rejects(nobody.readConfig(), { code: 'ERR_TWILL_STORE_UNAVAILABLE' });
  const store = new EtcdStore(etcd.options({ certFile, keyFile }));
  t.after(() => store.close());
  assert.equal(await store.readConfig(), '{}');
  assert.ok(await store.create('10.5.1.0-24', lease, { ttlMs: 60_000 }));
  const elsewhere = new EtcdStore(etcd.options({ certFile, keyFile, prefix: '/other' }));
  t.after(() => elsewhere.close());
  await assert.rejects(elsewhere.readConfig(), /permission denied/);
});

test('certificates that are renewed need no restart of ours', { skip }, async (t) => {
  const etcd = await startEtcd(t, { tls: 'client' });
  const certificates = certificatesOf(etcd);
  const [caFile, certFile, keyFile] = ['our-ca.pem', 'our.pem', 'our.key'].map((name) =>
    join(etcd.directory, name),
  );
  assert.ok(caFile && certFile && keyFile);
  await copyFile(certificates.caFile, caFile);
  await issue(certificates, { cn: 'twill', hosts: [], certFile, keyFile });
  await etcd.put('subnets/10.5.1.0-24', lease);
  const followed = FollowedStore.over(t, etcd.options({ caFile, certFile, keyFile }));
  await followed.hasKeys('10.5.1.0-24');

  // A new CA, and new certificates of it on both sides; the server starts anew with them.
  const renewed = await makeCertificates(etcd.directory, { hosts: ['127.0.0.1'], name: 'renewed-' });
  await etcd.member().stop();
  for (const [from, to] of [
    [renewed.caFile, certificates.caFile],
    [renewed.serverCertFile, certificates.serverCertFile],
    [renewed.serverKeyFile, certificates.serverKeyFile],
    [renewed.clientCertFile, certificates.clientCertFile],
    [renewed.clientKeyFile, certificates.clientKeyFile],
  ] as const) {
    await copyFile(from, `${to}.new`);
    await rename(`${to}.new`, to);
  }
  await etcd.member().start();
  await etcd.healthy();
  await assert.rejects(followed.store.list(), /certificate/);
  await copyFile(renewed.caFile, caFile);
  await issue(renewed, { cn: 'twill', hosts: [], certFile, keyFile });
  await etcd.ctl('put', `${etcdPrefix}/subnets/10.5.2.0-24`, lease);
  await followed.hasKeys('10.5.1.0-24 10.5.2.0-24');
  assert.equal(followed.trouble, null);
});
