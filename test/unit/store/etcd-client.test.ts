/** The client against a member that answers as etcd does when it cannot keep up, which a real one does only in distress. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Server, ServerCredentials, type ServiceDefinition, status } from '@grpc/grpc-js';
import { EtcdClient } from '../../../src/store/etcd/client.js';
import { RANGE } from '../../../src/store/etcd/rpc.js';

test('"too many requests" is a reason to ask later, of the same member', async (t) => {
  let asked = 0;
  const bytes = (value: Buffer) => value;
  const range = {
    ...{ path: RANGE.path, requestStream: false, responseStream: false },
    ...{ requestSerialize: bytes, requestDeserialize: bytes },
    ...{ responseSerialize: bytes, responseDeserialize: bytes },
  };
  const server = new Server();
  server.addService({ range } as ServiceDefinition, {
    range: (_: unknown, answer: (error: object | null, value?: Buffer) => void) => {
      asked += 1;
      if (asked > 1) return answer(null, RANGE.response.encode({ kvs: [] }));
      answer({ code: status.RESOURCE_EXHAUSTED, details: 'etcdserver: too many requests' });
    },
  });
  t.after(() => server.forceShutdown());
  const port = await new Promise<number>((resolve, reject) => {
    const onBound = (error: Error | null, bound: number) => (error ? reject(error) : resolve(bound));
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), onBound);
  });
  const client = new EtcdClient({ endpoints: [`http://127.0.0.1:${port}`], prefix: '/x' });
  t.after(() => client.close());
  const request = { key: Buffer.from('/x/config') };
  await assert.rejects(client.call(RANGE, request), {
    code: 'ERR_TWILL_STORE_UNAVAILABLE',
    message: /has no room now: .*too many requests/,
  });
  assert.equal(asked, 1, 'once, not again and again');
  assert.deepEqual((await client.call(RANGE, request)).kvs, []);
});
