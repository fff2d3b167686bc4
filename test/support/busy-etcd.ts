/**
 * A member of etcd that says "too many requests" while it is told to, and passes every call on to a real one otherwise:
 * a real one says so only in a distress that a test cannot bring about. Run inside a namespace as a process of its own:
 * `busy-etcd.js LISTEN TARGET`; each line on its standard input is `true` or `false`, busy or not, and is answered by a
 * line: how many calls were refused so far.
 */
import { createInterface } from 'node:readline';
import {
  Client,
  credentials,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServiceDefinition,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import * as rpc from '../../src/store/etcd/rpc.js';

const [listen = '', target = ''] = process.argv.slice(2);
const bytes = (value: Buffer) => value;
const real = new Client(target, credentials.createInsecure());
let isBusy = false;
let refused = 0;

function definition(path: string, isStream: boolean) {
  const coding = { requestSerialize: bytes, requestDeserialize: bytes };
  const codingBack = { responseSerialize: bytes, responseDeserialize: bytes };
  return { path, requestStream: isStream, responseStream: isStream, ...coding, ...codingBack };
}

function passOn(path: string) {
  return (call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) => {
    if (isBusy) {
      refused += 1;
      return answer({ code: status.RESOURCE_EXHAUSTED, details: 'etcdserver: too many requests' });
    }
    real.makeUnaryRequest(path, bytes, bytes, call.request, call.metadata, (error, value) =>
      answer(error, value),
    );
  };
}

/** A watch goes on: etcd refuses what would change something, not what is under way. */
function watch(call: ServerDuplexStream<Buffer, Buffer>): void {
  const onward = real.makeBidiStreamRequest(rpc.WATCH.path, bytes, bytes, call.metadata);
  call.on('data', (value) => onward.write(value));
  call.on('end', () => onward.end());
  call.on('cancelled', () => onward.cancel());
  onward.on('data', (value) => call.write(value));
  onward.on('error', (error) => call.destroy(error));
  onward.on('end', () => call.end());
}

const { WATCH, ...others } = rpc;
const definitions: Record<string, unknown> = { watch: definition(WATCH.path, true) };
const handlers: Record<string, unknown> = { watch };
for (const { path } of Object.values(others)) {
  definitions[path] = definition(path, false);
  handlers[path] = passOn(path);
}
const server = new Server();
server.addService(definitions as ServiceDefinition, handlers as never);
server.bindAsync(listen, ServerCredentials.createInsecure(), (error) => {
  if (error) throw error;
  console.log(refused);
});
for await (const line of createInterface({ input: process.stdin })) {
  isBusy = JSON.parse(line) === true;
  console.log(refused);
}
process.exit(0);
