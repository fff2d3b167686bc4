// `race-for-key DIRECTORY NUMBER`: claims twenty keys as fast as it can and prints those that it won.
import { DirectoryStore } from '../../src/store/directory.js';

const [, , path = '', number = '0'] = process.argv;
const store = await DirectoryStore.open(path);
const won: string[] = [];
for (let i = 0; i < 20; i++) {
  const key = `10.5.${i}.0-24`;
  const record = await store.create(key, `{"PublicIP":"192.0.2.${number}"}`, { ttlMs: 60_000 });
  if (record) won.push(key);
}
process.stdout.write(JSON.stringify(won));
