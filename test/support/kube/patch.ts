/**
 * Patches of a Node as the real API server applies them: JSON merge patch (RFC 7386) and Kubernetes' strategic one, which
 * merges lists by a key. What the real one would refuse is refused here, with its codes and in its words.
 */
import { ApiError, type NodeObject } from './objects.js';

type Fields = { [name: string]: unknown };

/** Lists of a Node that are merged, each by this field (the `patchMergeKey` of its Go type). Others are replaced whole. */
const MERGE_KEYS: { readonly [path: string]: string } = {
  'status.conditions': 'type',
  'status.addresses': 'type',
  'metadata.ownerReferences': 'uid',
};

export type PatchKind = 'merge' | 'strategic';

/** Of the content type of a request. Throws 415. */
export function patchKind(contentType: string | undefined): PatchKind {
  const type = contentType?.split(';')[0]?.trim();
  if (type === 'application/merge-patch+json') return 'merge';
  if (type === 'application/strategic-merge-patch+json') return 'strategic';
  throw new ApiError(
    415,
    'UnsupportedMediaType',
    'the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml',
  );
}

/** A new object; `status`: through the subresource, which changes status and metadata alone, as the other way leaves status. */
export function patchedNode(
  node: NodeObject,
  patch: unknown,
  kind: PatchKind,
  subresource: string,
): NodeObject {
  if (!isFields(patch)) throw new ApiError(400, 'BadRequest', 'the patch is no JSON object');
  const merged = merge(node as unknown as Fields, patch, kind, '') as unknown as NodeObject;
  const result: NodeObject = structuredClone(
    subresource === 'status' ? { ...merged, spec: node.spec } : { ...merged, status: node.status },
  );
  validate(node, result);
  return result;
}

/** A new object; lists are merged by their keys in a Node alone. */
export function merge(target: Fields, patch: Fields, kind: PatchKind, path: string): Fields {
  if (kind === 'strategic' && patch['$patch'] === 'replace') {
    const { $patch: _, ...rest } = patch;
    return rest;
  }
  const result: Fields = { ...target };
  for (const [name, value] of Object.entries(patch)) {
    if (kind === 'strategic' && name.startsWith('$setElementOrder/')) continue;
    if (kind === 'strategic' && name.startsWith('$'))
      throw new ApiError(400, 'BadRequest', `directive ${name} is beyond this server`);
    const at = path === '' ? name : `${path}.${name}`;
    const before = result[name];
    const mergeKey = kind === 'strategic' ? MERGE_KEYS[at] : undefined;
    if (value === null) delete result[name];
    else if (mergeKey !== undefined && Array.isArray(value))
      result[name] = mergeList(Array.isArray(before) ? before : [], value, mergeKey, at);
    else if (isFields(value)) result[name] = merge(isFields(before) ? before : {}, value, kind, at);
    else result[name] = value;
  }
  return result;
}

function mergeList(list: unknown[], patch: unknown[], key: string, path: string): unknown[] {
  const result = list.filter(isFields);
  for (const element of patch) {
    if (!isFields(element) || element[key] === undefined)
      throw new ApiError(
        500,
        'InternalError',
        `map: ${JSON.stringify(element)} does not contain declared merge key: ${key}`,
      );
    const at = result.findIndex((candidate) => candidate[key] === element[key]);
    if (element['$patch'] === 'delete') {
      if (at >= 0) result.splice(at, 1);
    } else if (at < 0) result.push(element);
    else result[at] = merge(result[at] ?? {}, element, 'strategic', path);
  }
  return result;
}

function validate(before: NodeObject, after: NodeObject): void {
  const { metadata, spec, status } = after;
  for (const map of ['annotations', 'labels'] as const) {
    for (const [name, value] of Object.entries(metadata[map] ?? {})) {
      if (typeof value !== 'string') throw decodeError(`ObjectMeta.metadata.${map} of type string`, value);
      if (!isQualifiedName(name))
        throw invalid(
          before,
          `metadata.${map}: Invalid value: ${JSON.stringify(name)}: name part must consist of alphanumeric characters, '-', '_' or '.'`,
        );
    }
  }
  const size = Object.entries(metadata.annotations ?? {}).reduce(
    (sum, [k, v]) => sum + k.length + v.length,
    0,
  );
  if (size > 256 * 1024)
    throw invalid(before, 'metadata.annotations: Too long: may not be more than 262144 bytes');
  if (metadata.name !== before.metadata.name)
    throw new ApiError(400, 'BadRequest', 'the name of the object does not match the name on the URL');
  if (metadata.uid !== before.metadata.uid)
    throw invalid(before, 'metadata.uid: Invalid value: field is immutable');
  if (metadata.resourceVersion !== before.metadata.resourceVersion)
    throw new ApiError(
      409,
      'Conflict',
      `Operation cannot be fulfilled on nodes "${before.metadata.name}": the object has been modified; please apply your changes to the latest version and try again`,
    );
  if (before.spec.podCIDR !== undefined && spec.podCIDR !== before.spec.podCIDR)
    throw invalid(before, 'spec.podCIDR: Forbidden: field is immutable once set');
  for (const condition of status.conditions ?? []) {
    for (const field of ['type', 'status', 'reason', 'message'])
      if (condition[field] !== undefined && typeof condition[field] !== 'string')
        throw decodeError(`NodeCondition.status.conditions.${field} of type string`, condition[field]);
    for (const field of ['lastHeartbeatTime', 'lastTransitionTime']) {
      const value = condition[field] ?? null;
      const isTime =
        typeof value === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)$/.test(value);
      if (value !== null && !isTime)
        throw new ApiError(
          400,
          'BadRequest',
          `parsing time ${JSON.stringify(value)} as "2006-01-02T15:04:05Z07:00"`,
        );
    }
  }
}

/** `prefix/name` with a DNS subdomain before the slash, as Kubernetes has them. */
function isQualifiedName(text: string): boolean {
  const [first = '', second, ...more] = text.split('/');
  const [domain, name] = second === undefined ? [undefined, first] : [first, second];
  if (more.length > 0 || !/^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/.test(name)) return false;
  return (
    domain === undefined || /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/.test(domain)
  );
}

function decodeError(field: string, value: unknown): ApiError {
  const kind = Array.isArray(value) ? 'array' : value === null ? 'null' : typeof value;
  return new ApiError(400, 'BadRequest', `json: cannot unmarshal ${kind} into Go struct field ${field}`);
}

function invalid(node: NodeObject, why: string): ApiError {
  return new ApiError(422, 'Invalid', `Node "${node.metadata.name}" is invalid: ${why}`);
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
