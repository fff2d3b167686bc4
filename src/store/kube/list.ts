/** All nodes, page by page, each looked at as it comes and then forgotten. */
import { TwillError } from '../../errors.js';
import type { KubeClient } from './client.js';
import { failureText, Refused, unavailable } from './failure.js';
import { fieldsOf, type NodeView, type SeenNode, seenNode } from './node.js';
import { listNodes as LIST } from './requests.js';
import { ItemSplitter } from './splitters.js';

const PAGE_NODES = 500;
/** A large cluster's server may think for a while. */
const ANSWER_WITHIN_MS = 30_000;
const SILENT_AT_MOST_MS = 15_000;
/** Pages belong to one moment, which the server forgets after a while. Then from the start, at last without pages. */
const MOST_PAGED_ATTEMPTS = 3;

export interface ListParts {
  readonly client: KubeClient;
  readonly view: NodeView;
}

/** Calls `onNode` for each, after `onStart` where it begins anew; the resourceVersion that this is as of. */
export async function listNodes(
  { client, view }: ListParts,
  { onStart, onNode }: { readonly onStart: () => void; readonly onNode: (node: SeenNode) => void },
  signal?: AbortSignal,
): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    onStart();
    const isPaged = attempt <= MOST_PAGED_ATTEMPTS;
    try {
      return await listAll(client, view, onNode, isPaged, signal);
    } catch (error) {
      if (!isPaged || !(error instanceof Refused) || error.status !== 410) throw error;
    }
  }
}

async function listAll(
  client: KubeClient,
  view: NodeView,
  onNode: (node: SeenNode) => void,
  isPaged: boolean,
  signal: AbortSignal | undefined,
): Promise<string> {
  let resourceVersion = '';
  let next = '';
  do {
    const query = {
      ...(isPaged && { limit: String(PAGE_NODES) }),
      ...(next !== '' && { continue: next }),
    };
    const page = await listPage({ client, view }, query, onNode, signal);
    resourceVersion ||= page.resourceVersion;
    next = page.next;
  } while (next !== '');
  return resourceVersion;
}

interface Page {
  readonly resourceVersion: string;
  /** What asks for the next one; empty: it was the last. */
  readonly next: string;
}

/** Throws where it does not come whole. */
async function listPage(
  { client, view }: ListParts,
  query: { readonly [name: string]: string },
  onNode: (node: SeenNode) => void,
  signal: AbortSignal | undefined,
): Promise<Page> {
  const answer = await client.stream(LIST, { query, signal, answerWithinMs: ANSWER_WITHIN_MS });
  const splitter = new ItemSplitter((json) => onNode(seenNode(JSON.parse(json), view)));
  let timer: NodeJS.Timeout | undefined;
  try {
    const silent = () => answer.destroy(new Error('the API server has fallen silent within a list'));
    timer = setTimeout(silent, SILENT_AT_MOST_MS);
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      timer.refresh();
      splitter.write(chunk);
    }
    const metadata = fieldsOf(fieldsOf(splitter.end())['metadata']);
    const { resourceVersion, continue: next } = metadata;
    if (typeof resourceVersion !== 'string' || resourceVersion === '')
      throw new Error('a list without a resourceVersion');
    return { resourceVersion, next: typeof next === 'string' ? next : '' };
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof TwillError) throw error;
    throw unavailable(`list nodes: ${failureText(error)}`, error);
  } finally {
    clearTimeout(timer);
    answer.destroy();
  }
}

/** One node by its name; null where there is none. */
export async function findNode(
  parts: ListParts,
  name: string,
  signal?: AbortSignal,
): Promise<SeenNode | null> {
  let found: SeenNode | null = null;
  const query = { fieldSelector: `metadata.name=${name}` };
  await listPage(
    parts,
    query,
    (node) => {
      if (node.facts.name === name) found = node;
    },
    signal,
  );
  return found;
}

/** As of now, for the price of one node. */
export async function currentVersion(parts: ListParts, signal?: AbortSignal): Promise<string> {
  return (await listPage(parts, { limit: '1' }, () => {}, signal)).resourceVersion;
}
