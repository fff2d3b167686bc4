/**
 * A store that a program brings, as the agent sees it: what its methods give is looked at here, so that a mistake in one of
 * them is told by its name, and a record that is none hides no other.
 */
import { TwillError, wrongType } from '../errors.js';
import type { UnreadableRecord } from '../lease/record.js';
import { IpAddress } from '../net/ip.js';
import type { AnyStore, GivingStore, LeaseSource, OwnNode, StoreRecord, StoreSnapshot } from './store.js';

const SOURCE = ['readConfig', 'list', 'watch', 'close'];
const TAKING = ['create', 'replace', 'remove'];
const GIVING = ['ownNode', 'announce', 'announceUp'];

/** `where` names the argument. Throws TypeError where a method is missing. */
export function ownStore(where: string, given: unknown): AnyStore {
  const lacks = (what: string) => wrongType(where, `text, or a Store with ${what}`, given);
  if (typeof given !== 'object' || given === null) throw lacks('readConfig()');
  const methods = [...SOURCE, ...('announce' in given ? GIVING : TAKING)];
  const missing = methods.find((name) => typeof (given as Record<string, unknown>)[name] !== 'function');
  if (missing !== undefined) throw lacks(`${missing}()`);
  const store = given as AnyStore;
  if (typeof store.description !== 'string') throw lacks('a description');
  return 'announce' in store ? giving(store) : taking(store);
}

function source(store: AnyStore): LeaseSource {
  return {
    description: store.description,
    readConfig: async (signal) => {
      const text: unknown = await awaited(store, 'readConfig', () => store.readConfig(signal));
      if (typeof text !== 'string') throw gave(store, 'readConfig', text, 'the text of net-conf.json');
      return text;
    },
    list: async (signal) => snapshot(store, 'list', await awaited(store, 'list', () => store.list(signal))),
    watch: (signal, onTrouble) => watched(store, signal, onTrouble),
    close: () => awaited(store, 'close', () => store.close()),
  };
}

function taking(store: Exclude<AnyStore, GivingStore>): AnyStore {
  const recordOrNull = async (method: string, act: () => Promise<unknown>) => {
    const found = await awaited(store, method, act);
    return found === null ? null : record(store, method, found);
  };
  return {
    ...source(store),
    create: (...all) => recordOrNull('create', () => store.create(...all)),
    replace: (...all) => recordOrNull('replace', () => store.replace(...all)),
    remove: async (...all) => {
      const isGone: unknown = await awaited(store, 'remove', () => store.remove(...all));
      if (typeof isGone !== 'boolean') throw gave(store, 'remove', isGone, 'true or false');
      return isGone;
    },
  };
}

function giving(store: GivingStore): AnyStore {
  return {
    ...source(store),
    ownNode: async (signal) => {
      const node = (await awaited(store, 'ownNode', () => store.ownNode(signal))) as
        | OwnNode
        | null
        | undefined;
      const isAddress = (one: unknown) => one === undefined || one instanceof IpAddress;
      if (typeof node?.name !== 'string' || !isAddress(node.publicIp) || !isAddress(node.publicIpv6))
        throw gave(store, 'ownNode', node, 'a node with a name, and IpAddresses');
      return node;
    },
    announce: async (...all) =>
      record(store, 'announce', await awaited(store, 'announce', () => store.announce(...all))),
    announceUp: (signal) => awaited(store, 'announceUp', () => store.announceUp(signal)),
  };
}

async function* watched(
  store: AnyStore,
  signal: AbortSignal,
  onTrouble?: (error: Error | null) => void,
): AsyncGenerator<StoreSnapshot> {
  const tell = (trouble: unknown) =>
    onTrouble?.(trouble === null || trouble instanceof Error ? trouble : threw(store, 'watch', trouble));
  try {
    const snapshots: unknown = store.watch(signal, tell);
    if (typeof (snapshots as AsyncIterable<unknown> | null)?.[Symbol.asyncIterator] !== 'function')
      throw gave(store, 'watch', snapshots, 'an async iterable');
    for await (const found of snapshots as AsyncIterable<unknown>) yield snapshot(store, 'watch', found);
  } catch (error) {
    throw error instanceof Error ? error : threw(store, 'watch', error);
  }
}

/** What it resolves to; what it throws is an Error, whatever it was. */
async function awaited<T>(store: AnyStore, method: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw error instanceof Error ? error : threw(store, method, error);
  }
}

function snapshot(store: AnyStore, method: string, found: unknown): StoreSnapshot {
  const { records, unreadable, asOfMs } = (found ?? {}) as { readonly [name: string]: unknown };
  if (!Array.isArray(records) || !Array.isArray(unreadable))
    throw gave(store, method, found, '{ records, unreadable }');
  if (asOfMs !== undefined && typeof asOfMs !== 'number')
    throw gave(store, `${method}: asOfMs`, asOfMs, 'a number');
  const faulty: UnreadableRecord[] = [];
  const sound = records.filter((one: unknown, i) => {
    const fault = faultOf(one);
    const key = (one as { key?: unknown } | null)?.key;
    if (fault) faulty.push({ key: typeof key === 'string' ? key : `record ${i}`, reason: fault });
    return !fault;
  });
  return { records: sound, unreadable: [...unreadable, ...faulty], ...(asOfMs !== undefined && { asOfMs }) };
}

function record(store: AnyStore, method: string, found: unknown): StoreRecord {
  const fault = faultOf(found);
  if (fault) throw gave(store, method, found, `a record (${fault})`);
  return found as StoreRecord;
}

const FIELDS = { key: 'string', value: 'string', revision: 'string', createdOrder: 'bigint' } as const;

/** Why it is no record; null: it is one. */
function faultOf(found: unknown): string | null {
  if (typeof found !== 'object' || found === null) return 'it is no object';
  const fields = found as { readonly [name: string]: unknown };
  for (const [name, type] of Object.entries(FIELDS))
    if (typeof fields[name] !== type) return `its ${name} is no ${type}`;
  const { expiresAtMs, holder } = fields;
  // NaN would neither end nor last.
  if (expiresAtMs !== undefined && !((expiresAtMs as number) >= 0)) return 'its expiresAtMs is no number';
  if (holder !== undefined && typeof holder !== 'string') return 'its holder is no string';
  return null;
}

function gave({ description }: AnyStore, method: string, found: unknown, wanted: string): TwillError {
  const { message } = wrongType(`${description}: what ${method} gives`, wanted, found);
  return new TwillError('ERR_TWILL_STORE', message);
}

function threw({ description }: AnyStore, method: string, thrown: unknown): TwillError {
  const { message } = wrongType(`${description}: what ${method} throws`, 'an Error', thrown);
  return new TwillError('ERR_TWILL_STORE', message);
}
