/** Users of etcd: passwords, tokens that expire, rights that are missing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { Secret } from '../../src/config/secret.js';
import { EtcdStore } from '../../src/store/etcd/etcd-store.js';
import { noEtcd, startEtcd } from '../support/etcd.js';
import { FollowedStore } from '../support/followed-store.js';
import { until } from '../support/namespaces.js';
import { Relay } from '../support/relay.js';

const skip = noEtcd();
const lease = '{"PublicIP":"192.0.2.1","PublicIPv6":null}';
const password = 'pa55-w0rd-7e1a';

test('a user with a password, and those who are refused', { skip }, async (t) => {
  const etcd = await startEtcd(t);
  await etcd.put('config', '{"Network":"10.5.0.0/16"}');
  const user = await etcd.addUser('twill', password);
  const withUser = new EtcdStore(etcd.options(user));
  t.after(() => withUser.close());

  await t.test('a cluster without users takes one with a password too', async () => {
    assert.equal(await withUser.readConfig(), '{"Network":"10.5.0.0/16"}');
  });

  await etcd.enableAuth();
  await t.test('its token is fetched and used', async () => {
    const store = new EtcdStore(etcd.options(user));
    t.after(() => store.close());
    assert.ok(await store.create('10.5.1.0-24', lease, { ttlMs: 60_000 }));
    assert.equal((await store.list()).records.length, 1);
    // And by the one that began before there were users.
    assert.equal((await withUser.list()).records.length, 1);
  });

  for (const [what, options, message] of [
    [
      'a wrong password',
      { ...user, password: new Secret(`${password}x`) },
      /refuses user "twill": check --etcd-u/,
    ],
    ['no user at all', {}, /it wants a user: give --etcd-username and --etcd-password/],
    [
      'a prefix without rights',
      { ...user, prefix: '/other' },
      /user "twill" must be allowed to read and write/,
    ],
  ] as const) {
    await t.test(`${what}: one clear line without the password`, async () => {
      const store = new EtcdStore(etcd.options(options));
      t.after(() => store.close());
      await assert.rejects(store.readConfig(), (error: Error & { code: string }) => {
        assert.equal(error.code, 'ERR_TWILL_STORE');
        assert.match(error.message, message);
        assert.ok(!error.message.includes('\n'));
        assert.ok(!inspect(error, { depth: 20, showHidden: true }).includes(password));
        return true;
      });
    });
  }
});

test('tokens that expire are renewed, for calls and for the watch', { skip }, async (t) => {
  const etcd = await startEtcd(t, { flags: ['--auth-token-ttl=2', '--log-level=info'] });
  const expired = () => etcd.member().stderr.split('deleted a simple token').length - 1;
  const ourTokenExpires = async () => {
    const before = expired();
    await until('a token expires', async () => expired() > before);
  };
  const relay = await Relay.open(t, etcd.member().clientUrl);
  const user = await etcd.addUser('twill', password);
  await etcd.enableAuth();
  const followed = FollowedStore.over(t, etcd.options({ ...user, endpoints: [relay.url] }));
  const { store } = followed;
  assert.ok(await store.create('10.5.1.0-24', lease, { ttlMs: 60_000 }));
  await followed.hasKeys('10.5.1.0-24');
  await ourTokenExpires();
  assert.ok(await store.create('10.5.2.0-24', lease, { ttlMs: 60_000 }));
  await followed.hasKeys('10.5.1.0-24 10.5.2.0-24');
  // A restart forgets all simple tokens, so the watch comes back with one that nobody knows.
  await etcd.member().kill();
  await etcd.member().start();
  await etcd.healthy();
  await etcd.put('subnets/10.5.3.0-24', lease);
  await followed.hasKeys('10.5.1.0-24 10.5.2.0-24 10.5.3.0-24');
  assert.equal(followed.trouble, null);
  // The same after a break of the network during which the token expires.
  relay.cut();
  await ourTokenExpires();
  await etcd.put('subnets/10.5.4.0-24', lease);
  relay.heal();
  await followed.hasKeys('10.5.1.0-24 10.5.2.0-24 10.5.3.0-24 10.5.4.0-24');
  assert.equal(followed.trouble, null);
});
