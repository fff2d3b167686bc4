/** What kubectl asks first: which version this is, and which resources there are. */

const resource = (name: string, kind: string, verbs: readonly string[], namespaced = false) => ({
  ...{ name, kind, namespaced, verbs },
  singularName: kind.toLowerCase(),
  ...(kind === 'Node' && { shortNames: ['no'] }),
});

export const DISCOVERY: { readonly [path: string]: object } = {
  '/version': {
    ...{ major: '1', minor: '32', gitVersion: 'v1.32.0', gitCommit: '', gitTreeState: 'clean' },
    ...{ buildDate: '1970-01-01T00:00:00Z', goVersion: 'go1.23', compiler: 'gc', platform: 'linux/amd64' },
  },
  '/api': { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] },
  '/apis': { kind: 'APIGroupList', apiVersion: 'v1', groups: [] },
  '/api/v1': {
    kind: 'APIResourceList',
    groupVersion: 'v1',
    resources: [
      resource('nodes', 'Node', ['create', 'delete', 'get', 'list', 'patch', 'watch']),
      resource('nodes/status', 'Node', ['get', 'patch']),
      resource('pods', 'Pod', ['get'], true),
    ],
  },
};
