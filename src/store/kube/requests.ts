/**
 * Everything that we ever ask of the API server. The roles in deploy/ grant this and nothing else; a test compares them.
 * Our own node is listed by its name, not fetched, so that flannel's oldest role, which has no `get` of nodes, suffices.
 */

export interface KubeRequest {
  readonly verb: 'get' | 'list' | 'watch' | 'patch';
  readonly resource: 'pods' | 'nodes' | 'nodes/status';
  readonly method: 'GET' | 'PATCH';
  /** Below the server's URL. */
  readonly path: string;
}

const NODES = '/api/v1/nodes';

export const listNodes: KubeRequest = { verb: 'list', resource: 'nodes', method: 'GET', path: NODES };
export const watchNodes: KubeRequest = { verb: 'watch', resource: 'nodes', method: 'GET', path: NODES };

export function patchNodeStatus(name: string): KubeRequest {
  const path = `${NODES}/${encodeURIComponent(name)}/status`;
  return { verb: 'patch', resource: 'nodes/status', method: 'PATCH', path };
}

export function getPod(namespace: string, name: string): KubeRequest {
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(name)}`;
  return { verb: 'get', resource: 'pods', method: 'GET', path };
}

/** One of each kind. */
export const ALL_REQUESTS: readonly KubeRequest[] = [
  getPod('namespace', 'pod'),
  listNodes,
  watchNodes,
  patchNodeStatus('node'),
];
