/** Rules of the host on a real kernel: flannel's text in each program, no write without need, nobody else's rules touched. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { golden, type Holder, holders, makeWorld, N, run } from '../support/firewall-lab.js';
import { base, cannotRun, until } from '../support/namespaces.js';
import { preload } from '../support/preload.js';

const skip = await cannotRun();
const RULES = ['--ip-masq', '--log-level=info'];
const [inIptables, , nft] = holders as [Holder, Holder, Holder];

for (const holder of holders) {
  test(`${holder.name}: the text is flannel's in both families; a restart writes nothing; what is flushed is back`, {
    skip,
    timeout: 90_000,
  }, async (t) => {
    const { a } = await makeWorld(t, holder);
    a.run(RULES);
    const { node } = await a.started();
    const whole = golden(holder, node.subnet);
    assert.equal(await holder.list(a.namespace), whole);
    assert.match(
      await a.twill('status'),
      new RegExp(`^rules +masquerade with random ports, forward in ${holder.name}$`, 'm'),
    );

    // Handles of nft and counters of the older iptables tell of any write.
    await a.namespace.exec('ping', ['-c', '1', '-I', base(node.subnet.split(' ')[0] ?? ''), '192.0.2.3']);
    const traces = async () =>
      (await run(a.namespace, 'nft -a list ruleset')) +
      (await run(a.namespace, 'iptables-legacy-save -c'))
        .split('\n')
        .filter((line) => /MASQUERADE/.test(line))
        .join('\n');
    const before = await traces();
    if (!holder.isNft) assert.match(before, /counter packets [1-9]|^\[[1-9]/m);
    assert.equal(await a.stop(), 0);
    assert.equal(await holder.list(a.namespace), whole, 'all stays at the end');
    a.run(RULES);
    await a.started();
    assert.equal(await traces(), before);
    assert.deepEqual(
      a.logged('info').filter((line) => line.startsWith('rules of this host')),
      [],
    );

    await a.stop();
    a.run([...RULES, '--iptables-resync=1']);
    await a.started();
    await holder.flush(a.namespace);
    const ours = golden(holder, node.subnet, false);
    await until('the rules are back', async () => (await holder.list(a.namespace)) === ours);
    assert.match(await a.twill('status'), /^rules .*; mended \d+ times, last .* ago: /m);
    assert.ok(
      a.logged('warn').some((line) => line.startsWith('rules of this host were not as they should be: ')),
    );
  });
}

test('from mode to mode and back: nothing of the other is left, rules of others stay', {
  skip,
  timeout: 90_000,
}, async (t) => {
  const { a, lab } = await makeWorld(t, inIptables);
  const config = async (change: object) => {
    const path = join(lab.store, 'config');
    await writeFile(path, JSON.stringify({ ...JSON.parse(await readFile(path, 'utf8')), ...change }));
  };
  await run(a.namespace, 'iptables -t nat -A POSTROUTING -s 172.17.0.0/16 -j MASQUERADE');
  await run(a.namespace, 'ip6tables -A FORWARD -j LOG');
  await run(a.namespace, 'nft add table ip mine');
  const foreign = async () => {
    const nat = await run(a.namespace, 'iptables -t nat -S POSTROUTING');
    assert.match(nat, /^-A POSTROUTING -s 172\.17\.0\.0\/16 -j MASQUERADE$/m);
    assert.match(await run(a.namespace, 'ip6tables -S FORWARD'), /^-A FORWARD -j LOG$/m);
    assert.match(await run(a.namespace, 'nft list tables'), /^table ip mine$/m);
  };
  for (const mode of ['iptables', 'nftables', 'iptables']) {
    await config({ EnableNFTables: mode === 'nftables' });
    a.run(RULES);
    const { node } = await a.started();
    await foreign();
    const tables = await run(a.namespace, 'nft list tables');
    const rules: string = await inIptables.list(a.namespace);
    if (mode === 'iptables') {
      assert.doesNotMatch(tables, /flannel/);
      assert.equal(rules.match(/^-A FLANNEL-POSTRTG /gm)?.length, 12);
    } else {
      assert.doesNotMatch(rules, /FLANNEL|flanneld/);
      assert.ok(
        (await nft.list(a.namespace)).includes(golden(nft, node.subnet).split('\ntable ip6')[0] ?? ''),
      );
    }
    await a.stop();
  }
  // Another network with another subnet, then no masquerading at all.
  await config({ Network: '10.78.0.0/16' });
  a.run(RULES);
  await a.started();
  const changed = await run(a.namespace, 'iptables-save');
  assert.doesNotMatch(changed, /10\.77\./);
  assert.match(changed, /^-A FLANNEL-POSTRTG -s 10\.78\.0\.0\/16 ! -d /m);
  await a.stop();
  a.run();
  await a.started();
  await foreign();
  assert.doesNotMatch(await inIptables.list(a.namespace), /FLANNEL|flanneld/);
});

for (const [before, after] of [
  [nft, nft],
  [inIptables, inIptables],
  [nft, inIptables],
  [inIptables, nft],
] as const) {
  test(`IPv6 that is switched off, from ${before.name} to ${after.name}: its rules go, those of others stay`, {
    skip,
    timeout: 60_000,
  }, async (t) => {
    const { a, lab } = await makeWorld(t, before);
    await run(a.namespace, 'nft add table ip6 mine');
    await run(a.namespace, 'ip6tables-nft -A FORWARD -j LOG');
    a.run(RULES);
    await a.started();
    assert.match(
      await before.list(a.namespace),
      /ip6 flannel-ipv6|fd00:77::\/56.*FLANNEL|FLANNEL.*fd00:77::\/56/,
    );
    await a.stop();
    a.storeFlags = a.storeFlags.filter((flag) => !flag.startsWith('--public-ipv6'));
    const config = { Network: N, EnableNFTables: after.isNft, Backend: { Type: 'vxlan' } };
    await writeFile(join(lab.store, 'config'), JSON.stringify(config));
    a.run(RULES);
    const { node } = await a.started();
    const tables = await run(a.namespace, 'nft list tables');
    assert.match(tables, /^table ip6 mine$/m);
    assert.doesNotMatch(tables, /flannel-ipv6/);
    assert.equal(/^table ip flannel-ipv4$/m.test(tables), after.isNft);
    const rules = await run(a.namespace, 'ip6tables-nft-save');
    assert.match(rules, /^-A FORWARD -j LOG$/m);
    assert.doesNotMatch(rules, /FLANNEL|flanneld|fd00:77/);
    const [v4 = ''] = golden(after, node.subnet).split('\ntable ip6');
    assert.ok((await after.list(a.namespace)).includes(after.isNft ? v4 : `-s ${N} ! -d 224.0.0.0/4`));
  });
}

test('what flannel v0.11 and v0.20 left is recycled', { skip, timeout: 60_000 }, async (t) => {
  const [holder] = holders;
  assert.ok(holder);
  const { a } = await makeWorld(t, holder);
  await writeFile(
    a.subnetFile,
    `FLANNEL_NETWORK=${N}\nFLANNEL_SUBNET=10.77.9.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n`,
  );
  for (const rule of [
    `-A POSTROUTING -s ${N} -d ${N} -j RETURN`,
    `-A POSTROUTING -s ${N} ! -d 224.0.0.0/4 -j MASQUERADE --random-fully`,
    `-A POSTROUTING ! -s ${N} -d 10.77.9.0/24 -j RETURN`,
    `-A POSTROUTING ! -s ${N} -d ${N} -j MASQUERADE --random-fully`,
    '-N FLANNEL-POSTRTG',
    '-A FLANNEL-POSTRTG -s 10.77.9.0/24 -j RETURN',
  ])
    await run(a.namespace, `iptables -t nat ${rule}`);
  const jump = ['-m', 'comment', '--comment', 'flanneld masq', '-j', 'FLANNEL-POSTRTG'];
  for (let i = 0; i < 2; i++) await a.namespace.exec('iptables', ['-t', 'nat', '-I', 'POSTROUTING', ...jump]);
  a.run(RULES);
  const { node } = await a.started();
  assert.equal(await holder.list(a.namespace), golden(holder, node.subnet));
});

test('a lock that is held: its holder is named, the node carries on, and the rules come when it is free', {
  skip,
  timeout: 90_000,
}, async (t) => {
  const legacy = holders[1];
  assert.ok(legacy);
  const { a, lab } = await makeWorld(t, legacy);
  const lock = join(lab.directory, 'xtables.lock');
  await writeFile(lock, '');
  const child = a.namespace.spawn('flock', ['--no-fork', lock, 'sleep', '600'], { stdio: 'ignore' });
  a.run([...RULES, '--iptables-resync=1', '--healthz-port=8081']);
  await until(
    'the lock is named',
    async () =>
      /^rules .*TROUBLE: .*xtables lock is held by process \d+ \(sleep\)/m.test(
        await a.twill('status').catch(() => ''),
      ),
    60_000,
  );
  assert.match(
    (await a.get('/readyz')).text,
    /^firewall: iptables-legacy: table nat: the xtables lock is held/m,
  );
  assert.match(await readFile(a.subnetFile, 'utf8'), /^FLANNEL_IPMASQ=true$/m);
  child.kill('SIGKILL');
  await until('ready', async () => (await a.get('/readyz')).status === 200, 60_000);
  await a.stop();
});

test('no such program: one line, not ready; where nothing is asked for nobody minds', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const [holder] = holders;
  assert.ok(holder);
  const { a, lab } = await makeWorld(t, holder);
  // The folders of the programs are empty for this agent.
  const hide = [
    'unshare',
    '--mount',
    'sh',
    '-c',
    'for d in /usr/sbin /usr/local/sbin; do mount -t tmpfs none $d; done; exec "$@"',
    'sh',
  ];
  a.run([...RULES, '--healthz-port=8081'], hide);
  await until('it is named', async () =>
    /^rules .*TROUBLE: iptables is not installed/m.test(await a.twill('status').catch(() => '')),
  );
  assert.match(
    (await a.get('/readyz')).text,
    /^firewall: iptables is not installed, .*: no rule is set; ip6tables is not/m,
  );
  assert.equal(a.logged('error').filter((line) => line.startsWith('rules of this host')).length, 1);
  assert.match(await readFile(a.subnetFile, 'utf8'), /^FLANNEL_IPMASQ=true$/m);
  await a.stop();
  await writeFile(join(lab.directory, 'a.env'), '');
  a.run([], hide);
  await a.started();
});

for (const holder of holders.filter(({ name }) => name !== 'iptables-legacy')) {
  test(`${holder.name}, a kernel without nat: that is named, the rules that need none are set, and the node carries on`, {
    skip,
    timeout: 60_000,
  }, async (t) => {
    const { a } = await makeWorld(t, holder);
    a.environment = { ...a.environment, ...(await preload(t, 'netlink')), TWILL_TEST_NO_NAT: '1' };
    a.run([...RULES, '--iptables-resync=1', '--healthz-port=8081']);
    const [v4, v6] = holder.isNft
      ? ['nft: table flannel-ipv4: ', 'nft: table flannel-ipv6: ']
      : ['iptables-nft: table nat: ', 'ip6tables-nft: table nat: '];
    const named = new RegExp(`^rules .*TROUBLE: ${v4}`, 'm');
    await until('it is named', async () => named.test(await a.twill('status').catch(() => '')));
    assert.match((await a.get('/readyz')).text, new RegExp(`^firewall: ${v4}[^\\n]+${v6}`, 'm'));
    assert.match(await readFile(a.subnetFile, 'utf8'), /^FLANNEL_IPMASQ=true$/m);
    const forward = holder.isNft
      ? ['nft list table ip flannel-ipv4', 'nft list table ip6 flannel-ipv6']
      : ['iptables-nft -S', 'ip6tables-nft -S'];
    for (const line of forward) {
      const rules = await run(a.namespace, line);
      assert.equal(
        rules.match(/^-A FLANNEL-FWD .*-j ACCEPT$|^\t\tip6? [sd]addr \S+ accept$/gm)?.length,
        2,
        rules,
      );
    }
    assert.equal(
      a.logged('error').filter((line) => line.startsWith('rules of this host')).length,
      1,
      'said once',
    );
  });
}

test('ip6tables alone is missing: it is named, IPv4 has its rules, and IPv6 when it is installed', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const { a } = await makeWorld(t, inIptables);
  const some = ['iptables*', 'xtables*', 'nft'].map((name) => `/usr/sbin/${name}`).join(' ');
  const hide = `mount -t tmpfs none /mnt && cp -a ${some} /mnt && mount --move /mnt /usr/sbin && exec "$@"`;
  a.run(
    [...RULES, '--iptables-resync=1', '--healthz-port=8081'],
    ['unshare', '--mount', 'sh', '-c', hide, 'sh'],
  );
  await until('it is named', async () =>
    /^rules .*TROUBLE: ip6tables is not installed/m.test(await a.twill('status').catch(() => '')),
  );
  assert.match(
    (await a.get('/readyz')).text,
    /^firewall: ip6tables is not installed, [^\n]*: no rule is set$/m,
  );
  const { node } = await a.status();
  const whole = golden(inIptables, node.subnet);
  const lists = async () => (await inIptables.list(a.namespace)).trim();
  assert.ok((await lists()).startsWith(whole.slice(0, whole.indexOf('-P PREROUTING', 1)).trim()));
  assert.doesNotMatch(await run(a.namespace, 'ip6tables-nft-save'), /FLANNEL/);
  await a.namespace.exec('nsenter', [
    '--mount',
    `--target=${a.process?.pid}`,
    'umount',
    '--lazy',
    '/usr/sbin',
  ]);
  await until('IPv6 has its rules', async () => (await lists()) === whole.trim());
  await until('ready', async () => (await a.get('/readyz')).status === 200);
});

for (const holder of holders.filter(({ name }) => name !== 'iptables-legacy')) {
  test(`${holder.name}: somebody removes rules again and again: in the end all are there`, {
    skip,
    timeout: 90_000,
  }, async (t) => {
    const { a } = await makeWorld(t, holder);
    a.run(RULES);
    const { node } = await a.started();
    const whole = golden(holder, node.subnet);
    // Handles name the rules whatever they say.
    for (let round = 0, chain = ''; round < 12; round++) {
      const lines = (await run(a.namespace, 'nft -a list ruleset')).split('\n');
      const rules: string[] = [];
      let table = '';
      for (const line of lines) {
        table = /^table (\S+ \S+) \{/.exec(line)?.[1] ?? table;
        chain = /^\tchain (\S+) \{/.exec(line)?.[1] ?? chain;
        const [, handle] = /^\t\t.* # handle (\d+)$/.exec(line) ?? [];
        if (handle !== undefined) rules.push(`${table} ${chain} handle ${handle}`);
      }
      const rule = rules[(round * 7) % rules.length];
      // It may have been mended in between.
      if (rule) await run(a.namespace, `nft delete rule ${rule}`).catch(() => '');
      if (round % 4 === 3) await holder.flush(a.namespace);
    }
    await until('all rules are there', async () => (await holder.list(a.namespace)) === whole);
  });
}
