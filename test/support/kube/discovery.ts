/** What kubectl asks first: which version this is, and which resources there are. */

const resource = (name: string, kind: string, verbs: readonly string[], namespaced = false) => ({
  ...{ name, kind, namespaced, verbs },
  singularName: kind.toLowerCase(),
  ...(kind === 'Node' && { shortNames: ['no'] }),
});

const OBJECT_VERBS = ['create', 'delete', 'get', 'list', 'patch'];

export const DISCOVERY: { readonly [path: string]: object } = {
  '/version': {
    ...{ major: '1', minor: '32', gitVersion: 'v1.32.0', gitCommit: '', gitTreeState: 'clean' },
    ...{ buildDate: '1970-01-01T00:00:00Z', goVersion: 'go1.23', compiler: 'gc', platform: 'linux/amd64' },
  },
  '/api': { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] },
  '/apis': {
    kind: 'APIGroupList',
    apiVersion: 'v1',
    groups: ['apps', 'rbac.authorization.k8s.io'].map((name) => {
      const version = { groupVersion: `${name}/v1`, version: 'v1' };
      return { name, versions: [version], preferredVersion: version };
    }),
  },
  '/apis/apps/v1': {
    kind: 'APIResourceList',
    groupVersion: 'apps/v1',
    resources: [resource('daemonsets', 'DaemonSet', OBJECT_VERBS, true)],
  },
  '/apis/rbac.authorization.k8s.io/v1': {
    kind: 'APIResourceList',
    groupVersion: 'rbac.authorization.k8s.io/v1',
    resources: [
      resource('clusterroles', 'ClusterRole', OBJECT_VERBS),
      resource('clusterrolebindings', 'ClusterRoleBinding', OBJECT_VERBS),
    ],
  },
  '/api/v1': {
    kind: 'APIResourceList',
    groupVersion: 'v1',
    resources: [
      resource('nodes', 'Node', ['create', 'delete', 'get', 'list', 'patch', 'watch']),
      resource('nodes/status', 'Node', ['get', 'patch']),
      resource('pods', 'Pod', ['get'], true),
      resource('namespaces', 'Namespace', OBJECT_VERBS),
      resource('serviceaccounts', 'ServiceAccount', OBJECT_VERBS, true),
      resource('configmaps', 'ConfigMap', OBJECT_VERBS, true),
    ],
  },
};
